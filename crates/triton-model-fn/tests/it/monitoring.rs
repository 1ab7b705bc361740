//! What a function counts.

use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use triton_embedded::{Fault, FaultScript};
use triton_model_fn::{ModelFunction as _, Value};
use triton_test_support::EmbeddedTriton;

use crate::{echo_schema, open, options};

#[tokio::test]
async fn rows_calls_failures_and_retries_are_counted() {
    let recorder = DebuggingRecorder::new();
    let snapshots = recorder.snapshotter();
    // It holds for this thread, on which the test's runtime runs everything.
    let guard = metrics::set_default_local_recorder(&recorder);
    let unavailable = |number| {
        let fault = Fault::Status {
            status: 503,
            text: "not now".to_owned(),
        };
        move |script: FaultScript| script.request(number, fault)
    };
    // The second row needs two attempts; the third fails twice.
    let script = [2, 4, 5].map(unavailable).into_iter();
    let server = EmbeddedTriton::builder()
        .built_in_models()
        .faults(script.fold(FaultScript::new(0), |script, add| add(script)))
        .start()
        .unwrap();
    let settings = [
        ("max-retries", "1"),
        ("retry-initial-backoff", "1 ms"),
        ("circuit-breaker-enabled", "true"),
    ];
    let function = open(
        options(&server.endpoint(), "echo", &settings),
        echo_schema(),
        1,
        2,
    )
    .await;
    for answered in [true, true, false] {
        let answer = function.predict(&[Value::Float(1.0)]).await;
        assert_eq!(answer.is_ok(), answered);
    }
    function.close().await.unwrap();
    drop(guard);
    let mut lines: Vec<String> = snapshots
        .snapshot()
        .into_vec()
        .into_iter()
        .filter(|(key, ..)| key.key().name().starts_with("triton_function_"))
        .map(|(key, _, _, value)| {
            let labels: Vec<String> = key
                .key()
                .labels()
                .map(|label| format!("{}={}", label.key(), label.value()))
                .collect();
            let value = match value {
                DebugValue::Counter(count) => count.to_string(),
                DebugValue::Gauge(value) => value.to_string(),
                DebugValue::Histogram(values) => format!("{} values", values.len()),
            };
            format!("{}{{{}}} {value}", key.key().name(), labels.join(","))
        })
        .collect();
    lines.sort();
    insta::assert_snapshot!(lines.join("\n"), @"
    triton_function_batch_rows{model=echo,subtask=1} 0 values
    triton_function_breaker_state{model=echo,subtask=1} 0
    triton_function_call_seconds{model=echo,subtask=1} 3 values
    triton_function_calls_total{model=echo,subtask=1} 3
    triton_function_failures_total{model=echo,subtask=1,kind=call} 1
    triton_function_in_flight{model=echo,subtask=1} 0
    triton_function_retries_total{model=echo,subtask=1} 2
    triton_function_rows_total{model=echo,subtask=1,result=answered} 2
    triton_function_rows_total{model=echo,subtask=1,result=default} 0
    triton_function_rows_total{model=echo,subtask=1,result=failed} 1
    ");
}
