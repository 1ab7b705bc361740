//! Scripted servers, for what neither MLServer nor KServe's own server shows.

use std::io::Write as _;
use std::net::TcpStream;

use triton_client::{Client, ErrorKind, IndexFilter, InferRequest, ModelState, Readiness, Tensor};

use crate::raw_server::RawServer;

/// A server that answers these paths with these bodies, and 404 elsewhere.
fn server(answers: &'static [(&'static str, &'static str)]) -> RawServer {
    RawServer::answering_each(move |connection: &mut TcpStream, path| {
        let found = answers.iter().find(|(known, _)| *known == path);
        let (status, body) = match found {
            Some((_, body)) => ("200 OK", *body),
            None => ("404 Not Found", r#"{"detail":"Not Found"}"#),
        };
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        connection.write_all(answer.as_bytes()).unwrap();
    })
}

fn client(server: &RawServer) -> Client {
    Client::new(&server.endpoint).unwrap()
}

fn request() -> InferRequest {
    InferRequest::new("m".parse().unwrap()).input(Tensor::from_slice("x", [1], &[1.5_f32]).unwrap())
}

#[tokio::test]
async fn every_optional_member_may_be_null() {
    let server = server(&[
        ("/v2", r#"{"name":"s","version":null,"extensions":null}"#),
        (
            "/v2/models/m",
            r#"{"name":"m","versions":null,"platform":null,"inputs":[{"name":"x","datatype":"FP32","shape":[1],"parameters":null}],"outputs":null,"parameters":null}"#,
        ),
        (
            "/v2/models/m/config",
            r#"{"name":"m","backend":null,"max_batch_size":null,"sequence_batching":null,"model_transaction_policy":null}"#,
        ),
        (
            "/v2/repository/index",
            r#"[{"name":"m","version":null,"state":null,"reason":null}]"#,
        ),
        (
            "/v2/models/m/infer",
            r#"{"id":null,"model_name":null,"model_version":null,"parameters":null,"outputs":[{"name":"y","datatype":"INT8","shape":[1],"parameters":null,"data":[3]}]}"#,
        ),
    ]);
    let client = client(&server);
    assert_eq!(client.server_metadata().await.unwrap().version, "");
    let model = client.model_metadata(&request().model).await.unwrap();
    assert_eq!((model.inputs.len(), model.outputs.len()), (1, 0));
    let config = client.model_config(&request().model).await.unwrap();
    assert_eq!((config.max_batch_size, config.is_decoupled), (0, false));
    let index = client.repository_index(IndexFilter::All).await.unwrap();
    assert_eq!(
        (index[0].state.as_ref(), index[0].version.as_str()),
        (None, "")
    );
    let response = client.infer(&request()).await.unwrap();
    assert_eq!(*response.output("y").unwrap().values::<i8>().unwrap(), [3]);
}

#[tokio::test]
async fn a_version_may_be_a_number_and_parameters_may_be_objects() {
    let server = server(&[
        ("/v2", r#"{"name":"s","version":2,"extensions":[]}"#),
        (
            "/v2/models/m",
            r#"{"name":"m","versions":[1,2],"inputs":[],"outputs":[{"name":"y","datatype":"INT8","shape":[1]}]}"#,
        ),
        (
            "/v2/repository/index",
            r#"[{"name":"m","version":2,"state":"READY"}]"#,
        ),
        (
            "/v2/models/m/infer",
            r#"{"model_version":2,"parameters":{"headers":{"Ce-Id":"x"},"n":1},"outputs":[{"name":"y","datatype":"INT8","shape":[1],"parameters":{"labels":["a"],"content_type":"np"},"data":[3]}]}"#,
        ),
    ]);
    let client = client(&server);
    assert_eq!(
        client
            .model_metadata(&request().model)
            .await
            .unwrap()
            .versions,
        ["1", "2"]
    );
    let index = client.repository_index(IndexFilter::All).await.unwrap();
    assert_eq!(index[0].version, "2");
    let response = client.infer(&request()).await.unwrap();
    assert_eq!(response.model_version, "2");
    assert_eq!(
        (response.parameters.len(), &response.parameters["n"]),
        (1, &1.into())
    );
    let parameters = response.output("y").unwrap().parameters();
    assert_eq!(
        (parameters.len(), &parameters["content_type"]),
        (1, &"np".into())
    );
}

#[tokio::test]
async fn only_models_that_are_ready_are_in_an_index_of_those() {
    let server = server(&[
        ("/v2", r#"{"name":"s","extensions":[]}"#),
        ("/v2/models", r#"{"models":["m","not ready"," odd/name"]}"#),
        ("/v2/models/m/ready", r#"{"name":"m","ready":true}"#),
    ]);
    let client = client(&server);
    let names = |filter| {
        let client = client.clone();
        async move {
            let index = client.repository_index(filter).await.unwrap();
            let named = index
                .into_iter()
                .map(|entry| (entry.name, entry.state.unwrap()));
            named.collect::<Vec<_>>()
        }
    };
    let all = names(IndexFilter::All).await;
    assert_eq!(all.len(), 3);
    assert!(all.iter().all(|(_, state)| *state == ModelState::Unknown));
    let ready = names(IndexFilter::Ready).await;
    assert_eq!(ready, [("m".to_owned(), ModelState::Ready)]);
}

#[tokio::test]
async fn a_server_without_any_list_is_said_to_have_no_index() {
    let server = server(&[("/v2", r#"{"name":"s","extensions":[]}"#)]);
    let error = client(&server)
        .repository_index(IndexFilter::All)
        .await
        .unwrap_err();
    assert_eq!(error.operation(), "list the model repository");
    assert_eq!(error.status(), Some(404));
    assert_eq!(
        client(&server).model_ready(&request().model).await.unwrap(),
        Readiness::NotReady
    );
}

#[tokio::test]
async fn json_is_sent_to_a_server_that_lists_no_extension_until_it_answers_in_binary_form() {
    const METADATA: &str =
        r#"{"name":"m","extensions":[],"outputs":[{"name":"y","datatype":"INT8","shape":[1]}]}"#;
    const ANSWER: &str = r#"{"outputs":[{"name":"y","datatype":"INT8","shape":[1],"parameters":{"binary_data_size":1}}]}"#;
    let server = RawServer::reading(|request, connection| {
        let answer = match request.starts_with(b"GET ") {
            true => format!("Content-Length: {}\r\n\r\n{METADATA}", METADATA.len()),
            false => format!(
                "Inference-Header-Content-Length: {}\r\nContent-Length: {}\r\n\r\n{ANSWER}\x07",
                ANSWER.len(),
                ANSWER.len() + 1
            ),
        };
        let answer = format!("HTTP/1.1 200 OK\r\nConnection: close\r\n{answer}");
        connection.write_all(answer.as_bytes()).unwrap();
    });
    let client = client(&server);
    for is_binary in [false, true] {
        client.infer(&request()).await.unwrap();
        let sent = server.last_request();
        assert_eq!(sent.contains("binary_data_size"), is_binary, "{sent}");
    }
}

/// A server that answers these paths with these statuses and bodies, and 404 elsewhere.
fn server_with_statuses(answers: &'static [(&'static str, u16, &'static str)]) -> RawServer {
    RawServer::answering_each(move |connection: &mut TcpStream, path| {
        let found = answers.iter().find(|(known, ..)| *known == path);
        let (status, body) = found
            .map_or((404, r#"{"detail":"Not Found"}"#), |(_, status, body)| {
                (*status, *body)
            });
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 {status} -\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        connection.write_all(answer.as_bytes()).unwrap();
    })
}

const MODEL: (&str, u16, &str) = ("/v2/models/m", 200, r#"{"name":"m","inputs":[]}"#);
const READY: (&str, u16, &str) = ("/v2/models/m/ready", 200, "");

#[tokio::test]
async fn a_server_without_configurations_is_told_by_how_it_says_so() {
    const BARE: (&str, u16, &str) = ("/v2", 200, r#"{"name":"s"}"#);
    let absent: &[&'static [(&str, u16, &str)]] = &[
        &[MODEL, READY, BARE],
        &[MODEL, READY, BARE, ("/v2/models/m/config", 405, "")],
        &[MODEL, READY, BARE, ("/v2/models/m/config", 501, "")],
        // OpenVINO Model Server
        &[
            MODEL,
            READY,
            BARE,
            (
                "/v2/models/m/config",
                400,
                r#"{"error":"Invalid request URL"}"#,
            ),
        ],
    ];
    for answers in absent {
        let server = server_with_statuses(answers);
        let model = client(&server).describe_model(&request().model).await;
        let model = model.unwrap_or_else(|error| panic!("{answers:?}: {error}"));
        assert_eq!((model.metadata.name.as_str(), model.config), ("m", None));
        assert_eq!(model.server.unwrap().names_extension("sequence"), None);
    }

    // A gateway may let nothing through but what is about the model.
    let server = server_with_statuses(&[MODEL, READY]);
    let model = client(&server).describe_model(&request().model).await;
    assert_eq!(model.unwrap().server, None);
}

#[tokio::test]
async fn nothing_else_is_taken_for_a_server_without_configurations() {
    const NAMES_THEM: &str = r#"{"name":"s","extensions":["model_configuration"]}"#;
    const BARE: (&str, u16, &str) = ("/v2", 200, r#"{"name":"s","extensions":[]}"#);
    let described = async |answers: &'static [(&str, u16, &str)]| {
        let server = server_with_statuses(answers);
        let error = client(&server).describe_model(&request().model).await;
        let error = error.unwrap_err();
        let kind = (error.kind(), error.is_transient());
        (
            kind,
            error.to_string().replace(&server.endpoint, "http://server"),
        )
    };

    let (kind, text) = described(&[READY, BARE]).await;
    assert_eq!(kind, (ErrorKind::NotFound, false));
    insta::assert_snapshot!(text, @"read metadata of model 'm' at http://server/: status 404: Not Found");

    let (kind, text) = described(&[MODEL, READY, ("/v2", 200, NAMES_THEM)]).await;
    assert_eq!(kind, (ErrorKind::NotFound, false));
    insta::assert_snapshot!(text, @"read configuration of model 'm' at http://server/: status 404: Not Found");

    let (kind, text) = described(&[MODEL, BARE, ("/v2/models/m/ready", 400, "")]).await;
    assert_eq!(kind, (ErrorKind::Unavailable, true));
    insta::assert_snapshot!(text, @"look up model 'm' at http://server/: the server says it is not ready");

    let (kind, text) = described(&[MODEL, READY, ("/v2", 503, "")]).await;
    assert_eq!(kind, (ErrorKind::Unavailable, true));
    insta::assert_snapshot!(text, @"read server metadata at http://server/: status 503: the server gave no reason");

    for (status, body) in [
        (400, r#"{"error":"Request for unknown model"}"#),
        (401, ""),
        (403, ""),
        (500, r#"{"error":"Invalid request URL"}"#),
        (503, ""),
    ] {
        let body: &'static str = body;
        let answers = vec![MODEL, READY, BARE, ("/v2/models/m/config", status, body)];
        let (_, text) = described(answers.leak()).await;
        assert!(
            text.starts_with("read configuration of model 'm' at"),
            "{text}"
        );
    }
}
