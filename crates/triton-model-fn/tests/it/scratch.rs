//! Scratch.

use std::time::Duration;

use std::sync::Arc;
use futures_util::future::join_all;
use tokio::time::{sleep, timeout, Instant};
use triton_embedded::{Fault, FaultScript};
use triton_model_fn::{
    DataType, FunctionBase, ModelFunction, OptionGroup, Schema, Subtask, TensorCodec, Value,
};
use triton_test_support::EmbeddedTriton;

use crate::sinks::{self, sink};
use crate::{echo_schema, open, options};

const CACHE: [(&str, &str); 1] = [("cache-max-bytes", "1 mb")];

fn plain(script: FaultScript) -> EmbeddedTriton {
    EmbeddedTriton::builder().built_in_models().faults(script).start().unwrap()
}

#[tokio::test]
async fn abort_gives_up_a_row_that_waits_for_one_nobody_polls() {
    let slow = Fault::Delay { time: Duration::from_millis(300) };
    let server = plain(FaultScript::new(0).rate(1.0, slow));
    let function = open(options(&server.endpoint(), "echo", &CACHE), echo_schema(), 0, 1).await;
    let value = [Value::Float(1.0)];
    let mut first = Box::pin(function.submit(&value));
    assert!(timeout(Duration::from_millis(50), &mut first).await.is_err());
    let second = tokio::spawn(function.submit(&value));
    sleep(Duration::from_millis(50)).await;
    function.abort().await;
    let second = timeout(Duration::from_secs(3), second).await;
    println!("{second:?}");
    assert!(second.is_ok(), "it hangs");
}

#[tokio::test]
async fn own_deadline_takes_no_other_with_it() {
    let slow = Fault::Delay { time: Duration::from_secs(20) };
    let server = plain(FaultScript::new(0).request(1, slow));
    let extra = [CACHE[0], ("row-deadline", "1 s")];
    let function = open(options(&server.endpoint(), "echo", &extra), echo_schema(), 0, 1).await;
    let value = [Value::Float(1.0)];
    let first = tokio::spawn(function.submit(&value));
    sleep(Duration::from_millis(600)).await;
    let second = function.submit(&value).await;
    let first = first.await.unwrap();
    println!("{first:?}\n{second:?}");
    assert!(first.is_err());
    assert!(second.is_ok(), "{second:?}");
}

#[tokio::test]
async fn own_deadline_before_attempt_takes_no_other_with_it() {
    let busy = Fault::Status { status: 503, text: "no".to_owned() };
    let server = plain(FaultScript::new(0).request(1, busy));
    let extra = [
        CACHE[0], ("row-deadline", "1 s"), ("max-retries", "5"),
        ("retry-initial-backoff", "10 s"),
    ];
    let function = open(options(&server.endpoint(), "echo", &extra), echo_schema(), 0, 1).await;
    let value = [Value::Float(1.0)];
    let rows = (0..2).map(|_| function.submit(&value));
    let answers = join_all(rows).await;
    println!("{answers:?}");
}

fn halves(endpoint: &str, extra: &[(&str, &str)]) -> impl ModelFunction + use<> {
    let served = [OptionGroup::Columns, OptionGroup::Inference];
    FunctionBase::serving("Halves", options(endpoint, "echo", extra), &served).unwrap().answering(
        |open, facts| TensorCodec::agree(open.options(), &Schema::of_model(facts)?, facts),
        |call, opened, row| async move {
            let codec = &opened.prepared;
            let response = call.infer(codec.request(codec.encode(&row)?)).await?;
            Ok(call.prediction(codec.decode(&response)?))
        },
    )
}

#[tokio::test]
async fn close_waits_for_rows_of_sinks_of_ones_own_function() {
    let server = plain(FaultScript::new(0));
    let function = halves(&server.endpoint(), &[]);
    function.open(Subtask::new(0, 1, 0).unwrap()).await.unwrap();
    let (sink, mut answers) = sink();
    for number in 0..5 {
        function.submit_to(number, &[[1.0_f32].into()], &sink);
    }
    function.close().await.unwrap();
    drop(sink);
    let mut seen = Vec::new();
    while let Some(group) = answers.recv().await {
        seen.extend(group);
    }
    assert_eq!(seen.len(), 5);
    println!("{seen:?}");
    assert!(seen.iter().all(|answer| answer.result.is_ok()));
}

