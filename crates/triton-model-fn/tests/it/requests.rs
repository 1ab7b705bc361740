//! What reaches the server, byte for byte.

use triton_model_fn::{InferenceFunction, ModelFunction as _, Schema, Subtask, Value};
use triton_test_support::EmbeddedTriton;

use crate::{AUTO_INCREMENT, accumulate_schema, echo_schema, open, options};

/// The path of each inference request, the JSON part of its body, and the tensors behind it.
fn recorded(server: &EmbeddedTriton) -> String {
    let requests = server.requests();
    let lines = requests.iter().map(|request| {
        let length = request.header("Inference-Header-Content-Length").unwrap();
        let (json, tensors) = request.body.split_at(length.parse().unwrap());
        let json = std::str::from_utf8(json).unwrap();
        // The client makes one that nobody can know.
        let (id, rest) = json.split_at(r#"{"id":"0123456789abcdef""#.len());
        assert!(id.starts_with(r#"{"id":""#), "{json}");
        let json = format!("{{{}", &rest[1..]);
        format!("{} {} {json} + {tensors:?}\n", request.method, request.path)
    });
    lines.collect()
}

async fn after_two_rows(model: &str, schema: Schema, extra: &[(&str, &str)], row: Value) -> String {
    let server = EmbeddedTriton::start().unwrap();
    let function = open(options(&server.endpoint(), model, extra), schema, 0, 1).await;
    for _ in 0..2 {
        function.predict(std::slice::from_ref(&row)).await.unwrap();
    }
    recorded(&server)
}

#[tokio::test]
async fn a_request_without_a_sequence() {
    let body = after_two_rows("echo", echo_schema(), &[], Value::Float(0.1)).await;
    insta::assert_snapshot!(body, @r#"
    POST /v2/models/echo/infer {"inputs":[{"name":"value","shape":[1,1],"datatype":"FP32","parameters":{"binary_data_size":4}}],"outputs":[{"name":"echo","parameters":{"binary_data":true}}]} + [205, 204, 204, 61]
    POST /v2/models/echo/infer {"inputs":[{"name":"value","shape":[1,1],"datatype":"FP32","parameters":{"binary_data_size":4}}],"outputs":[{"name":"echo","parameters":{"binary_data":true}}]} + [205, 204, 204, 61]
    "#);
}

// Holds S2.
#[tokio::test]
async fn a_request_of_a_static_sequence() {
    let flags = [
        ("sequence-id", "7"),
        ("sequence-start", "true"),
        ("sequence-end", "TRUE"),
    ];
    let body = after_two_rows("accumulate", accumulate_schema(), &flags, Value::Integer(5)).await;
    insta::assert_snapshot!(body, @r#"
    POST /v2/models/accumulate/infer {"parameters":{"sequence_id":"7","sequence_start":true,"sequence_end":true},"inputs":[{"name":"value","shape":[1,1],"datatype":"INT32","parameters":{"binary_data_size":4}}],"outputs":[{"name":"sum","parameters":{"binary_data":true}},{"name":"correlation_id","parameters":{"binary_data":true}}]} + [5, 0, 0, 0]
    POST /v2/models/accumulate/infer {"parameters":{"sequence_id":"7","sequence_start":true,"sequence_end":true},"inputs":[{"name":"value","shape":[1,1],"datatype":"INT32","parameters":{"binary_data_size":4}}],"outputs":[{"name":"sum","parameters":{"binary_data":true}},{"name":"correlation_id","parameters":{"binary_data":true}}]} + [5, 0, 0, 0]
    "#);
}

#[tokio::test]
async fn a_request_with_a_sequence_of_its_own() {
    let value = Value::Integer(5);
    let body = after_two_rows("accumulate", accumulate_schema(), &AUTO_INCREMENT, value).await;
    insta::assert_snapshot!(body, @r#"
    POST /v2/models/accumulate/infer {"parameters":{"sequence_id":"flink-job-123-0-0","sequence_start":true,"sequence_end":true},"inputs":[{"name":"value","shape":[1,1],"datatype":"INT32","parameters":{"binary_data_size":4}}],"outputs":[{"name":"sum","parameters":{"binary_data":true}},{"name":"correlation_id","parameters":{"binary_data":true}}]} + [5, 0, 0, 0]
    POST /v2/models/accumulate/infer {"parameters":{"sequence_id":"flink-job-123-0-1","sequence_start":true,"sequence_end":true},"inputs":[{"name":"value","shape":[1,1],"datatype":"INT32","parameters":{"binary_data_size":4}}],"outputs":[{"name":"sum","parameters":{"binary_data":true}},{"name":"correlation_id","parameters":{"binary_data":true}}]} + [5, 0, 0, 0]
    "#);
}

#[tokio::test]
async fn requests_of_two_subtasks() {
    let server = EmbeddedTriton::start().unwrap();
    let options = options(&server.endpoint(), "accumulate", &AUTO_INCREMENT);
    let first = open(options.clone(), accumulate_schema(), 0, 2).await;
    let second = open(options, accumulate_schema(), 1, 2).await;
    for function in [&first, &first, &second] {
        function.predict(&[Value::Integer(5)]).await.unwrap();
    }
    insta::assert_snapshot!(recorded(&server), @r#"
    POST /v2/models/accumulate/infer {"parameters":{"sequence_id":"flink-job-123-0-0","sequence_start":true,"sequence_end":true},"inputs":[{"name":"value","shape":[1,1],"datatype":"INT32","parameters":{"binary_data_size":4}}],"outputs":[{"name":"sum","parameters":{"binary_data":true}},{"name":"correlation_id","parameters":{"binary_data":true}}]} + [5, 0, 0, 0]
    POST /v2/models/accumulate/infer {"parameters":{"sequence_id":"flink-job-123-0-1","sequence_start":true,"sequence_end":true},"inputs":[{"name":"value","shape":[1,1],"datatype":"INT32","parameters":{"binary_data_size":4}}],"outputs":[{"name":"sum","parameters":{"binary_data":true}},{"name":"correlation_id","parameters":{"binary_data":true}}]} + [5, 0, 0, 0]
    POST /v2/models/accumulate/infer {"parameters":{"sequence_id":"flink-job-123-1-0","sequence_start":true,"sequence_end":true},"inputs":[{"name":"value","shape":[1,1],"datatype":"INT32","parameters":{"binary_data_size":4}}],"outputs":[{"name":"sum","parameters":{"binary_data":true}},{"name":"correlation_id","parameters":{"binary_data":true}}]} + [5, 0, 0, 0]
    "#);
}

#[tokio::test]
async fn a_numbered_version_has_a_path_of_its_own() {
    let version = [("model-version", "1")];
    let body = after_two_rows("echo", echo_schema(), &version, Value::Float(1.0)).await;
    assert!(
        body.starts_with("POST /v2/models/echo/versions/1/infer "),
        "{body}"
    );
}

// Holds F16.
#[tokio::test]
async fn only_a_row_that_is_sent_takes_an_id() {
    let server = EmbeddedTriton::start().unwrap();
    let options = options(&server.endpoint(), "accumulate", &AUTO_INCREMENT);
    let function = InferenceFunction::new(options, accumulate_schema()).unwrap();
    function.open(Subtask::new(0, 1, 0).unwrap()).await.unwrap();
    assert!(function.predict(&[Value::Null]).await.is_err());
    let prediction = function.predict(&[Value::Integer(1)]).await.unwrap();
    assert_eq!(prediction.sequence_id.as_deref(), Some("flink-job-123-0-0"));
    assert_eq!(server.requests().len(), 1);
}
