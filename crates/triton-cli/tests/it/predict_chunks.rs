//! Rows of a stateless model that are read, sent and written together: what comes out is what comes
//! out of one row after the other.

use std::fmt::Write as _;

use triton_embedded::EmbeddedTriton;

use crate::{Files, Run, triton};

const ECHO: &str = "
    CREATE MODEL echo INPUT (`value` FLOAT) OUTPUT (echo FLOAT, prediction_status STRING)
    WITH ('provider' = 'triton', 'endpoint' = 'embedded', 'model-name' = 'echo')";

/// More rows than are handed over together, some of them in quotes, over several lines, without a
/// value, or at fault.
fn rows(delimiter: char) -> String {
    let mut text = format!("id{delimiter}value{delimiter}note\r\n");
    for row in 0..2500 {
        let value = match row % 500 {
            7 => "none".to_owned(),
            8 => String::new(),
            9 => "\"1.50\"".to_owned(),
            _ => format!("{}.25", row % 90),
        };
        let note = match row % 400 {
            11 => format!("\"a{delimiter}b\"\"c\nd\""),
            12 => format!("x{delimiter}one more cell"),
            _ => format!("n{row}"),
        };
        let end = if row % 3 == 0 { "\n" } else { "\r\n" };
        let _ = write!(text, "{row}{delimiter}{value}{delimiter}{note}{end}");
    }
    text
}

fn objects() -> String {
    let mut text = String::new();
    for row in 0..2500 {
        let _ = match row % 500 {
            7 => writeln!(text, "{{\"value\": \"none\", \"id\": {row}}}"),
            8 | 12 => writeln!(text, "{{\"id\":{row}}}"),
            9 => writeln!(text, "[{row}]"),
            10 => writeln!(text, "{{\"value\":1,\"echo\":{row}}}"),
            13 => writeln!(text, "{{\"value\":2,\"echo\":{row}}}"),
            14 => writeln!(text, "{{\"id\":{row},\"value\":null}}"),
            11 => writeln!(text, "{{ \"value\":1.50 , \"id\" : 1e3 }}  "),
            _ => writeln!(text, "{{\"id\":{row},\"value\":{row}.5}}"),
        };
    }
    text
}

/// A run over an input, with what is different every time left out.
fn run(files: &Files, input: &str, to: &str, more: &[&str]) -> (Run, Vec<u8>, String) {
    let model = files.write("model.sql", ECHO);
    let (output, errors) = (
        files.path(&format!("out.{to}")),
        files.path("errors.ndjson"),
    );
    let arguments = [
        "predict", &model, input, "--quiet", "-o", &output, "--errors", &errors,
    ];
    let run = triton(&[&arguments[..], more].concat());
    let output = std::fs::read(output).unwrap();
    (run, output, std::fs::read_to_string(errors).unwrap())
}

#[test]
fn rows_together_give_what_rows_one_by_one_give() {
    let files = Files::new();
    let csv = files.write("in.csv", &rows(','));
    let tsv = files.write("in.tsv", &rows('\t'));
    let ndjson = files.write("in.ndjson", &objects());
    for (input, to, more) in [
        (&csv, "csv", &[][..]),
        (&csv, "csv", &["--on-error", "column"]),
        (&csv, "csv", &["--on-error", "default"]),
        (&csv, "csv", &["--with-sequence-id"]),
        (&csv, "ndjson", &[]),
        (&tsv, "csv", &[]),
        (&tsv, "tsv", &["--on-error", "column"]),
        (&ndjson, "ndjson", &[]),
        (&ndjson, "ndjson", &["--on-error", "column"]),
        (&ndjson, "csv", &[]),
    ] {
        let (together, output, errors) = run(&files, input, to, more);
        let alone = [more, &["-O", "batch-size=1"]].concat();
        let (alone, output_alone, errors_alone) = run(&files, input, to, &alone);
        assert_eq!(together.code, alone.code, "{input} {to} {more:?}");
        assert_eq!(errors, errors_alone, "{input} {to} {more:?}");
        let texts = [&output, &output_alone].map(|bytes| String::from_utf8_lossy(bytes));
        assert_eq!(texts[0], texts[1], "{input} {to} {more:?}");
        assert!(errors.lines().count() >= 5, "{errors}");
    }
}

#[test]
fn requests_are_full_unless_an_option_says_otherwise() {
    let server = EmbeddedTriton::builder()
        .built_in_models()
        .recorded_requests(10_000)
        .start()
        .unwrap();
    let files = Files::new();
    let model = files.write("model.sql", ECHO);
    let rows: String = (0..1000).map(|row| format!("{row}\n")).collect();
    let input = files.write("in.csv", &format!("value\n{rows}"));
    let endpoint = format!("endpoint={}", server.endpoint());
    let inferences = || {
        let requests = server.requests();
        let inferences = requests.iter();
        inferences
            .filter(|request| request.path.ends_with("/infer"))
            .count()
    };
    for (more, expected) in [
        // As many as the model takes, which is 64.
        (&[][..], 16),
        (&["-O", "batch-size=8"], 125),
        (&["-O", "batch-size=1"], 1000),
    ] {
        let before = inferences();
        let output = files.path("out.csv");
        let arguments = ["predict", &model, &input, "-O", &endpoint, "-o", &output];
        let run = triton(&[&arguments[..], more].concat());
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        assert_eq!(inferences() - before, expected, "{more:?}");
    }
}

#[test]
fn rows_behind_the_one_that_ends_the_run_are_not_sent() {
    let files = Files::new();
    let model = files.write("model.sql", ECHO);
    let input = files.write("in.csv", "value\n1\n2\nnone\n4\n");
    let output = files.path("out.csv");
    let arguments = [
        "predict",
        &model,
        &input,
        "-o",
        &output,
        "--on-error",
        "fail",
    ];
    let run = triton(&arguments);
    assert_eq!(run.code, Some(1));
    let kept = std::fs::read_to_string(format!("{output}.partial")).unwrap();
    insta::assert_snapshot!(kept, @"
    value,echo,prediction_status
    1,1,answered
    2,2,answered
    ");
}
