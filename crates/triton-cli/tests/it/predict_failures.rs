//! Rows that fail: every one is accounted for.

use serde_json::Value as Json;

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
    {"file":"input.csv","row":4,"line":5,"column":"value","kind":"null_input","reason":"column 'value': expected INT, found NULL","raw":",d"}
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