#[tokio::test]
async fn close_waits_for_rows_of_sinks() {
    for extra in [&[][..], &CACHE] {
        let server = plain(FaultScript::new(0));
        let function = open(options(&server.endpoint(), "echo", extra), echo_schema(), 0, 1).await;
        let (sink, mut answers) = sink();
        for number in 0..5 {
            function.submit_to(number, &[Value::Float(1.0)], &sink);
        }
        function.close().await.unwrap();
        drop(sink);
        while let Some(group) = answers.recv().await {
            for answer in group { assert!(answer.result.is_ok(), "{answer:?}"); }
        }
    }
}

#[tokio::test]
async fn close_waits_for_a_row_whose_sender_is_dropped() {
    let slow = Fault::Delay { time: Duration::from_millis(400) };
    let server = plain(FaultScript::new(0).rate(1.0, slow));
    let function = Arc::new(open(options(&server.endpoint(), "echo", &CACHE), echo_schema(), 0, 1).await);
    let value = [Value::Float(1.0)];
    let first = tokio::spawn(function.submit(&value));
    sleep(Duration::from_millis(50)).await;
    let second = tokio::spawn(function.submit(&value));
    sleep(Duration::from_millis(50)).await;
    let closing = { let function = Arc::clone(&function); tokio::spawn(async move { function.close().await }) };
    sleep(Duration::from_millis(50)).await;
    first.abort();
    let second = second.await.unwrap();
    println!("{second:?} {:?}", closing.await);
    assert!(second.is_ok());
}

#[tokio::test]
async fn a_short_outage_of_timeouts_costs_no_retry() {
    // Every request of the first three waves times out.
    let slow = Fault::Delay { time: Duration::from_secs(20) };
    let script = (1..=64 * 3).fold(FaultScript::new(0), |script, number| script.request(number, slow.clone()));
    let server = plain(script);
    let pairs = [
        ("endpoint", server.endpoint()), ("model-name", "echo".into()), ("timeout", "500 ms".into()),
        ("max-in-flight", "64".into()), ("max-retries", "3".into()), ("retry-initial-backoff", "1 ms".into()),
        ("retry-max-backoff", "2 ms".into()), ("connection-pool-max-total", "64".into()),
        ("connection-timeout", "400 ms".into()),
    ];
    let options = triton_options::TritonOptions::parse(pairs).unwrap();
    let function = open(options, echo_schema(), 0, 1).await;
    let rows = (0..64).map(|_| function.submit(&[Value::Float(1.0)]));
    let answers = join_all(rows).await;
    let failed: Vec<_> = answers.iter().filter_map(|answer| answer.as_ref().err()).collect();
    println!("{:?}", failed.last().map(ToString::to_string));
    assert_eq!(failed.len(), 0);
}

#[tokio::test]
async fn options_that_say_nothing_are_not_refused() {
    for extra in [("cache-max-bytes", "0"), ("batch-size", "1"), ("on-error", "fail"), ("batch-timeout", "0 s"), ("retry-budget", "0"), ("max-in-flight", "auto")] {
        let more = [extra, ("max-retries", "1")];
        let made = FunctionBase::<()>::serving("X", options("localhost:1", "echo", &more), &[]);
        println!("{extra:?} {:?}", made.err().map(|e| e.to_string()));
    }
}

#[tokio::test]
async fn rows_of_a_wrong_length() {
    let server = plain(FaultScript::new(0));
    let function = halves(&server.endpoint(), &[]);
    function.open(Subtask::new(0, 1, 0).unwrap()).await.unwrap();
    for row in [vec![], vec![Value::from([1.0_f32]), Value::Float(1.0)]] {
        println!("{:?}", function.predict(&row).await);
    }
    let start = Instant::now();
    println!("{:?}", start.elapsed());
    let _ = sinks::server;
    let _ = DataType::Float;
}
