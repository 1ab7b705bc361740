//! What happens to rows when the server fails, and of a function when it is closed.

use std::collections::BTreeSet;
use std::error::Error as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use triton_client::{Client, ErrorKind as ClientErrorKind, ModelId};
use triton_embedded::{EmbeddedTritonBuilder, Fault, FaultScript};
use triton_model_fn::circuit_breaker::{CircuitBreaker, CircuitBreakerSettings, CircuitState};
use triton_model_fn::{
    DataType, Error, ErrorKind, FunctionBase, InferenceFunction, ModelFunction as _, Subtask, Value,
};
use triton_test_support::{CrashTriton, EmbeddedTriton};

use crate::{AUTO_INCREMENT, accumulate_schema, echo_schema, open, options, schema};

const RETRIES: [(&str, &str); 3] = [
    ("max-retries", "2"),
    ("retry-initial-backoff", "1 ms"),
    ("retry-max-backoff", "2 ms"),
];

fn server(faults: FaultScript) -> EmbeddedTriton {
    builder(faults).start().unwrap()
}

fn builder(faults: FaultScript) -> EmbeddedTritonBuilder {
    EmbeddedTriton::builder().built_in_models().faults(faults)
}

fn unavailable() -> Fault {
    Fault::Status {
        status: 503,
        text: "not now".to_owned(),
    }
}

fn client_kind(error: &Error) -> Option<ClientErrorKind> {
    error.client_error().map(triton_client::Error::kind)
}

// Holds F12.
#[tokio::test]
async fn a_passing_failure_is_retried() {
    let server = server(
        FaultScript::new(0)
            .request(1, unavailable())
            .request(2, Fault::ResetAfter),
    );
    let function = open(
        options(&server.endpoint(), "echo", &RETRIES),
        echo_schema(),
        0,
        1,
    )
    .await;
    let row = function.predict(&[Value::Float(1.5)]).await.unwrap().row;
    assert_eq!(row, [Value::Float(1.5)]);
    assert_eq!(server.requests().len(), 3);
}

// Holds F15.
#[tokio::test]
async fn retries_come_to_an_end() {
    let server = server(FaultScript::new(0).rate(1.0, unavailable()));
    let function = open(
        options(&server.endpoint(), "echo", &RETRIES),
        echo_schema(),
        0,
        1,
    )
    .await;
    let error = function.predict(&[Value::Float(1.5)]).await.unwrap_err();
    assert_eq!(
        (error.kind(), client_kind(&error)),
        (ErrorKind::Call, Some(ClientErrorKind::Unavailable))
    );
    assert!(
        error
            .to_string()
            .contains("was not answered in 3 attempts over "),
        "{error}"
    );
    assert_eq!(server.requests().len(), 3);
}

// Holds F14.
#[tokio::test]
async fn what_the_server_refuses_is_not_retried() {
    for status in [400, 404, 500, 501] {
        let fault = Fault::Status {
            status,
            text: "no".to_owned(),
        };
        let server = server(FaultScript::new(0).rate(1.0, fault));
        let function = open(
            options(&server.endpoint(), "echo", &RETRIES),
            echo_schema(),
            0,
            1,
        )
        .await;
        let error = function.predict(&[Value::Float(1.5)]).await.unwrap_err();
        assert_eq!(error.client_error().unwrap().status(), Some(status));
        assert_eq!(server.requests().len(), 1, "{status}");
    }
}

// Holds F12.
#[tokio::test]
async fn a_sequence_of_one_request_is_sent_again_under_its_id() {
    // The first attempt executes and its answer is lost: START makes the model forget it.
    let server = server(FaultScript::new(0).request(1, Fault::ResetAfter));
    let options = options(
        &server.endpoint(),
        "accumulate",
        &[&AUTO_INCREMENT[..], &RETRIES].concat(),
    );
    let function = open(options, accumulate_schema(), 0, 1).await;
    for counter in 0..2 {
        let id = format!("flink-job-123-0-{counter}");
        let row = function.predict(&[Value::Integer(5)]).await.unwrap().row;
        assert_eq!(row, [Value::Integer(5), Value::String(id)]);
    }
    let requests = server.requests();
    let sent: Vec<_> = requests
        .iter()
        .map(|request| {
            let id = request.sequence_id.as_ref().unwrap().to_string();
            (
                id,
                request.sequence_start,
                request.sequence_end,
                request.executed,
            )
        })
        .collect();
    let expected =
        [0, 0, 1].map(|counter| (format!("flink-job-123-0-{counter}"), true, true, true));
    assert_eq!(sent, expected);
}

