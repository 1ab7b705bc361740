//! Every way to fail, with its words.

use std::error::Error as _;

use triton_model_fn::{
    DataType, Error, ErrorKind, InferenceFunction, ModelFunction as _, Schema, Subtask, Value,
};
use triton_test_support::{EmbeddedTriton, on_both_servers};

use crate::{AUTO_INCREMENT, accumulate_schema, array, echo_schema, open, options, schema};

on_both_servers!(
    a_missing_model_is_named,
    every_mismatch_is_named_at_once,
    a_stateful_model_wants_a_sequence,
    a_static_sequence_that_never_starts_is_refused,
    a_bad_row_is_refused_before_it_is_sent,
);

/// The error and its causes, the address of the server left out.
pub(crate) fn words(error: &Error, endpoint: &str) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        words.push_str(&format!("\n  caused by: {cause}"));
        source = cause.source();
    }
    words.replace(endpoint, "http://server")
}

pub(crate) async fn open_error(
    endpoint: &str,
    model: &str,
    extra: &[(&str, &str)],
    schema: Schema,
) -> (ErrorKind, String) {
    let options = options(endpoint, model, extra);
    let function = InferenceFunction::new(options, schema).unwrap();
    let error = function
        .open(Subtask::new(1, 4, 2).unwrap())
        .await
        .unwrap_err();
    // What failed to open is closed, and can be opened again.
    let again = function
        .open(Subtask::new(1, 4, 3).unwrap())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), again.kind());
    function.close().await.unwrap();
    (error.kind(), words(&error, endpoint))
}

