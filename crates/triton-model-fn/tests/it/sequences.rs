//! Sequences per key on both servers: in order, isolated, and with the boundaries configured.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use triton_embedded::{Fault, FaultScript};
use triton_model_fn::{DataType, ErrorKind, InferenceFunction, ModelFunction as _, Subtask, Value};
use triton_test_support::{EmbeddedTriton, on_both_servers};

use crate::keyed::{Place, SUBTASKS, Stateful, keyed_options, open_all, run, shuffled};
use crate::{open, options, schema};

on_both_servers!(
    every_running_result_is_that_of_its_key_alone,
    boundaries_end_sequences,
    a_key_that_the_model_takes_is_sent_to_it,
    a_snapshot_moves_sequences_to_other_subtasks,
);

// Holds S5.
async fn every_running_result_is_that_of_its_key_alone(endpoint: &str) {
    // So few that no key waits for its next row for as long as the server keeps it, however busy the
    // machine is.
    const KEYS: u32 = 64;
    const ROWS: u32 = 50;
    for model in [Stateful::Accumulate, Stateful::Anomaly] {
        let places = shuffled(KEYS, ROWS, 7);
        let functions = open_all(&keyed_options(endpoint, model, &[]), model).await;
        let results = run(&functions, model, &places, ROWS, || ()).await;
        let mut numbers = BTreeMap::<u32, Vec<i32>>::new();
        let mut ids = BTreeMap::<u32, BTreeSet<String>>::new();
        for (place, result) in places.iter().zip(results) {
            let prediction = result.unwrap();
            let rows = numbers.entry(place.key).or_default();
            rows.push(model.number(*place));
            let (answer, reference) = (model.answer(&prediction), model.reference(rows));
            assert!(
                model.agrees(answer, reference),
                "{place:?}: {answer} {reference}"
            );
            assert_eq!(prediction.row.last(), Some(&Value::Boolean(false)));
            let id = prediction.sequence_id.unwrap();
            if model == Stateful::Accumulate {
                // What the server saw is what was said.
                assert_eq!(prediction.row[1], Value::String(id.clone()));
            }
            ids.entry(place.key).or_default().insert(id);
        }
        // One ID for each key, and no two keys share one.
        assert!(ids.values().all(|ids| ids.len() == 1), "{ids:?}");
        let distinct: BTreeSet<&String> = ids.values().flatten().collect();
        assert_eq!(distinct.len(), KEYS as usize);
        for function in &functions {
            assert_eq!(function.open_sequences(), 0);
            function.close().await.unwrap();
        }
    }
}

// Holds S16.
async fn boundaries_end_sequences(endpoint: &str) {
    let schema = schema(
        &[
            ("sensor", DataType::Integer),
            ("value", DataType::Integer),
            ("done", DataType::Boolean),
        ],
        &[("sum", DataType::Integer)],
    );
    let extra = [
        ("sequence-end-column", "done"),
        ("sequence-max-length", "3"),
        ("sequence-idle-timeout", "500 ms"),
    ];
    let options = keyed_options(endpoint, Stateful::Accumulate, &extra);
    let function = open(options, schema, 0, 1).await;
    let sum = async |value: i32, done: Value| {
        let row = [Value::Integer(1), Value::Integer(value), done];
        match function.predict(&row).await.unwrap().row[..] {
            [Value::Integer(sum)] => sum,
            ref other => panic!("unexpected {other:?}"),
        }
    };
    let (going_on, done) = (Value::Boolean(false), Value::Boolean(true));
    // By the column, in which NULL is no end; then by the number of rows; then by time.
    assert_eq!(sum(1, going_on.clone()).await, 1);
    assert_eq!(sum(2, done).await, 3);
    assert_eq!(sum(4, Value::Null).await, 4);
    assert_eq!(sum(8, going_on.clone()).await, 12);
    assert_eq!(sum(16, going_on.clone()).await, 28);
    assert_eq!(sum(32, going_on.clone()).await, 32);
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(sum(64, going_on).await, 64);
}

async fn a_key_that_the_model_takes_is_sent_to_it(endpoint: &str) {
    let schema = schema(
        &[("value", DataType::Integer)],
        &[("sum", DataType::Integer)],
    );
    let mut map = triton_options::OptionMap::new()
        .with("endpoint", endpoint)
        .with("model-name", "accumulate")
        .with("sequence-id", "own-key")
        .with("sequence-id-auto-increment", "true");
    map.set("sequence-key", "value");
    let function = open(map.parse().unwrap(), schema, 0, 1).await;
    for (value, sum) in [(3, 3), (4, 4), (3, 6), (4, 8)] {
        let answer = function.predict(&[Value::Integer(value)]).await.unwrap();
        assert_eq!(answer.row, [Value::Integer(sum)]);
    }
}

