//! Every kind of error, with its words.

use std::time::Duration;

use bytes::Bytes;
use triton_client::{
    Client, Datatype, Error, ErrorKind, InferRequest, ModelId, Sequence, SequenceId, Tensor,
    TensorFormat,
};
use triton_test_support::on_both_servers;

use crate::raw_server::RawServer;

on_both_servers!(
    a_model_that_is_not_there_is_not_found,
    a_sequence_that_was_not_started_is_told_apart,
    a_wrong_datatype_is_rejected_in_the_servers_words,
    a_large_answer_is_refused,
);

fn client(endpoint: &str) -> Client {
    Client::new(endpoint).unwrap()
}

fn model(name: &str) -> ModelId {
    ModelId::latest(name.parse().unwrap())
}

/// The error's words, the address of the server left out.
fn words(error: &Error, endpoint: &str) -> String {
    error.to_string().replace(endpoint, "http://server")
}

async fn a_model_that_is_not_there_is_not_found(endpoint: &str) {
    let error = client(endpoint)
        .model_metadata(&model("nobody"))
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.status()),
        (ErrorKind::NotFound, Some(404))
    );
    insta::allow_duplicates! {
        insta::assert_snapshot!(words(&error, endpoint), @"read metadata of model 'nobody' at http://server/: status 404: Request for unknown model: 'nobody' is not found");
    }
}

async fn a_sequence_that_was_not_started_is_told_apart(endpoint: &str) {
    let request = InferRequest::new(model("accumulate"))
        .input(Tensor::from_slice("value", [1, 1], &[1]).unwrap())
        .sequence(Sequence {
            id: SequenceId::text("never-started").unwrap(),
            start: false,
            end: false,
        });
    let error = client(endpoint).infer(&request).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.status()),
        (ErrorKind::SequenceNotStarted, Some(400))
    );
    insta::allow_duplicates! {
        insta::assert_snapshot!(words(&error, endpoint), @"infer with model 'accumulate' at http://server/: status 400: inference request for sequence never-started to model 'accumulate' must specify the START flag on the first request of the sequence");
    }
}

async fn a_wrong_datatype_is_rejected_in_the_servers_words(endpoint: &str) {
    let tensor = Tensor::from_slice("value", [1, 1], &[1_i64]).unwrap();
    let request = InferRequest::new(model("echo")).input(tensor);
    let error = client(endpoint).infer(&request).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.status()),
        (ErrorKind::Rejected, Some(400))
    );
    insta::allow_duplicates! {
        insta::assert_snapshot!(words(&error, endpoint), @"infer with model 'echo' at http://server/: status 400: inference input 'value' data-type is 'INT64', but model 'echo' expects 'FP32'");
    }
}

async fn a_large_answer_is_refused(endpoint: &str) {
    let client = Client::builder(endpoint).response_limit(100);
    let tensor = Tensor::from_slice("value", [1, 50], &[0.5_f32; 50]).unwrap();
    let request = InferRequest::new(model("echo")).input(tensor);
    let error = client.build().unwrap().infer(&request).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ResponseTooLarge);
    insta::allow_duplicates! {
        insta::assert_snapshot!(words(&error, endpoint), @"infer with model 'echo' at http://server/: status 200: the answer is larger than the limit of 100 bytes");
    }
}

#[tokio::test]
async fn a_dead_endpoint_is_named_without_its_credentials() {
    // A port that was free a moment ago, and that nobody listens on now.
    let address = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let endpoint = format!("http://canary:canary@{address}");
    let error = client(&endpoint).live().await.unwrap_err();
    assert_eq!((error.kind(), error.status()), (ErrorKind::Connect, None));
    let words = words(&error, &format!("http://{address}"));
    insta::assert_snapshot!(words, @"check liveness at http://server/: no connection could be made; is the server running there?");
    let mut chain = format!("{error:?}");
    let mut source = std::error::Error::source(&error);
    while let Some(error) = source {
        chain.push_str(&format!("{error} {error:?}"));
        source = error.source();
    }
    assert!(!chain.contains("canary"), "{chain}");
}

