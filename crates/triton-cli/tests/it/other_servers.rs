//! Every command on servers of other kinds than Triton, which keep no configurations: what such a
//! server does not have is left out and said, and only what consists of it fails.

use serde_json::{Value, json};
use triton_test_support::other_endpoint;

use crate::{Files, Run, triton};

/// Makes two tests of each function, one against each server.
macro_rules! on_other_servers {
    ($($name:ident),+ $(,)?) => {
        mod mlserver {
            $(#[test]
            fn $name() {
                super::$name(&super::other_endpoint("MLSERVER"));
            })+
        }

        mod kserve {
            $(#[test]
            fn $name() {
                super::$name(&super::other_endpoint("KSERVE"));
            })+
        }
    };
}

on_other_servers!(
    rows_are_scored,
    rows_are_scored_in_batches,
    rows_are_scored_by_the_models_name_alone,
    rows_are_scored_by_a_model_of_which_the_server_tells_nothing,
    sequences_are_refused,
    a_model_is_described,
    a_load_is_measured,
    a_load_on_a_model_of_which_the_server_tells_nothing,
    health_is_told,
    what_is_missing_is_named,
);

/// Runs a command about the server at `endpoint`.
fn run(endpoint: &str, arguments: &[&str]) -> Run {
    let option = format!("endpoint={endpoint}");
    triton(&[arguments, &["-O", &option]].concat())
}

/// Its exit code and all that it says, without what differs between servers and runs.
fn said(endpoint: &str, arguments: &[&str]) -> String {
    let run = run(endpoint, arguments);
    let text = format!(
        "exit code {}\n{}{}",
        run.code.unwrap(),
        run.stdout,
        run.stderr
    );
    text.replace(endpoint, "http://server")
        .replace("mlserver 1.7.1", "NAME")
        .replace("kserve 0.21.0", "NAME")
}

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
fn rows_are_scored(endpoint: &str) {
    assert_eq!(scored(endpoint, &[]), ONE_BY_ONE);
}

// Holds F46.
fn rows_are_scored_in_batches(endpoint: &str) {
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

fn rows_are_scored_by_the_models_name_alone(endpoint: &str) {
    assert_eq!(scored(endpoint, &["--model", "sums"]), ONE_BY_ONE);
}

// Holds F47.
fn rows_are_scored_by_a_model_of_which_the_server_tells_nothing(endpoint: &str) {
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
fn sequences_are_refused(endpoint: &str) {
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

fn a_model_is_described(endpoint: &str) {
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

fn a_load_is_measured(endpoint: &str) {
    let report = bench(endpoint, &["sums", "--concurrency", "2"]);
    assert!(report["answered"].as_u64().unwrap() > 2, "{report}");
    assert_eq!(
        (&report["failed"], &report["server_statistics"]),
        (&json!(0), &Value::Null)
    );
    let untold =
        "the server told no statistics, so it is not known which part of the time is its own";
    assert_eq!(report["remarks"], json!([untold]));
    let batches = ["sums", "--batch-size", "4", "-O", "model-max-batch-size=4"];
    assert_eq!(bench(endpoint, &batches)["failed"], 0);
    insta::allow_duplicates! {
        insta::assert_snapshot!(said(endpoint, &["bench", "sums", "--batch-size", "4"]), @"");
        insta::assert_snapshot!(said(endpoint, &["bench", "sums", "--sequences", "4"]), @"");
    }
}

fn a_load_on_a_model_of_which_the_server_tells_nothing(endpoint: &str) {
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

fn health_is_told(endpoint: &str) {
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
fn what_is_missing_is_named(endpoint: &str) {
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

/// The lines that are not about the model which another test loads and unloads.
fn without_spare(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.starts_with("spare"));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn models_of_mlserver_are_listed() {
    let endpoint = other_endpoint("MLSERVER");
    insta::assert_snapshot!(without_spare(&said(&endpoint, &["models"])), @"
    exit code 0
    MODEL  VERSION  STATE
    bare            READY
    echo      v0.1  READY
    sums            READY
    ");
    let listed: Value =
        serde_json::from_str(&run(&endpoint, &["models", "--json"]).stdout).unwrap();
    let echo = json!({"name": "echo", "version": "v0.1", "state": "READY", "reason": ""});
    assert!(listed.as_array().unwrap().contains(&echo), "{listed}");
}

#[test]
fn models_of_kserve_are_listed() {
    let endpoint = other_endpoint("KSERVE");
    insta::assert_snapshot!(without_spare(&said(&endpoint, &["models"])), @"
    exit code 0
    MODEL
    bare
    echo
    sums
    the server names neither versions nor states of its models; --ready asks each one
    ");
    insta::assert_snapshot!(without_spare(&said(&endpoint, &["models", "--ready"])), @"
    exit code 0
    MODEL  STATE
    bare   READY
    echo   READY
    sums   READY
    the server names no versions of its models
    ");
}

#[test]
fn a_model_of_mlserver_is_loaded_and_unloaded() {
    let endpoint = other_endpoint("MLSERVER");
    insta::assert_snapshot!(said(&endpoint, &["unload", "spare"]), @"
    exit code 0
    model 'spare' is unloaded
    ");
    insta::assert_snapshot!(said(&endpoint, &["health", "spare"]), @"
    exit code 1
    the server at http://server/ is ready: NAME
    model 'spare' is not ready or not there; `triton models` shows its state
    ");
    insta::assert_snapshot!(said(&endpoint, &["load", "spare"]), @"
    exit code 0
    model 'spare' is loaded
    ");
    insta::assert_snapshot!(said(&endpoint, &["load", "ghost"]), @"
    exit code 3
    error: load model 'ghost' at http://server/: status 404: Model ghost not found
      try: `triton models` lists the models that the server has
    ");
}

#[test]
fn a_model_of_kserve_is_unloaded_for_good() {
    let endpoint = other_endpoint("KSERVE");
    // A server that has met this test before has no such model any more.
    let is_new = run(&endpoint, &["health", "spare"]).code == Some(0);
    if is_new {
        insta::assert_snapshot!(said(&endpoint, &["load", "spare"]), @"
        exit code 0
        model 'spare' is loaded
        ");
        insta::assert_snapshot!(said(&endpoint, &["unload", "spare"]), @"
        exit code 0
        model 'spare' is unloaded
        ");
    }
    insta::assert_snapshot!(said(&endpoint, &["unload", "spare"]), @"
    exit code 3
    error: the server has no model 'spare'
      try: `triton models` lists the models that the server has
    ");
    insta::assert_snapshot!(said(&endpoint, &["load", "spare"]), @"
    exit code 3
    error: load model 'spare' at http://server/: status 503: Model with name spare is not ready.
      try: `triton models` lists the models that the server has
    ");
}
