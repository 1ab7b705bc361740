//! Every format as input and as output.

use arrow_ipc::reader::FileReader;
use triton_test_support::on_both_servers;

use crate::table_file::{self, TestRow};
use crate::{Files, Run, triton};

const FORMATS: [&str; 7] = [
    "csv",
    "ndjson",
    "parquet",
    "arrow",
    "arrows",
    "csv.gz",
    "ndjson.zst",
];

const ECHO: &str = "
    CREATE MODEL echo INPUT (`value` ARRAY<FLOAT>) OUTPUT (echo ARRAY<FLOAT>)
    WITH ('provider' = 'triton', 'endpoint' = 'embedded', 'model-name' = 'echo')";

fn answered() -> Vec<TestRow> {
    let rows = table_file::rows().into_iter();
    rows.map(|row| TestRow {
        echo: Some(row.value.clone()),
        ..row
    })
    .collect()
}

async fn every_format_goes_to_every_format(endpoint: &str) {
    let files = Files::new();
    let model = files.write("model.sql", ECHO);
    let endpoint = format!("endpoint={endpoint}");
    for from in FORMATS {
        let input = files.path(&format!("input.{from}"));
        table_file::write(&input, &table_file::rows());
        for to in FORMATS {
            let output = files.path(&format!("{from}.to.{to}"));
            let run = triton(&[
                "predict",
                &model,
                &input,
                "--output",
                &output,
                "-O",
                &endpoint,
                "-O",
                "batch-size=8",
            ]);
            assert_eq!(run.code, Some(0), "{from} to {to}: {}", run.stderr);
            assert_eq!(table_file::read(&output), answered(), "{from} to {to}");
        }
    }
}

on_both_servers!(every_format_goes_to_every_format);

/// Runs over an input of this name and text, with the output on standard output.
fn echo(name: &str, text: &str, more: &[&str]) -> Run {
    let files = Files::new();
    let model = files.write("model.sql", ECHO);
    let input = files.write(name, text);
    let run = triton(&[&["predict", &model, &input, "--quiet"], more].concat());
    Run {
        stderr: files.relative(&run.stderr),
        ..run
    }
}

