//! Refusals whose own words do not say what the server disliked.

use serde_json::{Value, json};

use crate::small_server::{Answer, SmallServer, described, inferred};
use crate::{Files, triton};

/// A server that takes what it can read as JSON, and refuses all else as some do.
fn predict(more: &[&str]) -> String {
    let server = SmallServer::start(|path, request| match described("m", json!({}), path) {
        Some(description) => description,
        None if *request == Value::Null => Answer::new(422, r#"{"error": "cannot be parsed"}"#),
        None => inferred(request),
    });
    let files = Files::new();
    let input = files.write("in.csv", "x\n1\nnan\n");
    let endpoint = format!("endpoint={}", server.endpoint);
    let arguments = [
        "predict",
        "--model",
        "m",
        &input,
        "-O",
        &endpoint,
        "-O",
        "tensor-format=json",
    ];
    let run = triton(&[&arguments[..], more].concat());
    let rows = run.stderr.lines().filter(|line| line.starts_with("row "));
    server.named(&rows.collect::<Vec<_>>().join("\n"))
}

#[test]
fn numbers_that_json_does_not_have_are_named() {
    insta::assert_snapshot!(predict(&[]), @"row 2 (line 3): the row was not answered: infer with model 'm' at http://server/: status 422: cannot be parsed; input 'x' holds NaN or an infinity, for which JSON has no number and not every server takes a word: 'tensor-format' = 'binary' carries them, where the server has it");
}

#[test]
fn a_compression_that_was_never_taken_is_named() {
    insta::assert_snapshot!(predict(&["-O", "compression=gzip"]), @"
    row 1 (line 2): the row was not answered: infer with model 'm' at http://server/: status 422: cannot be parsed; the request was compressed with gzip, which not every server takes: try it without 'compression'
    row 2 (line 3): the row was not answered: infer with model 'm' at http://server/: status 422: cannot be parsed; the request was compressed with gzip, which not every server takes: try it without 'compression'; input 'x' holds NaN or an infinity, for which JSON has no number and not every server takes a word: 'tensor-format' = 'binary' carries them, where the server has it
    ");
}