async fn a_missing_model_is_named(endpoint: &str) {
    let (kind, words) = open_error(endpoint, "nobody", &[], echo_schema()).await;
    assert_eq!(kind, ErrorKind::Call);
    insta::allow_duplicates! {
        insta::assert_snapshot!(words, @"
        subtask 1 of 4, attempt 2: the model could not be looked up
          caused by: read metadata of model 'nobody' at http://server/: status 404: Request for unknown model: 'nobody' is not found
        ");
    }
}

// Holds F1.
async fn every_mismatch_is_named_at_once(endpoint: &str) {
    let schema = schema(
        &[("vale", DataType::Float)],
        &[("echo", DataType::Integer), ("other", DataType::Boolean)],
    );
    let (kind, words) = open_error(endpoint, "echo", &[], schema).await;
    assert_eq!(kind, ErrorKind::Mismatch);
    insta::allow_duplicates! {
        insta::assert_snapshot!(words, @"subtask 1 of 4, attempt 2: model 'echo' does not fit the schema and options: input column 'vale' is no input of the model, which has: value; output column 'echo' is INT, which needs INT32 of one element; the model's is FP32 [-1]; output column 'other' is no output of the model, which has: echo; the model's input 'value' (FP32 [-1, -1]) has no column");
    }
    let nested = array(array(DataType::Float));
    let (_, words) = open_error(
        endpoint,
        "echo",
        &[],
        crate::schema(&[("value", nested)], &[("echo", DataType::Float)]),
    )
    .await;
    insta::allow_duplicates! {
        insta::assert_snapshot!(words, @"subtask 1 of 4, attempt 2: model 'echo' does not fit the schema and options: input column 'value' is ARRAY<ARRAY<FLOAT>>, which needs FP32 of 2 dimensions; the model's is FP32 [-1]");
    }
}

// Holds F27.
async fn a_stateful_model_wants_a_sequence(endpoint: &str) {
    let (kind, words) = open_error(endpoint, "accumulate", &[], accumulate_schema()).await;
    assert_eq!(kind, ErrorKind::Mismatch);
    insta::allow_duplicates! {
        insta::assert_snapshot!(words, @"subtask 1 of 4, attempt 2: model 'accumulate' does not fit the schema and options: the model is stateful, so every request needs a sequence: set the option 'sequence-id'");
    }
}

async fn a_static_sequence_that_never_starts_is_refused(endpoint: &str) {
    let id = [
        ("sequence-id", "never-started-either"),
        ("sequence-start", "false"),
    ];
    let function = open(
        options(endpoint, "accumulate", &id),
        accumulate_schema(),
        0,
        1,
    )
    .await;
    let error = function.predict(&[Value::Integer(1)]).await.unwrap_err();
    assert_eq!(error.sequence_id(), Some("never-started-either"));
    let kind = error.client_error().map(triton_client::Error::kind);
    assert_eq!(kind, Some(triton_client::ErrorKind::SequenceNotStarted));
    insta::allow_duplicates! {
        insta::assert_snapshot!(words(&error, endpoint), @"
        subtask 0 of 1, attempt 0, sequence 'never-started-either', its row 0: the server no longer knows the sequence, so the row was not answered
          caused by: infer with model 'accumulate' at http://server/: status 400: inference request for sequence never-started-either to model 'accumulate' must specify the START flag on the first request of the sequence
        ");
    }
}

// Holds F2.
async fn a_bad_row_is_refused_before_it_is_sent(endpoint: &str) {
    let options = options(endpoint, "accumulate", &AUTO_INCREMENT);
    let function = open(options, accumulate_schema(), 0, 1).await;
    let mut found = String::new();
    for row in [
        vec![],
        vec![Value::Null],
        vec![Value::BigInt(1)],
        vec![Value::from(vec![1_i32])],
    ] {
        let error = function.predict(&row).await.unwrap_err();
        assert!(matches!(
            error.kind(),
            ErrorKind::Input | ErrorKind::NullInput
        ));
        found.push_str(&format!("{}\n", words(&error, endpoint)));
    }
    insta::allow_duplicates! {
        insta::assert_snapshot!(found, @"
        subtask 0 of 1, attempt 0: expected 1 value, found 0
        subtask 0 of 1, attempt 0: column 'value': expected INT, found NULL
        subtask 0 of 1, attempt 0: column 'value': expected INT, found a BIGINT
        subtask 0 of 1, attempt 0: column 'value': expected INT, found an ARRAY
        ");
    }
}

#[tokio::test]
async fn a_dead_endpoint_is_named() {
    let address = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let endpoint = format!("http://{address}");
    let (kind, words) = open_error(&endpoint, "echo", &[], echo_schema()).await;
    assert_eq!(kind, ErrorKind::Call);
    // Below this the system speaks, in words of its own.
    let ours: Vec<&str> = words.lines().take(2).collect();
    insta::assert_snapshot!(ours.join("\n"), @"
    subtask 1 of 4, attempt 2: the model could not be looked up
      caused by: read metadata of model 'echo' at http://server/: no connection could be made; is the server running there?
    ");
}

#[tokio::test]
async fn an_array_must_be_rectangular_and_of_its_type() {
    let server = EmbeddedTriton::start().unwrap();
    let schema = schema(
        &[("reading", array(DataType::Float))],
        &[("z_score", array(DataType::Float))],
    );
    let options = options(&server.endpoint(), "anomaly", &AUTO_INCREMENT);
    let function = open(options, schema, 0, 1).await;
    let row = [Value::Array(vec![Value::Float(1.0), Value::Null].into())];
    let error = function.predict(&row).await.unwrap_err();
    insta::assert_snapshot!(error, @"subtask 0 of 1, attempt 0: column 'reading': expected FLOAT, found NULL");
}

#[test]
fn a_schema_that_contradicts_itself_is_refused() {
    let float = DataType::Float;
    for (inputs, outputs) in [
        (vec![], vec![("y", float.clone())]),
        (vec![("x", float.clone())], vec![]),
        (
            vec![("x", float.clone()), ("x", float.clone())],
            vec![("y", float)],
        ),
    ] {
        let options = options("localhost:8000", "m", &[]);
        let error = InferenceFunction::new(options, schema(&inputs, &outputs)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Schema);
    }
}

#[test]
fn a_subtask_that_cannot_exist_is_refused() {
    insta::assert_snapshot!(Subtask::new(4, 4, 0).unwrap_err(), @"subtask index 4 does not exist at parallelism 4: subtasks are numbered from 0");
}

#[tokio::test]
async fn a_function_that_is_not_open_says_so() {
    let options = options("localhost:8000", "m", &[]);
    let function = InferenceFunction::new(options, echo_schema()).unwrap();
    let error = function.predict(&[Value::Float(1.0)]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::State);
}
