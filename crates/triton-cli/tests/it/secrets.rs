//! Nothing that is shown or logged anywhere holds a secret.

use std::fmt::Debug;
use std::process::Command;

use triton_client::{Client, HeaderName, HeaderValue, InferRequest, ModelId};
use triton_model_fn::{
    Column, DataType, FunctionBase, InferenceFunction, ModelFunction as _, Schema, Subtask, Value,
};
use triton_options::{
    BearerToken, CATALOG, Endpoint, Headers, OptionMap, OptionValue as _, ProxyAddress, Secret,
};
use triton_test_support::EmbeddedTriton;

use crate::{Files, triton, triton_in};

/// What no output may hold.
const CANARY: &str = "canary-in-the-coal-mine";

/// `user:` and the canary, as basic authentication encodes them.
const ENCODED_CANARY: &str = "dXNlcjpjYW5hcnktaW4tdGhlLWNvYWwtbWluZQ==";

#[track_caller]
fn assert_hidden(shown: &str) {
    for secret in [CANARY, ENCODED_CANARY] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[track_caller]
fn assert_debug_hidden(value: &impl Debug) {
    assert_hidden(&format!("{value:?} {value:#?}"));
}

/// An error, and everything below it, in every form.
#[track_caller]
fn assert_error_hidden(error: &(dyn std::error::Error + 'static)) {
    let mut next = Some(error);
    while let Some(error) = next {
        assert_hidden(&format!("{error} {error:?} {error:#?}"));
        next = error.source();
    }
}

/// Options with a secret in each place that can hold one; nobody listens at the endpoint.
fn secret_options(port: u16) -> [OptionMap; 2] {
    let common = OptionMap::new()
        .with("model-name", "accumulate")
        .with("timeout", "5 s");
    [
        common
            .clone()
            .with("endpoint", format!("http://127.0.0.1:{port}"))
            .with("auth-token", CANARY)
            .with("custom-headers", format!("X-Key:{CANARY}")),
        common
            .with("endpoint", format!("http://user:{CANARY}@127.0.0.1:{port}"))
            .with("proxy", format!("http://user:{CANARY}@127.0.0.1:{port}")),
    ]
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

fn accumulate() -> Schema {
    Schema {
        inputs: vec![Column::new("value", DataType::Integer)],
        outputs: vec![Column::new("sum", DataType::Integer)],
    }
}

#[test]
fn no_public_type_shows_a_secret() {
    assert_debug_hidden(&Secret::new(CANARY));
    assert_hidden(&Secret::new(CANARY).to_string());
    let token = BearerToken::parse(&format!("Bearer {CANARY}")).unwrap();
    assert_debug_hidden(&token);
    assert_hidden(&token.to_string());
    let proxy = ProxyAddress::parse(&format!("user:{CANARY}@proxy:3128")).unwrap();
    assert_debug_hidden(&proxy);
    assert_hidden(&proxy.to_string());
    let headers = Headers::parse(&format!("X-Key:{CANARY}")).unwrap();
    assert_debug_hidden(&headers);
    assert_hidden(&headers.to_string());
    let endpoint: Endpoint = format!("http://user:{CANARY}@triton:8000").parse().unwrap();
    assert_debug_hidden(&endpoint);
    assert_hidden(&endpoint.to_string());
    assert_debug_hidden(&CATALOG);
    for map in secret_options(1) {
        assert_debug_hidden(&map);
        let options = map.parse().unwrap();
        assert_debug_hidden(&options);
        assert_debug_hidden(&*options);
        assert_debug_hidden(&options.warnings());
        assert_hidden(&serde_json::to_string(&options).unwrap());
        assert_debug_hidden(&options.entries().collect::<Vec<_>>());
        assert_debug_hidden(&FunctionBase::<()>::new(options.clone()));
        assert_debug_hidden(&InferenceFunction::new(options, accumulate()).unwrap());
        // The same secrets in options that cannot be read.
        let endpoint = format!("ftp://user:{CANARY}@triton");
        let broken = map
            .with("endpoint", endpoint)
            .with("proxy", format!("socks4://user:{CANARY}@proxy"))
            .with("auth-tokn", CANARY);
        assert_error_hidden(&broken.parse().unwrap_err());
    }
}

#[tokio::test]
async fn no_client_or_error_shows_a_secret() {
    let endpoint: Endpoint = format!("http://user:{CANARY}@127.0.0.1:{}", free_port())
        .parse()
        .unwrap();
    let name = HeaderName::from_static("x-key");
    let value = HeaderValue::from_static(CANARY);
    let builder = Client::builder(endpoint)
        .header(name.clone(), value.clone())
        .proxy(format!("http://user:{CANARY}@127.0.0.1:{}", free_port()));
    assert_debug_hidden(&builder);
    let client = builder.build().unwrap();
    assert_debug_hidden(&client);
    let request = InferRequest::new(ModelId::latest("m".parse().unwrap())).header(name, value);
    assert_debug_hidden(&request);
    assert_error_hidden(&client.infer(&request).await.unwrap_err());
    assert_error_hidden(&client.live().await.unwrap_err());
    for map in secret_options(free_port()) {
        let function = InferenceFunction::new(map.parse().unwrap(), accumulate()).unwrap();
        let error = function
            .open(Subtask::new(0, 1, 0).unwrap())
            .await
            .unwrap_err();
        assert_error_hidden(&error);
        assert_error_hidden(&function.predict(&[Value::Null]).await.unwrap_err());
        assert_debug_hidden(&function);
    }
}

#[test]
fn no_log_of_a_run_shows_a_secret() {
    let server = EmbeddedTriton::start().unwrap();
    let files = Files::new();
    let model = files.write(
        "model.sql",
        "CREATE MODEL m INPUT (value INT) OUTPUT (sum INT) WITH ('provider' = 'triton',
         'model-name' = 'accumulate', 'sequence-id' = 's', 'sequence-id-auto-increment' = 'true')",
    );
    let input = files.write("input.csv", "value\n1\n2\n");
    let plain = format!("endpoint={}", server.endpoint());
    let with_user = plain.replace("http://", &format!("http://user:{CANARY}@"));
    let token = format!("auth-token={CANARY}");
    let header = format!("custom-headers=X-Key:{CANARY}");
    for (arguments, authorization) in [
        (
            vec!["-O", &plain, "-O", &token, "-O", &header],
            format!("Bearer {CANARY}"),
        ),
        (vec!["-O", &with_user], format!("Basic {ENCODED_CANARY}")),
    ] {
        let before = server.requests().len();
        let output = Command::new(env!("CARGO_BIN_EXE_triton"))
            .args(["predict", &model, &input])
            .args(arguments)
            .env("RUST_LOG", "trace")
            .output()
            .unwrap();
        assert!(output.status.success());
        assert_hidden(&String::from_utf8(output.stdout).unwrap());
        let log = String::from_utf8(output.stderr).unwrap();
        assert!(log.contains("TRACE"), "{log}");
        assert_hidden(&log);
        // The secret was there to be shown: it reached the server.
        let request = &server.requests()[before];
        assert_eq!(
            request.header("Authorization"),
            Some(authorization.as_str())
        );
    }
    assert_eq!(server.requests()[0].header("X-Key"), Some(CANARY));
}

// Holds C51.
#[test]
fn no_file_of_a_run_holds_a_secret() {
    let server = EmbeddedTriton::start().unwrap();
    let files = Files::new();
    let model = files.write(
        "model.sql",
        "CREATE MODEL m INPUT (value INT) OUTPUT (sum INT) WITH ('provider' = 'triton',
         'model-name' = 'accumulate', 'sequence-id' = 's', 'sequence-id-auto-increment' = 'true',
         'sequence-key' = 'value', 'sequence-recovery' = 'replay')",
    );
    // Some of them are rejected.
    let input = files.write("input.csv", "value\n1\nnone\n2\n");
    let plain = server.endpoint();
    let with_user = plain.replace("http://", &format!("http://user:{CANARY}@"));
    let (token, header) = (
        format!("auth-token={CANARY}"),
        format!("custom-headers=X-Key:{CANARY}"),
    );
    for (run, endpoint, more) in [
        ("token", &plain, &["-O", &token, "-O", &header][..]),
        ("user", &with_user, &[]),
    ] {
        let path = |name: &str| files.path(&format!("{run}-{name}"));
        let (output, errors) = (path("out.csv"), path("errors.ndjson"));
        let (checkpoint, summary) = (path("checkpoint"), path("summary.json"));
        let (endpoint, summary) = (
            format!("endpoint={endpoint}"),
            format!("--json-summary={summary}"),
        );
        let arguments = [
            "predict",
            &model,
            &input,
            "-O",
            &endpoint,
            "--output",
            &output,
            "--errors",
            &errors,
            "--checkpoint",
            &checkpoint,
            "--checkpoint-every",
            "1",
            &summary,
        ];
        let ended = triton(&[&arguments[..], more].concat());
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        assert_hidden(&(ended.stdout + &ended.stderr));
        let state = std::fs::read_to_string(format!("{checkpoint}/checkpoint.json")).unwrap();
        for name in ["out.csv", "errors.ndjson", "summary.json"] {
            let text = std::fs::read_to_string(path(name)).unwrap();
            assert!(!text.is_empty(), "{name}");
            assert_hidden(&text);
        }
        assert_hidden(&state);
        // A change of what is secret is not what makes a run another one, and is not told either.
        let other = triton(&[&arguments[..], more, &["-O", "model-version=7"]].concat());
        assert_eq!(other.code, Some(2), "{}", other.stderr);
        assert_hidden(&other.stderr);
    }
}

#[test]
fn no_command_about_a_server_shows_a_secret() {
    let server = EmbeddedTriton::start().unwrap();
    let files = Files::new();
    let page = files.path("report.html");
    let plain = server.endpoint();
    let with_user = plain.replace("http://", &format!("http://user:{CANARY}@"));
    let header = format!("X-Key:{CANARY}");
    for (endpoint, secret) in [
        (&plain, ("TRITON_AUTH_TOKEN", CANARY)),
        (&with_user, ("TRITON_CUSTOM_HEADERS", header.as_str())),
    ] {
        let environment = [("RUST_LOG", "trace"), ("TRITON_ENDPOINT", endpoint), secret];
        for arguments in [
            &["models"][..],
            &["describe", "accumulate"],
            &["health", "echo", "--json"],
            &["stats", "echo"],
            &["load", "echo"],
            &[
                "bench",
                "echo",
                "--duration",
                "20ms",
                "--warm-up",
                "0",
                "--html",
                &page,
            ],
            &["describe", "echo", "--print-config"],
        ] {
            let run = triton_in(&environment, arguments);
            assert_eq!(run.code, Some(0), "{arguments:?} {}", run.stderr);
            assert_hidden(&run.stdout);
            assert_hidden(&run.stderr);
        }
        assert_hidden(&std::fs::read_to_string(&page).unwrap());
    }
    // The secrets were there to be shown: they reached the server.
    let requests = server.requests();
    let sent = |name, value: &str| {
        requests
            .iter()
            .any(|request| request.header(name) == Some(value))
    };
    assert!(sent("Authorization", &format!("Bearer {CANARY}")));
    assert!(sent("Authorization", &format!("Basic {ENCODED_CANARY}")));
    assert!(sent("X-Key", CANARY));
}

#[test]
fn no_refusal_shows_a_secret() {
    let files = Files::new();
    let model = files.write(
        "model.sql",
        &format!(
            "CREATE MODEL m INPUT (value INT) OUTPUT (sum INT) WITH ('provider' = 'triton',
         'endpoint' = 'ftp://user:{CANARY}@host', 'model-name' = 'm', 'auth-token' = '{CANARY}',
         'custom-headers' = '{CANARY}')"
        ),
    );
    let run = triton(&["predict", &model, "input.csv"]);
    assert_eq!(run.code, Some(2));
    assert_hidden(&run.stderr);
    let unfinished = files.write(
        "unfinished.sql",
        &format!("CREATE MODEL m INPUT (x INT) OUTPUT (y INT) WITH ('auth-token' '{CANARY}'"),
    );
    assert_hidden(&triton(&["predict", &unfinished, "input.csv"]).stderr);
    let (token, address) = (
        format!("auth-token:{CANARY}"),
        format!("http://u:{CANARY}@h"),
    );
    for arguments in [
        &["health", "-O", &token][..],
        &["health", "-O", &address],
        &["health", "-O", CANARY],
        &["health", &address],
        &["health", "m", &address],
        &["load", &token],
        &["bench", &address],
        &[&address],
        &["predict", &address],
        &["health", "--config", &address],
    ] {
        let run = triton(arguments);
        assert_ne!(run.code, Some(0));
        assert_hidden(&run.stderr);
    }
    insta::assert_snapshot!(triton(&["health", &address]).stderr, @"
    error: MODEL: expected the model's name, found 'http://(hidden)@h/'
      try: the server is an option: -e URL, and all else is: -O KEY=VALUE
    ");
}

#[test]
fn what_is_sent_unencrypted_is_said_once_in_every_command() {
    let server = EmbeddedTriton::start().unwrap();
    let proxy = format!("proxy={}", server.endpoint());
    let token = [("TRITON_AUTH_TOKEN", CANARY)];
    for command in [
        &["health"][..],
        &["models"],
        &["stats", "echo"],
        &["describe", "echo"],
    ] {
        let options = ["-O", "endpoint=http://triton.example", "-O", &proxy];
        let run = triton_in(&token, &[command, &options].concat());
        let text = run.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(text.matches("is sent unencrypted").count(), 1, "{text}");
        assert_hidden(&run.stderr);
    }
}
