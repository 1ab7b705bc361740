//! What an error proves: a request that may have been executed is never said not to have been.

use std::fs;
use std::path::{Path, PathBuf};

use futures_util::future::join_all;
use triton_client::{Client, Error, ErrorKind, InferRequest, Sequence, SequenceId, Tensor};
use triton_embedded::{EmbeddedTriton, Fault, FaultScript};
use triton_test_support::OwnTriton;

use crate::conformance::target::model;
use crate::raw_server::RawServer;

/// A request to add `value` to the sum of a sequence, or to make something of it.
fn add(name: &str, value: i32, sequence: Sequence) -> InferRequest {
    InferRequest::new(model(name))
        .input(Tensor::from_slice("value", [1, 1], &[value]).unwrap())
        .sequence(sequence)
}

/// The sum of an open sequence.
async fn sum(client: &Client, id: &SequenceId) -> i32 {
    let request = add("accumulate", 0, Sequence::next(id.clone()));
    let response = client.infer(&request).await.unwrap();
    response.output("sum").unwrap().values::<i32>().unwrap()[0]
}

/// What a step of an ensemble says after an earlier step has moved the sequence on.
#[tokio::test]
async fn a_refusal_after_execution_is_no_proof_though_it_quotes_the_request() {
    let server = EmbeddedTriton::start().unwrap();
    let client = Client::new(server.endpoint()).unwrap();
    for (number, (status, text)) in [
        (503, "in ensemble 'e', [request id: {id}] Exceeds maximum queue size"),
        (400, "in ensemble 'e', [request id: {id}] unexpected shape for input 'A' for model 'm'. Expected [2], got [1,3]. "),
        (503, "Request timeout expired"),
        (500, "Model inner - Error when running inference: Request for unknown model: 'inner' is not found"),
        (404, "Request for unknown model: 'inner' is not found"),
        (503, "model 'accumulate' is not ready"),
    ]
    .into_iter()
    .enumerate()
    {
        let id = SequenceId::text(format!("refused-{number}")).unwrap();
        let fault = Fault::StatusAfter { status, text: text.to_owned() };
        server.set_faults(FaultScript::new(0).request(1, fault));
        let start = add("accumulate", 7, Sequence::start(id.clone()));
        let error = client.infer(&start).await.unwrap_err();
        assert!(error.may_have_executed(), "{error}");
        assert_eq!(sum(&client, &id).await, 7, "{error}");
    }
}

/// What a model whose queue has one place refuses of many requests at once.
async fn refusals(client: &Client, name: &str) -> Vec<(Error, SequenceId)> {
    let calls = (0..8).map(|number| async move {
        let id = SequenceId::text(format!("{name}-{number}")).unwrap();
        let request = add(name, 7, Sequence::start(id.clone()));
        (client.infer(&request).await.err(), id)
    });
    let outcomes = join_all(calls).await.into_iter();
    let refused: Vec<_> = outcomes
        .filter_map(|(error, id)| Some((error?, id)))
        .collect();
    assert!(!refused.is_empty(), "the queue was never full");
    refused
}

/// The models of `tests/ensemble`, with the one of the examples that they build on.
fn ensemble_repository() -> PathBuf {
    let repository = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ensemble");
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (from, model) in [
        ("tests/ensemble", "queue_of_one"),
        ("tests/ensemble", "sum_and_id"),
        ("tests/ensemble", "sum_then_queue"),
        ("../../examples/models", "accumulate"),
    ] {
        let (from, to) = (package.join(from).join(model), repository.join(model));
        fs::create_dir_all(to.join("1")).unwrap();
        for folder in ["", "1"] {
            for entry in fs::read_dir(from.join(folder)).unwrap() {
                let path = entry.unwrap().path();
                if path.is_file() {
                    let name = path.file_name().unwrap();
                    fs::copy(&path, to.join(folder).join(name)).unwrap();
                }
            }
        }
    }
    repository
}

async fn an_ensemble_says_the_place_in_a_sequence_once_for_each_output(client: &Client) {
    let id = SequenceId::text("twice").unwrap();
    let request = InferRequest::new(model("sum_and_id"))
        .input(Tensor::from_slice("value", [1, 1], &[7_i32]).unwrap())
        .sequence(Sequence::only(id));
    let answer = client.infer(&request).await.unwrap();
    assert_eq!(*answer.output("sum").unwrap().values::<i32>().unwrap(), [7]);
    assert_eq!(answer.parameters["sequence_id"], "twice".into());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_is_a_proof_and_that_of_a_later_step_is_none() {
    let server = OwnTriton::start("ensemble", &ensemble_repository());
    let client = Client::new(server.endpoint()).unwrap();
    // One test for both, because a server takes its time to start.
    an_ensemble_says_the_place_in_a_sequence_once_for_each_output(&client).await;
    for (error, _) in refusals(&client, "queue_of_one").await {
        assert_eq!(error.message(), "Exceeds maximum queue size");
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(
            error.is_transient() && !error.may_have_executed(),
            "{error}"
        );
    }
    for (error, id) in refusals(&client, "sum_then_queue").await {
        let text = error.message();
        let own_id = error.request_id().unwrap();
        assert_eq!(
            text,
            format!(
                "in ensemble 'sum_then_queue', [request id: {own_id}] Exceeds maximum queue size"
            )
        );
        assert!(error.may_have_executed(), "{error}");
        // The first step had run.
        assert_eq!(sum(&client, &id).await, 7);
    }
}

#[tokio::test]
async fn the_answer_to_another_request_is_not_taken() {
    let body =
        r#"{"id":"theirs","outputs":[{"name":"echo","datatype":"FP32","shape":[1],"data":[1.0]}]}"#;
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let server = RawServer::answering(answer);
    let client = Client::new(&server.endpoint).unwrap();
    let tensor = Tensor::from_slice("value", [1], &[1.0_f32]).unwrap();
    let request = InferRequest::new(model("echo")).input(tensor);
    let error = client.infer(&request).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert!(error.may_have_executed());
    let text = error.message().replace(error.request_id().unwrap(), "OURS");
    insta::assert_snapshot!(text, @"expected the answer to the request with the id 'OURS', found that to 'theirs'");
    // One that the caller chose is compared as well, and a server need not echo any.
    let error = client.infer(&request.clone().id("mine")).await.unwrap_err();
    insta::assert_snapshot!(error.message(), @"expected the answer to the request with the id 'mine', found that to 'theirs'");
    assert_eq!(error.request_id(), None);
    client.infer(&request.id("theirs")).await.unwrap();
}