#[test]
fn a_line_of_json_passes_as_it_is() {
    let run = echo(
        "input.ndjson",
        "{\"value\": [1.50, 2e0],  \"deep\": {\"a\": [1, null]}, \"n\": 0.10}\n\n  {\"value\":[]}\n",
        &[],
    );
    insta::assert_snapshot!(run.stdout, @r#"
    {"value": [1.50, 2e0],  "deep": {"a": [1, null]}, "n": 0.10,"echo":[1.5,2]}
    {"value":[],"echo":[]}
    "#);
}

#[test]
fn cells_pass_as_they_are() {
    let input = "code,value,note\n007,[1],\"say \"\"hi\"\"\"\n1e3,[2.50],\n";
    insta::assert_snapshot!(echo("input.csv", input, &[]).stdout, @r#"
    code,value,note,echo
    007,[1],"say ""hi""",[1]
    1e3,[2.50],,[2.5]
    "#);
    insta::assert_snapshot!(echo("input.csv", input, &["--output-format", "ndjson"]).stdout, @r#"
    {"code":"007","value":[1],"note":"say \"hi\"","echo":[1]}
    {"code":"1e3","value":[2.50],"note":"","echo":[2.5]}
    "#);
}

#[test]
fn objects_become_the_columns_that_the_first_rows_have() {
    let rows: String = (0..1000).map(|_| "{\"value\":[1],\"a\":1}\n").collect();
    let late = "{\"value\":[2],\"b\":{\"c\":1}}\n";
    let run = echo(
        "input.ndjson",
        &format!("{late}{rows}"),
        &["--output-format", "csv"],
    );
    let lines: Vec<&str> = run.stdout.lines().take(3).collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    value,b,a,echo
    [2],"{""c"":1}",,[2]
    [1],,1,[1]
    "#);
    let run = echo(
        "input.ndjson",
        &format!("{rows}{late}"),
        &["--output-format", "csv"],
    );
    assert_eq!(run.code, Some(1));
    insta::assert_snapshot!(run.stderr, @"row 1001 (line 1001): column 'b': it comes up only after the first rows, from which the output's columns were taken: write NDJSON, or name it in an earlier row");
}

#[test]
fn numbers_that_json_lacks_are_text_in_it() {
    let input = "value\n\"[\"\"NaN\"\", \"\"-Infinity\"\"]\"\n";
    let run = echo("input.csv", input, &["--output-format", "ndjson"]);
    insta::assert_snapshot!(run.stdout, @r#"{"value":["NaN", "-Infinity"],"echo":["NaN","-Infinity"]}"#);
}

#[test]
fn several_inputs_make_one_output_or_one_each() {
    let files = Files::new();
    let model = files.write("model.sql", ECHO);
    files.write("a1.csv", "value\n[1]\n");
    files.write("a2.csv", "value\n[2]\n[3]\n");
    let pattern = files.path("a*.csv");
    let one = triton(&["predict", &model, &pattern]);
    insta::assert_snapshot!(one.stdout, @"
    value,echo
    [1],[1]
    [2],[2]
    [3],[3]
    ");
    let other = files.write("b.ndjson", "{\"value\":[4]}\n");
    let folder = files.path("scored/");
    let each = triton(&["predict", &model, &pattern, &other, "--output", &folder]);
    assert_eq!(each.code, Some(0), "{}", each.stderr);
    let written = |name: &str| std::fs::read_to_string(files.path(name)).unwrap();
    assert_eq!(written("scored/a1.csv"), "value,echo\n[1],[1]\n");
    assert_eq!(written("scored/a2.csv"), "value,echo\n[2],[2]\n[3],[3]\n");
    assert_eq!(written("scored/b.ndjson"), "{\"value\":[4],\"echo\":[4]}\n");
}

/// Members are found by their names, so neither their order nor a file without a row is in the way.
#[test]
fn files_of_objects_follow_each_other_whatever_their_first_rows_have() {
    let files = Files::new();
    let model = files.write("model.sql", ECHO);
    let inputs = [
        files.write("a.ndjson", ""),
        files.write("b.ndjson", "{\"a\":1,\"value\":[1.5]}\n"),
        files.write("c.json", "[]"),
        files.write("d.ndjson", "{\"value\":[2.5],\"a\":2}\n{\"value\":[3.5]}\n"),
        files.write("e.ndjson", "{\"value\":[4.5]}\n"),
    ];
    let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
    let predict = |more: &[&str]| {
        let run = triton(&[&["predict", &model, "-q"], &inputs[..], more].concat());
        assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
        run.stdout
    };
    insta::assert_snapshot!(predict(&["--output-format", "csv"]), @"
    a,value,echo
    1,[1.5],[1.5]
    2,[2.5],[2.5]
    ,[3.5],[3.5]
    ,[4.5],[4.5]
    ");
    let chosen = ["--output-format", "csv", "--columns", "value"];
    assert_eq!(predict(&chosen).lines().next(), Some("value,echo"));
    let parquet = files.path("out.parquet");
    predict(&["-o", &parquet]);
    let run = triton(&["predict", &model, &parquet, "-q", "--drop", "echo"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let rows = run.stdout.lines();
    assert_eq!(rows.filter(|row| row.contains("\"value\":[")).count(), 4);
    let all = ["a.ndjson", "c.json"].map(|name| files.path(name));
    let run = triton(&[
        "predict",
        &model,
        &all[0],
        &all[1],
        "--output-format",
        "csv",
        "-q",
    ]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), "echo\n"));
    // Of another type it is another column.
    let other = files.write("f.ndjson", "{\"value\":[1],\"a\":\"x\"}\n");
    let run = triton(&["predict", &model, inputs[1], &other, "-o", &parquet]);
    insta::assert_snapshot!(files.relative(&run.said()), @"
    exit code 2
    error: f.ndjson: its column 'a' is Utf8; the first input's is Int64; --output DIR/ writes one output for each input
    ");
}

#[test]
fn inputs_that_do_not_fit_together_are_refused() {
    let files = Files::new();
    let model = files.write("model.sql", ECHO);
    let first = files.write("first.csv", "value,x\n[1],1\n");
    let second = files.write("second.csv", "x,value\n1,[1]\n");
    let run = triton(&["predict", &model, &first, &second]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""));
    insta::assert_snapshot!(files.relative(&run.stderr), @"error: second.csv: its columns are x, value; the first input's are value, x; --output DIR/ writes one output for each input");
    std::fs::create_dir(files.path("more")).unwrap();
    let twin = files.write("more/first.csv", "value\n[1]\n");
    let folder = files.path("scored/");
    let run = triton(&["predict", &model, &first, &twin, "--output", &folder]);
    insta::assert_snapshot!(files.relative(&run.stderr), @"error: the inputs first.csv and more/first.csv would both be written to scored/first.csv: rename one, or write them into folders of their own");
}

#[test]
fn without_a_model_file_the_server_says_what_the_model_takes() {
    let files = Files::new();
    let input = files.write("input.csv", "reading,value\n[1],x\n");
    let run = triton(&[
        "predict",
        "--model",
        "echo",
        "-O",
        "endpoint=embedded",
        "--map",
        "reading=value",
        "--map",
        "back=echo",
        &input,
    ]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    insta::assert_snapshot!(run.stdout, @"
    reading,value,back
    [1],x,[1]
    ");
    let run = triton(&["predict", "-O", "endpoint=embedded", &input]);
    assert_eq!(run.code, Some(2));
    insta::assert_snapshot!(run.stderr, @"error: option 'model-name' is required: set it to the model's name, made of ASCII letters, digits and any of -_.~!$&'()*+,;=:@, with --model NAME, -O model-name=…, as TRITON_MODEL_NAME in the environment or in a file");
    let run = triton(&[
        "predict",
        "--model",
        "echo",
        "-O",
        "endpoint=embedded",
        "--map",
        "x=Y",
        &input,
    ]);
    insta::assert_snapshot!(run.stderr, @"error: --map x=Y: the model has neither a column 'x' nor one for the tensor 'Y'; it has: value, echo");
}

#[test]
fn numbers_of_other_widths_are_taken_if_they_fit() {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Int64Array, RecordBatch};

    let files = Files::new();
    let model = files.write(
        "model.sql",
        "CREATE MODEL m INPUT (`value` INT) OUTPUT (sum INT)
         WITH ('provider' = 'triton', 'endpoint' = 'embedded', 'model-name' = 'accumulate',
               'sequence-id' = 's', 'sequence-id-auto-increment' = 'true')",
    );
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), Some(1 << 40), None]));
    let batch = RecordBatch::try_from_iter([("value", numbers)]).unwrap();
    let path = files.path("numbers.parquet");
    let file = std::fs::File::create(&path).unwrap();
    let mut writer = parquet::arrow::ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let run = triton(&["predict", &model, &path, "--quiet"]);
    assert_eq!(run.code, Some(1));
    assert_eq!(run.stdout, "{\"value\":1,\"sum\":1}\n");
    insta::assert_snapshot!(run.stderr, @"
    row 2: column 'value': expected INT, found '1099511627776'
    row 3: column 'value': expected INT, found NULL
    ");
}

#[test]
fn a_name_that_promises_another_format_is_refused() {
    let files = Files::new();
    let model = files.write(
        "model.sql",
        "CREATE MODEL m INPUT (`value` FLOAT) OUTPUT (echo FLOAT)
         WITH ('provider' = 'triton', 'endpoint' = 'embedded', 'model-name' = 'echo')",
    );
    let input = files.write("input.csv", "value\n1\n");
    for name in [
        "o.csv.bz2",
        "o.csv.xz",
        "o.zip",
        "o.xlsx",
        "o.orc",
        "o.avro",
    ] {
        let output = files.path(name);
        let run = triton(&["predict", &model, &input, "-o", &output]);
        assert_eq!(run.code, Some(2), "{name}: {}", run.stderr);
        assert!(run.stderr.contains("the name promises"), "{}", run.stderr);
        assert!(!std::path::Path::new(&output).exists(), "{name}");
    }
    // A minus is standard output, as it is standard input.
    let run = triton(&["predict", &model, &input, "-o", "-"]);
    assert_eq!(run.stdout, "value,echo\n1,1\n", "{}", run.stderr);
}

#[test]
fn a_whole_number_that_a_float_has_not_is_refused_in_every_format() {
    let files = Files::new();
    let statement = |data_type: &str, model: &str| {
        let statement = format!(
            "CREATE MODEL m INPUT (`value` {data_type}) OUTPUT (echo {data_type})
             WITH ('provider' = 'triton', 'endpoint' = 'embedded', 'model-name' = '{model}')"
        );
        files.write(&format!("{model}.sql"), &statement)
    };
    let model = statement("FLOAT", "echo");
    for (name, text) in [
        ("a.csv", "value\n16777216\n16777217\n16777217.0\n"),
        (
            "a.ndjson",
            "{\"value\":16777216}\n{\"value\":16777217}\n{\"value\":16777217.0}\n",
        ),
    ] {
        let input = files.write(name, text);
        let run = triton(&["predict", &model, &input, "--quiet"]);
        assert_eq!(run.code, Some(1), "{}", run.stderr);
        assert_eq!(run.stdout.matches("16777216").count(), 3, "{}", run.stdout);
        // A header makes the line another one.
        let (_, said) = run.stderr.split_once(": ").unwrap();
        insta::allow_duplicates! {
            insta::assert_snapshot!(said, @"column 'value': expected FLOAT, found '16777217', a whole number that the type does not hold exactly; with a decimal point it means the nearest one");
        }
    }
}

/// However large rows are, about as much is held of them at once.
#[test]
fn large_rows_are_few_in_a_batch() {
    let files = Files::new();
    let model = files.write("model.sql", ECHO);
    let note = "x".repeat(1 << 20);
    let rows: String = (0..20).map(|row| format!("[{row}],{note}\n")).collect();
    let input = files.write("input.csv", &format!("value,note\n{rows}"));
    let output = files.path("output.arrow");
    let run = triton(&["predict", &model, &input, "--output", &output]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let file = std::fs::File::open(output).unwrap();
    let batches = FileReader::try_new(file, None).unwrap();
    let rows: Vec<usize> = batches.map(|batch| batch.unwrap().num_rows()).collect();
    assert_eq!(rows.iter().sum::<usize>(), 20);
    assert!(rows.iter().all(|rows| *rows <= 9), "{rows:?}");
}

/// Where the objects have no members, no column stands before those that are added.
#[test]
fn objects_without_members_are_rows() {
    let run = echo(
        "input.ndjson",
        "{}\n{}\n",
        &["--output-format", "csv", "--on-error", "default"],
    );
    assert_eq!(
        (run.code, run.stdout.as_str()),
        (Some(0), "echo\n\"\"\n\"\"\n"),
        "{}",
        run.stderr
    );
}
