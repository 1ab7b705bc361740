//! What a limit of requests in flight makes of a server with a bounded queue, over time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use tokio::time::{Instant, interval};
use triton_model_fn::{
    Column, DataType, InferenceFunction, ModelFunction as _, Schema, Subtask, TritonOptions, Value,
};

/// Enough rows that only the limit holds them back.
const ROWS_AT_ONCE: usize = 300;
const SAMPLE: Duration = Duration::from_millis(500);

/// Prints a line for each sample: the second at its end, the limit, and how many requests were
/// answered and sent again since the one before.
pub(super) fn run(endpoint: &str, limit: &str, seconds: u64) -> Result<(), String> {
    let recorder = DebuggingRecorder::new();
    let snapshots = recorder.snapshotter();
    recorder.install().map_err(|error| error.to_string())?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    runtime.block_on(send(endpoint, limit, seconds, &snapshots))
}

async fn send(
    endpoint: &str,
    limit: &str,
    seconds: u64,
    snapshots: &Snapshotter,
) -> Result<(), String> {
    let options = TritonOptions::parse([
        ("endpoint", endpoint),
        ("model-name", "limited"),
        ("max-in-flight", limit),
        ("max-retries", "1000"),
        ("retry-budget", "0"),
        ("retry-initial-backoff", "50 ms"),
        ("retry-max-backoff", "200 ms"),
    ]);
    let schema = Schema {
        inputs: vec![Column::new("value", DataType::Float)],
        outputs: vec![Column::new("same", DataType::Float)],
    };
    let options = options.map_err(|error| error.to_string())?;
    let function = InferenceFunction::new(options, schema).map_err(|error| error.to_string())?;
    let function = Arc::new(function);
    let subtask = Subtask::new(0, 1, 0).map_err(|error| error.to_string())?;
    let opened = function.open(subtask).await;
    opened.map_err(|error| error.to_string())?;

    let answered = Arc::new(AtomicU64::new(0));
    let mut rows = tokio::task::JoinSet::new();
    for _ in 0..ROWS_AT_ONCE {
        let (function, answered) = (Arc::clone(&function), Arc::clone(&answered));
        rows.spawn(async move {
            loop {
                match function.predict(&[Value::Float(1.0)]).await {
                    Ok(_) => answered.fetch_add(1, Ordering::Relaxed),
                    Err(error) => return error.to_string(),
                };
            }
        });
    }
    let (begun, mut ticks) = (Instant::now(), interval(SAMPLE));
    let mut limit = 0.0;
    ticks.tick().await;
    while begun.elapsed() < Duration::from_secs(seconds) {
        tokio::select! {
            failed = rows.join_next() => {
                return Err(failed.and_then(Result::ok).unwrap_or_default());
            }
            _ = ticks.tick() => {}
        }
        let mut refused = 0;
        for (key, _, _, value) in snapshots.snapshot().into_vec() {
            match (key.key().name(), value) {
                // A gauge that was not set since the last look is 0 there.
                ("triton_function_in_flight_limit", DebugValue::Gauge(now)) if now.0 > 0.0 => {
                    limit = now.0;
                }
                ("triton_function_retries_total", DebugValue::Counter(count)) => refused += count,
                _ => {}
            }
        }
        let answered = answered.swap(0, Ordering::Relaxed);
        println!(
            "{:.1},{limit},{answered},{refused}",
            begun.elapsed().as_secs_f64()
        );
    }
    rows.shutdown().await;
    function.abort().await;
    Ok(())
}