/// What infers get from a server that answers with these bytes, or never when there are none.
async fn infer_error(answer: Option<&'static [u8]>) -> (ErrorKind, String) {
    let server = match answer {
        Some(bytes) => RawServer::answering(bytes),
        None => RawServer::start(|_| std::thread::park()),
    };
    let endpoint = server.endpoint;
    let client = Client::builder(&endpoint).timeout(Duration::from_millis(300));
    let request = InferRequest::new(model("echo"))
        .input(Tensor::from_slice("value", [1], &[1.0_f32]).unwrap())
        .output("echo");
    let error = client.build().unwrap().infer(&request).await.unwrap_err();
    (error.kind(), words(&error, &endpoint))
}

#[tokio::test]
async fn a_server_that_never_answers_runs_into_the_timeout() {
    let (kind, words) = infer_error(None).await;
    assert_eq!(kind, ErrorKind::Timeout);
    insta::assert_snapshot!(words, @"infer with model 'echo' at http://server/: no complete answer within 300ms");
}

#[tokio::test]
async fn a_connection_that_breaks_is_told_apart() {
    let (kind, words) = infer_error(Some(
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"model",
    ))
    .await;
    assert_eq!(kind, ErrorKind::Interrupted);
    insta::assert_snapshot!(words, @"infer with model 'echo' at http://server/: the connection broke before the answer was complete");
}

#[tokio::test]
async fn an_answer_that_is_no_inference_response_is_shown() {
    macro_rules! body {
        ($length:literal, $body:literal) => {
            Some(
                concat!(
                    "HTTP/1.1 200 OK\r\nContent-Length: ",
                    $length,
                    "\r\n\r\n",
                    $body
                )
                .as_bytes(),
            )
        };
    }
    let (kind, garbage) = infer_error(body!("5", "hello")).await;
    assert_eq!(kind, ErrorKind::Protocol);
    insta::assert_snapshot!(garbage, @"infer with model 'echo' at http://server/: the answer is not what the protocol promises: expected an inference response, found hello at byte 0; its 5 bytes begin with 'hello'");
    let (kind, missing) = infer_error(body!("14", r#"{"outputs":[]}"#)).await;
    assert_eq!(kind, ErrorKind::Protocol);
    insta::assert_snapshot!(missing, @"infer with model 'echo' at http://server/: the model left out the output 'echo' that was asked for; it returned:");
    let (kind, count) = infer_error(body!(
        "77",
        r#"{"outputs":[{"name":"echo","datatype":"FP32","shape":[3],"data":[1.0,2.0]}]} "#
    ))
    .await;
    assert_eq!(kind, ErrorKind::Protocol);
    insta::assert_snapshot!(count, @"infer with model 'echo' at http://server/: the answer contradicts itself: tensor 'echo': shape [3] does not hold 2 elements");
}

#[tokio::test]
async fn a_tensor_that_json_cannot_carry_is_not_sent() {
    let data = Bytes::from_static(&[0, 60]);
    let half = Tensor::from_raw("value", Datatype::Fp16, [1], data).unwrap();
    let binary = Tensor::from_byte_strings("value", [1], [b"\xff"]).unwrap();
    for tensor in [half, binary] {
        let request = InferRequest::new(model("echo"))
            .input(tensor)
            .format(TensorFormat::Json);
        // Nobody listens there: the request must not get so far.
        let error = client("http://127.0.0.1:1")
            .infer(&request)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidRequest);
        insta::allow_duplicates! {
            insta::assert_snapshot!(error.message().split("it needs").nth(1).unwrap(), @" the binary form");
        }
    }
}

#[test]
fn a_sequence_id_the_server_would_misread_is_refused() {
    assert!(SequenceId::text("i".repeat(128)).is_ok());
    insta::assert_snapshot!(SequenceId::text("a\0b").unwrap_err(), @r"expected a sequence ID of 1 to 128 bytes without NUL, found 3 bytes: 'a\0b'");
    for text in [String::new(), "i".repeat(129), "é".repeat(65)] {
        assert!(SequenceId::text(text).is_err());
    }
}
