//! What is said where a feature that a setting needs was left out.

#[cfg(not(any(feature = "rustls", feature = "native-tls")))]
#[test]
fn without_tls_what_needs_it_is_refused_when_built() {
    use triton_client::{Client, ClientBuilder, ErrorKind};

    let builder = |endpoint: &str| Client::builder(endpoint);
    let refused = |builder: ClientBuilder| {
        let error = builder.build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidRequest);
        error.to_string()
    };
    insta::assert_snapshot!(refused(builder("https://triton.example")), @"set up at https://triton.example/: triton-client was built without TLS, which an https address and certificates need: build it with its feature 'rustls' or 'native-tls', or use http://");
    for builder in [
        builder("http://localhost").certificate_authorities("pem"),
        builder("http://localhost").client_certificate("pem", "pem"),
        builder("http://localhost").proxy("https://proxy:3128"),
    ] {
        assert!(refused(builder).contains("was built without TLS"));
    }
}

#[cfg(not(feature = "compression"))]
#[tokio::test]
async fn without_compression_what_needs_it_is_refused() {
    use triton_client::{
        Client, Compression, ErrorKind, InferRequest, ModelId, Tensor, TensorFormat,
    };

    use crate::raw_server::RawServer;

    let builder = |endpoint: &str| Client::builder(endpoint);
    let set = builder("http://localhost").response_compression(Compression::Gzip);
    let error = set.build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    insta::assert_snapshot!(error, @"set up at http://localhost/: triton-client was built without compression: build it with its feature 'compression', or set none");

    let answer = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nxx";
    let server = RawServer::answering(answer);
    let client = builder(&server.endpoint).tensor_format(TensorFormat::Json);
    let client = client.build().unwrap();
    let request = InferRequest::new(ModelId::latest("echo".parse().unwrap()))
        .input(Tensor::from_slice("value", [1], &[1_i32]).unwrap());
    let asked = request.clone().request_compression(Compression::Deflate);
    let error = client.infer(&asked).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    assert_eq!(server.requests(), 0);
    let error = client.infer(&request).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    insta::assert_snapshot!(error.message(), @"the answer is in gzip, which triton-client only reads if built with its feature 'compression'");
}