// Holds F13.
#[tokio::test]
async fn within_a_sequence_nothing_is_sent_twice() {
    let start = [("sequence-id", "walk"), ("sequence-start", "true")];
    let middle = [("sequence-id", "walk"), ("sequence-start", "false")];
    let middle = [&middle[..], &RETRIES].concat();
    let sums = schema(
        &[("value", DataType::Integer)],
        &[("sum", DataType::Integer)],
    );
    for (fault, kind, requests) in [
        // Executed, and the answer lost: it must not count twice.
        (Fault::ResetAfter, ErrorKind::SequenceUncertain, 2),
        // Not executed, but nobody on this side can know that.
        (Fault::ResetBefore, ErrorKind::SequenceUncertain, 2),
        (unavailable(), ErrorKind::SequenceUncertain, 2),
        (Fault::Garbage, ErrorKind::SequenceUncertain, 2),
    ] {
        let server = server(FaultScript::new(0).request(2, fault.clone()));
        let starting = open(
            options(&server.endpoint(), "accumulate", &start),
            sums.clone(),
            0,
            1,
        )
        .await;
        starting.predict(&[Value::Integer(10)]).await.unwrap();
        let function = open(
            options(&server.endpoint(), "accumulate", &middle),
            sums.clone(),
            0,
            1,
        )
        .await;
        let error = function.predict(&[Value::Integer(5)]).await.unwrap_err();
        assert_eq!(
            (error.kind(), server.requests().len()),
            (kind, requests),
            "{fault:?}"
        );
        assert_eq!(error.sequence_id(), Some("walk"));
        if fault == Fault::ResetAfter {
            insta::assert_snapshot!(error, @"subtask 0 of 1, attempt 0, sequence 'walk', its row 0: the row was not answered, and the model may have taken it into its sequence all the same");
        }
    }
}

// Holds F20, F24.
#[tokio::test]
async fn the_circuit_opens_and_nothing_is_sent_any_more() {
    let server = server(FaultScript::new(0).rate(1.0, unavailable()));
    let breaker = [("circuit-breaker-enabled", "true")];
    let options = options(&server.endpoint(), "echo", &breaker);
    // Two subtasks share the breaker.
    let first = open(options.clone(), echo_schema(), 0, 2).await;
    let second = open(options, echo_schema(), 1, 2).await;
    for function in [&first, &second].into_iter().cycle().take(10) {
        let error = function.predict(&[Value::Float(1.0)]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Call);
    }
    for function in [&first, &second] {
        let error = function.predict(&[Value::Float(1.0)]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CircuitOpen);
        assert!(
            error
                .to_string()
                .contains("the circuit breaker is open; trials begin in"),
            "{error}"
        );
    }
    assert_eq!(server.requests().len(), 10);
}

// Holds F21.
#[tokio::test]
async fn faults_of_rows_do_not_open_the_circuit() {
    let server = EmbeddedTriton::start().unwrap();
    let never_started = [
        ("sequence-id", "never-started"),
        ("sequence-start", "false"),
        ("circuit-breaker-enabled", "true"),
    ];
    let options = options(&server.endpoint(), "accumulate", &never_started);
    let function = open(options, accumulate_schema(), 0, 1).await;
    for _ in 0..30 {
        let error = function.predict(&[Value::Integer(1)]).await.unwrap_err();
        assert_eq!(
            client_kind(&error),
            Some(ClientErrorKind::SequenceNotStarted)
        );
    }
}

// Holds F21.
#[tokio::test]
async fn faults_of_rows_show_a_half_open_circuit_that_the_server_answers() {
    let refused = Fault::Status {
        status: 400,
        text: "no".to_owned(),
    };
    let server = server(FaultScript::new(0).rate(1.0, refused));
    let breaker = [("circuit-breaker-enabled", "true")];
    let options = options(&server.endpoint(), "echo", &breaker);
    let model = ModelId::latest(options.model_name.clone());
    let settings = CircuitBreakerSettings::from(&*options);
    let breaker = CircuitBreaker::shared(options.endpoint.first(), &model, settings);
    let function = open(options, echo_schema(), 0, 1).await;
    breaker.probed_unhealthy();
    breaker.probed_healthy();
    for _ in 0..settings.half_open_requests.get() {
        assert_eq!(breaker.state(), CircuitState::HalfOpen);
        let error = function.predict(&[Value::Float(1.0)]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Call);
    }
    assert_eq!(breaker.state(), CircuitState::Closed);
}

