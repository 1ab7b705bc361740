//! What goes on at the server although the function has given it up: requests of rows whose time is over, and
//! sequences of earlier attempts.

use triton_embedded::{EmbeddedTriton, FaultScript};
use triton_model_fn::Value;

use super::*;
use crate::events::Outcome;
use crate::pointers::Place;
use crate::wire::{Reader, put_bytes, put_count};

/// Flink's time for a row, and how long the second request takes.
const LIMIT: Duration = Duration::from_secs(1);
const DELAY: Duration = Duration::from_millis(1500);

const OUTPUTS: [&str; 6] = [
    "sum",
    "INT",
    "prediction_status",
    "STRING",
    "sequence_restarted",
    "BOOLEAN",
];

fn described(options: &[&str]) -> Description {
    let mut bytes = Vec::new();
    let options = [&["model-name", "accumulate", "on-error", "column"], options].concat();
    let inputs = ["value", "INT", "sensor", "STRING"];
    let key = options.contains(&"sequence-key");
    let inputs = if key { &inputs[..] } else { &inputs[..2] };
    for texts in [&options[..], inputs, &OUTPUTS] {
        put_count(&mut bytes, texts.len() / 2).unwrap();
        for text in texts {
            put_bytes(&mut bytes, text.as_bytes()).unwrap();
        }
    }
    bytes.extend_from_slice(&(LIMIT.as_millis() as u64).to_le_bytes());
    Description::read(&bytes, Place::Planning).unwrap()
}

/// The sums, whether each row was answered, and whether it is marked, of the rows 1, 2 and 4, of which the
/// last one comes when the request of the second one is over.
fn answers(options: &[&str]) -> Vec<(Value, String, bool)> {
    let delay = DELAY.as_millis();
    let faults =
        format!(r#"{{"faults": [{{"fault": "delay", "milliseconds": {delay}, "request": 2}}]}}"#);
    let server = EmbeddedTriton::builder()
        .built_in_models()
        .faults(FaultScript::from_json(faults.as_bytes()).unwrap())
        .start()
        .unwrap();
    let endpoint = server.endpoint();
    let description = described(&[&["endpoint", &endpoint], options].concat());
    let (columns, width) = (
        description.schema.outputs.clone(),
        description.schema.inputs.len(),
    );
    let function = Function::new(description, Subtask::new(0, 1, 0).unwrap()).unwrap();
    function.open().unwrap();
    let opened = function.events().next(<[u8]>::to_vec).unwrap();
    assert_eq!(opened[8], Outcome::Answered as u8);
    let mut answers = Vec::new();
    let mut begun = Instant::now();
    for (number, value) in [1, 2, 4].into_iter().enumerate() {
        match number {
            1 => begun = Instant::now(),
            // Nothing tells of the end of a request that nobody waits for.
            2 => function.runtime.block_on(async {
                tokio::time::sleep_until(begun + DELAY * 3 / 2).await;
            }),
            _ => {}
        }
        let mut row = Vec::new();
        let values = [Value::Integer(value), Value::String("a".to_owned())];
        write_row(&mut row, &values[..width]).unwrap();
        function.predict(number as u64, 1, row.into()).unwrap();
        let event = function.events().next(<[u8]>::to_vec).unwrap();
        assert_eq!(event[8], Outcome::Answered as u8);
        let mut row = Vec::new();
        // After the number of rows, which is one.
        read_row(&mut Reader::new(&event[13..]), &columns, &[], &mut row).unwrap();
        let [sum, Value::String(status), Value::Boolean(restarted)] = &row[..] else {
            panic!("{row:?}");
        };
        answers.push((sum.clone(), status.clone(), *restarted));
    }
    function.close().unwrap();
    answers
}

// Holds J1.
#[test]
fn a_row_of_a_sequence_that_flinks_time_gave_up_is_a_loss() {
    let keyed = [
        "sequence-id",
        "a",
        "sequence-id-auto-increment",
        "true",
        "sequence-key",
        "sensor",
        "sequence-recovery",
        "restart",
    ];
    let told = |sum, status: &str, restarted| (sum, status.to_owned(), restarted);
    assert_eq!(
        answers(&keyed),
        [
            told(Value::Integer(1), "answered", false),
            told(Value::Null, "failed", false),
            told(Value::Integer(4), "answered", true),
        ]
    );
    // Where a row starts the one sequence that all share, nothing but a failure may be without a mark.
    let of_all = answers(&["sequence-id", "a"]);
    assert_eq!(of_all[1].1, "failed");
    assert!(
        matches!(&of_all[2], (Value::Null, status, _) if status == "failed")
            || matches!(of_all[2], (Value::Integer(4), _, true)),
        "{of_all:?}"
    );
}

// Holds S77.
#[test]
fn a_later_attempt_leaves_the_places_free_that_the_one_before_may_have() {
    let server = EmbeddedTriton::builder().built_in_models().start().unwrap();
    let endpoint = server.endpoint();
    let options = ["endpoint", &endpoint];
    let keyed = [
        "sequence-id",
        "a",
        "sequence-id-auto-increment",
        "true",
        "sequence-key",
        "sensor",
        "sequence-max-open",
        "4",
    ];
    let attempt = |number, job: &str| {
        let subtask = Subtask::new(0, 1, number).unwrap().in_job(job).unwrap();
        let description = described(&[&options[..], &keyed].concat());
        let function = Function::new(description, subtask).unwrap();
        function.open().unwrap();
        function.events().next(<[u8]>::to_vec).unwrap();
        function
    };
    let held = |function: &Function| function.shared.function.sequence_places().unwrap().held;
    let first = attempt(0, "left-by-an-attempt");
    for (number, key) in ["a", "b"].into_iter().enumerate() {
        let mut row = Vec::new();
        let values = [Value::Integer(1), Value::String(key.to_owned())];
        write_row(&mut row, &values).unwrap();
        first.predict(number as u64, 1, row.into()).unwrap();
        first.events().next(<[u8]>::to_vec).unwrap();
    }
    assert_eq!(held(&first), 0);
    first.close().unwrap();
    drop(first);
    let other = attempt(0, "left-by-nobody");
    assert_eq!(held(&other), 0);
    other.close().unwrap();
    let second = attempt(1, "left-by-an-attempt");
    assert_eq!(held(&second), 2);
    second.close().unwrap();
}
