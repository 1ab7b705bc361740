//! Headers that are made for each request: what is sent, and when a request is sent again.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use triton_client::{
    BearerTokenFile, Client, ErrorKind, HeaderMap, HeaderName, HeaderProviderError, HeaderValue,
    InferRequest, ModelId, Tensor, TensorFormat,
};

use crate::raw_server::RawServer;

/// A server that wants a token, and the requests that have come.
fn server_that_wants(token: &'static str) -> (RawServer, Arc<Mutex<Vec<String>>>) {
    let requests = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&requests);
    let server = RawServer::reading(move |request, connection| {
        let request = String::from_utf8_lossy(request).to_lowercase();
        let wanted = format!("authorization: bearer {token}\r\n");
        let (status, body) = match request.contains(&wanted) {
            true => ("200 OK", r#"{"model_name":"m","outputs":[]}"#),
            false => ("401 Unauthorized", r#"{"error":"the token has expired"}"#),
        };
        seen.lock().unwrap().push(request);
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        );
        let _ = connection.write_all(answer.as_bytes());
    });
    (server, requests)
}

fn infer_request() -> InferRequest {
    InferRequest::new(ModelId::latest("m".parse().unwrap()))
        .input(Tensor::from_slice("x", [1, 3], &[1_i32, 2, 3]).unwrap())
        .format(TensorFormat::Binary)
}

fn token_file(name: &str, token: &str) -> PathBuf {
    let file = format!("triton-client-it-{}-{name}", std::process::id());
    let path = std::env::temp_dir().join(file);
    std::fs::write(&path, token).unwrap();
    path
}

#[tokio::test]
async fn a_request_is_sent_once_more_when_the_token_in_the_file_is_another() {
    let (server, requests) = server_that_wants("two");
    let path = token_file("refused", "one");
    let client = Client::builder(&server.endpoint)
        .header_provider(BearerTokenFile::open(&path).unwrap())
        .build()
        .unwrap();
    // The file still holds what was refused.
    let error = client.infer(&infer_request()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert_eq!(
        (error.is_transient(), error.may_have_executed()),
        (false, false)
    );
    assert_eq!(server.requests(), 1);
    std::fs::write(&path, "two").unwrap();
    client.infer(&infer_request()).await.unwrap();
    assert_eq!(server.requests(), 3);
    // From now on the first attempt has it.
    client.infer(&infer_request()).await.unwrap();
    assert_eq!(server.requests(), 4);
    let requests = requests.lock().unwrap();
    let same = |token: &str| {
        let request = requests[2].replace("bearer two", token);
        requests.iter().filter(|other| **other == request).count()
    };
    // Nothing but the token tells the two attempts apart, not even the ID of the request.
    assert_eq!((same("bearer one"), same("bearer two")), (1, 1));
    std::fs::remove_file(path).unwrap();
}

#[tokio::test]
async fn each_request_has_headers_of_its_own() {
    let (server, requests) = server_that_wants("t");
    let counter = AtomicU32::new(0);
    let client = Client::builder(&server.endpoint)
        .header(
            HeaderName::from_static("x-request"),
            HeaderValue::from_static("the client's"),
        )
        .header_provider(move |headers: &mut HeaderMap| {
            let number = counter.fetch_add(1, Ordering::SeqCst);
            headers.insert("x-request", HeaderValue::from(number));
            headers.insert("authorization", HeaderValue::from_static("Bearer t"));
            Ok(())
        })
        .build()
        .unwrap();
    assert!(!format!("{client:?}").contains("Bearer"));
    client.infer(&infer_request()).await.unwrap();
    client.infer(&infer_request()).await.unwrap();
    let own = HeaderName::from_static("x-request");
    let request = infer_request().header(own, HeaderValue::from_static("its own"));
    client.infer(&request).await.unwrap();
    let requests = requests.lock().unwrap();
    let values: Vec<&str> = requests
        .iter()
        .flat_map(|request| request.lines())
        .filter_map(|line| line.strip_prefix("x-request: "))
        .collect();
    assert_eq!(values, ["0", "1", "its own"]);
}

#[tokio::test]
async fn nothing_is_sent_without_its_headers() {
    let (server, _) = server_that_wants("t");
    let client = Client::builder(&server.endpoint)
        .header_provider(|_: &mut HeaderMap| -> Result<(), HeaderProviderError> {
            Err("the vault is sealed".into())
        })
        .build()
        .unwrap();
    let error = client.infer(&infer_request()).await.unwrap_err();
    assert_eq!(
        (error.kind(), server.requests()),
        (ErrorKind::InvalidRequest, 0)
    );
    assert!(!error.is_transient() && !error.may_have_executed());
    assert_eq!(
        error.message(),
        "the headers of the request could not be provided"
    );
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(source, "the vault is sealed");
}

#[tokio::test]
async fn a_provider_cannot_corrupt_a_request() {
    let (server, _) = server_that_wants("t");
    let client = Client::builder(&server.endpoint)
        .header_provider(|headers: &mut HeaderMap| {
            headers.insert("content-length", HeaderValue::from_static("1"));
            Ok(())
        })
        .build()
        .unwrap();
    let error = client.infer(&infer_request()).await.unwrap_err();
    assert_eq!(
        (error.kind(), server.requests()),
        (ErrorKind::InvalidRequest, 0)
    );
    insta::assert_snapshot!(error.message(), @"expected no header 'content-length', which belongs to the client itself: the client knows the length of what it sends");
}