/// A job of three subtasks stops in the middle and goes on with two.
// Holds S45, S48.
async fn a_snapshot_moves_sequences_to_other_subtasks(endpoint: &str) {
    const KEYS: u32 = 12;
    const ROWS: u32 = 10;
    let model = Stateful::Accumulate;
    let options = keyed_options(endpoint, model, &[("sequence-recovery", "replay")]);
    let places = shuffled(KEYS, ROWS, 3);
    let (before, after) = places.split_at(places.len() / 2);
    let functions = open_all(&options, model).await;
    let mut results = run(&functions, model, before, ROWS, || ()).await;
    let snapshots: Vec<Vec<u8>> = functions
        .iter()
        .map(|function| function.snapshot().unwrap().to_bytes())
        .collect();

    let mut rescaled = Vec::new();
    for index in 0..2 {
        let function = InferenceFunction::new(options.clone(), model.schema()).unwrap();
        let function = function.for_bounded_input();
        function
            .open(Subtask::new(index, 2, 1).unwrap())
            .await
            .unwrap();
        for bytes in &snapshots {
            let mut snapshot = triton_model_fn::SequenceSnapshot::from_bytes(bytes).unwrap();
            snapshot.retain(|key| {
                let number: u32 = key.trim_start_matches("sensor-").parse().unwrap();
                number % 2 == index
            });
            function.restore(snapshot).unwrap();
        }
        rescaled.push(function);
    }
    for place in after {
        let function = &rescaled[(place.key % 2) as usize];
        results.push(function.predict(&model.row(*place)).await);
    }
    let mut sums = BTreeMap::<u32, i32>::new();
    for (place, result) in places.iter().zip(results) {
        let prediction = result.unwrap();
        let sum = sums.entry(place.key).or_default();
        *sum += model.number(*place);
        assert_eq!(prediction.row[0], Value::Integer(*sum), "{place:?}");
        assert!(!prediction.sequence_restarted);
    }
}

/// The embedded server says in which order it got the rows of each key.
// Holds S6.
#[tokio::test]
async fn the_server_sees_the_rows_of_a_key_in_order() {
    const ROWS: u32 = 20;
    let server = EmbeddedTriton::start().unwrap();
    let model = Stateful::Accumulate;
    let places = shuffled(30, ROWS, 11);
    let options = keyed_options(&server.endpoint(), model, &[]);
    let functions = open_all(&options, model).await;
    let results = run(&functions, model, &places, ROWS, || ()).await;
    let mut ids = BTreeMap::new();
    for (place, result) in places.iter().zip(results) {
        ids.insert(result.unwrap().sequence_id.unwrap(), place.key);
    }
    let mut seen = BTreeMap::<u32, Vec<(i32, bool, bool)>>::new();
    for request in server.requests() {
        let key = ids[&request.sequence_id.unwrap().to_string()];
        let value = request.body.last_chunk().unwrap();
        let flags = (request.sequence_start, request.sequence_end);
        let row = (i32::from_le_bytes(*value), flags.0, flags.1);
        seen.entry(key).or_default().push(row);
    }
    for key in 0..30 {
        let expected: Vec<(i32, bool, bool)> = (0..ROWS)
            .map(|row| {
                let number = model.number(Place { key, row });
                (number, row == 0, row + 1 == ROWS)
            })
            .collect();
        assert_eq!(seen[&key], expected, "key {key}");
    }
}

