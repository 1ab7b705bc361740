//! `triton infer`: one request from a shell, on both servers.

use std::io::Write as _;
use std::process::Stdio;

use triton_test_support::{EmbeddedTriton, live_endpoint, on_both_servers};

use crate::predict_streams::load;
use crate::{Files, Run, command, triton};

on_both_servers!(
    values_are_enough,
    sequences_go_on_or_stand_alone,
    what_does_not_fit_is_named,
);

fn infer(endpoint: &str, arguments: &[&str]) -> Run {
    triton(&[&["infer", "-e", endpoint], arguments].concat())
}

/// What an answer looks like.
#[track_caller]
fn answer(endpoint: &str, arguments: &[&str]) -> String {
    let run = infer(endpoint, arguments);
    assert_eq!(
        (run.code, run.stderr.as_str()),
        (Some(0), ""),
        "{arguments:?}"
    );
    run.stdout
}

// Holds C23.
async fn values_are_enough(endpoint: &str) {
    let files = Files::new();
    let file = files.write(
        "inputs.json",
        "[{\"value\": [1]},\n {\"value\": [\"NaN\"]}]\n",
    );
    insta::allow_duplicates! {
        insta::assert_snapshot!(answer(endpoint, &["echo", "{\"value\": [1, 0.1]}"]), @r#"{"echo":[1.0,0.1]}"#);
        insta::assert_snapshot!(answer(endpoint, &["echo", &format!("@{file}")]), @r#"[{"echo":[1.0]},{"echo":["NaN"]}]"#);
        insta::assert_snapshot!(answer(endpoint, &["echo", "{\"value\": 7}", "--full", "--output", "echo"]), @r#"{"model":"echo","outputs":[{"content":[[7.0]],"datatype":"FP32","name":"echo","shape":[1,1]}],"version":"1"}"#);
    }
    let mut piped = command(&["infer", "echo", "-", "-e", endpoint])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = piped.stdin.take().unwrap();
    stdin.write_all(b"{\"value\": [2]}\n").unwrap();
    drop(stdin);
    let run = Run::of(piped.wait_with_output().unwrap());
    assert_eq!(run.said(), "exit code 0\n{\"echo\":[2.0]}\n");
}

/// As a file that another program has saved.
#[test]
fn standard_input_may_have_a_byte_order_mark() {
    let utf16 = "\u{feff}{\"value\": [2]}".encode_utf16();
    let utf16: Vec<u8> = utf16.flat_map(u16::to_le_bytes).collect();
    for bytes in [b"\xef\xbb\xbf{\"value\": [2]}\n".to_vec(), utf16] {
        let mut piped = command(&["infer", "echo", "-", "-e", "embedded"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        piped.stdin.take().unwrap().write_all(&bytes).unwrap();
        let run = Run::of(piped.wait_with_output().unwrap());
        assert_eq!(run.said(), "exit code 0\n{\"echo\":[2.0]}\n");
    }
}

async fn sequences_go_on_or_stand_alone(endpoint: &str) {
    let sum = |arguments: &[&str]| {
        let shown = answer(endpoint, &[&["accumulate"], arguments].concat());
        let answer: serde_json::Value = serde_json::from_str(&shown).unwrap();
        answer["sum"][0].as_i64().unwrap()
    };
    assert_eq!(sum(&["{\"value\": 5}"]), 5);
    assert_eq!(sum(&["{\"value\": 6}"]), 6);
    let call = format!("call-{}", std::process::id());
    assert_eq!(sum(&["{\"value\": 7}", "--sequence", &call, "--start"]), 7);
    assert_eq!(sum(&["{\"value\": 8}", "--sequence", &call]), 15);
    assert_eq!(sum(&["{\"value\": 9}", "--sequence", &call, "--end"]), 24);
}

async fn what_does_not_fit_is_named(endpoint: &str) {
    let refused = |arguments: &[&str]| {
        let run = infer(endpoint, arguments);
        assert_eq!(run.stdout, "", "{arguments:?}");
        run.said().replace(endpoint, "http://server")
    };
    insta::allow_duplicates! {
        insta::assert_snapshot!(refused(&["echo", "{\"value\": [\"a\"]}"]), @r#"
        exit code 2
        error: input 'value': expected FP32, found "a"
        "#);
        insta::assert_snapshot!(refused(&["echo", "{\"value\": [1e39]}"]), @"
        exit code 2
        error: input 'value': expected FP32, found 1e39, which is too large for it
        ");
        insta::assert_snapshot!(refused(&["echo", "[{\"value\": [1], \"value\": [2]}]"]), @r#"
        exit code 2
        error: INPUTS cannot be used
          caused by: expected a JSON object of tensors by their names, such as {"value": [1, 2]}, or a list of such objects
          caused by: an object has two members of the name 'value' at line 1 column 32
        "#);
        let files = Files::new();
        let (one, two) = ("{\"value\": [1]}\n", "{\"value\": [2]}\n");
        let file = files.write("one.json", one);
        let lines = format!("@{}", files.write("two.ndjson", &format!("{one}{two}")));
        insta::assert_snapshot!(files.relative(&refused(&["echo", &file])), @"
        exit code 2
        error: INPUTS: 'one.json' is the name of a file; @one.json is what it holds
        ");
        insta::assert_snapshot!(files.relative(&refused(&["echo", &lines])), @"
        exit code 2
        error: two.ndjson: expected the object of one request, or a list of objects, found several; `triton predict --model MODEL` scores the objects of a file
        ");
        insta::assert_snapshot!(refused(&["echo", "{\"value\": {\"datatype\": \"FP64\", \"content\": [1]}}"]), @r#"
        exit code 2
        error: input 'value': expected FP32, found the datatype "FP64"
        "#);
        insta::assert_snapshot!(refused(&["echo", "{\"valu\": [1]}"]), @"
        exit code 2
        error: the model has no input 'valu'; it has: value
        ");
        insta::assert_snapshot!(refused(&["echo", "[{\"value\": [1]}, {}]"]), @"
        exit code 2
        error: object 2: input 'value' is missing
        ");
        insta::assert_snapshot!(refused(&["echo", "[{\"value\": [1]}, {\"value\": [1, 2]}]"]), @"
        exit code 2
        error: input 'value' has not the same shape in all inferences of a request
        ");
        insta::assert_snapshot!(refused(&["echo", "value"]), @r#"
        exit code 2
        error: INPUTS cannot be used
          caused by: expected a JSON object of tensors by their names, such as {"value": [1, 2]}, or a list of such objects
          caused by: expected value at line 1 column 1
        "#);
        insta::assert_snapshot!(refused(&["echo", "[1]"]), @r#"
        exit code 2
        error: INPUTS cannot be used
          caused by: expected a JSON object of tensors by their names, such as {"value": [1, 2]}, or a list of such objects, found 1 in the list
        "#);
        insta::assert_snapshot!(refused(&["echo", "{\"value\": [1]}", "--output", "sum"]), @"
        exit code 2
        error: --output sum: the model has no such output; it has: echo
        ");
        insta::assert_snapshot!(refused(&["echo", "{\"value\": [1]}", "--sequence", "a"]), @"
        exit code 2
        error: --sequence a: model 'echo' keeps no state; leave it out
        ");
        insta::assert_snapshot!(refused(&["accumulate", "[{\"value\": 1}, {\"value\": 2}]"]), @"
        exit code 2
        error: 2 inferences in a request: requests of a stateful model carry one inference each
        ");
        insta::assert_snapshot!(refused(&["accumulate", "{\"value\": [1, 2]}"]), @"
        exit code 2
        error: input 'value': expected the shape [1], found [2]
        ");
        insta::assert_snapshot!(refused(&["accumulate", "{\"value\": 1}", "--sequence", ""]), @"
        exit code 2
        error: --sequence: expected a sequence ID of 1 to 128 bytes without NUL, found 0 bytes: ''
        ");
        insta::assert_snapshot!(refused(&["nobody", "{}"]), @"
        exit code 3
        error: read metadata of model 'nobody' at http://server/: status 404: Request for unknown model: 'nobody' is not found
          try: `triton models` lists the models that the server has
        ");
        insta::assert_snapshot!(refused(&["accumulate", "{\"value\": 1}", "--sequence", "never-started"]), @"
        exit code 3
        error: infer with model 'accumulate' at http://server/: status 400: inference request for sequence never-started to model 'accumulate' must specify the START flag on the first request of the sequence
        ");
    }
}

/// Its answers come one after the other, each on a line.
#[tokio::test]
async fn a_decoupled_model_answers_line_by_line() {
    let endpoint = live_endpoint();
    load(&endpoint, "cli_infer_countdown").await;
    let model = "cli_infer_countdown";
    insta::assert_snapshot!(answer(&endpoint, &[model, "{\"from\": 3}"]), @r#"
    {"left":3}
    {"left":2}
    {"left":1}
    "#);
    // The second answer is a failure.
    let run = infer(&endpoint, &[model, "{\"from\": -2}"]);
    insta::assert_snapshot!(run.said().replace(&endpoint, "http://server"), @r#"
    exit code 3
    {"left":2}
    error: stream from model 'cli_infer_countdown' at http://server/: status 200: the countdown was called off
    "#);
    let run = infer(&endpoint, &[model, "[{\"from\": 3}]"]);
    insta::assert_snapshot!(run.said(), @"
    exit code 2
    error: a list of objects: model 'cli_infer_countdown' is decoupled, so that each request has any number of answers, and over HTTP the server takes one object for it, without a sequence
    ");
}

/// The address where nobody says another.
#[test]
fn a_server_that_nobody_names_is_the_usual_one_of_this_machine() {
    let shown = triton(&["health", "--print-config", "--no-config"]).stdout;
    let endpoint = shown.lines().find(|line| line.starts_with("endpoint"));
    insta::assert_snapshot!(endpoint.unwrap(), @r#"endpoint = "http://localhost:8000/"               # default"#);
    let server = EmbeddedTriton::start().unwrap();
    let run = triton(&[
        "health",
        "-O",
        "endpoint=localhost:1",
        "-e",
        &server.endpoint(),
    ]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
}
