//! `triton describe`, `health` and `stats`.

use serde_json::Value;
use triton_test_support::on_other_servers;

use super::{run, said};
use crate::Files;

on_other_servers!(
    a_model_is_described,
    health_is_told,
    what_is_missing_is_named,
);

async fn a_model_is_described(endpoint: &str) {
    let text = said(endpoint, &["describe", "sums"]);
    // What differs: MLServer names a platform, and gives its outputs two dimensions.
    let text = text.replace(" (python)", "").replace("[-1, 1]", "[-1]");
    insta::allow_duplicates! {
        insta::assert_snapshot!(text, @"
        exit code 0
        model sums

        INPUT  DATATYPE  SHAPE
        x      FP32      [-1]
        y      FP32      [-1]

        OUTPUT  DATATYPE  SHAPE
        sum     FP32      [-1]
        rows    INT64     [-1]

        batching: 1 row in a request; the server keeps no configuration, so option 'model-max-batch-size' says how many there may be
        sequences: none; the server names no extension for them

        CREATE MODEL `sums`
        INPUT (
          `x` FLOAT,
          `y` FLOAT
        )
        OUTPUT (
          `sum` FLOAT,
          `rows` BIGINT
        )
        WITH (
          'provider' = 'triton',
          'endpoint' = 'http://server/',
          'model-name' = 'sums'
        );
        ");
    }
    let described = run(
        endpoint,
        &["describe", "sums", "--json", "-O", "model-max-batch-size=8"],
    );
    let described: Value = serde_json::from_str(&described.stdout).unwrap();
    for unknown in ["config", "stateful", "decoupled"] {
        assert_eq!(described[unknown], Value::Null, "{unknown}");
    }
    let sql = described["sql"].as_str().unwrap();
    assert!(sql.contains("'model-max-batch-size' = '8'"), "{sql}");

    insta::allow_duplicates! {
        insta::assert_snapshot!(said(endpoint, &["describe", "bare"]), @"
        exit code 0
        model bare

        INPUT: the server does not say

        OUTPUT: the server does not say

        batching: 1 row in a request; the server keeps no configuration, so option 'model-max-batch-size' says how many there may be
        sequences: none; the server names no extension for them

        predict needs a MODEL.sql for it: the server does not say which tensors the model takes and gives: write a MODEL.sql that names them and their types
        ");
        insta::assert_snapshot!(said(endpoint, &["describe", "bare", "--sql"]), @"
        exit code 3
        error: no MODEL.sql can be made for this model
          caused by: the server does not say which tensors the model takes and gives: write a MODEL.sql that names them and their types
        ");
    }

    // What describe writes is what predict takes.
    let sql = run(endpoint, &["describe", "echo", "--sql"]).stdout;
    let files = Files::new();
    let sql = files.write("echo.sql", &sql);
    let input = files.write("rows.csv", "numbers,counts,words\n0.1,-5,é\n");
    let arguments = ["predict", &sql, &input];
    let answered = run(endpoint, &arguments);
    assert_eq!(
        answered.stdout,
        "numbers,counts,words,numbers_output,counts_output,words_output\n0.1,-5,é,0.1,-5,é\n"
    );
}

async fn health_is_told(endpoint: &str) {
    insta::allow_duplicates! {
        insta::assert_snapshot!(said(endpoint, &["health"]), @"
        exit code 0
        the server at http://server/ is ready: NAME
        ");
        insta::assert_snapshot!(said(endpoint, &["health", "sums"]), @"
        exit code 0
        the server at http://server/ is ready: NAME
        model 'sums' is ready
        ");
        insta::assert_snapshot!(said(endpoint, &["health", "ghost"]), @"
        exit code 1
        the server at http://server/ is ready: NAME
        model 'ghost' is not ready or not there; `triton models` shows its state
        ");
    }
}

// Holds F49.
async fn what_is_missing_is_named(endpoint: &str) {
    insta::allow_duplicates! {
        insta::assert_snapshot!(said(endpoint, &["stats", "sums"]), @"
        exit code 3
        error: the server keeps no statistics of its models
          caused by: read statistics of model 'sums' at http://server/: status 404: Not Found
        ");
        insta::assert_snapshot!(said(endpoint, &["unload", "ghost"]), @"
        exit code 3
        error: the server has no model 'ghost'
          try: `triton models` lists the models that the server has
        ");
        let ghost = said(endpoint, &["describe", "ghost"]);
        let ghost = ghost.replace("Model with name ghost does not exist.", "Model ghost not found");
        insta::assert_snapshot!(ghost, @"
        exit code 3
        error: read metadata of model 'ghost' at http://server/: status 404: Model ghost not found
          try: `triton models` lists the models that the server has
        ");
    }
}
