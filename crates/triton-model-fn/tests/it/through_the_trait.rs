//! Functions behind `dyn ModelFunction`, and what the trait does for those that say little.

use std::sync::Arc;

use triton_model_fn::{
    AnswerSink, Error, ErrorKind, InferenceFunction, ModelFunction, Prediction, PredictionFuture,
    SequenceSnapshot, Subtask, Value, async_trait,
};
use triton_test_support::{EmbeddedTriton, live_endpoint};

use crate::keyed::{Place, Stateful, keyed_options};
use crate::own_functions::generate_function::generate_function;
use crate::sinks::sink;
use crate::{open, options};

fn subtask() -> Subtask {
    Subtask::new(0, 1, 0).unwrap()
}

/// A function with a sequence for each key, of which nothing but the trait is known.
async fn keyed(endpoint: &str) -> Box<dyn ModelFunction> {
    let model = Stateful::Accumulate;
    let extra = [("sequence-recovery", "replay")];
    let options = keyed_options(endpoint, model, &extra);
    Box::new(open(options, model.schema(), 0, 1).await)
}

fn row(key: u32, row: u32) -> Vec<Value> {
    Stateful::Accumulate.row(Place { key, row })
}

fn sum(rows: u32) -> Value {
    let numbers = (0..rows).map(|row| Stateful::Accumulate.number(Place { key: 1, row }));
    Value::Integer(numbers.sum())
}

// Holds F74.
#[tokio::test]
async fn rows_of_a_key_keep_the_order_of_calls_through_the_trait() {
    let embedded = EmbeddedTriton::start().unwrap();
    for endpoint in [embedded.endpoint(), live_endpoint()] {
        let function = keyed(&endpoint).await;
        let (sink, mut answers) = sink();
        let first = function.predict(&row(1, 0));
        let second = function.submit(&row(1, 1));
        function.submit_to(2, &row(1, 2), &sink);
        let last = function.submit_last(&row(1, 3));
        // The last future is polled first.
        assert_eq!(last.await.unwrap().row[0], sum(4));
        assert_eq!(second.await.unwrap().row[0], sum(2));
        assert_eq!(first.await.unwrap().row[0], sum(1));
        let third = answers.recv().await.unwrap().pop().unwrap();
        assert_eq!((third.number, &third.result.unwrap().row[0]), (2, &sum(3)));
        function.close().await.unwrap();
    }
}

// Holds F74.
#[tokio::test]
async fn sequences_are_stored_restored_and_given_up_through_the_trait() {
    let server = EmbeddedTriton::start().unwrap();
    let function = keyed(&server.endpoint()).await;
    function.predict(&row(1, 0)).await.unwrap();
    let snapshot = function.snapshot().unwrap();
    assert_eq!(snapshot.len(), 1);
    function.abort().await;
    let error = function.predict(&row(1, 1)).await.unwrap_err();
    insta::assert_snapshot!(error, @"the function was closed or given up: it takes no further rows unless open is called again");
    function.open(subtask()).await.unwrap();
    function.restore(snapshot).unwrap();
    assert_eq!(function.predict(&row(1, 1)).await.unwrap().row[0], sum(2));
    function.close().await.unwrap();
}

// Holds F74.
#[tokio::test]
async fn a_function_that_keeps_nothing_has_an_empty_snapshot() {
    let server = EmbeddedTriton::start().unwrap();
    let keyed = keyed(&server.endpoint()).await;
    keyed.predict(&row(1, 0)).await.unwrap();
    let function: Box<dyn ModelFunction> =
        Box::new(generate_function(options(&server.endpoint(), "echo", &[])).unwrap());
    function.open(subtask()).await.unwrap();
    assert_eq!(function.snapshot().unwrap(), SequenceSnapshot::default());
    function.restore(SequenceSnapshot::default()).unwrap();
    let error = function.restore(keyed.snapshot().unwrap()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Snapshot);
    insta::assert_snapshot!(error, @"subtask 0 of 1, attempt 0: the snapshot has 1 sequences of keys, but the option 'sequence-key' is not set");
    // So it is with one that says nothing of snapshots.
    assert_eq!(Panics.snapshot().unwrap(), SequenceSnapshot::default());
    Panics.restore(SequenceSnapshot::default()).unwrap();
    let error = Panics.restore(keyed.snapshot().unwrap()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Snapshot);
}

// Holds F74.
#[tokio::test]
async fn a_sink_is_told_by_a_function_that_does_nothing_for_it() {
    let server = EmbeddedTriton::start().unwrap();
    let options = options(&server.endpoint(), "echo", &[("max-in-flight", "1")]);
    let function = generate_function(options).unwrap();
    let (sink, mut answers) = sink();
    function.submit_to(0, &[0.5.into()], &sink);
    let mut next = async || answers.recv().await.unwrap().pop().unwrap();
    insta::assert_snapshot!(next().await.result.unwrap_err(), @"the function is not open: call open before predict");
    function.open(subtask()).await.unwrap();
    function.submit_to(1, &[0.5.into()], &sink);
    function.submit_last_to(2, &["text".into()], &sink);
    let mut results = [next().await, next().await];
    results.sort_by_key(|answer| answer.number);
    let results = results.map(|answer| (answer.number, answer.result.is_ok()));
    assert_eq!(results, [(1, true), (2, false)]);
}

/// Panics on every row.
struct Panics;

#[async_trait]
impl ModelFunction for Panics {
    async fn open(&self, _: Subtask) -> Result<(), Error> {
        Ok(())
    }

    fn submit(&self, _: &[Value]) -> PredictionFuture {
        Box::pin(async { panic!("a function panics") })
    }

    async fn close(&self) -> Result<(), Error> {
        Ok(())
    }

    async fn abort(&self) {}
}

// Holds F53.
#[test]
fn a_sink_is_told_where_nobody_can_work_for_it() {
    let (sink, mut answers) = sink();
    let hand_over = |number| Panics.submit_to(number, &[], &sink);
    hand_over(0);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        hand_over(1);
        tokio::task::yield_now().await;
        // This one is dropped with its runtime.
        hand_over(2);
    });
    drop(runtime);
    drop(sink);
    for number in 0..3 {
        let answer = answers.blocking_recv().unwrap().pop().unwrap();
        assert_eq!(answer.number, number);
        assert_eq!(answer.result.unwrap_err().kind(), ErrorKind::State);
    }
    assert!(answers.blocking_recv().is_none());
}

/// What a pipeline is written against.
async fn answers_of<F: ModelFunction + ?Sized>(function: &F) -> Result<Prediction, Error> {
    function.submit(&[0.5_f32.into()]).await
}

#[tokio::test]
async fn a_pipeline_is_generic_over_functions() {
    let server = EmbeddedTriton::start().unwrap();
    let options = options(&server.endpoint(), "echo", &[]);
    let function: InferenceFunction = open(options, crate::echo_schema(), 0, 1).await;
    assert_eq!(answers_of(&function).await.unwrap().row, [0.5_f32.into()]);
    let function: Arc<dyn ModelFunction> = Arc::new(function);
    assert_eq!(answers_of(&*function).await.unwrap().row, [0.5_f32.into()]);
    let nobody: Arc<dyn AnswerSink> = sink().0;
    function.submit_to(0, &[0.5_f32.into()], &nobody);
    function.close().await.unwrap();
}
