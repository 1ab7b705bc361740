//! Nothing that is secret shows in anything that can be printed.

use std::error::Error as _;
use std::io::Write as _;

use serde_json::json;
use triton_client::{
    Client, ErrorKind, GenerateRequest, HeaderMap, HeaderName, HeaderProviderError, HeaderValue,
    InferRequest, ModelId, Tensor,
};

use crate::raw_server::RawServer;

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

/// A server that repeats in its refusal what it was sent.
fn echoing(
    head: &'static str,
    quote: impl Fn(&str) -> String + Send + Sync + 'static,
) -> RawServer {
    RawServer::reading(move |request, connection| {
        let request = String::from_utf8_lossy(request);
        let body = quote(&request);
        let length = body.len();
        let answer =
            format!("{head}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
        let _ = connection.write_all(answer.as_bytes());
    })
}

#[tokio::test]
async fn what_a_server_repeats_of_the_secrets_is_hidden_in_errors() {
    let server = echoing("HTTP/1.1 401 Unauthorized", |request| {
        let headers = request.split("\r\n").skip(1).collect::<Vec<_>>().join("; ");
        json!({"error": format!("not for p\"ssword-7 or p%22ssword%2D7: {headers}")}).to_string()
    });
    let endpoint = server
        .endpoint
        .replace("http://", "http://user:p%22ssword-7@");
    let provided = |headers: &mut HeaderMap| -> Result<(), HeaderProviderError> {
        headers.insert("x-provided", HeaderValue::from_static("provided-token"));
        Ok(())
    };
    let named = |name: &'static str, value: &'static str| {
        (
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        )
    };
    let (name, cookie) = named("cookie", "session=cookie-token; path=/abc");
    let client = Client::builder(endpoint.as_str())
        .header(name, cookie)
        .header_provider(provided)
        .build()
        .unwrap();
    // What is no secret, for being shown anyway or too short to be one, is still there.
    let (name, model) = named("x-model", "digits-model");
    let client = client.with_header(name, model);
    let (name, short) = named("x-short", "abc");
    let client = client.with_header(name, short);
    let model = ModelId::latest("digits-model".parse().unwrap());
    let generate = GenerateRequest::new(model.clone());
    let (name, of_request) = named("x-of-request", "Token request-token");
    let tensor = Tensor::from_slice("value", [1], &[1.0_f32]).unwrap();
    let infer = InferRequest::new(model.clone())
        .input(tensor)
        .header(name, of_request);
    let errors = [
        client.infer(&infer).await.unwrap_err(),
        client.generate_stream(&generate).await.unwrap_err(),
        client.model_metadata(&model).await.unwrap_err(),
    ];
    for error in &errors {
        let text = shown(error) + &error.to_string();
        for secret in [
            "ssword",
            "cookie-token",
            "provided-token",
            "request-token",
            "dXNlcjpw",
        ] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
        for known in [
            "not for (hidden) or (hidden): ",
            "x-model: digits-model",
            "x-short: abc",
        ] {
            assert!(text.contains(known), "{known}: {text}");
        }
    }

    // A token, without the name of its scheme, where a message is cut, and within a stream.
    let (name, token) = named("authorization", "Bearer the-token-of-all");
    let with_token = |endpoint: &str| {
        let builder = Client::builder(endpoint).header(name.clone(), token.clone());
        builder.build().unwrap()
    };
    let server = echoing("HTTP/1.1 500 Oops", |_| {
        "a".repeat(4090) + "the-token-of-all"
    });
    let error = with_token(&server.endpoint)
        .infer(&infer)
        .await
        .unwrap_err();
    let end = &error.message()[4085..];
    assert_eq!(end, "aaaaa(hidden)… (4106 bytes)");
    let server = echoing("HTTP/1.1 200 OK", |_| {
        "data: {\"n\":1}\n\ndata: {\"error\":\"the-token-of-all is not for all\"}\n\n".to_owned()
    });
    let client = with_token(&server.endpoint);
    let mut stream = client.generate_stream(&generate).await.unwrap();
    assert!(stream.next().await.unwrap().is_ok());
    let error = stream.next().await.unwrap().unwrap_err();
    assert_eq!(error.message(), "(hidden) is not for all");
    // A word that the client says itself is not taken for the name of the scheme.
    let server = echoing("HTTP/1.1 403 Forbidden", |_| {
        "Bearer token expired".to_owned()
    });
    let error = with_token(&server.endpoint)
        .infer(&infer)
        .await
        .unwrap_err();
    assert_eq!(error.message(), "Bearer token expired");
}

#[tokio::test]
async fn what_a_server_repeats_in_another_form_is_hidden_too() {
    const TOKEN: &str = "a+b/c=d&e'f-g_h~i";
    let forms = [
        "a%2Bb%2Fc%3Dd%26e%27f-g_h~i",
        "a%2bb%2fc%3dd%26e'f-g_h%7ei",
        "a&#43;b/c=d&amp;e&#39;f-g_h~i",
        "a&#x2B;b&#x2F;c&#61;d&amp;e&apos;f-g_h~i",
        r"a\u002Bb\/c\u003Dd\u0026e\u0027f-g_h~i",
        // Base64 of the token, and of the whole header.
        "YStiL2M9ZCZlJ2YtZ19ofmk=",
        "YStiL2M9ZCZlJ2YtZ19ofmk",
        "QmVhcmVyIGErYi9jPWQmZSdmLWdfaH5p",
    ];
    for form in forms {
        for body in [
            format!("<html><p>no: <i>{form}</i></p>"),
            format!("no: {form}"),
        ] {
            let server = echoing("HTTP/1.1 403 Forbidden", move |_| body.clone());
            let value = HeaderValue::from_str(&format!("Bearer {TOKEN}")).unwrap();
            let builder = Client::builder(server.endpoint.as_str());
            let builder = builder.header(HeaderName::from_static("authorization"), value);
            let error = builder
                .build()
                .unwrap()
                .server_metadata()
                .await
                .unwrap_err();
            assert_eq!(error.message(), "no: (hidden)", "{form}");
        }
    }
}

/// A client that sends a token, and a header that is provided for each request.
fn with_secrets(endpoint: &str) -> Client {
    let provided = |headers: &mut HeaderMap| -> Result<(), HeaderProviderError> {
        headers.insert("x-provided", HeaderValue::from_static("provided-token"));
        Ok(())
    };
    let authorization = HeaderName::from_static("authorization");
    let builder = Client::builder(endpoint)
        .header(authorization, HeaderValue::from_static("Bearer the-token"))
        .header_provider(provided);
    builder.build().unwrap()
}

#[tokio::test]
async fn what_is_repeated_where_no_server_of_the_protocol_answers_is_hidden() {
    let server = echoing("HTTP/1.1 404 Not Found", |request| {
        let headers = request.split("\r\n").skip(1).collect::<Vec<_>>().join("; ");
        format!("nothing here for {headers}")
    });
    let client = with_secrets(&server.endpoint);
    let model = ModelId::latest("digits".parse().unwrap());
    for error in [
        client.live().await.unwrap_err(),
        client.ready().await.unwrap_err(),
        client.model_ready(&model).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
        let text = shown(&error) + &error.to_string();
        assert!(!text.contains("-token"), "{text}");
        assert!(text.contains("authorization: (hidden)"), "{text}");
    }
}

#[tokio::test]
async fn what_is_repeated_as_the_name_of_a_step_is_hidden_and_cut() {
    for name in ["/Bearer the-token ", "/provided-token "] {
        let name = name.repeat(2000);
        let config = json!({"name": "pipeline", "ensemble_scheduling": {"step": [
            {"model_name": name, "model_version": -1},
        ]}});
        let server = echoing("HTTP/1.1 200 OK", move |_| config.to_string());
        let client = with_secrets(&server.endpoint);
        let model = ModelId::latest("pipeline".parse().unwrap());
        let error = client.model_config_with_steps(&model).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
        let text = shown(&error) + &error.to_string();
        assert!(
            !text.contains("-token") && text.contains("(hidden)"),
            "{text}"
        );
        assert!(error.message().len() < 1000, "{error}");
    }
}