// Holds F12.
#[tokio::test]
async fn a_crash_in_the_middle_costs_no_row() {
    let crash = Fault::Crash {
        restart_after: Duration::from_millis(200),
    };
    let server = server(FaultScript::new(0).request(30, crash));
    let retries = [
        ("max-retries", "20"),
        ("retry-initial-backoff", "10 ms"),
        ("retry-max-backoff", "50 ms"),
    ];
    let options = options(
        &server.endpoint(),
        "accumulate",
        &[&AUTO_INCREMENT[..], &retries].concat(),
    );
    let function = open(options, accumulate_schema(), 0, 1).await;
    let answers = join_all((0..100).map(|value| {
        let function = &function;
        async move { (value, function.predict(&[Value::Integer(value)]).await) }
    }));
    for (value, answer) in answers.await {
        assert_eq!(answer.unwrap().row[0], Value::Integer(value));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_of_a_real_triton_costs_no_row() {
    const ROWS: usize = 3000;
    let triton = Arc::new(CrashTriton::start());
    let retries = [
        ("max-retries", "100"),
        ("retry-initial-backoff", "10 ms"),
        ("retry-max-backoff", "200 ms"),
    ];
    let options = options(
        triton.endpoint(),
        "accumulate",
        &[&AUTO_INCREMENT[..], &retries].concat(),
    );
    let function = &open(options, accumulate_schema(), 0, 1).await;
    let answered = AtomicUsize::new(0);
    let rows = async {
        let answers = (0..ROWS).map(|_| async {
            let prediction = function.predict(&[Value::Integer(7)]).await.unwrap();
            answered.fetch_add(1, Ordering::Relaxed);
            prediction
        });
        join_all(answers).await
    };
    let crash = async {
        // In the middle of the run, whatever the speed of the machine.
        while answered.load(Ordering::Relaxed) < ROWS / 3 {
            tokio::task::yield_now().await;
        }
        let triton = Arc::clone(&triton);
        tokio::task::spawn_blocking(move || triton.crash_and_restart())
            .await
            .unwrap();
        answered.load(Ordering::Relaxed)
    };
    let (answers, answered_at_restart) = tokio::join!(rows, crash);
    assert!(answered_at_restart < ROWS, "the crash came too late");
    let mut ids = BTreeSet::new();
    for prediction in answers {
        let id = prediction.sequence_id.unwrap();
        // A state that a lost attempt had left would make this 14.
        assert_eq!(
            prediction.row,
            [Value::Integer(7), Value::String(id.clone())]
        );
        ids.insert(id);
    }
    assert_eq!(ids.len(), ROWS);
    function.close().await.unwrap();
}

// Holds F28, F33.
#[tokio::test]
async fn closing_waits_for_the_rows_in_flight() {
    let delay = Fault::Delay {
        time: Duration::from_millis(100),
    };
    let server = server(FaultScript::new(0).rate(1.0, delay));
    let function = open(
        options(&server.endpoint(), "echo", &[]),
        echo_schema(),
        0,
        1,
    )
    .await;
    let row = [Value::Float(1.0)];
    // Joined futures are polled in order: the row is in flight before the function is closed.
    let (answer, closed) = tokio::join!(function.predict(&row), function.close());
    assert!(answer.is_ok(), "{answer:?}");
    closed.unwrap();
    function.close().await.unwrap();
    assert_eq!(
        function.predict(&row).await.unwrap_err().kind(),
        ErrorKind::State
    );
}

// Holds F33.
#[test]
fn a_closed_function_leaves_no_task_behind() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let server = EmbeddedTriton::start().unwrap();
    let settings = [
        ("batch-size", "8"),
        ("circuit-breaker-enabled", "true"),
        ("health-check-enabled", "true"),
    ];
    runtime.block_on(async {
        let function = open(
            options(&server.endpoint(), "echo", &settings),
            echo_schema(),
            0,
            1,
        )
        .await;
        let rows = (0..50).map(|_| function.predict(&[Value::Float(1.0)]));
        assert!(join_all(rows).await.iter().all(Result::is_ok));
        assert!(
            tokio::runtime::Handle::current()
                .metrics()
                .num_alive_tasks()
                > 0
        );
        function.close().await.unwrap();
        drop(function);
        // Connections notice at their next turn that their client is gone.
        let gone = async {
            while tokio::runtime::Handle::current()
                .metrics()
                .num_alive_tasks()
                > 0
            {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), gone)
            .await
            .unwrap();
    });
}

/// The error of opening a function on `echo`, and its cause.
async fn open_error(endpoint: &str, wait: &str) -> String {
    let options = options(endpoint, "echo", &[("open-wait", wait)]);
    let function = InferenceFunction::new(options, echo_schema()).unwrap();
    let error = function
        .open(Subtask::new(0, 1, 0).unwrap())
        .await
        .unwrap_err();
    let cause = error.source().unwrap().to_string();
    format!("{error}: {cause}").replace(endpoint, "http://server")
}

// Holds F26.
#[tokio::test(start_paused = true)]
async fn opening_waits_for_a_dead_server_as_long_as_it_is_told() {
    let address = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let before = tokio::time::Instant::now();
    let error = open_error(&format!("http://{address}"), "10 s").await;
    insta::assert_snapshot!(error, @"subtask 0 of 1, attempt 0: the model could not be looked up within 10s: read metadata of model 'echo' at http://server/: no connection could be made; is the server running there?");
    assert!(before.elapsed() > Duration::from_secs(9));
}

// Holds F26.
#[tokio::test]
async fn opening_does_not_wait_for_a_model_that_is_not_there() {
    let server = EmbeddedTriton::builder().start().unwrap();
    insta::assert_snapshot!(open_error(&server.endpoint(), "1 h").await, @"subtask 0 of 1, attempt 0: the model could not be looked up: read metadata of model 'echo' at http://server/: status 404: Request for unknown model: 'echo' is not found");
}

// Holds F26.
#[tokio::test]
async fn opening_goes_on_once_the_server_is_ready() {
    let server = EmbeddedTriton::start().unwrap();
    let gateway = gateway("", Some(server.endpoint()));
    let options = options(&gateway, "echo", &[("open-wait", "1 min")]);
    let function = open(options, echo_schema(), 0, 1).await;
    assert!(function.predict(&[Value::Float(1.0)]).await.is_ok());
}

/// That the wait is kept is for the tests of `retry`, whose clock can be moved.
// Holds F15.
#[tokio::test]
async fn a_wait_that_the_server_asks_for_is_known() {
    let gateway = gateway("Retry-After: 7\r\n", None);
    let base = FunctionBase::<()>::new(options(&gateway, "echo", &[]));
    let opening = base.begin(Subtask::new(0, 1, 0).unwrap()).unwrap();
    let metadata = |client: Client| async move { client.server_metadata().await };
    let error = opening
        .subtask()
        .call(None, None, metadata)
        .await
        .unwrap_err();
    assert_eq!(
        error.client_error().unwrap().retry_after(),
        Some(Duration::from_secs(7))
    );
}

/// Answers 503, with further `headers`, to the first connection and passes every later one on;
/// without a `server` to pass it on to, it answers 503 to all.
fn gateway(headers: &'static str, server: Option<String>) -> String {
    use std::io::{Read as _, Write as _, copy};
    use std::net::{Shutdown, TcpListener, TcpStream};

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for (number, connection) in listener.incoming().enumerate() {
            let mut connection = connection.unwrap();
            let Some(server) = server.as_ref().filter(|_| number > 0) else {
                let _ = connection.read(&mut [0; 4096]).unwrap();
                write!(
                    connection,
                    "HTTP/1.1 503 Not Yet\r\n{headers}Content-Length: 0\r\nConnection: close\r\n\r\n"
                )
                .unwrap();
                continue;
            };
            let upstream = TcpStream::connect(server.trim_start_matches("http://")).unwrap();
            let pairs = [
                (
                    connection.try_clone().unwrap(),
                    upstream.try_clone().unwrap(),
                ),
                (upstream, connection),
            ];
            for (mut from, mut to) in pairs {
                std::thread::spawn(move || {
                    let _ = copy(&mut from, &mut to);
                    let _ = to.shutdown(Shutdown::Both);
                });
            }
        }
    });
    address
}
