//! Rows that share requests: each has one event all the same, whatever becomes of it.

use std::collections::BTreeMap;

use triton_embedded::{EmbeddedTriton, Fault, FaultScript};
use triton_model_fn::{DataType, Value};

use super::life_tests::{ECHO, timed};
use super::*;
use crate::events::Outcome;
use crate::wire::Reader;

const BATCHES: [&str; 4] = ["batch-size", "8", "max-in-flight", "2"];

fn predict(function: &Function, number: u64, value: Value) {
    let mut row = Vec::new();
    write_row(&mut row, &[value]).unwrap();
    function.predict(number, 1, row.into()).unwrap();
}

/// What happened to so many rows, by their numbers.
fn answers(function: &Function, count: usize) -> BTreeMap<u64, String> {
    let column = [Column::new("echo", DataType::Float)];
    let mut answers = BTreeMap::new();
    while answers.len() < count {
        let events = function.events().next(<[u8]>::to_vec).unwrap();
        let mut reader = Reader::new(&events);
        while !reader.is_empty() {
            let number = u64::from_le_bytes(reader.array().unwrap());
            let [outcome] = reader.array().unwrap();
            if outcome == Outcome::Failed as u8 {
                let text = reader.text().unwrap();
                assert!(answers.insert(number, text).is_none(), "{number} twice");
            } else if number != OPENING {
                let rows = reader.count().unwrap() as u64;
                assert!(rows == 1 || outcome == Outcome::RowsAnswered as u8);
                for number in number..number + rows {
                    let mut row = Vec::new();
                    read_row(&mut reader, &column, &[], &mut row).unwrap();
                    let text = format!("{:?}", row[0]);
                    assert!(answers.insert(number, text).is_none(), "{number} twice");
                }
            }
        }
    }
    answers
}

fn server(faults: FaultScript) -> EmbeddedTriton {
    let builder = EmbeddedTriton::builder().built_in_models();
    builder.faults(faults).start().unwrap()
}

#[test]
fn every_row_has_one_event_and_one_that_fails_is_named() {
    let server = server(FaultScript::new(0));
    let limit = Duration::from_secs(60);
    let function = timed(&server.endpoint(), "echo", ECHO, &BATCHES, limit);
    function.open().unwrap();
    let opened = function.events().next(<[u8]>::to_vec).unwrap();
    assert_eq!(opened[8], Outcome::Answered as u8);
    for number in 0..1000 {
        let value = match number {
            500 => Value::Null,
            _ => Value::Float(number as f32),
        };
        predict(&function, number, value);
    }
    let mut answers = answers(&function, 1000);
    insta::assert_snapshot!(answers.remove(&500).unwrap(), @"row 500 (value = NULL), subtask 0 of 1, attempt 0: column 'value': expected FLOAT, found NULL");
    for (number, answer) in answers {
        assert_eq!(answer, format!("{:?}", Value::Float(number as f32)));
    }
    assert!(function.shared.held().is_empty());
    function.close().unwrap();
}

#[test]
fn rows_of_a_server_that_hangs_are_given_up_before_flink_would_do_it() {
    let hangs = Fault::Delay {
        time: Duration::from_secs(86_400),
    };
    let server = server(FaultScript::new(0).rate(1.0, hangs));
    let limit = Duration::from_millis(300);
    let function = timed(&server.endpoint(), "echo", ECHO, &BATCHES, limit);
    function.open().unwrap();
    let opened = function.events().next(<[u8]>::to_vec).unwrap();
    assert_eq!(opened[8], Outcome::Answered as u8);
    // What watches for rows that the model function forgets is not to come first on a busy machine.
    if let Some(watch) = function.lock().watch.take() {
        watch.abort();
    }
    for number in 0..40 {
        predict(&function, number, Value::Float(number as f32));
    }
    let answers = answers(&function, 40);
    let why = "attempt 0: the row was not answered by its deadline (option 'row-deadline')";
    assert!(answers[&0].contains(why), "{}", answers[&0]);
    // The others have waited for it, for a time that is never the same.
    for (number, answer) in &answers {
        assert!(
            answer.starts_with(&format!("row {number} (value = {number}), ")),
            "{answer}"
        );
        assert!(answer.ends_with(ADVICE), "{answer}");
    }
    // The model function gave them up by itself: each is counted once, and nothing is left of them.
    assert!(!function.shared.has_given_up.load(Ordering::Relaxed));
    let failures = |name: &str| {
        let index = crate::flink_metrics::SHOWN
            .iter()
            .position(|it| it.name == name);
        function.recorder().value(index.unwrap())
    };
    assert_eq!(
        (failures("failures"), failures("failedTimeout")),
        (Some(40.0), Some(40.0))
    );
    function.close().unwrap();
}

#[test]
fn a_row_that_the_model_function_forgets_is_given_up_and_keeps_nothing_from_closing() {
    let server = server(FaultScript::new(0));
    let limit = Duration::from_secs(600);
    let function = timed(&server.endpoint(), "echo", ECHO, &BATCHES, limit);
    function.open().unwrap();
    function.events().next(<[u8]>::to_vec).unwrap();
    let mut row = Vec::new();
    write_row(&mut row, &[Value::Float(0.5)]).unwrap();
    let soon = Duration::from_millis(1);
    function.shared.held().add(7, row.into(), &[0], Some(soon));
    // It is there at the deadline, however long the time of other rows is.
    let begun = std::time::Instant::now();
    let watch = gathered::give_up_overdue(Arc::downgrade(&function.shared), limit, soon);
    function.runtime.spawn(watch);
    insta::assert_snapshot!(answers(&function, 1)[&7], @"row 7 (value = 0.5), subtask 0 of 1, attempt 0: it was not answered before Flink would have given it up; raise 'table.exec.async-ml-predict.timeout', or lower the options 'timeout' and 'max-retries' of the model");
    assert!(begun.elapsed() < limit / 40);
    assert!(function.shared.has_given_up.load(Ordering::Relaxed));
    function.close().unwrap();
}

#[test]
fn answers_are_logged_while_they_are_handed_over() {
    let (done, is_done) = std::sync::mpsc::channel();
    // In a thread of its own: a lock that is taken twice would hang here for ever.
    std::thread::spawn(move || {
        let server = server(FaultScript::new(0));
        let options = [&BATCHES[..], &["default-value", "0.5"]].concat();
        let limit = Duration::from_secs(60);
        let function = timed(&server.endpoint(), "echo", ECHO, &options, limit);
        let number = crate::registry::add(function);
        let function = crate::registry::get(number).unwrap();
        function.open().unwrap();
        function.events().next(<[u8]>::to_vec).unwrap();
        crate::logging::set_level(4);
        // It is answered on this thread, because it cannot even be sent.
        with_default(crate::logging::collector(), || {
            predict(&function, 0, Value::Null);
        });
        let lines = crate::logging::take().unwrap();
        let answers = answers(&function, 1);
        crate::registry::remove(number);
        function.close().unwrap();
        done.send((answers, String::from_utf8_lossy(&lines).into_owned()))
    });
    let (answers, lines) = is_done.recv_timeout(Duration::from_secs(30)).unwrap();
    assert_eq!(answers[&0], format!("{:?}", Value::Float(0.5)));
    assert!(lines.contains("answered row=0"), "{lines}");
}
