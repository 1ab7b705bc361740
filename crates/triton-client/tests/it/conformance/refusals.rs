//! What servers and models refuse, and whether the model had run by then.

use triton_client::{ErrorKind, InferRequest, Tensor};
use triton_protocol::KNOWN_TEXTS;

use super::cases;
use super::target::{Target, echo, model, probe, version};

cases!(
    inference_with_an_unknown_model,
    inference_with_an_unknown_version,
    an_unknown_output,
    a_missing_input,
    an_unknown_input,
    a_wrong_datatype,
    a_wrong_shape,
    a_batch_that_is_too_large,
    a_decoupled_model,
    a_model_that_raises,
    a_model_that_calls_the_argument_invalid,
    a_model_that_is_unavailable,
    a_model_that_finds_nothing,
    a_model_that_cannot_do_it,
    a_model_that_says_what_servers_say,
    a_long_text_is_cut,
    an_answer_above_the_limit,
);

/// What an error is expected to be.
struct Expected {
    kind: ErrorKind,
    status: u16,
    executed: bool,
}

async fn refused(target: &Target, request: InferRequest, expected: Expected) -> String {
    let error = target.client.infer(&request).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.status()),
        (expected.kind, Some(expected.status)),
        "{error}"
    );
    assert_eq!(error.may_have_executed(), expected.executed, "{error}");
    assert_eq!(
        error.is_transient(),
        expected.kind == ErrorKind::Unavailable,
        "{error}"
    );
    error.message().to_owned()
}

const NOT_FOUND: Expected = Expected {
    kind: ErrorKind::NotFound,
    status: 404,
    executed: false,
};
const REJECTED: Expected = Expected {
    kind: ErrorKind::Rejected,
    status: 400,
    executed: false,
};

fn value() -> Tensor {
    Tensor::from_slice("value", [1, 1], &[1.0_f32]).unwrap()
}

async fn inference_with_an_unknown_model(target: Target) {
    let request = InferRequest::new(model("nobody")).input(value());
    refused(&target, request, NOT_FOUND).await;
}

async fn inference_with_an_unknown_version(target: Target) {
    let request = InferRequest::new(version("echo", "9")).input(value());
    refused(&target, request, NOT_FOUND).await;
}

async fn an_unknown_output(target: Target) {
    let expected = Expected {
        executed: true,
        ..REJECTED
    };
    refused(&target, echo(&[1.0]).output("nothing"), expected).await;
}

async fn a_missing_input(target: Target) {
    refused(&target, InferRequest::new(model("echo")), REJECTED).await;
}

async fn an_unknown_input(target: Target) {
    let extra = Tensor::from_slice("extra", [1, 1], &[1.0_f32]).unwrap();
    refused(&target, echo(&[1.0]).input(extra), REJECTED).await;
}

async fn a_wrong_datatype(target: Target) {
    let tensor = Tensor::from_slice("value", [1, 1], &[1_i64]).unwrap();
    let message = refused(
        &target,
        InferRequest::new(model("echo")).input(tensor),
        REJECTED,
    )
    .await;
    assert!(
        message.contains("INT64") && message.contains("FP32"),
        "{message}"
    );
}

async fn a_wrong_shape(target: Target) {
    let tensor = Tensor::from_slice("value", [1, 1, 1], &[1.0_f32]).unwrap();
    refused(
        &target,
        InferRequest::new(model("echo")).input(tensor),
        REJECTED,
    )
    .await;
}

async fn a_batch_that_is_too_large(target: Target) {
    let tensor = Tensor::from_slice("value", [65, 1], &[1.0_f32; 65]).unwrap();
    refused(
        &target,
        InferRequest::new(model("echo")).input(tensor),
        REJECTED,
    )
    .await;
}

async fn a_decoupled_model(target: Target) {
    let from = Tensor::from_slice("from", [1], &[2]).unwrap();
    let request = InferRequest::new(model("countdown")).input(from);
    let expected = Expected {
        kind: ErrorKind::Unsupported,
        status: 501,
        // The text quotes nothing of the request.
        executed: true,
    };
    refused(&target, request, expected).await;
}

async fn a_model_that_raises(target: Target) {
    let expected = Expected {
        kind: ErrorKind::Server,
        status: 500,
        executed: true,
    };
    let message = refused(&target, probe("raise:a canary"), expected).await;
    assert!(message.contains("a canary"), "{message}");
}

async fn a_model_that_calls_the_argument_invalid(target: Target) {
    let expected = Expected {
        kind: ErrorKind::Rejected,
        status: 400,
        executed: true,
    };
    refused(&target, probe("invalid_arg:a canary"), expected).await;
}

async fn a_model_that_is_unavailable(target: Target) {
    let expected = Expected {
        kind: ErrorKind::Unavailable,
        status: 503,
        executed: true,
    };
    refused(&target, probe("unavailable:a canary"), expected).await;
}

async fn a_model_that_finds_nothing(target: Target) {
    let expected = Expected {
        kind: ErrorKind::NotFound,
        status: 404,
        executed: true,
    };
    refused(&target, probe("not_found:a canary"), expected).await;
}

async fn a_model_that_cannot_do_it(target: Target) {
    let expected = Expected {
        kind: ErrorKind::Unsupported,
        status: 501,
        executed: true,
    };
    refused(&target, probe("unsupported:a canary"), expected).await;
}

/// Whatever a model says without knowing the request's `id` proves nothing of it.
async fn a_model_that_says_what_servers_say(target: Target) {
    for known in KNOWN_TEXTS {
        for (id, model, sequence) in [("<id_unknown>", "inner", "5"), ("1", "inner", "job-0")] {
            let text = known.text.replace("{id}", id).replace("{model}", model);
            let text = text
                .replace("{sequence}", sequence)
                .replace("{version}", "1");
            let text = text.replace("{}", "1");
            for status in known.statuses {
                let (code, kind) = match status {
                    400 => ("invalid_arg", ErrorKind::Rejected),
                    404 => ("not_found", ErrorKind::NotFound),
                    503 => ("unavailable", ErrorKind::Unavailable),
                    other => panic!("no model of these tests fails with {other}"),
                };
                let expected = Expected {
                    kind,
                    status: *status,
                    executed: true,
                };
                let said = refused(&target, probe(&format!("{code}:{text}")), expected).await;
                assert_eq!(said, text);
            }
        }
    }
}

async fn a_long_text_is_cut(target: Target) {
    let expected = Expected {
        kind: ErrorKind::Rejected,
        status: 400,
        executed: true,
    };
    let command = format!("invalid_arg:{}", "é".repeat(20_000));
    let message = refused(&target, probe(&command), expected).await;
    assert!(message.len() < 5000, "{}", message.len());
}

async fn an_answer_above_the_limit(target: Target) {
    let endpoint = target.client.endpoint().clone();
    let small = triton_client::Client::builder(endpoint).response_limit(1000);
    let error = small
        .build()
        .unwrap()
        .infer(&echo(&[0.5; 1000]))
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.may_have_executed()),
        (ErrorKind::ResponseTooLarge, true)
    );
}
