//! Headers of the caller's: those that describe the request are the client's own.

use triton_client::{Client, ErrorKind, HeaderName, HeaderValue, InferRequest, ModelId, Tensor};

use crate::raw_server::RawServer;

const ONE: HeaderValue = HeaderValue::from_static("1");

fn request() -> InferRequest {
    InferRequest::new(ModelId::latest("echo".parse().unwrap()))
        .input(Tensor::from_slice("value", [1], &[1.0_f32]).unwrap())
}

#[tokio::test]
async fn headers_that_would_corrupt_a_request_are_refused_wherever_they_are_set() {
    let server = RawServer::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let builder = Client::builder(&server.endpoint);
    let client = builder.clone().build().unwrap();
    let mut all = Vec::new();
    for name in [
        "content-length",
        "content-encoding",
        "content-type",
        "transfer-encoding",
        "inference-header-content-length",
        "connection",
        "expect",
        "accept-encoding",
        "te",
        "trailer",
        "upgrade",
        "proxy-authorization",
    ] {
        let name = HeaderName::from_static(name);
        let built = builder.clone().header(name.clone(), ONE).build();
        let handle = client.with_header(name.clone(), ONE).live().await;
        let call = client.infer(&request().header(name, ONE)).await;
        let errors = [built.unwrap_err(), handle.unwrap_err(), call.unwrap_err()];
        for error in &errors {
            assert_eq!(error.kind(), ErrorKind::InvalidRequest);
            assert_eq!(error.message(), errors[0].message());
        }
        all.push(errors[0].message().to_owned());
    }
    insta::assert_snapshot!(all.join("\n"), @"
    expected no header 'content-length', which belongs to the client itself: the client knows the length of what it sends
    expected no header 'content-encoding', which belongs to the client itself: ask for a compressed request instead
    expected no header 'content-type', which belongs to the client itself: the client knows the form of what it sends
    expected no header 'transfer-encoding', which belongs to the client itself: the client knows the form of what it sends
    expected no header 'inference-header-content-length', which belongs to the client itself: the client knows the length of what it sends
    expected no header 'connection', which belongs to the client itself: connections are the client's own
    expected no header 'expect', which belongs to the client itself: the client sends a request at once
    expected no header 'accept-encoding', which belongs to the client itself: ask for a compressed response instead
    expected no header 'te', which belongs to the client itself: connections are the client's own
    expected no header 'trailer', which belongs to the client itself: the client knows the form of what it sends
    expected no header 'upgrade', which belongs to the client itself: connections are the client's own
    expected no header 'proxy-authorization', which belongs to the client itself: set the proxy to an address with credentials
    ");
    // The question for the extensions is none of these requests.
    assert!(server.last_request().is_empty() || server.last_request().starts_with("GET /v2 "));
}

#[tokio::test]
async fn the_host_and_other_headers_arrive() {
    let server = RawServer::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let client = Client::builder(&server.endpoint)
        .header(
            HeaderName::from_static("host"),
            HeaderValue::from_static("echo.models.example"),
        )
        .header(
            HeaderName::from_static("authorization"),
            HeaderValue::from_static("Bearer x"),
        )
        .build()
        .unwrap();
    client.live().await.unwrap();
    let seen = server
        .last_request()
        .replace(env!("CARGO_PKG_VERSION"), "VERSION");
    insta::assert_snapshot!(seen, @"
    GET /v2/health/live HTTP/1.1
    user-agent: triton-client-rust/VERSION
    accept: */*
    host: echo.models.example
    authorization: Bearer x
    ");
}
