//! A limit of requests in flight that follows the server.

use std::time::Duration;

use futures_util::future::join_all;
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use tokio::time::{sleep, timeout};
use triton_client::{Client, InferRequest, Tensor};
use triton_embedded::{Fault, FaultScript};
use triton_model_fn::{FunctionBase, Opening, RequestPermit, Subtask};
use triton_options::TritonOptions;
use triton_test_support::EmbeddedTriton;

fn options(endpoint: &str) -> TritonOptions {
    let options = [
        ("endpoint", endpoint),
        ("model-name", "echo"),
        ("max-in-flight", "auto"),
        ("connection-pool-max-total", "1000"),
    ];
    TritonOptions::parse(options).unwrap()
}

fn limit(snapshots: &Snapshotter) -> usize {
    let metrics = snapshots.snapshot().into_vec();
    let limit = metrics
        .into_iter()
        .find(|(key, ..)| key.key().name() == "triton_function_in_flight_limit");
    match limit.unwrap().3 {
        DebugValue::Gauge(limit) => limit.0 as usize,
        value => panic!("{value:?}"),
    }
}

/// Sends so many requests, as many at once as the limit allows; each is answered after 10 ms.
async fn send(opening: &Opening<'_, ()>, requests: usize) {
    let context = opening.subtask();
    let request = async || {
        let _permit = context.request_permit(None).await.unwrap();
        let operation = |_| async {
            sleep(Duration::from_millis(10)).await;
            Ok(())
        };
        context.call(None, None, operation).await.unwrap();
    };
    join_all((0..requests).map(|_| request())).await;
}

async fn take_all(opening: &Opening<'_, ()>) -> Vec<RequestPermit> {
    let mut permits = Vec::new();
    let none = Duration::ZERO;
    while let Ok(permit) = timeout(none, opening.subtask().request_permit(None)).await {
        permits.push(permit.unwrap());
    }
    permits
}

// Holds F62.
#[tokio::test(start_paused = true)]
async fn the_limit_grows_with_use_and_permits_follow_it() {
    let recorder = DebuggingRecorder::new();
    let snapshots = recorder.snapshotter();
    let guard = metrics::set_default_local_recorder(&recorder);
    // Nothing is sent there: the operations of this test are made up.
    let base: FunctionBase<()> = FunctionBase::new(options("http://limit-test:8000"));
    let opening = base.begin(Subtask::new(0, 1, 0).unwrap()).unwrap();
    assert_eq!(take_all(&opening).await.len(), 4);
    send(&opening, 200).await;
    let limit = limit(&snapshots);
    assert!(limit > 4, "{limit}");
    assert_eq!(take_all(&opening).await.len(), limit);
    drop(guard);
}

// Holds F62.
#[tokio::test]
async fn the_limit_falls_while_all_permits_are_taken_and_nobody_starves() {
    let recorder = DebuggingRecorder::new();
    let snapshots = recorder.snapshotter();
    let guard = metrics::set_default_local_recorder(&recorder);
    let refusal = Fault::Status {
        status: 503,
        text: "no room".to_owned(),
    };
    let server = EmbeddedTriton::builder()
        .built_in_models()
        .faults(FaultScript::new(0).rate(1.0, refusal))
        .start()
        .unwrap();
    let base: FunctionBase<()> = FunctionBase::new(options(&server.endpoint()));
    let opening = base.begin(Subtask::new(0, 1, 0).unwrap()).unwrap();
    send(&opening, 100).await;
    let held = take_all(&opening).await;
    assert!(held.len() > 4, "{}", held.len());
    let context = opening.subtask();
    for _ in 0..40 {
        let model = context.model.clone();
        let operation = |client: Client| {
            let input = Tensor::from_slice("value", [1, 1], &[1.0_f32]).unwrap();
            let request = InferRequest::new(model.clone()).input(input);
            async move { client.infer(&request).await }
        };
        context.call(None, None, operation).await.unwrap_err();
    }
    assert_eq!(limit(&snapshots), 1);
    // All that are taken come back before another is given.
    let mut held = held.into_iter();
    while let Some(permit) = held.next() {
        assert!(take_all(&opening).await.is_empty());
        drop(permit);
    }
    assert_eq!(take_all(&opening).await.len(), 1);
    // However far it has fallen, rows get their turns.
    send(&opening, 3).await;
    drop(guard);
}
