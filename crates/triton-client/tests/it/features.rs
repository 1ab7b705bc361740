//! What is said where a feature that a setting needs was left out.

#[cfg(not(any(feature = "rustls", feature = "native-tls")))]
#[test]
fn without_tls_what_needs_it_is_refused_when_built() {
    use triton_client::{Client, ClientBuilder, ErrorKind};

    let builder = |endpoint: &str| Client::builder(endpoint.parse().unwrap());
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
