//! Nothing that is secret shows in anything that can be printed.

use std::error::Error as _;

use triton_client::{Client, HeaderName, HeaderValue, InferRequest, ModelId, Tensor};

const CANARY: &str = "canary";

fn shown(value: &impl std::fmt::Debug) -> String {
    format!("{value:?} {value:#?}")
}

#[tokio::test]
async fn no_public_type_shows_a_secret() {
    let header = || HeaderValue::from_static(CANARY);
    let authorization = HeaderName::from_static("authorization");
    // Nobody listens there, neither as a server nor as a proxy.
    let builder = Client::builder("http://canary:canary@127.0.0.1:1")
        .header(authorization.clone(), header())
        .proxy("http://canary:canary@127.0.0.1:1");
    let with_key = builder.clone().client_certificate(CANARY, CANARY);
    let client = builder.clone().build().unwrap();
    let handle = client.with_header(HeaderName::from_static("x-token"), header());
    let tensor = Tensor::from_slice("value", [1], &[1.0_f32]).unwrap();
    let request = InferRequest::new(ModelId::latest("echo".parse().unwrap()))
        .input(tensor)
        .header(authorization, header());

    let mut all = vec![
        shown(&builder),
        shown(&with_key),
        shown(&client),
        shown(&handle),
        shown(&request),
        client.endpoint().to_string(),
    ];
    let errors = [
        handle.infer(&request).await.unwrap_err(),
        handle.live().await.unwrap_err(),
        with_key.build().unwrap_err(),
        builder.proxy("canary:canary@::").build().unwrap_err(),
    ];
    for error in &errors {
        all.extend([shown(error), error.to_string(), error.url()]);
        let mut source = error.source();
        while let Some(cause) = source {
            all.extend([shown(&cause), cause.to_string()]);
            source = cause.source();
        }
    }
    for text in all {
        assert!(!text.contains(CANARY), "{text}");
    }
}
