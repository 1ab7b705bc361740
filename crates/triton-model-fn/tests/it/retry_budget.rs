//! What a failing server is spared: the retries of all rows of a function together.

use std::time::Duration;

use futures_util::future::join_all;
use triton_embedded::{Fault, FaultScript};
use triton_model_fn::{
    ErrorKind, InferenceFunction, ModelFunction as _, ServerWait, Subtask, Value,
};
use triton_test_support::EmbeddedTriton;

use crate::{echo_schema, open, options};

const RETRIES: [(&str, &str); 3] = [
    ("max-retries", "3"),
    ("retry-initial-backoff", "1 ms"),
    ("retry-max-backoff", "2 ms"),
];

fn unavailable() -> Fault {
    Fault::Status {
        status: 503,
        text: "not now".to_owned(),
    }
}

fn server(faults: FaultScript) -> EmbeddedTriton {
    EmbeddedTriton::builder()
        .built_in_models()
        .faults(faults)
        .start()
        .unwrap()
}

/// Predicts so many rows at once, and says how many were answered and what the last error says.
async fn predict(function: &InferenceFunction, rows: usize) -> (usize, Option<String>) {
    let rows = (0..rows).map(|_| function.submit(&[Value::Float(1.0)]));
    let answers = join_all(rows).await;
    let mut errors = answers.iter().filter_map(|answer| answer.as_ref().err());
    let last = errors.next_back().map(ToString::to_string);
    (answers.iter().filter(|answer| answer.is_ok()).count(), last)
}

// Holds F60.
#[tokio::test]
async fn a_server_that_fails_everything_gets_the_rows_and_the_budget() {
    let server = server(FaultScript::new(0).rate(1.0, unavailable()));
    let options = options(&server.endpoint(), "echo", &RETRIES);
    let function = open(options, echo_schema(), 0, 1).await;
    let (answered, last) = predict(&function, 400).await;
    assert_eq!(answered, 0);
    // Without a budget there were 4 for each row.
    assert_eq!(server.requests().len(), 400 + 100);
    insta::assert_snapshot!(last.unwrap(), @"subtask 0 of 1, attempt 0: the row was not answered, and not sent again: the retry budget of this function ('retry-budget', 100 retries) is used up, because most calls fail: look at the server first; a larger number allows more retries, and 0 sets no limit");
}

// Holds F60.
#[tokio::test]
async fn answers_earn_further_retries() {
    // Each third request fails, so that most rows that fail are answered when they are sent again.
    let script = (1..=1000)
        .step_by(3)
        .fold(FaultScript::new(0), |script, number| {
            script.request(number, unavailable())
        });
    let server = server(script);
    let extra = [
        ("max-retries", "30"),
        ("retry-initial-backoff", "1 ms"),
        ("retry-max-backoff", "2 ms"),
        ("retry-budget", "40"),
    ];
    let options = options(&server.endpoint(), "echo", &extra);
    let function = open(options, echo_schema(), 0, 1).await;
    let (answered, last) = predict(&function, 600).await;
    assert_eq!((answered, last), (600, None));
}

// Holds F60.
#[tokio::test]
async fn zero_is_no_limit() {
    let server = server(FaultScript::new(0).rate(1.0, unavailable()));
    let extra = [&RETRIES[..], &[("retry-budget", "0")]].concat();
    let options = options(&server.endpoint(), "echo", &extra);
    let function = open(options, echo_schema(), 0, 1).await;
    predict(&function, 100).await;
    assert_eq!(server.requests().len(), 400);
}

// Holds F61.
#[tokio::test]
async fn a_row_that_can_wait_is_not_lost_for_want_of_a_retry() {
    // Three of four requests fail while others are answered, which uses up the budget at once.
    let script = (1..=4000).filter(|number| number % 4 != 0);
    let script = script.fold(FaultScript::new(0), |script, number| {
        script.request(number, unavailable())
    });
    let server = server(script);
    let extra = [
        ("max-retries", "100"),
        ("retry-initial-backoff", "1 ms"),
        ("retry-max-backoff", "4 ms"),
        ("retry-budget", "1"),
    ];
    let options = options(&server.endpoint(), "echo", &extra);
    let wait = ServerWait::new(Duration::from_secs(60));
    let function = InferenceFunction::new(options, echo_schema())
        .unwrap()
        .waiting_for_server(&wait);
    function.open(Subtask::new(0, 1, 0).unwrap()).await.unwrap();
    let (answered, last) = predict(&function, 200).await;
    assert_eq!((answered, last), (200, None));
}

// Holds F60.
#[tokio::test]
async fn functions_have_budgets_of_their_own() {
    let server = server(FaultScript::new(0).rate(1.0, unavailable()));
    let extra = [&RETRIES[..], &[("retry-budget", "2")]].concat();
    for opened in 1..=2 {
        let options = options(&server.endpoint(), "echo", &extra);
        let function = open(options, echo_schema(), 0, 1).await;
        let error = function.predict(&[Value::Float(1.0)]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Call);
        assert_eq!(server.requests().len(), opened * 3);
    }
}
