//! `triton models`, `load` and `unload`, in which the servers differ.

use serde_json::{Value, json};
use triton_test_support::other_endpoint;

use super::{run, said};

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
