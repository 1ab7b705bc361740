//! What a function counts.

use std::time::Duration;

use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use triton_embedded::{Fault, FaultScript};
use triton_model_fn::{InferenceFunction, ModelFunction as _, ServerWait, Subtask, Value};
use triton_test_support::EmbeddedTriton;

use crate::keyed::{Place, Stateful, keyed_options};
use crate::{echo_schema, open, options};

// Holds F36.
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
    insta::assert_snapshot!(counted(&snapshots, "triton_function_"), @"
    triton_function_batch_rows{model=echo,subtask=1} 0 values
    triton_function_breaker_state{model=echo,subtask=1} 0
    triton_function_call_seconds{model=echo,subtask=1} 3 values
    triton_function_calls_total{model=echo,subtask=1} 3
    triton_function_failed_rows_total{model=echo,subtask=1,kind=connection} 0
    triton_function_failed_rows_total{model=echo,subtask=1,kind=input} 0
    triton_function_failed_rows_total{model=echo,subtask=1,kind=other} 0
    triton_function_failed_rows_total{model=echo,subtask=1,kind=output} 0
    triton_function_failed_rows_total{model=echo,subtask=1,kind=refused} 0
    triton_function_failed_rows_total{model=echo,subtask=1,kind=sequence} 0
    triton_function_failed_rows_total{model=echo,subtask=1,kind=server} 0
    triton_function_failed_rows_total{model=echo,subtask=1,kind=timeout} 0
    triton_function_failed_rows_total{model=echo,subtask=1,kind=unavailable} 1
    triton_function_failures_total{model=echo,subtask=1,kind=call} 1
    triton_function_failures_total{model=echo,subtask=1,kind=sequence_uncertain} 0
    triton_function_in_flight_limit{model=echo,subtask=1} 0
    triton_function_in_flight{model=echo,subtask=1} 0
    triton_function_permit_wait_seconds{model=echo,subtask=1,permit=connection} 5 values
    triton_function_permit_wait_seconds{model=echo,subtask=1,permit=request} 3 values
    triton_function_retries_refused_total{model=echo,subtask=1} 0
    triton_function_retries_total{model=echo,subtask=1} 2
    triton_function_retry_budget{model=echo,subtask=1} 0
    triton_function_rows_total{model=echo,subtask=1,result=answered} 2
    triton_function_rows_total{model=echo,subtask=1,result=default} 0
    triton_function_rows_total{model=echo,subtask=1,result=failed} 1
    ");
}

// Holds F36.
#[tokio::test]
async fn retries_of_rows_that_can_wait_are_counted() {
    let recorder = DebuggingRecorder::new();
    let snapshots = recorder.snapshotter();
    let guard = metrics::set_default_local_recorder(&recorder);
    let unavailable = || Fault::Status {
        status: 503,
        text: "not now".to_owned(),
    };
    let script = FaultScript::new(0)
        .request(1, unavailable())
        .request(2, unavailable());
    let server = EmbeddedTriton::builder()
        .built_in_models()
        .faults(script)
        .start()
        .unwrap();
    let settings = [("max-retries", "4"), ("retry-initial-backoff", "1 ms")];
    let options = options(&server.endpoint(), "echo", &settings);
    let wait = ServerWait::new(Duration::from_secs(60));
    let function = InferenceFunction::new(options, echo_schema())
        .unwrap()
        .waiting_for_server(&wait);
    function.open(Subtask::new(0, 1, 0).unwrap()).await.unwrap();
    function.predict(&[Value::Float(1.0)]).await.unwrap();
    function.close().await.unwrap();
    drop(guard);
    insta::assert_snapshot!(counted(&snapshots, "triton_function_retries"), @"
    triton_function_retries_refused_total{model=echo,subtask=0} 0
    triton_function_retries_total{model=echo,subtask=0} 2
    ");
}

// Holds S55.
#[tokio::test]
async fn what_becomes_of_sequences_is_counted() {
    let recorder = DebuggingRecorder::new();
    let snapshots = recorder.snapshotter();
    let guard = metrics::set_default_local_recorder(&recorder);
    let server = EmbeddedTriton::builder()
        .built_in_models()
        // The second row of the first key is executed, but its answer does not come.
        .faults(FaultScript::new(0).request(3, Fault::ResetAfter))
        .start()
        .unwrap();
    let model = Stateful::Accumulate;
    let extra = [("sequence-recovery", "replay"), ("max-retries", "1")];
    let options = keyed_options(&server.endpoint(), model, &extra);
    let function = open(options, model.schema(), 0, 1).await;
    for (key, row) in [(1, 0), (2, 0), (1, 1)] {
        let row = model.row(Place { key, row });
        function.predict(&row).await.unwrap();
    }
    assert_eq!(function.open_sequences(), 2);
    let row = model.row(Place { key: 1, row: 2 });
    function.submit_last(&row).await.unwrap();
    let counted = counted(&snapshots, "triton_function_");
    let of_sequences = counted
        .lines()
        .filter(|line| line.contains("sequence") || line.contains("replayed"))
        .collect::<Vec<_>>();
    insta::assert_snapshot!(of_sequences.join("\n"), @"
    triton_function_failed_rows_total{model=accumulate,subtask=0,kind=sequence} 0
    triton_function_failures_total{model=accumulate,subtask=0,kind=sequence_uncertain} 1
    triton_function_lost_sequences{model=accumulate,subtask=0} 0
    triton_function_open_sequences{model=accumulate,subtask=0} 1
    triton_function_replayed_rows_total{model=accumulate,subtask=0} 1
    triton_function_sequence_events_total{model=accumulate,subtask=0,event=abandoned} 0
    triton_function_sequence_events_total{model=accumulate,subtask=0,event=ended} 1
    triton_function_sequence_events_total{model=accumulate,subtask=0,event=expired} 0
    triton_function_sequence_events_total{model=accumulate,subtask=0,event=failed} 0
    triton_function_sequence_events_total{model=accumulate,subtask=0,event=forgotten} 0
    triton_function_sequence_events_total{model=accumulate,subtask=0,event=gap} 0
    triton_function_sequence_events_total{model=accumulate,subtask=0,event=moved} 0
    triton_function_sequence_events_total{model=accumulate,subtask=0,event=replayed} 1
    triton_function_sequence_events_total{model=accumulate,subtask=0,event=restarted} 0
    triton_function_sequence_events_total{model=accumulate,subtask=0,event=started} 2
    triton_function_sequence_events_total{model=accumulate,subtask=0,event=uncertain} 1
    ");
    drop(guard);
    function.close().await.unwrap();
}

/// The metrics whose names begin so, one in a line.
pub(crate) fn counted(snapshots: &Snapshotter, prefix: &str) -> String {
    let mut lines: Vec<String> = snapshots
        .snapshot()
        .into_vec()
        .into_iter()
        .filter(|(key, ..)| key.key().name().starts_with(prefix))
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
    lines.join("\n")
}
