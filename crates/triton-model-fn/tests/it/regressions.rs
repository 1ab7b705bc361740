//! Each of these once showed a promise that did not hold.

use std::time::Duration;

use tokio::time::{sleep, timeout};
use triton_model_fn::{InferenceFunction, ModelFunction as _, Subtask, Value};
use triton_test_support::EmbeddedTriton;

use crate::keyed::{Place, Stateful, keyed_options};
use crate::{AUTO_INCREMENT, accumulate_schema, echo_schema, open, options};

/// "Flags as configured": with START on every row there is nothing that could be lost.
#[tokio::test]
async fn a_static_sequence_that_starts_with_every_row_outlives_a_pause() {
    let server = EmbeddedTriton::start().unwrap();
    let flags = [("sequence-id", "call-7"), ("sequence-start", "true")];
    let options = options(&server.endpoint(), "accumulate", &flags);
    let function = open(options, accumulate_schema(), 0, 1).await;
    function.predict(&[Value::Integer(1)]).await.unwrap();
    sleep(Duration::from_millis(7000)).await;
    let answer = function.predict(&[Value::Integer(2)]).await;
    assert_eq!(answer.unwrap().row[0], Value::Integer(2));
}

/// A function that outlives the runtime in which it was opened.
fn after_the_runtime(make: impl AsyncFnOnce(String) -> (InferenceFunction, Vec<Value>)) -> String {
    let server = EmbeddedTriton::start().unwrap();
    let build = || {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap()
    };
    let first = build();
    let (function, row) = first.block_on(make(server.endpoint()));
    let answered = first.block_on(function.predict(&row));
    assert!(answered.is_ok());
    // Handed over before, and waited for afterwards.
    first.shutdown_timeout(Duration::from_secs(5));
    let second = build();
    let answer =
        second.block_on(async { timeout(Duration::from_secs(10), function.predict(&row)).await });
    let closed =
        second.block_on(async { timeout(Duration::from_secs(90), function.close()).await });
    let answer = match answer {
        Err(_) => "never answered".to_owned(),
        Ok(Ok(_)) => "answered".to_owned(),
        Ok(Err(error)) => format!("failed: {error}"),
    };
    format!("{answer}; close: {closed:?}")
}

#[test]
fn a_row_of_a_key_has_an_end_after_the_shutdown_of_the_runtime() {
    let said = after_the_runtime(async |endpoint: String| {
        let model = Stateful::Accumulate;
        let keyed = keyed_options(&endpoint, model, &[]);
        let row = model.row(Place { key: 1, row: 0 });
        (open(keyed, model.schema(), 0, 1).await, row)
    });
    assert!(!said.contains("never"), "{said}");
}

#[test]
fn a_row_of_a_batch_has_an_end_after_the_shutdown_of_the_runtime() {
    let said = after_the_runtime(async |endpoint: String| {
        let batched = [("batch-size", "4"), ("batch-timeout", "1 ms")];
        let batched = options(&endpoint, "echo", &batched);
        (
            open(batched, echo_schema(), 0, 1).await,
            vec![Value::Float(1.0)],
        )
    });
    assert!(!said.contains("never"), "{said}");
}

#[test]
fn a_row_by_itself_has_an_end_after_the_shutdown_of_the_runtime() {
    let said = after_the_runtime(async |endpoint: String| {
        let single = options(&endpoint, "accumulate", &AUTO_INCREMENT);
        let function = InferenceFunction::new(single, accumulate_schema()).unwrap();
        function.open(Subtask::new(0, 1, 0).unwrap()).await.unwrap();
        (function, vec![Value::Integer(1)])
    });
    assert!(!said.contains("never"), "{said}");
}

/// The deadline of a row is its own, also where it goes with others.
#[tokio::test]
async fn each_row_of_a_batch_has_a_deadline_of_its_own() {
    use tokio::time::Instant;
    use triton_embedded::{Fault, FaultScript};
    let delay = |millis| Fault::Delay {
        time: Duration::from_millis(millis),
    };
    let script = FaultScript::new(0)
        .request(1, delay(2500))
        .request(2, delay(1000));
    let server = EmbeddedTriton::builder().built_in_models().faults(script);
    let server = server.start().unwrap();
    let batched = [
        ("batch-size", "4"),
        ("max-in-flight", "1"),
        ("row-deadline", "3 s"),
        ("max-retries", "0"),
    ];
    let function = open(
        options(&server.endpoint(), "echo", &batched),
        echo_schema(),
        0,
        1,
    )
    .await;
    let row = |value| [Value::Float(value)];
    let first = function.submit(&row(1.0));
    let second = async {
        sleep(Duration::from_millis(100)).await;
        function.submit(&row(2.0)).await
    };
    let third = async {
        sleep(Duration::from_millis(2300)).await;
        let begun = Instant::now();
        let answer = function.submit(&row(3.0)).await;
        (answer, begun.elapsed())
    };
    let (_, second, (third, took)) = tokio::join!(first, second, third);
    println!("second: {second:?}");
    println!("requests: {}", server.requests().len());
    assert!(
        third.is_ok(),
        "of 3 s it had {took:?}: {}",
        third.unwrap_err()
    );
}

/// A row in flight while its runtime is shut down, whose answer is waited for in another one.
#[test]
fn a_row_in_flight_at_the_shutdown_of_the_runtime_has_an_end() {
    use triton_embedded::{Fault, FaultScript};
    let delay = Fault::Delay {
        time: Duration::from_secs(2),
    };
    let faults = FaultScript::new(0).rate(1.0, delay);
    let server = EmbeddedTriton::builder().built_in_models().faults(faults);
    let server = server.start().unwrap();
    let build = || {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap()
    };
    let first = build();
    let model = Stateful::Accumulate;
    let (function, answer) = first.block_on(async {
        let keyed = keyed_options(&server.endpoint(), model, &[]);
        let function = open(keyed, model.schema(), 0, 1).await;
        let answer = function.submit(&model.row(Place { key: 1, row: 0 }));
        sleep(Duration::from_millis(300)).await;
        (function, answer)
    });
    first.shutdown_timeout(Duration::from_secs(5));
    let second = build();
    let answer = second.block_on(async { timeout(Duration::from_secs(15), answer).await });
    drop(function);
    assert!(answer.is_ok(), "not answered within 15 s: {answer:?}");
}
