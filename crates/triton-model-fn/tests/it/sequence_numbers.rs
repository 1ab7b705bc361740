//! Sequence IDs as numbers of 32 bits, which are few: which of them are given out again, and when.

use std::pin::Pin;
use std::time::Duration;

use triton_embedded::{Fault, FaultScript};
use triton_model_fn::{
    DataType, FunctionBase, ModelFunction as _, Opening, Schema, Subtask, Value,
};
use triton_test_support::{
    EmbeddedTriton, ScriptedAnswer, embedded_corrid_models, scripted_server,
};

use crate::{AUTO_INCREMENT, accumulate_schema, open, options, schema};

/// As many subtasks as there can be, each of which has so few numbers of a TYPE_INT32.
const MOST_SUBTASKS: u32 = 32_768;
const SHARE: usize = 65_535;

const DELAY: Fault = Fault::Delay {
    time: Duration::from_secs(1),
};

fn keyed_schema() -> Schema {
    schema(
        &[("key", DataType::String), ("value", DataType::Integer)],
        &[("sum", DataType::Integer)],
    )
}

fn keyed_row(key: &str) -> [Value; 2] {
    [Value::String(key.to_owned()), Value::Integer(1)]
}

async fn has_requests(server: &EmbeddedTriton, count: usize) {
    while server.requests().len() < count {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The number of a row that is in flight while its function is aborted, and that of the first row of
/// the next opening, which counts again.
async fn number_after_abort(is_last: bool) -> (String, String) {
    let server = embedded_corrid_models().start().unwrap();
    let keyed = [
        ("sequence-id", "job"),
        ("sequence-id-auto-increment", "true"),
        ("sequence-id-scope", "subtask"),
        ("sequence-key", "key"),
    ];
    let options = || options(&server.endpoint(), "accumulate_int32", &keyed);
    let other = open(options(), keyed_schema(), 0, 1).await;
    let first = other.predict(&keyed_row("a")).await.unwrap();
    let before = server.requests().len();
    server.set_faults(FaultScript::new(0).rate(1.0, DELAY));
    let function = open(options(), keyed_schema(), 0, 1).await;
    let row = keyed_row("a");
    let answer = match is_last {
        true => Box::pin(function.submit_last(&row)) as Pin<Box<dyn Future<Output = _>>>,
        false => Box::pin(function.submit(&row)),
    };
    has_requests(&server, before + 1).await;
    function.abort().await;
    answer.await.unwrap_err();
    server.set_faults(FaultScript::new(0));
    function.open(Subtask::new(0, 1, 0).unwrap()).await.unwrap();
    let next = function.predict(&keyed_row("b")).await.unwrap();
    (first.sequence_id.unwrap(), next.sequence_id.unwrap())
}

// Holds S60.
#[tokio::test]
async fn a_number_that_is_in_flight_is_not_given_out_after_an_abort() {
    let (in_flight, next) = number_after_abort(false).await;
    assert_ne!(in_flight, next);
}

// Holds S60.
#[tokio::test]
async fn a_number_of_a_last_row_that_is_in_flight_is_not_given_out_after_an_abort() {
    let (in_flight, next) = number_after_abort(true).await;
    assert_ne!(in_flight, next);
}

// Holds S60.
#[tokio::test]
async fn a_number_whose_row_was_given_up_in_flight_is_passed_over() {
    let server = embedded_corrid_models().start().unwrap();
    let options = || options(&server.endpoint(), "accumulate_int32", &AUTO_INCREMENT);
    let row = [Value::Integer(1)];
    let other = open(options(), accumulate_schema(), 0, MOST_SUBTASKS).await;
    let first = other.predict(&row).await.unwrap().sequence_id;
    let function = open(options(), accumulate_schema(), 0, MOST_SUBTASKS).await;
    server.set_faults(FaultScript::new(0).rate(1.0, DELAY));
    tokio::select! {
        _ = function.submit(&row) => panic!("it was answered"),
        () = has_requests(&server, 2) => {}
    }
    server.set_faults(FaultScript::new(0));
    // The others of the share, so that the next number would be that one again.
    for _ in 1..SHARE {
        drop(function.submit(&row));
    }
    let next = function.predict(&row).await.unwrap().sequence_id;
    assert!(next.is_some() && next != first, "{next:?}");
}

// Holds S61.
#[tokio::test]
async fn rows_that_were_never_sent_use_up_no_numbers() {
    let server = embedded_corrid_models().start().unwrap();
    let options = options(&server.endpoint(), "accumulate_int32", &AUTO_INCREMENT);
    let function = open(options, accumulate_schema(), 0, MOST_SUBTASKS).await;
    let before = server.requests().len();
    for _ in 0..SHARE {
        drop(function.submit(&[Value::Integer(1)]));
    }
    assert_eq!(server.requests().len(), before);
    function.predict(&[Value::Integer(1)]).await.unwrap();
}

// Holds S61.
#[tokio::test]
async fn rows_that_wait_in_vain_use_up_no_numbers() {
    let server = embedded_corrid_models().start().unwrap();
    let mut extra = AUTO_INCREMENT.to_vec();
    extra.extend([("max-in-flight", "1"), ("row-deadline", "300 ms")]);
    let options = options(&server.endpoint(), "accumulate_int32", &extra);
    let function = open(options, accumulate_schema(), 0, MOST_SUBTASKS).await;
    server.set_faults(FaultScript::new(0).rate(1.0, DELAY));
    let rows: Vec<_> = (0..SHARE)
        .map(|_| function.submit(&[Value::Integer(1)]))
        .collect();
    // Tokio would poll all of them again for each hundred that make progress.
    let answers = tokio::task::unconstrained(futures_util::future::join_all(rows)).await;
    let sent = server.requests().len();
    assert!(answers.iter().all(Result::is_err));
    server.set_faults(FaultScript::new(0));
    let next = function.predict(&[Value::Integer(1)]).await;
    assert!(next.is_ok(), "{sent} sent; {}", next.unwrap_err());
}

const METADATA: &str = r#"{"name":"m","versions":["1"],"platform":"python","inputs":[{"name":"value","datatype":"INT32","shape":[-1,1]}],"outputs":[{"name":"sum","datatype":"INT32","shape":[-1,1]}]}"#;
const CONFIG: &str = r#"{"name":"m","backend":"python","max_batch_size":8,"sequence_batching":{"max_sequence_idle_microseconds":"5000000","oldest":{"max_candidate_sequences":4}}}"#;
const OLD: &str =
    r#"{"name":"triton","version":"2.44.0","extensions":["sequence","model_configuration"]}"#;

// Holds F26.
#[tokio::test]
async fn a_server_that_is_away_for_a_moment_is_asked_again_which_one_it_is() {
    let answers: &[ScriptedAnswer] = &[
        ("/v2/models/m", 200, METADATA),
        ("/v2/models/m/config", 200, CONFIG),
        ("/v2#1", 503, ""),
        ("/v2", 200, OLD),
    ];
    let endpoint = scripted_server(answers);
    let mut extra = AUTO_INCREMENT.to_vec();
    extra.push(("open-wait", "20 s"));
    let options = options(&endpoint, "m", &extra);
    let base = FunctionBase::<()>::new(options);
    let opening: Opening<'_, ()> = base.begin(Subtask::new(0, 1, 0).unwrap()).unwrap();
    let context = opening.subtask();
    context.agree_on_sequence_ids().await.unwrap();
    let form = context.sequence_id_form().unwrap();
    assert!(form.is_number(), "{form}");
}

const ENSEMBLE: &str = r#"{"name":"m","platform":"ensemble","max_batch_size":8,"ensemble_scheduling":{"step":[{"model_name":"quick","model_version":"-1"},{"model_name":"slow","model_version":"-1"}]}}"#;
const QUICK: &str = r#"{"name":"quick","backend":"python","max_batch_size":8,"sequence_batching":{"max_sequence_idle_microseconds":"1000000","oldest":{"max_candidate_sequences":4}}}"#;
const SLOW: &str = r#"{"name":"slow","backend":"python","max_batch_size":8,"sequence_batching":{"max_sequence_idle_microseconds":"60000000","oldest":{"max_candidate_sequences":4}}}"#;

// Holds S12, S14.
#[tokio::test]
async fn a_place_is_held_until_the_last_step_of_an_ensemble_has_dropped_the_sequence() {
    let answers: &[ScriptedAnswer] = &[
        ("/v2/models/m", 200, METADATA),
        ("/v2/models/m/config", 200, ENSEMBLE),
        ("/v2/models/quick/config", 200, QUICK),
        ("/v2/models/slow/config", 200, SLOW),
        ("/v2", 200, OLD),
    ];
    let endpoint = scripted_server(answers);
    let keyed = [
        ("sequence-id", "job"),
        ("sequence-id-auto-increment", "true"),
        ("sequence-key", "key"),
    ];
    let function = open(options(&endpoint, "m", &keyed), keyed_schema(), 0, 1).await;
    function.advance_counter(2).unwrap();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let _ = function.predict(&keyed_row("a")).await;
    let places = function.sequence_places().unwrap();
    assert_eq!(places.server_idle, Some(Duration::from_secs(60)));
    assert!(places.held >= 2, "{places:?}");
}
