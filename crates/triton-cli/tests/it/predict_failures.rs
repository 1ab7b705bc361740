//! Rows that fail: every one is accounted for.

use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value as Json;
use triton_test_support::live_endpoint;

use crate::{Files, Run, triton};

/// `accumulate`, and `fails`, which refuses what is negative or so.
const ACCUMULATE: &str = "
    CREATE MODEL running_sum INPUT (`value` INT) OUTPUT (sum INT)
    WITH ('provider' = 'triton', 'endpoint' = 'embedded', 'model-name' = 'accumulate',
          'sequence-id' = 'job', 'sequence-id-auto-increment' = 'true')";

const INPUT: &str = "value,note\n1,a\ntwo,b\n3,c\n\"\",d\n5,e,f\n6,g\n";

struct Case {
    files: Files,
    run: Run,
}

fn accumulate(input: &str, more: &[&str]) -> Case {
    let files = Files::new();
    let model = files.write("model.sql", ACCUMULATE);
    let input = files.write("input.csv", input);
    let errors = files.path("errors.ndjson");
    let arguments: Vec<&str> = more
        .iter()
        .map(|argument| {
            if *argument == "ERRORS" {
                errors.as_str()
            } else {
                argument
            }
        })
        .collect();
    let run = triton(
        &[
            &["predict", &model, &input, "--json-summary"],
            &arguments[..],
        ]
        .concat(),
    );
    Case { files, run }
}

impl Case {
    fn summary(&self) -> Json {
        let line = self
            .run
            .stderr
            .lines()
            .find(|line| line.starts_with('{'))
            .unwrap();
        serde_json::from_str(line).unwrap()
    }

    fn counts(&self) -> [u64; 4] {
        let summary = self.summary();
        ["rows", "answered", "defaulted", "rejected"].map(|name| summary[name].as_u64().unwrap())
    }

    fn errors(&self) -> String {
        let text = std::fs::read_to_string(self.files.path("errors.ndjson")).unwrap();
        self.files.relative(&text)
    }
}

