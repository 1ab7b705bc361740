//! Equal rows of a model that has no state, which are sent once.

use std::time::Duration;

use futures_util::future::join_all;
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use triton_embedded::{Fault, FaultScript};
use triton_model_fn::{Array, DataType, ModelFunction as _, Prediction, Value};
use triton_test_support::EmbeddedTriton;

use crate::sinks::sink;
use crate::{array, echo_schema, open, options, schema};

const CACHE: [(&str, &str); 1] = [("cache-max-bytes", "1 mb")];

fn server() -> EmbeddedTriton {
    EmbeddedTriton::builder().built_in_models().start().unwrap()
}

fn echoed(answer: Result<Prediction, triton_model_fn::Error>) -> Vec<Value> {
    answer.unwrap().row
}

// Holds F64.
#[tokio::test]
async fn equal_rows_in_flight_or_answered_lately_are_sent_once() {
    let recorder = DebuggingRecorder::new();
    let snapshots = recorder.snapshotter();
    let guard = metrics::set_default_local_recorder(&recorder);
    for batch in ["1", "4"] {
        let server = server();
        let extra = [&CACHE[..], &[("batch-size", batch)]].concat();
        let options = options(&server.endpoint(), "echo", &extra);
        let function = open(options, echo_schema(), 0, 1).await;
        for _ in 0..2 {
            let rows = (0..30).map(|number| {
                let value = Value::Float((number % 3) as f32);
                let answer = function.submit(std::slice::from_ref(&value));
                async move { assert_eq!(echoed(answer.await), [value]) }
            });
            join_all(rows).await;
        }
        let sent: usize = server.requests().len();
        assert!((1..=3).contains(&sent), "{sent}");
        function.close().await.unwrap();
    }
    drop(guard);
    let mut counted: Vec<String> = snapshots
        .snapshot()
        .into_vec()
        .into_iter()
        .filter(|(key, ..)| key.key().name() == "triton_function_cache_rows_total")
        .map(|(key, _, _, value)| {
            let result = key.key().labels().last().unwrap().value().to_owned();
            let DebugValue::Counter(count) = value else {
                panic!()
            };
            format!("{result} {count}")
        })
        .collect();
    counted.sort();
    assert_eq!(counted, ["coalesced 54", "hit 60", "missed 6"]);
}

// Holds F64.
#[tokio::test]
async fn rows_of_sinks_are_answered_from_it() {
    for batch in ["1", "4"] {
        let server = server();
        let extra = [&CACHE[..], &[("batch-size", batch)]].concat();
        let options = options(&server.endpoint(), "echo", &extra);
        let function = open(options, echo_schema(), 0, 1).await;
        let (sink, mut answers) = sink();
        for number in 0..20 {
            function.submit_to(number, &[Value::Float((number % 2) as f32)], &sink);
        }
        let mut answered = 0;
        while answered < 20 {
            for answer in answers.recv().await.unwrap() {
                let value = Value::Float((answer.number % 2) as f32);
                assert_eq!(echoed(answer.result), [value]);
                answered += 1;
            }
        }
        assert!(server.requests().len() <= 2);
        function.close().await.unwrap();
    }
}

// Holds F64.
#[tokio::test]
async fn shapes_and_bits_are_part_of_a_row() {
    let server = server();
    let arrays = schema(
        &[("value", array(DataType::Float))],
        &[("echo", array(DataType::Float))],
    );
    let options = options(&server.endpoint(), "echo", &CACHE);
    let function = open(options, arrays, 0, 1).await;
    let rows: [&[f32]; 5] = [&[0.0], &[-0.0], &[0.0, 0.0], &[], &[0.0]];
    for row in rows {
        let answer = function.predict(&[Value::from(row.to_vec())]).await;
        let [Value::Array(echo)] = &echoed(answer)[..] else {
            panic!()
        };
        let bits = |values: &[f32]| {
            values
                .iter()
                .map(|value| value.to_bits())
                .collect::<Vec<_>>()
        };
        let values = Array::values::<f32>(echo).unwrap_or_default();
        assert_eq!(bits(&values), bits(row));
    }
    assert_eq!(server.requests().len(), 4);
}

// Holds F64.
#[tokio::test]
async fn a_failure_is_that_of_all_equal_rows_and_is_not_kept() {
    let fault = Fault::Status {
        status: 500,
        text: "no".to_owned(),
    };
    let server = EmbeddedTriton::builder()
        .built_in_models()
        .faults(FaultScript::new(0).request(1, fault))
        .start()
        .unwrap();
    let options = options(&server.endpoint(), "echo", &CACHE);
    let function = open(options, echo_schema(), 0, 1).await;
    let value = [Value::Float(1.0)];
    let rows = (0..4).map(|_| function.submit(&value));
    for answer in join_all(rows).await {
        assert_eq!(
            answer.unwrap_err().client_error().unwrap().status(),
            Some(500)
        );
    }
    assert_eq!(server.requests().len(), 1);
    assert_eq!(echoed(function.predict(&value).await), value);
    assert_eq!(server.requests().len(), 2);
}

// Holds F64.
#[tokio::test]
async fn the_row_that_is_given_up_leaves_equal_ones_answered() {
    let server = server();
    let columns = schema(
        &[("value", array(DataType::Float))],
        &[("echo", array(DataType::Float))],
    );
    let options = options(&server.endpoint(), "echo", &CACHE);
    let function = open(options, columns, 0, 1).await;
    let row = [Value::from(vec![1.0_f32; 4])];
    let mut first = Box::pin(function.submit(&row));
    // It is sent, and somebody else waits for it.
    assert!(
        tokio::time::timeout(Duration::ZERO, &mut first)
            .await
            .is_err()
    );
    let second = function.submit(&row);
    drop(first);
    assert_eq!(echoed(second.await), row);
}

#[cfg(feature = "arrow")]
mod record_batches {
    use std::sync::Arc;

    use arrow_array::cast::AsArray as _;
    use arrow_array::types::Float32Type;
    use arrow_array::{ArrayRef, Float32Array, RecordBatch};

    use super::*;

    // Holds F64.
    #[tokio::test]
    async fn a_record_batch_sends_what_is_not_known_once() {
        let server = server();
        let options = options(&server.endpoint(), "echo", &CACHE);
        let function = open(options, echo_schema(), 0, 1).await;
        let known = [Value::Float(2.0)];
        function.predict(&known).await.unwrap();
        let values = vec![Some(1.0), Some(2.0), None, Some(1.0), Some(3.0), Some(2.0)];
        let column: ArrayRef = Arc::new(Float32Array::from(values));
        let batch = RecordBatch::try_from_iter([("value", column)]).unwrap();
        for _ in 0..2 {
            let prediction = function.predict_batch(&batch).await.unwrap();
            let failed: Vec<_> = prediction.failures.iter().map(|(row, _)| *row).collect();
            assert_eq!(failed, [2]);
            let echo = prediction.outputs.column(0).as_primitive::<Float32Type>();
            assert_eq!(
                echo.iter().collect::<Vec<_>>(),
                [Some(1.0), Some(2.0), None, Some(1.0), Some(3.0), Some(2.0)]
            );
            // One for the row that was known, one for the two that were not.
            assert_eq!(server.requests().len(), 2);
        }
    }
}
