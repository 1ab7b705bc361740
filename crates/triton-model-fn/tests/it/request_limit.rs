//! A limit of requests in flight that follows the server.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use tokio::time::{Instant, sleep, timeout};
use triton_model_fn::{FunctionBase, Opening, RequestPermit, Subtask};
use triton_options::TritonOptions;

fn options() -> TritonOptions {
    let options = [
        // Nothing is sent there: the operations of these tests are made up.
        ("endpoint", "http://limit-test:8000"),
        ("model-name", "m"),
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
    let base: FunctionBase<()> = FunctionBase::new(options());
    let opening = base.begin(Subtask::new(0, 1, 0).unwrap()).unwrap();
    assert_eq!(take_all(&opening).await.len(), 4);
    send(&opening, 200).await;
    let limit = limit(&snapshots);
    assert!(limit > 4, "{limit}");
    assert_eq!(take_all(&opening).await.len(), limit);
    drop(guard);
}

// Holds F62.
#[tokio::test(start_paused = true)]
async fn the_limit_falls_while_all_permits_are_taken_and_nobody_starves() {
    let base: FunctionBase<()> = FunctionBase::new(options());
    let opening = base.begin(Subtask::new(0, 1, 0).unwrap()).unwrap();
    send(&opening, 400).await;
    let before = take_all(&opening).await;
    let context = Arc::clone(opening.subtask());
    // Each timeout is of a request that was sent after the one before.
    for _ in 0..40 {
        let cut = |_| std::future::pending::<Result<(), triton_client::Error>>();
        let deadline = Instant::now() + Duration::from_millis(10);
        context.call(None, Some(deadline), cut).await.unwrap_err();
    }
    drop(before);
    // However far it has fallen, rows get their turns.
    send(&opening, 50).await;
    let after = take_all(&opening).await.len();
    assert!(after >= 1, "{after}");
}
