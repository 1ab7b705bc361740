//! Rows that are sorted by their key on the way: the output is that of an input sorted before.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::{ArrayRef, Int32Array, RecordBatch, StringArray, StringViewArray};
use arrow_ipc::writer::{FileWriter, StreamWriter};
use parquet::arrow::ArrowWriter;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::AsyncWriteExt as _;

use crate::{Files, command, table_file, triton};

/// A running sum for each key.
const ACCUMULATE: &str = "
    CREATE MODEL running_sum INPUT (`value` INT) OUTPUT (sum INT)
    WITH ('provider' = 'triton', 'endpoint' = 'embedded', 'model-name' = 'accumulate',
          'sequence-id' = 'job', 'sequence-id-auto-increment' = 'true', 'sequence-key' = 'user')";

/// What makes most of these runs put rows into many temporary files.
const LITTLE: &str = "2000";

#[derive(Debug, Clone)]
struct Sample {
    user: String,
    value: i32,
    note: String,
}

/// Rows of 23 keys without any pattern.
fn samples(count: u32) -> Vec<Sample> {
    let rows = (0..count).map(|row| {
        let user = (row.wrapping_mul(2_654_435_761) >> 7) % 23;
        Sample {
            // As numbers they would be in another order.
            user: user.to_string(),
            value: (row % 13) as i32,
            note: format!("\"{row}\", höher als\n{}", "x".repeat(row as usize % 40)),
        }
    });
    rows.collect()
}

fn sorted(rows: &[Sample]) -> Vec<Sample> {
    let mut rows = rows.to_vec();
    rows.sort_by(|one, other| one.user.cmp(&other.user));
    rows
}

