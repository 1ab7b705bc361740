//! What the first row of a key is taken for that a subtask has not seen, where no column says which
//! row it is: attempts alone do not tell whether the job has run before.

use triton_model_fn::{DataType, InferenceFunction, ModelFunction as _, Subtask, Value};
use triton_options::OptionMap;
use triton_test_support::EmbeddedTriton;

use crate::schema;

/// A function over the rows of a key, in an engine that gives it no state unless `has_state`.
fn function(server: &EmbeddedTriton, has_state: bool, unknown: Option<&str>) -> InferenceFunction {
    let mut map = OptionMap::new()
        .with("endpoint", server.endpoint())
        .with("model-name", "accumulate")
        .with("sequence-id", "unknown")
        .with("sequence-id-auto-increment", "true")
        .with("sequence-key", "sensor");
    if let Some(unknown) = unknown {
        map.set("sequence-unknown-key", unknown);
    }
    let columns = [("sensor", DataType::String), ("value", DataType::Integer)];
    let schema = schema(&columns, &[("sum", DataType::Integer)]);
    let function = InferenceFunction::new(map.parse().unwrap(), schema).unwrap();
    match has_state {
        true => function,
        false => function.for_engine_without_state(),
    }
}

/// A subtask in the place that an engine names.
fn subtask(index: u32, attempt: u32, [job, operator, execution]: [&str; 3]) -> Subtask {
    let subtask = Subtask::new(index, 2, attempt).unwrap();
    let subtask = subtask.in_job(job).unwrap().in_operator(operator).unwrap();
    subtask.in_execution(execution).unwrap()
}

/// The sequence ID of the first row of a key in a function that is opened for it, and whether the
/// row is marked.
async fn first_row(function: &InferenceFunction, subtask: Subtask) -> (String, bool) {
    function.open(subtask).await.unwrap();
    let row = [Value::String("a".into()), Value::Integer(1)];
    let answered = function.predict(&row).await.unwrap();
    function.close().await.unwrap();
    (answered.sequence_id.unwrap(), answered.sequence_restarted)
}

// Holds S20, S43.
#[tokio::test]
async fn a_takeover_and_a_rescaling_at_attempt_zero_are_noticed() {
    let server = EmbeddedTriton::start().unwrap();
    let mut ids = std::collections::BTreeSet::new();
    for (subtask, is_marked) in [
        (subtask(0, 0, ["takeover", "score", "graph-1"]), false),
        (subtask(1, 0, ["takeover", "score", "graph-1"]), false),
        // Another operator of the job has keys of its own.
        (subtask(0, 0, ["takeover", "other", "graph-1"]), false),
        (subtask(0, 1, ["takeover", "score", "graph-1"]), true),
        // Another coordinator goes on with the job, and counts attempts from 0.
        (subtask(0, 0, ["takeover", "score", "graph-2"]), true),
        (subtask(1, 0, ["takeover", "score", "graph-2"]), true),
        (
            subtask(0, 0, ["submitted-again", "score", "graph-3"]),
            false,
        ),
    ] {
        let function = function(&server, false, None);
        let (id, marked) = first_row(&function, subtask).await;
        assert_eq!(marked, is_marked, "{subtask:?}");
        assert!(ids.insert(id), "{subtask:?}");
    }
}

// Holds S20, S43.
#[tokio::test]
async fn a_function_that_is_opened_again_has_had_rows() {
    let server = EmbeddedTriton::start().unwrap();
    for told in [
        Subtask::new(0, 1, 0).unwrap(),
        subtask(0, 0, ["again", "score", "graph-1"]),
    ] {
        let function = function(&server, false, None);
        let (first, again) = (
            first_row(&function, told).await,
            first_row(&function, told).await,
        );
        assert_ne!(first.0, again.0);
        assert_eq!((first.1, again.1), (false, true), "{told:?}");
    }
}

// Holds S42.
#[tokio::test]
async fn an_option_says_otherwise() {
    let server = EmbeddedTriton::start().unwrap();
    let (first, second) = (
        Subtask::new(0, 1, 0).unwrap(),
        Subtask::new(0, 1, 1).unwrap(),
    );
    for (has_state, unknown, marked) in [
        (false, "auto", [false, true]),
        (false, "mark", [true, true]),
        (false, "new", [false, false]),
        // The engine brings its sequences along: what is not among them is new.
        (true, "auto", [false, false]),
        (true, "mark", [true, true]),
        (true, "new", [false, false]),
    ] {
        let of = async |subtask| {
            let function = function(&server, has_state, Some(unknown));
            first_row(&function, subtask).await.1
        };
        let found = [of(first).await, of(second).await];
        assert_eq!(found, marked, "{unknown}, {has_state}");
    }
}
