//! However a run ends, no half file has the name of a whole one, and no answer is thrown away.

use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Child;

use super::{ANSWERED, INPUT, MODEL, everything, names, prepared, said};
use crate::{Files, Run, command, table_file, triton};

/// A run that ends at the 1101st of its rows, with an output of this format.
fn failing(files: &Files, name: &str, more: &[&str]) -> (Run, String) {
    let model = files.write("model.sql", MODEL);
    let rows: String = (0..1200)
        .map(|row| match row {
            1100 => "none,\"two\nlines\"\n".to_owned(),
            row => format!("{row},\"two\nlines\"\n"),
        })
        .collect();
    let input = files.write("in.csv", &format!("value,note\n{rows}"));
    let output = files.path(name);
    let arguments = [
        "predict",
        &model,
        &input,
        "-o",
        &output,
        "--on-error",
        "fail",
        "--max-in-flight",
        "1",
        "--quiet",
    ];
    let run = triton(&[&arguments[..], more].concat());
    (run, output)
}

#[test]
fn a_failed_run_keeps_its_answers_apart() {
    for format in [
        "csv",
        "csv.gz",
        "ndjson",
        "ndjson.zst",
        "parquet",
        "arrow",
        "arrows",
    ] {
        let files = Files::new();
        let name = format!("out.{format}");
        std::fs::write(files.path(&name), "earlier").unwrap();
        let (run, output) = failing(&files, &name, &[]);
        let rows = 1100;
        assert_eq!(run.code, Some(1), "{}", run.stderr);
        assert!(
            files.relative(&run.stderr).contains(&format!(
                "the {rows} rows answered so far are kept in {name}.partial\n"
            )),
            "{}",
            run.stderr
        );
        assert_eq!(names(&files), format!("{name} {name}.partial"));
        assert_eq!(std::fs::read_to_string(&output).unwrap(), "earlier");
        // What is there can be read, by programs that go by the name, too.
        let partial = files.path(&format!("partial.{format}"));
        std::fs::rename(format!("{output}.partial"), &partial).unwrap();
        let cells = table_file::read_cells(&partial);
        let lines = match format.split('.').next().unwrap() {
            // Each of the rows takes two lines.
            "csv" => 1 + 2 * rows,
            _ => rows,
        };
        assert_eq!(cells.len(), lines, "{format}");
    }
}

#[test]
fn a_second_failure_keeps_the_answers_of_the_first() {
    let files = Files::new();
    for names_kept in ["out.csv.partial", "out.csv.partial out.csv.partial.2"] {
        let (run, output) = failing(&files, "out.csv", &[]);
        assert_eq!(run.code, Some(1), "{}", run.stderr);
        assert_eq!(names(&files), names_kept);
        assert!(!Path::new(&output).exists());
    }
}

