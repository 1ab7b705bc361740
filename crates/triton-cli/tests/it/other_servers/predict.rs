//! `triton predict`: CSV in, CSV out.

use triton_test_support::on_other_servers;

use super::{run, said};
use crate::Files;

on_other_servers!(
    rows_are_scored,
    rows_are_scored_in_batches,
    rows_are_scored_by_the_models_name_alone,
    rows_are_scored_by_a_model_of_which_the_server_tells_nothing,
    sequences_are_refused,
);

const SQL: &str = "CREATE MODEL m INPUT (x FLOAT, y FLOAT) OUTPUT (`sum` FLOAT, `rows` BIGINT) \
                   WITH ('provider' = 'triton', 'model-name' = 'sums');";

const ROWS: &str = "name,x,y\na,1.5,10\nb,2,20\nc,3,30\nd,4,40\n";

/// The scored rows, once all were answered.
#[track_caller]
fn scored(endpoint: &str, arguments: &[&str]) -> String {
    let files = Files::new();
    let sql = files.write("model.sql", SQL);
    let input = files.write("rows.csv", ROWS);
    let mut all = vec!["predict"];
    if !arguments.contains(&"--model") {
        all.push(&sql);
    }
    all.push(&input);
    let run = run(endpoint, &[&all[..], arguments].concat());
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(
        run.stderr.starts_with("4 rows: 4 answered, 0 rejected"),
        "{}",
        run.stderr
    );
    run.stdout
}

const ONE_BY_ONE: &str =
    "name,x,y,sum,rows\na,1.5,10,11.5,1\nb,2,20,22,1\nc,3,30,33,1\nd,4,40,44,1\n";

// Holds F45.
async fn rows_are_scored(endpoint: &str) {
    assert_eq!(scored(endpoint, &[]), ONE_BY_ONE);
}

// Holds F46.
async fn rows_are_scored_in_batches(endpoint: &str) {
    let options = [
        "model-max-batch-size=2",
        "batch-size=2",
        "batch-timeout=10 s",
    ];
    let options: Vec<_> = options.iter().flat_map(|option| ["-O", option]).collect();
    let expected = ONE_BY_ONE.replace(",1\n", ",2\n");
    assert_eq!(scored(endpoint, &options), expected);
    let bare = [&options[..], &["-O", "model-name=bare"]].concat();
    assert_eq!(scored(endpoint, &bare), expected);
}

async fn rows_are_scored_by_the_models_name_alone(endpoint: &str) {
    assert_eq!(scored(endpoint, &["--model", "sums"]), ONE_BY_ONE);
}

// Holds F47.
async fn rows_are_scored_by_a_model_of_which_the_server_tells_nothing(endpoint: &str) {
    assert_eq!(scored(endpoint, &["-O", "model-name=bare"]), ONE_BY_ONE);
    let files = Files::new();
    let input = files.write("rows.csv", ROWS);
    insta::allow_duplicates! {
        insta::assert_snapshot!(said(endpoint, &["predict", "--model", "bare", &input]), @"
        exit code 3
        error: the model needs a MODEL.sql that says which columns it takes and gives
          caused by: the server does not say which tensors the model takes and gives: write a MODEL.sql that names them and their types
        ");
    }
}

// Holds F48.
async fn sequences_are_refused(endpoint: &str) {
    let files = Files::new();
    let sql = files.write("model.sql", SQL);
    let input = files.write("rows.csv", ROWS);
    let arguments = [
        "predict",
        &sql,
        &input,
        "-O",
        "sequence-id=s",
        "-O",
        "sequence-key=name",
    ];
    let arguments = [&arguments[..], &["-O", "sequence-id-auto-increment=true"]].concat();
    insta::allow_duplicates! {
        insta::assert_snapshot!(said(endpoint, &arguments), @"
        exit code 3
        error: model 'sums' does not fit the schema and options: option 'sequence-id' is for models that keep a state for each sequence, but the server (NAME) has none: it does not name the extension 'sequence'; leave the option out
        ");
    }
}
