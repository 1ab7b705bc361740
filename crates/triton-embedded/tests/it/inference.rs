//! Stateless inference; the expected answers are those of Triton 2.51.0.

use triton_embedded::{
    DataType, EmbeddedTriton, Model, ModelConfig, ModelError, ModelErrorKind, ModelRequest, Tensor,
};

use crate::connection::{get, infer};

/// A body for `echo` with these values and further members.
fn echo(shape: &str, data: &str, members: &str) -> String {
    format!(
        r#"{{"inputs":[{{"name":"value","shape":{shape},"datatype":"FP32","data":{data}}}]{members}}}"#
    )
}

#[test]
fn echo_answers_and_is_recorded() {
    let server = EmbeddedTriton::start().expect("a server");
    let body = echo(
        "[1,4]",
        "[[0.1,NaN],[-Infinity,1e39]]",
        r#","id":"a","id":"b""#,
    );
    assert_eq!(
        infer(&server, "echo/versions/1", &body).success(),
        r#"{"id":"a","model_name":"echo","model_version":"1","outputs":[{"name":"echo","datatype":"FP32","shape":[1,4],"data":[0.10000000149011612,NaN,-Infinity,Infinity]}]}"#
    );
    let plain = echo("[2,1]", "[1,2]", r#","id":"""#);
    assert_eq!(
        infer(&server, "echo", &plain).success(),
        r#"{"model_name":"echo","model_version":"1","outputs":[{"name":"echo","datatype":"FP32","shape":[2,1],"data":[1.0,2.0]}]}"#
    );

    let recorded = server.requests();
    assert_eq!(recorded.len(), 2);
    assert_eq!(recorded[0].path, "/v2/models/echo/versions/1/infer");
    assert_eq!(recorded[0].version.as_deref(), Some("1"));
    assert_eq!(recorded[0].body, body.as_bytes());
    assert_eq!(recorded[0].json(), None, "NaN is not strict JSON");
    assert!(recorded[0].executed);
    assert_eq!(recorded[1].order, 1);
    assert_eq!(recorded[1].status, Some(200));
    let json = recorded[1].json().expect("JSON");
    assert_eq!(json["inputs"][0]["data"][1], 2);
    assert_eq!(recorded[1].header("Connection"), Some("close"));
}

#[test]
fn faults_have_the_status_and_text_of_the_real_server() {
    let server = EmbeddedTriton::start().expect("a server");
    let missing = "Input must set only one of the following fields: 'data', 'binary_data_size' in \
                   'parameters', 'shared_memory_region' in 'parameters'. But no field is set";
    let cases = [
        (
            "{".to_owned(),
            500,
            "failed to parse the request JSON buffer: Missing a name for object member. at 1",
        ),
        (
            "[]".to_owned(),
            500,
            "Unable to parse 'inputs': attempt to access non-existing object member 'inputs'",
        ),
        (
            echo("[1,1]", "[1]", r#","id":5"#),
            500,
            "Unable to parse 'id': attempt to access JSON non-string as string",
        ),
        (r#"{"inputs":[{}]}"#.to_owned(), 400, missing),
        (
            echo("[1,-1]", "[1]", ""),
            500,
            "Unable to parse 'shape': attempt to access JSON non-unsigned-integer as \
             unsigned-integer",
        ),
        (
            echo("[1,2]", "[1]", ""),
            500,
            "Unable to parse 'data': Shape does not match true shape of 'data' field",
        ),
        (
            echo("[65,1]", &format!("{:?}", [1; 65]), r#","id":"r7""#),
            400,
            "[request id: r7] inference request batch-size must be <= 64 for 'echo'",
        ),
        (
            r#"{"inputs":[]}"#.to_owned(),
            400,
            "[request id: <id_unknown>] expected 1 inputs but got 0 inputs for model 'echo'. Got \
             input(s) [], but missing required input(s) ['value']. Please provide all required \
             input(s).",
        ),
        (
            echo("[1,1]", "[1]", "").replace("FP32", "FP64"),
            400,
            "[request id: <id_unknown>] inference input 'value' data-type is 'FP64', but model \
             'echo' expects 'FP32'",
        ),
        (
            echo("[1,1]", "[1]", "").replace("value", "zz"),
            400,
            "unexpected inference input 'zz' for model 'echo'",
        ),
        (
            echo("[1,1]", "[1]", r#","outputs":[{"name":"zz"}]"#),
            400,
            "unexpected inference output 'zz' for model 'echo'",
        ),
        (
            echo("[1,1]", "[1]", r#","parameters":{"a":null}"#),
            400,
            "parameter 'a' has invalid type. It should be either 'int', 'bool', or 'string'.",
        ),
    ];
    for (body, status, text) in &cases {
        let answer = infer(&server, "echo", body);
        assert_eq!(answer.error(), (*status, (*text).to_owned()), "{body}");
    }
    let shape = infer(&server, "echo", &echo("[2]", "[1,2]", "")).error();
    assert!(
        shape.1.starts_with(
            "[request id: <id_unknown>] unexpected shape for input 'value' for model 'echo'. \
             Expected [-1,-1], got [2]. NOTE: "
        ),
        "{}",
        shape.1
    );
    assert_eq!(infer(&server, "nope", "{").status, 404);
    // The real server crashes on the first of these and never answers the second.
    let huge = u64::MAX / 2;
    let overflowing = [
        (echo(&format!("[1,{huge},{huge}]"), "[1]", ""), 500),
        (echo(&format!("[0,{huge},{huge}]"), "[]", ""), 400),
        (echo("[0,0]", "[]", ""), 400),
    ];
    for (body, status) in &overflowing {
        assert_eq!(infer(&server, "echo", body).status, *status, "{body}");
    }

    let recorded = server.requests();
    assert_eq!(recorded.len(), cases.len() + overflowing.len() + 2);
    assert!(recorded.iter().all(|request| !request.executed));
    assert_eq!(recorded[1].status, Some(500));
}

#[test]
fn shared_memory_says_no() {
    let server = EmbeddedTriton::start().expect("a server");
    let region = r#","outputs":[{"name":"echo","parameters":{"shared_memory_region":"r"}}]"#;
    let text = "Unable to find shared memory region: 'r'";
    assert_eq!(
        infer(&server, "echo", &echo("[1,1]", "[1]", region)).error(),
        (404, text.to_owned())
    );
    let (status, text) = get(&server, "/v2/systemsharedmemory/status").error();
    assert_eq!(status, 501);
    assert!(text.starts_with("triton-embedded has no shared memory"));
}

/// Answers its outputs against the configuration's order, and fails on request.
struct Moody;

impl Model for Moody {
    type State = ();

    fn config(&self) -> ModelConfig {
        ModelConfig::new("moody")
            .optional_input("mood", DataType::Bytes, [1])
            .output("small", DataType::Int8, [1])
            .output("large", DataType::Uint64, [1])
    }

    fn execute(&self, request: &ModelRequest, _: &mut ()) -> Result<Vec<Tensor>, ModelError> {
        let mood = request.values::<Vec<u8>>("mood").unwrap_or_default();
        match mood.first().map(Vec::as_slice) {
            Some(b"refuse") => Err(ModelError::with_kind(
                ModelErrorKind::Unavailable,
                "not now",
            )),
            Some(b"panic") => panic!("boom"),
            _ => Ok(vec![
                Tensor::new("large", [1], vec![u64::MAX]),
                Tensor::new("small", [1], vec![-1_i8]),
            ]),
        }
    }
}

#[test]
fn outputs_come_in_the_models_order_and_only_those_asked_for() {
    let server = EmbeddedTriton::builder()
        .model(Moody)
        .start()
        .expect("a server");
    let large = r#"{"name":"large","datatype":"UINT64","shape":[1],"data":[18446744073709551615]}"#;
    let small = r#"{"name":"small","datatype":"INT8","shape":[1],"data":[-1]}"#;
    let cases = [
        ("[]", format!("{large},{small}")),
        (
            r#"[{"name":"small"},{"name":"large"}]"#,
            format!("{large},{small}"),
        ),
        (r#"[{"name":"small"}]"#, small.to_owned()),
    ];
    for (asked, outputs) in cases {
        let body = format!(r#"{{"inputs":[],"outputs":{asked}}}"#);
        assert_eq!(
            infer(&server, "moody", &body).success(),
            format!(r#"{{"model_name":"moody","model_version":"1","outputs":[{outputs}]}}"#)
        );
    }
}

#[test]
fn a_models_error_has_its_status_and_a_panic_is_an_exception() {
    let server = EmbeddedTriton::builder()
        .model(Moody)
        .start()
        .expect("a server");
    let body = |mood: &str| {
        format!(
            r#"{{"inputs":[{{"name":"mood","shape":[1],"datatype":"BYTES","data":["{mood}"]}}]}}"#
        )
    };
    let refusal = infer(&server, "moody", &body("refuse"));
    assert_eq!(refusal.content_type, "text/plain");
    assert_eq!(refusal.error(), (503, "not now".to_owned()));
    let text = "Failed to process the request(s) for model 'moody_0_0', message: panic: boom";
    assert_eq!(
        infer(&server, "moody", &body("panic")).error(),
        (500, text.to_owned())
    );
    infer(&server, "moody", &body("fine")).success();
    assert!(server.requests().iter().all(|request| request.executed));
}