/// A run over a pipe that stays open, once it has written these two rows; and the pipe.
async fn at_two_rows(files: &Files, rows: [u8; 2]) -> (Child, tokio::process::ChildStdin) {
    let model = files.write("model.sql", MODEL);
    let mut child = tokio::process::Command::from(command(&[
        "predict",
        &model,
        "-",
        "-o",
        &files.path("out.csv"),
    ]))
    .stdin(Stdio::piped())
    .stderr(Stdio::piped())
    .spawn()
    .unwrap();
    let mut input = child.stdin.take().unwrap();
    let [first, second] = rows;
    let text = format!("value\n{first}\n{second}\n");
    input.write_all(text.as_bytes()).await.unwrap();
    let expected = format!("value,sum\n{first},{first}\n{second},{second}\n");
    let unfinished = files.path(".out.csv.triton-unfinished");
    while std::fs::read_to_string(&unfinished).unwrap_or_default() != expected {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    (child, input)
}

#[tokio::test]
async fn a_signal_completes_the_output_and_a_kill_leaves_the_earlier_one() {
    let files = Files::new();
    let output = files.write("out.csv", "earlier\n");
    let (mut child, _input) = at_two_rows(&files, [1, 2]).await;
    assert_eq!(std::fs::read_to_string(&output).unwrap(), "earlier\n");
    // Nobody else may write the file meanwhile.
    let (model, input) = (files.path("model.sql"), files.write("in.csv", INPUT));
    let other = triton(&["predict", &model, &input, "-o", &output]);
    insta::assert_snapshot!(said(&files, &other), @"
    exit code 2
    error: the output cannot be written
      caused by: out.csv: another run of the command is writing this file
    ");
    child.kill().await.unwrap();
    assert_eq!(names(&files), ".out.csv.triton-unfinished out.csv");
    assert_eq!(std::fs::read_to_string(&output).unwrap(), "earlier\n");
    // What the killed run left behind is in nobody's way.
    let (child, _input) = at_two_rows(&files, [3, 4]).await;
    let id = i32::try_from(child.id().unwrap()).unwrap();
    kill_process(Pid::from_raw(id).unwrap(), Signal::INT).unwrap();
    let ended = child.wait_with_output().await.unwrap();
    assert_eq!(ended.status.code(), Some(130));
    assert_eq!(names(&files), "out.csv");
    assert_eq!(
        std::fs::read_to_string(&output).unwrap(),
        "value,sum\n3,3\n4,4\n"
    );
}

#[test]
fn an_output_takes_after_the_file_that_it_replaces() {
    let (files, model, input) = prepared();
    let target = files.write(
        "target.csv",
        "earlier, and much longer than what comes now\n",
    );
    std::fs::set_permissions(&target, std::fs::Permissions::from_mode(0o640)).unwrap();
    std::fs::hard_link(&target, files.path("hard.csv")).unwrap();
    symlink("target.csv", files.path("link.csv")).unwrap();
    symlink("new.csv", files.path("dangling.csv")).unwrap();
    for link in ["link.csv", "dangling.csv"] {
        let run = triton(&["predict", &model, &input, "-o", &files.path(link)]);
        assert_eq!(run.code, Some(0), "{}", run.stderr);
    }
    let mode = |path: &str| {
        std::fs::metadata(files.path(path))
            .unwrap()
            .permissions()
            .mode()
    };
    assert_eq!(mode("target.csv") & 0o777, 0o640);
    assert_eq!(mode("new.csv"), mode("in.csv"));
    let mut found = everything(&files);
    found.retain(|name, _| ![&"model.sql", &"in.csv"].contains(&&name.as_str()));
    let expected = [
        ("dangling.csv", "-> new.csv"),
        ("hard.csv", "earlier, and much longer than what comes now\n"),
        ("link.csv", "-> target.csv"),
        ("new.csv", ANSWERED),
        ("target.csv", ANSWERED),
    ];
    let expected = expected.map(|(name, text)| (name.to_owned(), text.to_owned()));
    assert_eq!(found.into_iter().collect::<Vec<_>>(), expected);
}

#[test]
fn what_is_no_regular_file_is_written_directly() {
    let (files, model, input) = prepared();
    let pipe = files.path("pipe.csv");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    symlink("pipe.csv", files.path("link.csv")).unwrap();
    for name in ["pipe.csv", "link.csv"] {
        let reader = Command::new("cat")
            .arg(&pipe)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let run = triton(&["predict", &model, &input, "-o", &files.path(name)]);
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        let read = reader.wait_with_output().unwrap().stdout;
        assert_eq!(String::from_utf8(read).unwrap(), ANSWERED);
    }
    let run = triton(&[
        "predict",
        &model,
        &input,
        "-o",
        "/dev/stdout",
        "--output-format",
        "csv",
    ]);
    assert_eq!(
        (run.code, run.stdout.as_str()),
        (Some(0), ANSWERED),
        "{}",
        run.stderr
    );
    let run = triton(&[
        "predict",
        &model,
        &input,
        "-o",
        "/dev/full",
        "--output-format",
        "csv",
    ]);
    insta::assert_snapshot!(said(&files, &run), @"
    exit code 2
    error: the output cannot be written
      caused by: failed to write to file `/dev/full`: No space left on device (os error 28)
    ");
    assert_eq!(names(&files), "link.csv");
}

/// Of a row that the disk had no room for, half a number would be another one.
#[cfg(unix)]
#[test]
fn a_disk_that_is_full_leaves_whole_rows() {
    let rows: String = (0..6000)
        .map(|row| format!("{}\n", 1_000_000 + row))
        .collect();
    for (name, blocks) in [
        ("out.csv", 40),
        ("out.csv", 41),
        ("out.tsv", 43),
        ("out.ndjson", 77),
    ] {
        let files = Files::new();
        let model = files.write("model.sql", MODEL);
        let input = files.write("in.csv", &format!("value\n{rows}"));
        let output = files.path(name);
        // A file may have so many blocks, as if the disk ended there; what it has room for is written.
        let limited = format!("ulimit -f {blocks}; trap '' XFSZ; exec \"$@\"");
        let triton = command(&["predict", &model, &input, "-o", &output, "--quiet"]);
        let run = Command::new("sh")
            .args(["-c", &limited, "sh"])
            .arg(triton.get_program())
            .args(triton.get_args())
            .output()
            .unwrap();
        assert_eq!(run.status.code(), Some(2), "{run:?}");
        assert!(!Path::new(&output).exists());
        let partial = std::fs::read_to_string(format!("{output}.partial")).unwrap();
        assert!(partial.ends_with('\n'), "{name} {blocks}");
        let last = partial.lines().next_back().unwrap();
        let numbers: Vec<&str> = last.split(|it: char| !it.is_ascii_digit()).collect();
        let numbers: Vec<&str> = numbers.into_iter().filter(|it| it.len() > 1).collect();
        assert!(
            numbers.len() == 2 && numbers[0] == numbers[1],
            "{name} {blocks}: {last}"
        );
    }
}

#[test]
fn an_input_that_breaks_off_leaves_what_was_answered() {
    for name in ["out.csv", "out.parquet"] {
        let files = Files::new();
        let model = files.write("model.sql", MODEL);
        let rows: String = (0..20_000).map(|row| format!("{row}\n")).collect();
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder
            .write_all(format!("value\n{rows}").as_bytes())
            .unwrap();
        let bytes = encoder.finish().unwrap();
        let input = files.path("in.csv.gz");
        std::fs::write(&input, &bytes[..bytes.len() / 2]).unwrap();
        let output = files.path(name);
        let run = triton(&["predict", &model, &input, "-o", &output, "--quiet"]);
        assert_eq!(run.code, Some(2), "{}", run.stderr);
        assert!(!Path::new(&output).exists());
        let partial = files.path(&format!("partial-{name}"));
        std::fs::rename(format!("{output}.partial"), &partial).unwrap();
        let rows = table_file::read_cells(&partial).len() - usize::from(name == "out.csv");
        let said = format!("the {rows} rows answered so far are kept in {name}.partial\n");
        assert!(
            rows > 1000 && files.relative(&run.stderr).starts_with(&said),
            "{}",
            run.stderr
        );
    }
}

#[test]
fn an_output_that_cannot_be_written_on_ends_with_a_whole_row() {
    let files = Files::new();
    let rows: String = (0..5000)
        .map(|row| format!("{row},\"two\nlines\"\n"))
        .collect();
    let model = files.write("model.sql", MODEL);
    let input = files.write("in.csv", &format!("value,note\n{rows}"));
    let output = files.write("out.csv", "earlier\n");
    let limited = "trap '' XFSZ; ulimit -f 16; exec \"$0\" predict \"$1\" \"$2\" -o \"$3\" --quiet";
    let run = Command::new("bash")
        .args([
            "-c",
            limited,
            env!("CARGO_BIN_EXE_triton"),
            &model,
            &input,
            &output,
        ])
        .output()
        .unwrap();
    insta::assert_snapshot!(said(&files, &Run::of(run)), @"
    exit code 2
    what could be written of the output is kept in out.csv.partial
    error: the output cannot be written
      caused by: failed to write to file `.out.csv.triton-unfinished`: File too large (os error 27)
    ");
    assert_eq!(std::fs::read_to_string(&output).unwrap(), "earlier\n");
    let partial = std::fs::read_to_string(files.path("out.csv.partial")).unwrap();
    let expected: String = (0..5000)
        .map(|row| format!("{row},\"two\nlines\",{row}\n"))
        .collect();
    let expected = format!("value,note,sum\n{expected}");
    assert!(
        partial.len() > 16_000 && expected.starts_with(&partial),
        "{}",
        partial.len()
    );
    let last = partial.trim_end().rsplit('\n').next().unwrap();
    assert!(
        last.starts_with("lines\",") && partial.ends_with('\n'),
        "{last}"
    );
}

#[test]
fn a_run_that_ends_before_its_first_row_leaves_everything_as_it_was() {
    let (files, model, input) = prepared();
    let output = files.write("out.csv", "earlier\n");
    let errors = files.write("errors.ndjson", "earlier\n");
    let summary = format!(
        "--json-summary={}",
        files.write("summary.json", "earlier\n")
    );
    let before = everything(&files);
    let wrong_column = files.write("model.sql", &MODEL.replace("value", "other"));
    let common = [
        "predict",
        &wrong_column,
        &input,
        "-o",
        &output,
        "--errors",
        &errors,
        &summary,
    ];
    assert_eq!(triton(&common).code, Some(2));
    files.write("model.sql", MODEL);
    let nobody = ["-O", "endpoint=http://127.0.0.1:9", "-O", "timeout=1s"];
    let run = triton(&[&common[..], &nobody].concat());
    assert_eq!(run.code, Some(3), "{}", run.stderr);
    let folder = files.path("new/");
    let run = triton(&[&["predict", &model, &input, "-o", &folder][..], &nobody].concat());
    assert_eq!(run.code, Some(3), "{}", run.stderr);
    assert_eq!(everything(&files), before);
}

#[test]
fn each_of_several_outputs_is_whole_or_not_there() {
    let files = Files::new();
    let model = files.write("model.sql", MODEL);
    let inputs = [
        ("a", "value\n1\n"),
        ("b", "value\n2\nnone\n3\n"),
        ("c", "value\n4\n"),
    ];
    let inputs = inputs.map(|(name, text)| files.write(&format!("{name}.csv"), text));
    let [a, b, c] = &inputs;
    let folder = files.path("out/");
    let run = triton(&[
        "predict",
        &model,
        a,
        b,
        c,
        "-o",
        &folder,
        "--on-error",
        "fail",
        "--max-in-flight",
        "1",
        "--quiet",
    ]);
    insta::assert_snapshot!(said(&files, &run), @"
    exit code 1
    b.csv, row 2 (line 3): column 'value': expected INT, found 'none'
    the row answered so far is kept in out/b.csv.partial
    ended by --on-error fail
    ");
    let found = everything(&files);
    let found: Vec<_> = found
        .iter()
        .filter(|(name, _)| name.starts_with("out/"))
        .collect();
    insta::assert_snapshot!(format!("{found:?}"), @r#"[("out/a.csv", "value,sum\n1,1\n"), ("out/b.csv.partial", "value,sum\n2,2\n")]"#);
}

#[test]
fn errors_and_summaries_are_of_one_run() {
    let (files, model, input) = prepared();
    let errors = files.write("errors.ndjson", &"earlier\n".repeat(100));
    let summary = files.write("summary.json", &"earlier\n".repeat(100));
    let summary = format!("--json-summary={summary}");
    let run = triton(&[
        "predict",
        &model,
        &input,
        "-o",
        &files.path("out.csv"),
        "--errors",
        &errors,
        &summary,
    ]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let found = everything(&files);
    assert_eq!(found["errors.ndjson"], "");
    assert!(found["summary.json"].starts_with("{\"") && found["summary.json"].lines().count() == 1);
    assert_eq!(names(&files), "errors.ndjson out.csv summary.json");
}
