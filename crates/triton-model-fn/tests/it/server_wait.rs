//! Functions that wait for a server that is away, and calls that have only themselves to blame.

use std::time::Duration;

use tokio::time::Instant;
use triton_embedded::{EmbeddedTriton, Fault, FaultScript};
use triton_model_fn::{
    Column, DataType, ErrorKind, InferenceFunction, ModelFunction as _, Schema, ServerWait,
    Subtask, Value,
};
use triton_options::TritonOptions;

async fn function(server: &EmbeddedTriton, wait: &ServerWait) -> InferenceFunction {
    let endpoint = server.endpoint();
    let options = TritonOptions::parse([
        ("endpoint", endpoint.as_str()),
        ("model-name", "fails"),
        ("input-names", "value:status"),
        ("output-names", "echo:status"),
        ("max-retries", "3"),
        ("retry-initial-backoff", "20 ms"),
    ]);
    let schema = Schema {
        inputs: vec![Column::new("value", DataType::Integer)],
        outputs: vec![Column::new("echo", DataType::Integer)],
    };
    let function = InferenceFunction::new(options.unwrap(), schema)
        .unwrap()
        .waiting_for_server(wait);
    function.open(Subtask::new(0, 1, 0).unwrap()).await.unwrap();
    function
}

fn server() -> EmbeddedTriton {
    EmbeddedTriton::builder().built_in_models().start().unwrap()
}

// Holds F19.
#[tokio::test]
async fn a_row_that_fails_while_others_are_answered_is_given_up_after_its_retries() {
    let server = server();
    let wait = ServerWait::new(Duration::from_secs(60));
    let function = function(&server, &wait).await;
    let bad = function.submit(&[Value::Integer(503)]);
    let mut bad = std::pin::pin!(bad);
    let error = loop {
        tokio::select! {
            biased;
            answer = &mut bad => break answer.unwrap_err(),
            answer = function.submit(&[Value::Integer(1)]) => {
                answer.unwrap();
            }
        }
    };
    assert_eq!(error.kind(), ErrorKind::Call);
    assert_eq!(error.client_error().unwrap().status(), Some(503));
    assert!(wait.away().is_none() && !wait.gave_up());
}

// Holds F18.
#[tokio::test]
async fn while_nothing_is_answered_a_row_waits_until_it_is_given_up() {
    let server = server();
    let wait = ServerWait::new(Duration::from_millis(400));
    let function = function(&server, &wait).await;
    function.predict(&[Value::Integer(1)]).await.unwrap();
    server.stop();
    let begun = Instant::now();
    let error = function.predict(&[Value::Integer(1)]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ServerAway);
    assert!(begun.elapsed() >= Duration::from_millis(400));
    assert!(wait.gave_up());
    // What comes later is not sent any more.
    let error = function.predict(&[Value::Integer(1)]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ServerAway);
}

// Holds F18.
#[tokio::test]
async fn a_sequence_that_is_rebuilt_at_a_server_that_stays_away_says_so_as_soon_as_others() {
    let server = server();
    let wait = ServerWait::new(Duration::from_millis(400));
    let endpoint = server.endpoint();
    let options = TritonOptions::parse([
        ("endpoint", endpoint.as_str()),
        ("model-name", "accumulate"),
        ("sequence-id", "job"),
        ("sequence-id-auto-increment", "true"),
        ("sequence-key", "key"),
        ("sequence-recovery", "replay"),
        ("max-retries", "10"),
        ("retry-initial-backoff", "2 s"),
    ]);
    let schema = Schema {
        inputs: vec![
            Column::new("value", DataType::Integer),
            Column::new("key", DataType::String),
        ],
        outputs: vec![Column::new("sum", DataType::Integer)],
    };
    let function = InferenceFunction::new(options.unwrap(), schema)
        .unwrap()
        .waiting_for_server(&wait);
    function.open(Subtask::new(0, 1, 0).unwrap()).await.unwrap();
    let row = [Value::Integer(1), "a".into()];
    function.predict(&row).await.unwrap();
    // The row is sent, and then nobody knows of it.
    let restart_after = Duration::from_secs(60);
    server.set_faults(FaultScript::new(0).rate(1.0, Fault::Crash { restart_after }));
    let begun = Instant::now();
    let error = function.predict(&row).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ServerAway, "{error}");
    assert!(
        error.message().starts_with("the server was away for "),
        "{error}"
    );
    assert!(
        begun.elapsed() < Duration::from_secs(2),
        "{:?}",
        begun.elapsed()
    );
}

// Holds F19.
#[tokio::test]
async fn a_row_that_fails_alone_at_a_ready_server_is_given_up_after_its_retries() {
    let server = server();
    let wait = ServerWait::new(Duration::from_secs(2));
    let function = function(&server, &wait).await;
    function.predict(&[Value::Integer(1)]).await.unwrap();
    let error = function.predict(&[Value::Integer(503)]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Call);
    assert!(wait.away().is_none() && !wait.gave_up());
}

// Holds F19.
#[tokio::test]
async fn a_server_that_is_ready_and_never_answered_is_not_waited_for() {
    let server = server();
    let wait = ServerWait::new(Duration::from_secs(60));
    let function = function(&server, &wait).await;
    let error = function.predict(&[Value::Integer(503)]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Call);
    assert!(wait.away().is_none());
}

#[tokio::test]
async fn what_is_wrong_with_a_row_is_never_waited_for() {
    let server = server();
    let wait = ServerWait::new(Duration::from_secs(60));
    let function = function(&server, &wait).await;
    for status in [400, 500, 501] {
        let error = function.predict(&[Value::Integer(status)]).await;
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Call, "{status}");
    }
    assert_eq!(wait.answered(), 3);
}

// Holds F18.
#[tokio::test]
async fn an_outage_is_told_while_it_lasts_and_calls_are_held_back() {
    let server = server();
    let wait = ServerWait::new(Duration::from_secs(60));
    let function = function(&server, &wait).await;
    function.predict(&[Value::Integer(1)]).await.unwrap();
    let status = 502;
    let text = "<html>".to_owned();
    server.set_faults(FaultScript::new(0).rate(1.0, Fault::Status { status, text }));
    let rows: Vec<_> = (0..20)
        .map(|value| tokio::spawn(function.submit(&[Value::Integer(value)])))
        .collect();
    while wait.away().is_none() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let (_, reason) = wait.away().unwrap();
    assert!(reason.contains("status 502"), "{reason}");
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(wait.calls(), 20);
    // 20 rows, and a few rounds of them: not a storm.
    assert!(
        server.requests().len() <= 100,
        "{}",
        server.requests().len()
    );
    server.set_faults(FaultScript::new(0));
    for (value, row) in rows.into_iter().enumerate() {
        let answer = row.await.unwrap().unwrap();
        assert_eq!(answer.row, [Value::Integer(i32::try_from(value).unwrap())]);
    }
    assert!(wait.away().is_none());
    assert_eq!(wait.calls(), 0);
}