#[tokio::test]
async fn what_does_not_fit_together_is_refused() {
    let server = EmbeddedTriton::start().unwrap();
    let model = Stateful::Accumulate;
    let refusal = async |extra: &[(&str, &str)]| {
        let options = keyed_options(&server.endpoint(), model, extra);
        let function = match InferenceFunction::new(options, model.schema()) {
            Ok(function) => function,
            Err(error) => return error,
        };
        let opened = function.open(Subtask::new(0, 1, 0).unwrap()).await;
        opened.unwrap_err()
    };
    let error = refusal(&[("sequence-key", "senser")]).await;
    assert_eq!(error.kind(), ErrorKind::Schema);
    insta::assert_snapshot!(error, @"option 'sequence-key' names the column 'senser', which is no input column: there are sensor, value");
    insta::assert_snapshot!(refusal(&[("sequence-end-column", "value")]).await, @"option 'sequence-end-column': column 'value' is INT, expected BOOLEAN");
    let error = refusal(&[("sequence-idle-timeout", "5 s")]).await;
    assert_eq!(error.kind(), ErrorKind::Mismatch);
    insta::assert_snapshot!(error, @"subtask 0 of 1, attempt 0: option 'sequence-idle-timeout' (5 s) is not shorter than the time after which the server drops an idle sequence of model 'accumulate' (max_sequence_idle_microseconds, 5s): shorten the one or raise the other");
    let null = keyed_options(&server.endpoint(), model, &[]);
    let function = open(null, model.schema(), 0, 1).await;
    let row = [Value::Null, Value::Integer(1)];
    insta::assert_snapshot!(function.predict(&row).await.unwrap_err(), @"subtask 0 of 1, attempt 0: column 'sensor' is NULL, and a row without its key (option 'sequence-key') belongs to no sequence");
    // Without keys there is nothing that could say it.
    let stateless = options(&server.endpoint(), "accumulate", &crate::AUTO_INCREMENT);
    let mut schema = model.schema();
    schema.inputs.remove(0);
    let function = InferenceFunction::new(stateless, schema).unwrap();
    let error = function.open(Subtask::new(0, SUBTASKS, 0).unwrap()).await;
    insta::assert_snapshot!(error.unwrap_err(), @"subtask 0 of 3, attempt 0: model 'accumulate' does not fit the schema and options: output column 'sequence_restarted' is no output of the model, which has: sum, correlation_id");
}

/// Whatever goes wrong with one request in the middle, a replay gives the answers of an
/// undisturbed run, and without one nothing wrong is answered.
// Holds S24, S25, S27, S28.
#[tokio::test]
async fn no_failure_in_the_middle_of_a_sequence_spoils_an_answer() {
    let status = |status| Fault::Status {
        status,
        text: "something went wrong".to_owned(),
    };
    let crash = Fault::Crash {
        restart_after: Duration::from_millis(20),
    };
    let faults = [
        status(500),
        status(502),
        status(503),
        Fault::ResetBefore,
        Fault::ResetAfter,
        Fault::Truncate { bytes: 40 },
        Fault::Garbage,
        Fault::WrongLength { off_by: 3 },
        crash,
    ];
    let retries = [("max-retries", "20"), ("retry-initial-backoff", "5 ms")];
    let model = Stateful::Accumulate;
    for fault in faults {
        for recovery in ["replay", "restart", "fail"] {
            let server = EmbeddedTriton::builder()
                .built_in_models()
                .faults(FaultScript::new(0).request(3, fault.clone()))
                .start()
                .unwrap();
            let extra = [&retries[..], &[("sequence-recovery", recovery)]].concat();
            let options = keyed_options(&server.endpoint(), model, &extra);
            let function = open(options, model.schema(), 0, 1).await;
            let (mut numbers, mut marked, mut failed) = (Vec::new(), 0, 0);
            for row in 0..5 {
                let place = Place { key: 1, row };
                match function.predict(&model.row(place)).await {
                    Ok(prediction) => {
                        if prediction.sequence_restarted {
                            numbers.clear();
                            marked += 1;
                        }
                        numbers.push(model.number(place));
                        let answer = model.answer(&prediction);
                        assert_eq!(answer, model.reference(&numbers), "{fault:?} {recovery}");
                    }
                    Err(_) => failed += 1,
                }
            }
            let expected = match recovery {
                "replay" => (0, 0),
                "restart" => (1, 0),
                _ => (1, 1),
            };
            assert_eq!((marked, failed), expected, "{fault:?} {recovery}");
        }
    }
}

// Holds S23.
#[tokio::test]
async fn what_was_certainly_not_executed_is_sent_again_under_its_id() {
    let too_many = Fault::Status {
        status: 429,
        text: "slow down".to_owned(),
    };
    let server = EmbeddedTriton::builder()
        .built_in_models()
        .faults(FaultScript::new(0).request(2, too_many))
        .start()
        .unwrap();
    let model = Stateful::Accumulate;
    let retries = [("max-retries", "1"), ("retry-initial-backoff", "1 ms")];
    let options = keyed_options(&server.endpoint(), model, &retries);
    let function = open(options, model.schema(), 0, 1).await;
    let mut ids = BTreeSet::new();
    let mut numbers = Vec::new();
    for row in 0..3 {
        let place = Place { key: 1, row };
        numbers.push(model.number(place));
        let prediction = function.predict(&model.row(place)).await.unwrap();
        assert_eq!(model.answer(&prediction), model.reference(&numbers));
        assert!(!prediction.sequence_restarted);
        ids.insert(prediction.sequence_id.unwrap());
    }
    assert_eq!((ids.len(), server.requests().len()), (1, 4));
}
