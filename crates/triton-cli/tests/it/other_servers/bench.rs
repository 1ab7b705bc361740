//! `triton bench`.

use serde_json::{Value, json};
use triton_test_support::on_other_servers;

use super::{run, said};
use crate::Files;

on_other_servers!(
    a_load_is_measured,
    a_load_on_a_model_of_which_the_server_tells_nothing,
);

fn bench(endpoint: &str, arguments: &[&str]) -> Value {
    let quick = [
        "bench",
        "--warm-up",
        "50ms",
        "--duration",
        "200ms",
        "--json",
    ];
    let run = run(endpoint, &[&quick[..], arguments].concat());
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    serde_json::from_str(&run.stdout).unwrap()
}

async fn a_load_is_measured(endpoint: &str) {
    let report = bench(endpoint, &["sums", "--concurrency", "2"]);
    assert!(report["answered"].as_u64().unwrap() > 2, "{report}");
    assert_eq!(
        (&report["failed"], &report["server_statistics"]),
        (&json!(0), &Value::Null)
    );
    let untold =
        "the server told no statistics, so it is not known which part of the time is its own";
    assert_eq!(report["notes"], json!([untold]));
    let batches = ["sums", "--batch-size", "4", "-O", "model-max-batch-size=4"];
    assert_eq!(bench(endpoint, &batches)["failed"], 0);
    insta::allow_duplicates! {
        insta::assert_snapshot!(said(endpoint, &["bench", "sums", "--batch-size", "4"]), @"
        exit code 2
        error: --batch-size 4: the server keeps no configuration that says how many the model takes, so 1 is the most unless option 'model-max-batch-size' says more
        ");
        insta::assert_snapshot!(said(endpoint, &["bench", "sums", "--sequences", "4"]), @"
        exit code 2
        error: --sequences and --sequence-length are for stateful models, and the server does not say that 'sums' is one; use --concurrency
        ");
    }
}

async fn a_load_on_a_model_of_which_the_server_tells_nothing(endpoint: &str) {
    let files = Files::new();
    let line =
        r#"{"x": {"datatype": "FP32", "content": 1.5}, "y": {"datatype": "FP32", "content": [2]}}"#;
    let input = files.write("inputs.ndjson", line);
    let report = bench(endpoint, &["bare", "--input", &input]);
    assert_eq!(report["failed"], 0);
    let wrong = files.write("wrong.ndjson", r#"{"x": [1.5]}"#);
    insta::allow_duplicates! {
        insta::assert_snapshot!(said(endpoint, &["bench", "bare"]), @r#"
        exit code 3
        error: the server does not say which tensors model 'bare' takes, so none can be made up
          try: --input FILE, each line such as {"x": {"datatype": "FP32", "content": [1.5]}}
        "#);
        let said = said(endpoint, &["bench", "bare", "--input", &wrong]);
        insta::assert_snapshot!(said.replace(&wrong, "FILE"), @r#"
        exit code 2
        error: FILE, line 1: input 'x': expected {"datatype": …, "content": …}, because the server does not say which datatype it has
        "#);
    }
}
