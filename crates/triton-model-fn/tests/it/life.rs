//! The life of a function: opening, closing and giving up, in any order.

use std::net::TcpListener;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, timeout};
use triton_embedded::{Fault, FaultScript};
use triton_model_fn::{
    Error, ErrorKind, FunctionBase, InferenceFunction, ModelFunction as _, Opening, Prediction,
    Subtask, Value,
};
use triton_test_support::EmbeddedTriton;

use crate::keyed::{Place, Stateful, keyed_options};
use crate::{AUTO_INCREMENT, accumulate_schema, echo_schema, open, options, schema};

/// How long a test may wait for what comes at once on a machine that is busy with other tests.
const AT_ONCE: Duration = Duration::from_secs(30);

const BATCHED: [(&str, &str); 2] = [("batch-size", "4"), ("batch-timeout", "1 ms")];

fn subtask() -> Subtask {
    Subtask::new(0, 1, 0).unwrap()
}

/// A server that answers no row while a test runs; the option `timeout` of the tests is a minute.
fn silent_server() -> EmbeddedTriton {
    let delay = Fault::Delay {
        time: Duration::from_secs(600),
    };
    let faults = FaultScript::new(0).rate(1.0, delay);
    let server = EmbeddedTriton::builder().built_in_models().faults(faults);
    server.start().unwrap()
}

/// The endpoint of a server that is not there.
fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

async fn close(base: &FunctionBase<()>) {
    base.close().await.unwrap();
}

fn begin(base: &FunctionBase<()>) -> Opening<'_, ()> {
    base.begin(subtask()).unwrap()
}

// Holds F31.
#[tokio::test(start_paused = true)]
async fn closing_and_giving_up_cancel_an_opening() {
    for is_given_up in [false, true] {
        let options = options(&nobody(), "echo", &[("open-wait", "1 h")]);
        let function = InferenceFunction::new(options, echo_schema()).unwrap();
        let ending = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            match is_given_up {
                false => function.close().await.unwrap(),
                true => function.abort().await,
            }
        };
        let begun = Instant::now();
        let (opened, ()) = tokio::join!(function.open(subtask()), ending);
        assert_eq!(begun.elapsed(), Duration::from_secs(1));
        let error = opened.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::State);
        match is_given_up {
            false => {
                insta::assert_snapshot!(error, @"subtask 0 of 1, attempt 0: the function was closed while it was being opened");
            }
            true => {
                insta::assert_snapshot!(error, @"subtask 0 of 1, attempt 0: the function was given up while it was being opened");
            }
        }
        let error = function.predict(&[Value::Float(1.0)]).await.unwrap_err();
        insta::allow_duplicates! {
            insta::assert_snapshot!(error, @"the function is not open: call open before predict");
        }
    }
}

// Holds F32.
#[tokio::test]
async fn an_opening_that_was_closed_leaves_the_next_one_alone() {
    let base = FunctionBase::<()>::new(options("http://localhost:8000", "echo", &[]));
    // It is finished too late.
    let first = begin(&base);
    close(&base).await;
    let second = begin(&base);
    let error = first.finish(()).unwrap_err();
    insta::assert_snapshot!(error, @"subtask 0 of 1, attempt 0: the function was closed while it was being opened");
    second.finish(()).unwrap();
    base.opened().unwrap();
    // It is dropped too late.
    close(&base).await;
    let first = begin(&base);
    close(&base).await;
    let second = begin(&base);
    drop(first);
    second.finish(()).unwrap();
    let open = base.opened().unwrap();
    // What was opened in between is closed by nobody else.
    assert!(open.subtask.request_permit(None).await.is_ok());
}

// Holds F31.
#[tokio::test]
async fn an_opening_stops_what_it_started() {
    let server = EmbeddedTriton::start().unwrap();
    let checks = [("health-check-enabled", "true")];
    let base = FunctionBase::<()>::new(options(&server.endpoint(), "echo", &checks));
    let metrics = tokio::runtime::Handle::current().metrics();
    let opening = begin(&base);
    let started = metrics.num_alive_tasks();
    close(&base).await;
    assert!(metrics.num_alive_tasks() < started);
    drop(opening);
}

// Holds S3.
#[tokio::test]
async fn a_static_sequence_has_one_subtask() {
    let in_two = Subtask::new(1, 2, 0).unwrap();
    let opened = |flags: &[(&str, &str)]| {
        let walk = [&[("sequence-id", "walk")], flags].concat();
        let base = FunctionBase::<()>::new(options("http://localhost:8000", "accumulate", &walk));
        base.begin(in_two).map(drop)
    };
    let error = opened(&[]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Options);
    insta::assert_snapshot!(error, @"subtask 1 of 2, attempt 0: 'sequence-id' = 'walk' names one sequence, which all 2 subtasks would share, and the model would mix their rows without a word: set 'sequence-id-auto-increment' to true for a sequence of each request, or 'sequence-key' as well for one of each key, or use one subtask");
    assert!(opened(&[("sequence-start", "true")]).is_err());
    assert!(opened(&[("sequence-end", "true")]).is_err());
    opened(&[("sequence-start", "true"), ("sequence-end", "true")]).unwrap();
}

