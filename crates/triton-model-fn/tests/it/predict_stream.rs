//! Streams of rows as streams of predictions.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::{StreamExt as _, stream};
use triton_embedded::{Fault, FaultScript};
use triton_model_fn::{ErrorKind, ModelFunction, PredictStream as _, PredictionStream, Value};
use triton_test_support::{EmbeddedTriton, live_endpoint};

use crate::own_functions::generate_function::generate_function;
use crate::sinks::{self, row};
use crate::{echo_schema, open, options};

// Holds F75.
#[tokio::test(flavor = "multi_thread")]
async fn predictions_come_in_the_order_of_rows() {
    let server = sinks::server();
    for extra in [
        &[("max-in-flight", "4")][..],
        &[("batch-size", "8"), ("batch-timeout", "1 ms")],
    ] {
        let function = sinks::function(&server, extra).await;
        // Every eighth row takes longer than those after it.
        let nap = |number: u64| if number.is_multiple_of(8) { 20.0 } else { 0.0 };
        let rows =
            stream::iter((0..40).map(|number| row(nap(number), 1 + number as usize).to_vec()));
        let mut predictions = function.predict_stream(rows).enumerate();
        while let Some((number, prediction)) = predictions.next().await {
            let expected = row(nap(number as u64), 1 + number);
            assert_eq!(prediction.unwrap().row, expected);
        }
    }
}

// Holds F75.
#[tokio::test]
async fn no_more_rows_are_taken_than_can_be_in_flight() {
    let embedded = EmbeddedTriton::start().unwrap();
    for endpoint in [embedded.endpoint(), live_endpoint()] {
        for (extra, limit) in [
            (&[("max-in-flight", "3")][..], 3),
            (&[("max-in-flight", "2"), ("batch-size", "4")], 8),
        ] {
            let function = open(options(&endpoint, "echo", extra), echo_schema(), 0, 1).await;
            assert_eq!(function.rows_in_flight(), limit as usize);
            let taken = AtomicU64::new(0);
            let rows = stream::iter(0..50).map(|number| {
                taken.fetch_add(1, Ordering::Relaxed);
                vec![Value::Float(number as f32)]
            });
            let mut predictions = function.predict_stream(rows);
            let mut yielded = 0;
            while let Some(prediction) = predictions.next().await {
                assert!(taken.load(Ordering::Relaxed) <= yielded + limit);
                assert_eq!(prediction.unwrap().row, [Value::Float(yielded as f32)]);
                yielded += 1;
            }
            assert_eq!(yielded, 50);
        }
    }
}

// Holds F75.
#[tokio::test]
async fn a_row_that_fails_fails_in_its_place() {
    let refused = Fault::Status {
        status: 400,
        text: "no".to_owned(),
    };
    let script = FaultScript::new(0).request(2, refused);
    let server = EmbeddedTriton::builder().built_in_models().faults(script);
    let server = server.start().unwrap();
    let options = options(&server.endpoint(), "echo", &[("max-in-flight", "1")]);
    let function = open(options, echo_schema(), 0, 1).await;
    // The third row is refused at once, and waits for those before it.
    let rows = [1.0_f32.into(), 2.0_f32.into(), Value::Null, 3.0_f32.into()];
    let rows = stream::iter(rows.map(|value| vec![value]));
    let predictions: Vec<_> = function.predict_stream(rows).collect().await;
    let kinds = predictions.iter().map(|prediction| match prediction {
        Ok(_) => None,
        Err(error) => Some(error.kind()),
    });
    let (call, null) = (Some(ErrorKind::Call), Some(ErrorKind::NullInput));
    assert_eq!(kinds.collect::<Vec<_>>(), [None, call, null, None]);
    function.close().await.unwrap();
    let rows = stream::iter([vec![Value::Float(1.0)]]);
    let closed: Vec<_> = function.predict_stream(rows).collect().await;
    assert_eq!(closed[0].as_ref().unwrap_err().kind(), ErrorKind::State);
}

// Holds F75.
#[tokio::test]
async fn a_stream_of_any_function_goes_to_another_task() {
    let server = EmbeddedTriton::start().unwrap();
    let function = generate_function(options(&server.endpoint(), "echo", &[])).unwrap();
    let function: Arc<dyn ModelFunction> = Arc::new(function);
    function
        .open(triton_model_fn::Subtask::new(0, 1, 0).unwrap())
        .await
        .unwrap();
    let rows = stream::iter((0..100).map(|number| vec![Value::Double(f64::from(number) + 0.5)]));
    let predictions = PredictionStream::new(function, rows);
    let texts = tokio::spawn(
        predictions
            .map(|prediction| prediction.unwrap().row)
            .collect(),
    );
    let texts: Vec<Vec<Value>> = texts.await.unwrap();
    let expected = (0..100).map(|number| vec![Value::from(format!("{number}.5"))]);
    assert_eq!(texts, expected.collect::<Vec<_>>());
}
