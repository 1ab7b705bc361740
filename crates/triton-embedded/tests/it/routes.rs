//! Everything but inference; the expected answers are those of Triton 2.51.0.

use triton_embedded::{EmbeddedTriton, EmbeddedTritonBuilder, RestrictedApi};

use crate::connection::{get, receive, send, send_with};

#[test]
fn health_and_readiness_have_empty_bodies() {
    let server = EmbeddedTriton::start().expect("a server");
    for path in [
        "/v2/health/live",
        "/v2/health/ready?verbose=1",
        "/v2/models/echo/ready",
        "/v2/models/echo/versions/1/ready",
    ] {
        assert_eq!(get(&server, path).success(), "", "{path}");
    }
    for path in ["/v2/models/nope/ready", "/v2/models/echo/versions/3/ready"] {
        let answer = get(&server, path);
        assert_eq!(answer.content_type, "text/plain");
        assert_eq!(answer.error(), (400, "Model version not ready".to_owned()));
    }
}

/// The answers are those of Triton 2.51.0 started with
/// `--http-restricted-api=health,model-repository,inference,metadata:admin=secret`.
#[test]
fn a_restricted_part_wants_its_header_before_anything_else() {
    let parts = [
        RestrictedApi::Health,
        RestrictedApi::ModelRepository,
        RestrictedApi::Inference,
        RestrictedApi::Metadata,
    ];
    let builder = EmbeddedTriton::builder().built_in_models();
    let restrict = |builder: EmbeddedTritonBuilder, part| builder.restrict(part, "Admin", "secret");
    let server = parts
        .into_iter()
        .fold(builder, restrict)
        .start()
        .expect("a server");
    for (method, path) in [
        ("GET", "/v2/health/live"),
        ("POST", "/v2/health/live"),
        ("GET", "/v2"),
        ("GET", "/v2/models/echo"),
        ("GET", "/v2/models/echo/ready"),
        ("POST", "/v2/repository/index"),
        ("GET", "/v2/repository/index"),
        ("POST", "/v2/models/nobody/infer"),
        ("POST", "/v2/models/echo/generate"),
    ] {
        for header in ["", "admin: wrong\r\n"] {
            let answer = receive(send_with(&server, method, path, header, ""));
            assert_eq!(answer.content_type, "text/plain");
            let text = "This API is restricted, expecting header 'Admin'".to_owned();
            assert_eq!(answer.error(), (403, text), "{method} {path}");
        }
    }
    let admitted = send_with(&server, "GET", "/v2/health/live", "admin: secret\r\n", "");
    assert_eq!(receive(admitted).status, 200);
    assert_eq!(get(&server, "/v2/models/echo/config").status, 200);
    assert_eq!(get(&server, "/v2/models/echo/stats").status, 200);
    assert!(server.requests().is_empty());
}

#[test]
fn metadata_shows_the_batch_dimension() {
    let server = EmbeddedTriton::start().expect("a server");
    assert_eq!(
        get(&server, "/v2/models/accumulate").success(),
        r#"{"name":"accumulate","versions":["1"],"platform":"python","inputs":[{"name":"value","datatype":"INT32","shape":[-1,1]}],"outputs":[{"name":"sum","datatype":"INT32","shape":[-1,1]},{"name":"correlation_id","datatype":"BYTES","shape":[-1,1]}]}"#
    );
    let config = get(&server, "/v2/models/accumulate/versions/1/config").success();
    let config: serde_json::Value = serde_json::from_str(&config).expect("JSON");
    assert_eq!(config["max_batch_size"], 8);
    assert_eq!(config["output"][1]["data_type"], "TYPE_STRING");
    assert_eq!(
        config["sequence_batching"]["max_sequence_idle_microseconds"],
        5_000_000
    );
}

#[test]
fn unknown_models_versions_and_paths_are_refused() {
    let server = EmbeddedTriton::start().expect("a server");
    let cases = [
        (
            "/v2/models/nope",
            "Request for unknown model: 'nope' is not found",
        ),
        (
            "/v2/models/ec%68o",
            "Request for unknown model: 'ec%68o' is not found",
        ),
        (
            "/v2/models/echo/versions/2/config",
            "Request for unknown model: 'echo' version 2 is not found",
        ),
        ("/v2/models/echo/versions/latest", "Not Found"),
        ("/v2/health/live/", "Not Found"),
        ("/", "Not Found"),
    ];
    for (path, text) in cases {
        assert_eq!(get(&server, path).error(), (404, text.to_owned()), "{path}");
    }
    let huge = get(&server, "/v2/models/echo/versions/99999999999999999999");
    assert_eq!(huge.status, 400);
}

#[test]
fn other_methods_are_refused() {
    let server = EmbeddedTriton::start().expect("a server");
    for (method, path) in [
        ("POST", "/v2"),
        ("POST", "/v2/health/live"),
        ("OPTIONS", "/v2/models/echo"),
        ("GET", "/v2/models/echo/infer"),
        ("GET", "/v2/models/nope/infer"),
    ] {
        let answer = receive(send(&server, method, path, ""));
        assert_eq!(
            answer.error(),
            (405, "Method Not Allowed".to_owned()),
            "{method} {path}"
        );
    }
    let recorded = server.requests();
    assert_eq!(recorded.len(), 2);
    assert_eq!(recorded[1].model, "nope");
    assert_eq!(recorded[1].status, Some(405));
}