/// Functions whose rows go each of the ways to the model, and a row for them.
async fn functions_of_every_lane(server: &EmbeddedTriton) -> [(InferenceFunction, Vec<Value>); 3] {
    let endpoint = server.endpoint();
    let model = Stateful::Accumulate;
    let keyed = keyed_options(&endpoint, model, &[]);
    let single = options(&endpoint, "accumulate", &AUTO_INCREMENT);
    let batched = options(&endpoint, "echo", &BATCHED);
    [
        (
            open(single, accumulate_schema(), 0, 1).await,
            vec![Value::Integer(1)],
        ),
        (
            open(batched, echo_schema(), 0, 1).await,
            vec![Value::Float(1.0)],
        ),
        (
            open(keyed, model.schema(), 0, 1).await,
            model.row(Place { key: 1, row: 0 }),
        ),
    ]
}

/// Waits until as many requests have reached the server.
async fn requests_reach(server: &EmbeddedTriton, requests: usize) {
    let reached = async {
        while server.requests().len() < requests {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(AT_ONCE, reached).await.unwrap();
}

// Holds F29.
#[tokio::test]
async fn closing_does_not_wait_for_rows_that_were_given_up() {
    let server = silent_server();
    for (function, row) in functions_of_every_lane(&server).await {
        let before = server.requests().len();
        let rows = join_all((0..4).map(|_| function.submit(&row)));
        tokio::select! {
            _ = rows => panic!("nothing is answered"),
            () = requests_reach(&server, before + 1) => {}
        }
        timeout(AT_ONCE, function.close()).await.unwrap().unwrap();
    }
}

// Holds F30, F33.
#[tokio::test]
async fn giving_up_ends_every_row_at_once() {
    let server = silent_server();
    for (function, row) in functions_of_every_lane(&server).await {
        let before = server.requests().len();
        let rows = join_all((0..3).map(|_| function.submit(&row)));
        let giving_up = async {
            requests_reach(&server, before + 1).await;
            function.abort().await;
        };
        let (rows, ()) = timeout(AT_ONCE, async { tokio::join!(rows, giving_up) })
            .await
            .unwrap();
        for error in rows
            .into_iter()
            .map(Result::<Prediction, Error>::unwrap_err)
        {
            assert_eq!(error.kind(), ErrorKind::State);
            assert!(
                error
                    .message()
                    .starts_with("the function was given up before the row was "),
                "{error}"
            );
        }
        assert!(function.predict(&row).await.is_err());
        // Nothing is left to give up or to close, and it can be opened again.
        function.abort().await;
        function.close().await.unwrap();
        function.open(subtask()).await.unwrap();
        function.abort().await;
    }
}

// Holds F30.
#[tokio::test]
async fn giving_up_ends_a_close_that_waits() {
    let server = silent_server();
    for (function, row) in functions_of_every_lane(&server).await {
        let before = server.requests().len();
        let answer = function.submit(&row);
        let closing = async {
            requests_reach(&server, before + 1).await;
            function.close().await
        };
        let giving_up = async {
            // It is closing once it is not open any more.
            requests_reach(&server, before + 1).await;
            while function.advance_counter(0).is_ok() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            function.abort().await;
        };
        let all = async { tokio::join!(answer, closing, giving_up) };
        let (answer, closed, ()) = timeout(AT_ONCE, all).await.unwrap();
        assert_eq!(answer.unwrap_err().kind(), ErrorKind::State);
        let error = closed.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Close);
        insta::allow_duplicates! {
            insta::assert_snapshot!(error, @"subtask 0 of 1, attempt 0: the function was given up while it was being closed");
        }
    }
}

// Holds F28.
#[tokio::test]
async fn a_close_gives_up_what_the_time_does_not_suffice_for() {
    let server = silent_server();
    let options = triton_options::OptionMap::new()
        .with("endpoint", server.endpoint())
        .with("model-name", "echo")
        .with("timeout", "200 ms")
        .with("max-retries", "1000");
    let function = open(
        options.parse().unwrap(),
        schema(
            &[("value", triton_model_fn::DataType::Float)],
            &[("echo", triton_model_fn::DataType::Float)],
        ),
        0,
        1,
    )
    .await;
    let answer = function.submit(&[Value::Float(1.0)]);
    let closing = async {
        requests_reach(&server, 1).await;
        function.close().await.unwrap_err()
    };
    let all = async { tokio::join!(answer, closing) };
    let (answer, closed) = timeout(AT_ONCE, all).await.unwrap();
    insta::assert_snapshot!(answer.unwrap_err(), @"subtask 0 of 1, attempt 0: the function was closed before the row was answered");
    insta::assert_snapshot!(closed, @"subtask 0 of 1, attempt 0: rows were still in flight when the time to close was up");
}
