//! Rows that wait for an equal row in flight: whatever becomes of that one, they come to their end.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{sleep, timeout};
use triton_embedded::{Fault, FaultScript};
use triton_model_fn::{Error, ErrorKind, InferenceFunction, ModelFunction as _, Value};
use triton_test_support::EmbeddedTriton;

use crate::{echo_schema, open, options};

const VALUE: [Value; 1] = [Value::Float(1.0)];
/// Until a row that was handed over is in flight, or waits.
const A_MOMENT: Duration = Duration::from_millis(50);

async fn server_and_function(
    script: FaultScript,
    extra: &[(&str, &str)],
) -> (EmbeddedTriton, InferenceFunction) {
    let server = EmbeddedTriton::builder().built_in_models().faults(script);
    let server = server.start().unwrap();
    let extra = [&[("cache-max-bytes", "1 mb")], extra].concat();
    let options = options(&server.endpoint(), "echo", &extra);
    let function = open(options, echo_schema(), 0, 1).await;
    (server, function)
}

fn delay(millis: u64) -> Fault {
    let time = Duration::from_millis(millis);
    Fault::Delay { time }
}

// Holds F30.
#[tokio::test]
async fn giving_up_ends_a_row_that_waits_for_one_that_nobody_polls() {
    let script = FaultScript::new(0).rate(1.0, delay(300));
    let (_server, function) = server_and_function(script, &[]).await;
    let mut first = Box::pin(function.submit(&VALUE));
    assert!(timeout(A_MOMENT, &mut first).await.is_err());
    let second = tokio::spawn(function.submit(&VALUE));
    sleep(A_MOMENT).await;
    function.abort().await;
    let second = timeout(Duration::from_secs(30), second).await;
    let error = second.expect("it hangs").unwrap().unwrap_err();
    insta::assert_snapshot!(error, @"subtask 0 of 1, attempt 0: the function was given up before the row was answered");
}

// Holds F28.
#[tokio::test]
async fn closing_waits_for_a_row_that_waits_for_one_that_is_dropped() {
    let script = FaultScript::new(0).rate(1.0, delay(300));
    let (_server, function) = server_and_function(script, &[]).await;
    let function = Arc::new(function);
    let first = tokio::spawn(function.submit(&VALUE));
    sleep(A_MOMENT).await;
    let second = tokio::spawn(function.submit(&VALUE));
    sleep(A_MOMENT).await;
    let closing = tokio::spawn(async move { function.close().await });
    sleep(A_MOMENT).await;
    first.abort();
    assert_eq!(second.await.unwrap().unwrap().row, VALUE);
    closing.await.unwrap().unwrap();
}

// Holds F64.
#[tokio::test]
async fn a_row_that_is_cut_off_at_its_deadline_takes_no_other_with_it() {
    let script = FaultScript::new(0).request(1, delay(60_000));
    let deadline = [("row-deadline", "1 s")];
    let (server, function) = server_and_function(script, &deadline).await;
    let first = tokio::spawn(function.submit(&VALUE));
    sleep(Duration::from_millis(500)).await;
    // It has half a second more.
    let second = function.submit(&VALUE).await;
    let error = first.await.unwrap().unwrap_err();
    assert!(error.client_error().is_some(), "{error}");
    assert_eq!(second.unwrap().row, VALUE);
    assert_eq!(server.requests().len(), 2);
}

// Holds F64.
#[tokio::test]
async fn a_row_without_time_for_another_attempt_takes_no_other_with_it() {
    let busy = Fault::Status {
        status: 503,
        text: "no".to_owned(),
    };
    let script = FaultScript::new(0).request(1, busy);
    let extra = [
        ("row-deadline", "30 s"),
        ("max-retries", "5"),
        ("retry-initial-backoff", "10 min"),
        ("retry-max-backoff", "10 min"),
    ];
    let (_server, function) = server_and_function(script, &extra).await;
    let answers = join_all((0..2).map(|_| function.submit(&VALUE))).await;
    let kinds = answers
        .iter()
        .map(|answer| answer.as_ref().err().map(Error::kind));
    assert_eq!(kinds.collect::<Vec<_>>(), [Some(ErrorKind::Call), None]);
}