/// Writes rows in the format of the file's name.
fn write(files: &Files, name: &str, rows: &[Sample]) -> String {
    let (plain, compression) = match name.rsplit_once('.') {
        Some((plain, "gz")) => (plain, "gz"),
        Some((plain, "zst")) => (plain, "zst"),
        _ => (name, ""),
    };
    let bytes = match plain.rsplit_once('.').unwrap().1 {
        "ndjson" => {
            let lines = rows.iter().map(|row| {
                let note = serde_json::to_string(&row.note).unwrap();
                let Sample { user, value, .. } = row;
                // The text of an object is kept as it is.
                format!("{{\"user\": \"{user}\",\"value\":  {value}, \"note\":{note} }}\n")
            });
            lines.collect::<String>().into_bytes()
        }
        format @ ("csv" | "tsv") => {
            let delimiter = if format == "tsv" { b'\t' } else { b',' };
            let mut writer = csv::WriterBuilder::new()
                .delimiter(delimiter)
                .from_writer(Vec::new());
            writer.write_record(["user", "value", "note"]).unwrap();
            for row in rows {
                let value = row.value.to_string();
                writer.write_record([&row.user, &value, &row.note]).unwrap();
            }
            writer.into_inner().unwrap()
        }
        format => typed(format, rows.chunks(50).map(batch)),
    };
    let bytes = match compression {
        "gz" => {
            let level = flate2::Compression::fast();
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
            encoder.write_all(&bytes).unwrap();
            encoder.finish().unwrap()
        }
        "zst" => zstd::encode_all(&bytes[..], 1).unwrap(),
        _ => bytes,
    };
    let path = files.path(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

fn batch(rows: &[Sample]) -> RecordBatch {
    let users: StringArray = rows.iter().map(|row| Some(&row.user)).collect();
    let values: Int32Array = rows.iter().map(|row| row.value).collect();
    let notes: StringViewArray = rows.iter().map(|row| Some(&row.note)).collect();
    let columns: [(&str, ArrayRef); 3] = [
        ("user", Arc::new(users)),
        ("value", Arc::new(values)),
        ("note", Arc::new(notes)),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

fn typed(format: &str, batches: impl Iterator<Item = RecordBatch>) -> Vec<u8> {
    let mut batches = batches.peekable();
    let schema = batches.peek().unwrap().schema();
    let mut bytes = Vec::new();
    match format {
        "parquet" => {
            let mut writer = ArrowWriter::try_new(&mut bytes, schema, None).unwrap();
            batches.for_each(|batch| writer.write(&batch).unwrap());
            writer.close().unwrap();
        }
        "arrow" => {
            let mut writer = FileWriter::try_new(&mut bytes, &schema).unwrap();
            batches.for_each(|batch| writer.write(&batch).unwrap());
            writer.finish().unwrap();
        }
        _ => {
            let mut writer = StreamWriter::try_new(&mut bytes, &schema).unwrap();
            batches.for_each(|batch| writer.write(&batch).unwrap());
            writer.finish().unwrap();
        }
    }
    bytes
}

/// Every input format to every output format; `first` and `last` split the work in two tests.
fn agrees_with_an_input_sorted_before(inputs: &[&str]) {
    let files = Files::new();
    let model = files.write("model.sql", ACCUMULATE);
    let rows = samples(300);
    for format in inputs {
        let before = write(&files, &format!("before.{format}"), &sorted(&rows));
        let input = write(&files, &format!("input.{format}"), &rows);
        for output in ["csv.gz", "ndjson", "parquet", "arrow", "arrows"] {
            let run = |input: &str, name: &str, more: &[&str]| {
                let path = files.path(&format!("{name}.{output}"));
                let common = ["predict", &model, input, "--output", &path, "-q"];
                let run = triton(&[&common[..], more].concat());
                assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{format}");
                table_file::read_cells(&path)
            };
            let expected = run(&before, "expected", &[]);
            let found = run(&input, "found", &["--sort-by-key"]);
            assert_eq!(found, expected, "{format} to {output}");
            let spilled = ["--sort-by-key", "--sort-memory", LITTLE];
            let found = run(&input, "spilled", &spilled);
            assert_eq!(found, expected, "{format} to {output}, from files");
        }
    }
}

#[test]
fn texts_that_are_sorted_are_those_of_an_input_sorted_before() {
    agrees_with_an_input_sorted_before(&["csv", "tsv", "ndjson", "csv.zst", "ndjson.gz"]);
}

#[test]
fn typed_columns_that_are_sorted_are_those_of_an_input_sorted_before() {
    agrees_with_an_input_sorted_before(&["parquet", "arrow", "arrows"]);
}

#[test]
fn several_inputs_become_one_order() {
    let files = Files::new();
    let model = files.write("model.sql", ACCUMULATE);
    let rows = samples(400);
    for format in ["csv", "ndjson", "parquet", "arrows"] {
        let before = write(&files, &format!("before.{format}"), &sorted(&rows));
        let expected = triton(&["predict", &model, &before, "--output-format", "ndjson"]);
        let inputs: Vec<String> = rows
            .chunks(150)
            .enumerate()
            .map(|(index, rows)| write(&files, &format!("{index}.{format}"), rows))
            .collect();
        let mut arguments = vec!["predict", &model, "--output-format", "ndjson"];
        arguments.extend(inputs.iter().map(String::as_str));
        arguments.extend(["--sort-by-key", "--sort-memory", LITTLE]);
        let run = triton(&arguments);
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        assert_eq!(run.stdout, expected.stdout, "{format}");
    }
}

#[test]
fn columns_that_may_be_null_in_one_input_alone_go_together() {
    let files = Files::new();
    let model = files.write("model.sql", ACCUMULATE);
    let batch = |note: &[Option<&str>]| {
        let notes: ArrayRef = Arc::new(StringArray::from(note.to_vec()));
        let users: ArrayRef = Arc::new(StringArray::from(vec!["b", "a"]));
        let values: ArrayRef = Arc::new(Int32Array::from(vec![1, 2]));
        let columns = [("user", users), ("value", values), ("note", notes)];
        RecordBatch::try_from_iter(columns).unwrap()
    };
    for format in ["parquet", "arrow"] {
        let (full, some) = (files.path("full"), files.path("some"));
        let rows = [batch(&[Some("x"), Some("y")])];
        std::fs::write(&full, typed(format, rows.into_iter())).unwrap();
        let rows = [batch(&[None, Some("z")])];
        std::fs::write(&some, typed(format, rows.into_iter())).unwrap();
        let output = files.path(&format!("output.{format}"));
        for more in [&["--sort-by-key"][..], &[]] {
            let common = ["predict", &model, &full, &some, "-o", &output];
            let run = triton(&[&common[..], more].concat());
            assert_eq!(run.code, Some(0), "{}", run.stderr);
            let back = triton(&[
                "predict",
                "--model",
                "accumulate",
                "-O",
                "endpoint=embedded",
                "-O",
                "sequence-id=job",
                "-O",
                "sequence-id-auto-increment=true",
                "--map",
                "total=sum",
                "--output-format",
                "csv",
                &output,
            ]);
            let notes: Vec<&str> = back
                .stdout
                .lines()
                .skip(1)
                .map(|line| line.split(',').nth(2).unwrap())
                .collect();
            let expected = match more {
                [] => ["x", "y", "", "z"],
                _ => ["y", "z", "x", ""],
            };
            assert_eq!(notes, expected, "{format}: {}", back.stderr);
        }
    }
}

#[test]
fn more_keys_than_places_are_no_matter() {
    let files = Files::new();
    let model = files.write("model.sql", ACCUMULATE);
    let rows = (0..900).map(|row| format!("k{:03},{}\n", row % 300, row / 300 + 1));
    let input = files.write(
        "input.csv",
        &format!("user,value\n{}", rows.collect::<String>()),
    );
    let run = triton(&[
        "predict",
        &model,
        &input,
        "--sort-by-key",
        "-O",
        "sequence-max-open=1",
    ]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let expected = (0..300).flat_map(|key| {
        let sums = [(1, 1), (2, 3), (3, 6)];
        sums.map(|(value, sum)| format!("k{key:03},{value},{sum}\n"))
    });
    let expected = format!("user,value,sum\n{}", expected.collect::<String>());
    assert_eq!(run.stdout, expected);
}

#[test]
fn rows_that_cannot_be_used_keep_their_places() {
    let files = Files::new();
    let model = files.write("model.sql", ACCUMULATE);
    // What comes last of a key cannot be used, so that the row before it ends the sequence.
    let one = files.write(
        "one.csv",
        "user,value\nb,1\na,1\nb,two\na\nb,\"thr\"ee\n,7\n",
    );
    let two = files.write("two.csv", "user,value\na,4\nb,5\nb,six\na,none\nc,none\n");
    let errors = files.path("errors.ndjson");
    for memory in ["1", LITTLE] {
        let run = triton(&[
            "predict",
            &model,
            &one,
            &two,
            "--sort-by-key",
            "--sort-memory",
            memory,
            "--errors",
            &errors,
            "-O",
            "sequence-max-open=1",
        ]);
        assert_eq!(run.code, Some(1), "{}", run.stderr);
        insta::allow_duplicates! {
            insta::assert_snapshot!(run.stdout, @"");
            insta::assert_snapshot!(files.relative(&std::fs::read_to_string(&errors).unwrap()), @"");
        }
        // No sequence stayed open, which the summary would tell.
        let last = run.stderr.lines().last().unwrap();
        assert!(
            last.starts_with("11 rows: 5 answered, 6 rejected"),
            "{last}"
        );
        assert!(!last.contains("open"), "{last}");
    }
}

#[test]
fn several_columns_are_sorted_one_after_the_other() {
    let files = Files::new();
    let model = files.write("model.sql", &ACCUMULATE.replace("'user'", "'site,line'"));
    let input = files.write(
        "input.csv",
        "site,line,value\na b,1,1\na,2,2\na,10,3\na,2,4\na!,0,5\n,9,6\n",
    );
    let run = triton(&["predict", &model, &input, "--sort-by-key"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    insta::assert_snapshot!(run.stdout, @"");
}

#[test]
fn sequences_still_end_where_a_column_says_so() {
    let files = Files::new();
    let options = "'sequence-key' = 'user', 'sequence-end-column' = 'last'";
    let model = files.write(
        "model.sql",
        &ACCUMULATE.replace("'sequence-key' = 'user'", options),
    );
    let input = files.write(
        "input.csv",
        "user,value,last\nb,1,false\na,1,false\nb,2,true\na,2,true\nb,3,false\na,3,true\nb,4,true\n",
    );
    let run = triton(&["predict", &model, &input, "--sort-by-key"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    insta::assert_snapshot!(run.stdout, @"");
}

#[test]
fn rows_of_a_pipe_are_sorted_too() {
    let files = Files::new();
    let model = files.write("model.sql", ACCUMULATE);
    let rows = samples(200);
    for format in ["csv", "ndjson.gz", "arrows"] {
        let before = write(&files, &format!("before.{format}"), &sorted(&rows));
        let input = write(&files, &format!("input.{format}"), &rows);
        let expected = triton(&["predict", &model, &before, "--output-format", "csv"]);
        let arguments = ["predict", &model, "-", "--output-format", "csv"];
        let sorting = ["--sort-by-key", "--sort-memory", LITTLE];
        let output = command(&[&arguments[..], &sorting].concat())
            .stdin(std::fs::File::open(input).unwrap())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0));
        let found = String::from_utf8(output.stdout).unwrap();
        assert_eq!(found, expected.stdout, "{format}");
    }
}

#[tokio::test]
async fn a_signal_ends_a_run_that_is_still_sorting() {
    let files = Files::new();
    let model = files.write("model.sql", ACCUMULATE);
    let output = files.path("output.csv");
    let arguments = ["predict", &model, "-", "--sort-by-key", "-o", &output];
    let mut child = tokio::process::Command::from(command(&arguments))
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut pipe = child.stdin.take().unwrap();
    // More than a pipe holds, so that it is being read; and then nothing more comes.
    let rows = format!("user,value\n{}", "a,1\n".repeat(50_000));
    pipe.write_all(rows.as_bytes()).await.unwrap();
    let begun = Instant::now();
    let id = i32::try_from(child.id().unwrap()).unwrap();
    kill_process(Pid::from_raw(id).unwrap(), Signal::TERM).unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(20), child.wait()).await;
    assert_eq!(ended.expect("the run hangs").unwrap().code(), Some(143));
    assert!(begun.elapsed() < Duration::from_secs(10));
    drop(pipe);
}

/// A random number below `limit`, another one in every run.
fn random(limit: u64) -> u64 {
    use std::hash::{BuildHasher as _, RandomState};
    RandomState::new().hash_one(0) % limit
}

#[tokio::test]
async fn a_killed_run_that_sorts_goes_on_where_it_was() {
    let files = Files::new();
    let model = files.write("model.sql", ACCUMULATE);
    let rows = (0..600).map(|row| match row % 50 {
        49 => format!("k{},none,{row}\n", row % 7),
        _ => format!("k{},{},{row}\n", row % 7, row * 3),
    });
    let rows = format!("user,value,id\n{}", rows.collect::<String>());
    let input = files.write("input.csv", &rows);
    for format in ["csv.gz", "parquet"] {
        let in_folder = |name: &str| files.path(&format!("{format}.out/{name}"));
        std::fs::create_dir(files.path(&format!("{format}.out"))).unwrap();
        let undisturbed = files.path(&format!("undisturbed.{format}"));
        let expected_errors = files.path(&format!("undisturbed.{format}.errors"));
        let common = ["predict", &model, &input, "--sort-by-key"];
        let more = ["--output", &undisturbed, "--errors", &expected_errors];
        let run = triton(&[&common[..], &more].concat());
        assert_eq!(run.code, Some(1), "{}", run.stderr);
        let (output, errors) = (in_folder(&format!("output.{format}")), in_folder("errors"));
        let checkpoint = files.path(&format!("checkpoint.{format}"));
        let more = [
            "--output",
            &output,
            "--errors",
            &errors,
            "--sort-memory",
            LITTLE,
            "--checkpoint",
            &checkpoint,
            "--checkpoint-every",
            "25",
        ];
        let arguments = [&common[..], &more].concat();
        for _ in 0..4 {
            // So slow that every kill comes before the end.
            let slow = [&arguments[..], &["--rate", "400"]].concat();
            let mut child = tokio::process::Command::from(command(&slow))
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let moment = Duration::from_millis(50 + random(550));
            assert!(tokio::time::timeout(moment, child.wait()).await.is_err());
            child.kill().await.unwrap();
            // Nothing of the sort is left.
            let left = std::fs::read_dir(files.path(&format!("{format}.out"))).unwrap();
            for entry in left {
                let name = entry.unwrap().file_name().into_string().unwrap();
                let known = ["output", "errors", ".output"];
                assert!(known.iter().any(|known| name.starts_with(known)), "{name}");
            }
        }
        let last = triton(&arguments);
        assert_eq!(last.code, Some(1), "{}", last.stderr);
        assert!(
            last.stderr.contains("600 rows: 588 answered, 12 rejected"),
            "{}",
            last.stderr
        );
        let read = |path: &str| table_file::read_cells(path);
        assert_eq!(read(&output), read(&undisturbed), "{format}");
        let text = |path: &str| std::fs::read_to_string(path).unwrap();
        assert_eq!(text(&errors), text(&expected_errors), "{format}");
        let again = triton(&arguments);
        assert!(
            again.stderr.starts_with("nothing is left to do"),
            "{}",
            again.stderr
        );
        let unsorted: Vec<&str> = arguments
            .iter()
            .copied()
            .filter(|argument| !argument.starts_with("--sort") && *argument != LITTLE)
            .collect();
        let refused = triton(&unsorted);
        assert_eq!(refused.code, Some(2));
        assert!(
            refused
                .stderr
                .contains("--sort-by-key: was 'true', is 'false'"),
            "{}",
            refused.stderr
        );
    }
}

#[test]
fn many_rows_are_sorted_through_many_files() {
    let files = Files::new();
    let model = files.write("model.sql", ACCUMULATE);
    let mut sums: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    let mut rows = String::from("user,value\n");
    for row in 0_u32..6000 {
        let user = format!("u{}", (row.wrapping_mul(2_654_435_761) >> 5) % 1500);
        rows += &format!("{user},{row}\n");
        sums.entry(user).or_default().push(row);
    }
    let input = files.write("input.csv", &rows);
    let run = triton(&[
        "predict",
        &model,
        &input,
        "--sort-by-key",
        "--sort-memory",
        "1000",
        "--parallelism",
        "2",
        "-O",
        "sequence-max-open=8",
    ]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let mut expected = String::from("user,value,sum\n");
    for (user, values) in sums {
        let mut sum = 0;
        for value in values {
            sum += value;
            expected += &format!("{user},{value},{sum}\n");
        }
    }
    assert_eq!(run.stdout, expected);
}

#[test]
fn what_cannot_be_sorted_is_refused() {
    let files = Files::new();
    let model = files.write("model.sql", ACCUMULATE);
    let without = ACCUMULATE.replace(", 'sequence-key' = 'user'", "");
    let without_key = files.write("without.sql", &without);
    let input = files.write("input.csv", "user,value\na,1\n");
    let folder = files.path("folder/");
    let refused = |arguments: &[&str]| {
        let run = triton(&[&["predict"], arguments].concat());
        assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""));
        run.stderr
    };
    insta::assert_snapshot!(refused(&[&model, &input, "--sort-by-key", "-o", &folder]), @"");
    insta::assert_snapshot!(refused(&[&without_key, &input, "--sort-by-key"]), @"");
    insta::assert_snapshot!(refused(&[&model, &input, "--sort-memory", "1000"]), @"");
    assert!(!std::path::Path::new(&folder).exists());
}
