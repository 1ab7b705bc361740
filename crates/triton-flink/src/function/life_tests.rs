//! Closing gives everything up at once, in every lane and while a function opens, however long an
//! option lets a request take.

use std::net::TcpListener;
use std::time::Instant;

use triton_embedded::{EmbeddedTriton, FaultScript};
use triton_model_fn::Value;

use super::*;
use crate::pointers::Place;
use crate::wire::{put_bytes, put_count};

/// Far less than an hour; nothing here takes a second on a machine with nothing else to do.
const AT_ONCE: Duration = Duration::from_secs(15);

const SUM: [&str; 4] = ["value", "INT", "sum", "INT"];
pub(super) const ECHO: [&str; 4] = ["value", "FLOAT", "echo", "FLOAT"];
const IDS: [&str; 4] = ["sequence-id", "a", "sequence-id-auto-increment", "true"];

/// A function whose requests may take an hour, not open.
fn function(endpoint: &str, model: &str, columns: [&str; 4], options: &[&str]) -> Function {
    timed(endpoint, model, columns, options, Duration::ZERO)
}

/// The same, where Flink gives a row up after a time.
pub(super) fn timed(
    endpoint: &str,
    model: &str,
    columns: [&str; 4],
    options: &[&str],
    row_timeout: Duration,
) -> Function {
    let common = ["endpoint", endpoint, "model-name", model, "timeout", "1 h"];
    let options = [&common, options].concat();
    let [input, input_type, output, output_type] = columns;
    let mut bytes = Vec::new();
    for texts in [&options[..], &[input, input_type], &[output, output_type]] {
        put_count(&mut bytes, texts.len() / 2).unwrap();
        for text in texts {
            put_bytes(&mut bytes, text.as_bytes()).unwrap();
        }
    }
    bytes.extend_from_slice(&(row_timeout.as_millis() as u64).to_le_bytes());
    let description = Description::read(&bytes, Place::Planning).unwrap();
    Function::new(description, Subtask::new(0, 1, 0).unwrap()).unwrap()
}

fn closes_at_once(function: &Function, lane: &str) {
    let begun = Instant::now();
    function.close().unwrap();
    let took = begun.elapsed();
    assert!(took < AT_ONCE, "{lane}: {took:?}");
    // Whatever waits for answers is let go.
    while function.events().next(|_| ()).is_some() {}
}

// Holds F30.
#[test]
fn every_lane_gives_its_requests_up_at_once() {
    let script = br#"{"faults": [{"fault": "delay", "milliseconds": 86400000, "rate": 1}]}"#;
    let lanes: [(&str, &str, [&str; 4], Vec<&str>); 8] = [
        ("a row for itself", "echo", ECHO, vec![]),
        ("batches", "echo", ECHO, vec!["batch-size", "4"]),
        ("a cache", "echo", ECHO, vec!["cache-max-bytes", "1 mb"]),
        ("streams", "echo", ECHO, vec!["decoupled", "stream"]),
        ("an ID for each row", "accumulate", SUM, IDS.to_vec()),
        (
            "keys",
            "accumulate",
            SUM,
            [&IDS[..], &["sequence-key", "value"]].concat(),
        ),
        (
            "keys that are replayed",
            "accumulate",
            SUM,
            [
                &IDS[..],
                &["sequence-key", "value", "sequence-recovery", "replay"],
                &["max-retries", "1000"],
            ]
            .concat(),
        ),
        ("one sequence", "accumulate", SUM, vec!["sequence-id", "a"]),
    ];
    for (lane, model, columns, options) in lanes {
        let server = EmbeddedTriton::builder()
            .built_in_models()
            .faults(FaultScript::from_json(script).unwrap())
            .start()
            .unwrap();
        let function = function(&server.endpoint(), model, columns, &options);
        function.open().unwrap();
        function.events().next(<[u8]>::to_vec).unwrap();
        for number in 0..40 {
            let value = match columns[1] {
                "INT" => Value::Integer(number % 7),
                _ => Value::Float(number as f32),
            };
            let mut row = Vec::new();
            write_row(&mut row, &[value]).unwrap();
            function.predict(number as u64, 1, row.into()).unwrap();
        }
        let limit = Instant::now() + AT_ONCE;
        // Requests for streams are not recorded.
        while lane != "streams" && server.requests().is_empty() {
            assert!(Instant::now() < limit, "{lane}: nothing was sent");
            std::thread::yield_now();
        }
        closes_at_once(&function, lane);
    }
}

// Holds F31.
#[test]
fn a_function_that_still_opens_ends_at_once() {
    // It takes connections, and never says a word.
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", mute.local_addr().unwrap());
    let function = function(&endpoint, "accumulate", SUM, &IDS);
    function.open().unwrap();
    let _connection = mute.accept().unwrap();
    closes_at_once(&function, "opening");
}