#[test]
fn rejected_rows_are_kept_with_their_reason_and_text() {
    let case = accumulate(INPUT, &["--errors", "ERRORS"]);
    assert_eq!(case.run.code, Some(1));
    assert_eq!(case.counts(), [6, 3, 0, 3]);
    assert_eq!(case.run.stderr.lines().count(), 1, "{}", case.run.stderr);
    insta::assert_snapshot!(case.run.stdout, @"
    value,note,sum
    1,a,1
    3,c,3
    6,g,6
    ");
    insta::assert_snapshot!(case.errors(), @r#"
    {"file":"input.csv","row":2,"line":3,"column":"value","kind":"row","reason":"expected INT, found 'two'","raw":"two,b"}
    {"file":"input.csv","row":4,"line":5,"column":"value","kind":"null_input","reason":"column 'value': expected INT, found NULL","raw":"\"\",d"}
    {"file":"input.csv","row":5,"line":6,"column":null,"kind":"row","reason":"expected 2 cells, found 3","raw":"5,e,f"}
    "#);
}

#[test]
fn a_default_takes_the_place_of_an_answer_that_the_model_could_not_give() {
    let case = accumulate(INPUT, &["--on-error", "default", "-O", "default-value=-1"]);
    assert_eq!(case.run.code, Some(1));
    assert_eq!(case.counts(), [6, 3, 1, 2]);
    assert!(case.run.stdout.contains("\n\"\",d,-1\n") || case.run.stdout.contains("\n,d,-1\n"));
    // The option alone means the same, and without it the default is NULL.
    let implied = accumulate(INPUT, &["-O", "default-value=-1"]);
    assert_eq!(implied.run.stdout, case.run.stdout);
    let null = accumulate(INPUT, &["--on-error", "default"]);
    assert_eq!(null.counts(), [6, 3, 1, 2]);
    // What is said on the command line counts more than the option.
    let skipped = accumulate(INPUT, &["--on-error", "skip", "-O", "default-value=-1"]);
    assert_eq!(skipped.counts(), [6, 3, 0, 3]);
}

const TOLD: &str = "
    CREATE MODEL running_sum INPUT (`value` INT)
    OUTPUT (sum INT, prediction_status STRING, prediction_error STRING, prediction_http_status INT)
    WITH ('provider' = 'triton', 'model-name' = 'accumulate', 'on-error' = 'column',
          'sequence-id' = 'job', 'sequence-id-auto-increment' = 'true')";

// Holds F59.
#[test]
fn rows_that_fail_are_rows_of_the_output_on_both_servers() {
    let files = Files::new();
    let model = files.write("model.sql", TOLD);
    let csv = files.write("input.csv", INPUT);
    let json = files.write(
        "input.ndjson",
        "{\"value\":1,\"note\":\"a\"}\n{\"value\":\"two\",\"note\":\"b\"}\n{\"note\":\"c\"}\nnothing\n",
    );
    for endpoint in ["embedded".to_owned(), live_endpoint()] {
        let endpoint = format!("endpoint={endpoint}");
        let predicted = |input: &str, format: &str| {
            let common = ["predict", &model, input, "-O", &endpoint, "--json-summary"];
            triton(&[&common[..], &["--output-format", format]].concat())
        };
        let run = predicted(&csv, "csv");
        insta::allow_duplicates! {
            insta::assert_snapshot!(run.stdout, @r#"
            value,note,sum,prediction_status,prediction_error,prediction_http_status
            1,a,1,answered,,200
            two,b,,failed,"subtask 0 of 1, attempt 0: column 'value': expected INT, found 'two'",
            3,c,3,answered,,200
            ,d,,failed,"subtask 0 of 1, attempt 0: column 'value': expected INT, found NULL",
            6,g,6,answered,,200
            "#);
        }
        // A line that is no row is rejected all the same.
        assert_eq!(run.code, Some(1), "{}", run.stderr);
        assert!(
            run.stderr
                .contains("row 5 (line 6): expected 2 cells, found 3")
        );
        let case = Case {
            files: Files::new(),
            run,
        };
        assert_eq!(case.counts(), [6, 3, 0, 1]);
        assert_eq!(case.summary()["failed"], 2);
        insta::allow_duplicates! {
            insta::assert_snapshot!(predicted(&csv, "ndjson").stdout, @r#"
            {"value":1,"note":"a","sum":1,"prediction_status":"answered","prediction_error":null,"prediction_http_status":200}
            {"value":"two","note":"b","sum":null,"prediction_status":"failed","prediction_error":"subtask 0 of 1, attempt 0: column 'value': expected INT, found 'two'","prediction_http_status":null}
            {"value":3,"note":"c","sum":3,"prediction_status":"answered","prediction_error":null,"prediction_http_status":200}
            {"value":null,"note":"d","sum":null,"prediction_status":"failed","prediction_error":"subtask 0 of 1, attempt 0: column 'value': expected INT, found NULL","prediction_http_status":null}
            {"value":6,"note":"g","sum":6,"prediction_status":"answered","prediction_error":null,"prediction_http_status":200}
            "#);
            insta::assert_snapshot!(predicted(&json, "ndjson").stdout, @r#"
            {"value":1,"note":"a","sum":1,"prediction_status":"answered","prediction_error":null,"prediction_http_status":200}
            {"value":"two","note":"b","sum":null,"prediction_status":"failed","prediction_error":"subtask 0 of 1, attempt 0: column 'value': expected INT, found '\"two\"'","prediction_http_status":null}
            {"note":"c","sum":null,"prediction_status":"failed","prediction_error":"subtask 0 of 1, attempt 0: column 'value': expected INT, found NULL","prediction_http_status":null}
            "#);
            insta::assert_snapshot!(predicted(&json, "csv").stdout, @r#"
            value,note,sum,prediction_status,prediction_error,prediction_http_status
            1,a,1,answered,,200
            two,b,,failed,"subtask 0 of 1, attempt 0: column 'value': expected INT, found '""two""'",
            ,c,,failed,"subtask 0 of 1, attempt 0: column 'value': expected INT, found NULL",
            "#);
        }
    }
}

/// Rows that failed are named with their places, kept in the file of errors, and run again by it.
// Holds F59.
#[test]
fn failed_rows_can_be_found_and_run_again() {
    let files = Files::new();
    let model = files.write("model.sql", TOLD);
    let input = files.write("input.csv", INPUT);
    let errors = files.path("errors.ndjson");
    let predict = |more: &[&str]| {
        let common = ["predict", &model, &input, "-O", "endpoint=embedded"];
        triton(&[&common[..], more].concat())
    };
    let run = predict(&["--log-format", "json"]);
    let told = run.stderr.lines().filter(|line| line.starts_with("row "));
    insta::assert_snapshot!(told.collect::<Vec<_>>().join("\n"), @"
    row 2 (line 3): column 'value': expected INT, found 'two'
    row 4 (line 5): column 'value': expected INT, found NULL
    row 5 (line 6): expected 2 cells, found 3
    ");
    let run = predict(&["--errors", &errors]);
    assert!(!run.stderr.contains("row 2 (line 3)"), "{}", run.stderr);
    let kept = std::fs::read_to_string(&errors).unwrap();
    insta::assert_snapshot!(files.relative(&kept), @r#"
    {"file":"input.csv","row":2,"line":3,"column":"value","kind":"input","reason":"column 'value': expected INT, found 'two'","raw":"two,b","in_output":true}
    {"file":"input.csv","row":4,"line":5,"column":"value","kind":"null_input","reason":"column 'value': expected INT, found NULL","raw":"\"\",d","in_output":true}
    {"file":"input.csv","row":5,"line":6,"column":null,"kind":"row","reason":"expected 2 cells, found 3","raw":"5,e,f"}
    "#);
    let again = predict(&["--retry-errors", &errors]);
    insta::assert_snapshot!(again.stdout, @r#"
    value,note,sum,prediction_status,prediction_error,prediction_http_status
    two,b,,failed,"subtask 0 of 1, attempt 0: column 'value': expected INT, found 'two'",
    ,d,,failed,"subtask 0 of 1, attempt 0: column 'value': expected INT, found NULL",
    "#);
    let mut lines = again.stderr.lines();
    let summary = lines.find(|line| line.contains(" rows: ")).unwrap();
    insta::assert_snapshot!(summary.split(';').next().unwrap(), @"3 rows: 0 answered, 2 failed, 1 rejected");
}

/// Whatever separates the cells, and wherever quotes and blanks are, the row stands there as it was read;
/// so it is found again where another argument makes it readable.
// Holds C29.
#[test]
fn a_row_is_found_again_as_it_was_read() {
    let files = Files::new();
    let model = files.write("model.sql", ECHO_ALONE);
    let input = files.write(
        "input.csv",
        "note;value\n\"a\";x \n\"long, and quoted\";2\n\"b\";3\nc;\"y\"\n",
    );
    let errors = files.path("errors.ndjson");
    let common = ["predict", &model, &input, "-q", "--delimiter", ";"];
    let short = ["--max-field-bytes", "8", "--errors", &errors];
    let run = triton(&[&common[..], &short].concat());
    assert_eq!(run.stdout, "note;value;echo\nb;3;3\n", "{}", run.stderr);
    let kept = std::fs::read_to_string(&errors).unwrap();
    let rows = kept
        .lines()
        .map(|line| serde_json::from_str::<Json>(line).unwrap());
    let raw: Vec<_> = rows
        .map(|row| row["raw"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(raw, ["\"a\";x ", "\"long, and quoted\";2", "c;\"y\""]);
    let run = triton(&[&common[..], &["--retry-errors", &errors]].concat());
    insta::assert_snapshot!(run.said(), @"
    exit code 1
    note;value;echo
    long, and quoted;2;2
    row 1 (line 2): column 'value': expected FLOAT, found 'x'
    row 4 (line 5): column 'value': expected FLOAT, found 'y'
    ");
}

/// Of a line that is too long for the file of errors its beginning stands there.
#[test]
fn a_long_row_is_found_again_by_its_beginning() {
    let files = Files::new();
    let model = files.write("model.sql", ECHO_ALONE);
    let input = files.write(
        "input.csv",
        &format!("value,note\n1,{}\n2,b\n", "é".repeat(100_000)),
    );
    let errors = files.path("errors.ndjson");
    let common = ["predict", &model, &input, "-q", "--output-format", "ndjson"];
    let short = ["--max-field-bytes", "1000", "--errors", &errors];
    let run = triton(&[&common[..], &short].concat());
    assert_eq!(run.stdout.lines().count(), 1, "{}", run.stderr);
    let run = triton(&[&common[..], &["--retry-errors", &errors]].concat());
    assert_eq!(
        (run.code, run.stdout.len() > 200_000),
        (Some(0), true),
        "{}",
        run.stderr
    );
}

const ECHO_ALONE: &str = "CREATE MODEL echo INPUT (`value` FLOAT) OUTPUT (echo FLOAT)
    WITH ('provider' = 'triton', 'endpoint' = 'embedded', 'model-name' = 'echo')";

/// An empty cell is the same in a row of which another cell cannot be read.
// Holds F59.
#[test]
fn an_empty_cell_of_a_row_that_fails_is_what_it_is_in_others() {
    let files = Files::new();
    let model = files.write(
        "model.sql",
        "CREATE MODEL sums INPUT (`value` INT) OUTPUT (sum INT, prediction_status STRING)
         WITH ('provider' = 'triton', 'endpoint' = 'embedded', 'model-name' = 'accumulate',
               'on-error' = 'column', 'sequence-id' = 'job', 'sequence-key' = 'user',
               'sequence-end-column' = 'end', 'sequence-id-auto-increment' = 'true')",
    );
    let input = files.write(
        "input.csv",
        "user,value,end\na,,false\na,,maybe\na,x,true\n",
    );
    let run = triton(&["predict", &model, &input, "--output-format", "ndjson"]);
    insta::assert_snapshot!(run.stdout, @r#"
    {"user":"a","value":null,"end":"false","sum":null,"prediction_status":"failed"}
    {"user":"a","value":null,"end":"maybe","sum":null,"prediction_status":"failed"}
    {"user":"a","value":"x","end":"true","sum":null,"prediction_status":"failed"}
    "#);
}

// Holds F59.
#[test]
fn failed_rows_are_no_failure_of_the_run_and_keep_their_types() {
    let files = Files::new();
    let input = files.write("input.csv", "value,note\n[1],a\ntwo,b\n");
    let parquet = files.path("scored.parquet");
    let arguments = [
        "--model",
        "echo",
        "-O",
        "endpoint=embedded",
        "--on-error",
        "column",
    ];
    let predict = |more: &[&str]| triton(&[&["predict"], &arguments[..], more].concat());
    // Without a statement the columns are added to those of the model.
    let run = predict(&[&input, "--output", &parquet]);
    let summary = run.stderr.lines().last().unwrap();
    insta::assert_snapshot!(summary.split(';').next().unwrap(), @"2 rows: 1 answered, 1 failed, 0 rejected");
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let scored = std::fs::File::open(parquet).unwrap();
    let scored = ParquetRecordBatchReaderBuilder::try_new(scored).unwrap();
    let scored = scored.build().unwrap().next().unwrap().unwrap();
    let nulls: Vec<_> = scored.columns().iter().map(|it| it.null_count()).collect();
    let schema = scored.schema();
    let names: Vec<_> = schema.fields().iter().map(|it| it.name()).collect();
    insta::assert_snapshot!(format!("{names:?} {nulls:?}"), @r#"["value", "note", "echo", "prediction_status", "prediction_error"] [1, 0, 1, 0, 1]"#);
    let statement = files.write("model.sql", ACCUMULATE);
    let silent = triton(&["predict", &statement, &input, "--on-error", "column"]);
    assert_eq!(silent.code, Some(2));
    insta::assert_snapshot!(silent.stderr, @"error: option 'on-error' is 'column', but no output column says which rows failed: add 'prediction_status STRING' or 'prediction_error STRING'");
}

// Holds F56, F59.
#[test]
fn failed_rows_of_keys_are_rows_of_the_output() {
    let files = Files::new();
    let statement = "
        CREATE MODEL sums INPUT (`value` INT)
        OUTPUT (sum INT, sequence_restarted BOOLEAN, prediction_status STRING)
        WITH ('provider' = 'triton', 'endpoint' = 'embedded', 'model-name' = 'accumulate',
              'sequence-id' = 'job', 'sequence-id-auto-increment' = 'true', 'sequence-key' = 'user')";
    let model = files.write("model.sql", statement);
    let input = files.write("input.csv", "user,value\na,1\na,two\na,3\nb,\nb,5\n");
    let run = triton(&["predict", &model, &input, "--on-error", "column"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    insta::assert_snapshot!(run.stdout, @"
    user,value,sum,sequence_restarted,prediction_status
    a,1,1,false,answered
    a,two,,false,failed
    a,3,4,false,answered
    b,,,false,failed
    b,5,5,false,answered
    ");
}

#[test]
fn the_first_failure_can_be_the_end() {
    let case = accumulate(INPUT, &["--on-error", "fail", "-O", "max-in-flight=1"]);
    assert_eq!(case.run.code, Some(1));
    let [rows, answered, defaulted, rejected] = case.counts();
    assert_eq!((answered + rejected, defaulted), (rows, 0));
    assert!(rows < 6);
    let said: Vec<&str> = case
        .run
        .stderr
        .lines()
        .filter(|line| !line.starts_with('{'))
        .collect();
    insta::assert_snapshot!(said.join("\n"), @"
    row 2 (line 3): column 'value': expected INT, found 'two'
    ended by --on-error fail
    ");
}

#[test]
fn without_order_every_row_is_still_there() {
    let rows: String = (0..500).map(|value| format!("{value},x\n")).collect();
    let case = accumulate(
        &format!("value,note\n{rows}"),
        &["--unordered", "--parallelism", "3", "--max-in-flight", "4"],
    );
    assert_eq!(case.counts(), [500, 500, 0, 0]);
    let mut values: Vec<i32> = case
        .run
        .stdout
        .lines()
        .skip(1)
        .map(|line| {
            let (value, sum) = line.split_once(",x,").unwrap();
            assert_eq!(value, sum);
            value.parse().unwrap()
        })
        .collect();
    values.sort_unstable();
    assert!(values.into_iter().eq(0..500));
}

#[test]
fn rows_begin_no_faster_than_the_rate() {
    let rows: String = (0..30).map(|value| format!("{value},x\n")).collect();
    let case = accumulate(&format!("value,note\n{rows}"), &["--rate", "100"]);
    assert_eq!(case.counts(), [30, 30, 0, 0]);
    assert!(case.summary()["seconds"].as_f64().unwrap() >= 0.25);
}

#[test]
fn the_summary_can_be_a_file() {
    let files = Files::new();
    let model = files.write("model.sql", ACCUMULATE);
    let input = files.write("input.csv", "value\n1\n");
    let summary = files.path("summary.json");
    let argument = format!("--json-summary={summary}");
    let run = triton(&["predict", &model, &input, "--quiet", &argument]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    let summary: Json = serde_json::from_slice(&std::fs::read(summary).unwrap()).unwrap();
    assert_eq!(summary["answered"], 1);
    assert_eq!(summary["interrupted"], false);
}

#[test]
fn bytes_that_are_no_text_reject_their_row() {
    let files = Files::new();
    let model = files.write("model.sql", ACCUMULATE);
    let input = files.path("input.csv");
    std::fs::write(&input, b"value,note\n1,\xff\n2,ok\n").unwrap();
    let run = triton(&["predict", &model, &input]);
    assert_eq!(run.stdout, "value,note,sum\n2,ok,2\n");
    assert!(
        run.stderr
            .starts_with("row 1 (line 2): column 'note': expected UTF-8 text, found other bytes\n"),
        "{}",
        run.stderr
    );
}
