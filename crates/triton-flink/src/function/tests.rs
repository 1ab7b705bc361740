//! Calls and their events, as Java would see them, without a Java in between.

use std::sync::mpsc;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use triton_model_fn::{DataType, Error, ErrorKind};

use super::*;
use crate::events::Outcome;
use crate::wire::Reader;

/// Does with a row what its number says, and writes down when it is asked.
struct Scripted {
    asked: Arc<Mutex<Vec<i32>>>,
    /// Told when an answer that would never come is given up.
    given_up: mpsc::Sender<()>,
}

const PANICS: i32 = -1;
const FAILS: i32 = -2;
const NEVER: i32 = -3;

struct TellsWhenDropped(mpsc::Sender<()>);

impl Drop for TellsWhenDropped {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

#[async_trait]
impl ModelFunction for Scripted {
    async fn open(&self, _: Subtask) -> Result<(), Error> {
        Ok(())
    }

    async fn predict(&self, row: &[Value]) -> Result<Prediction, Error> {
        let [Value::Integer(number)] = *row else {
            return Err(Error::new(ErrorKind::Input, "expected an INT"));
        };
        self.asked.lock().unwrap().push(number);
        match number {
            PANICS => panic!("row {number} went through the floor"),
            FAILS => Err(Error::new(ErrorKind::Call, "the server is away")),
            NEVER => {
                let _tells = TellsWhenDropped(self.given_up.clone());
                std::future::pending().await
            }
            _ => {
                tokio::task::yield_now().await;
                Ok(Prediction::new(vec![Value::Integer(2 * number)], None))
            }
        }
    }

    async fn close(&self) -> Result<(), Error> {
        Ok(())
    }
}

struct Fixture {
    function: Function,
    asked: Arc<Mutex<Vec<i32>>>,
    given_up: mpsc::Receiver<()>,
    read: Vec<(u64, String)>,
}

impl Fixture {
    fn open(row_timeout: Option<Duration>) -> Fixture {
        let asked = Arc::default();
        let (sender, given_up) = mpsc::channel();
        let scripted = Scripted {
            asked: Arc::clone(&asked),
            given_up: sender,
        };
        let function = Function::with(
            Box::new(scripted),
            vec![Column::new("number", DataType::Integer)],
            row_timeout,
            Subtask::new(1, 2, 3).unwrap(),
        );
        let mut fixture = Fixture {
            function: function.unwrap(),
            asked,
            given_up,
            read: Vec::new(),
        };
        fixture.function.open().unwrap();
        assert_eq!(fixture.next(), (OPENING, "opened".to_owned()));
        fixture
    }

    fn predict(&self, call: u64, number: i32) {
        let mut row = Vec::new();
        write_row(&mut row, &[Value::Integer(number)]).unwrap();
        self.function.predict(call, &row).unwrap();
    }

    /// The next event, in words.
    fn next(&mut self) -> (u64, String) {
        while self.read.is_empty() {
            let read = |bytes: &[u8]| {
                let mut reader = Reader::new(bytes);
                while !reader.is_empty() {
                    self.read.push(event(&mut reader));
                }
            };
            self.function.events().next(read).unwrap();
        }
        self.read.remove(0)
    }
}

fn event(reader: &mut Reader<'_>) -> (u64, String) {
    let call = u64::from_le_bytes(reader.array().unwrap());
    let [outcome] = reader.array().unwrap();
    let text = if outcome == Outcome::Failed as u8 {
        reader.text().unwrap()
    } else if call == OPENING {
        "opened".to_owned()
    } else {
        assert!(reader.flag().unwrap());
        i32::from_le_bytes(reader.array().unwrap()).to_string()
    };
    (call, text)
}

#[test]
fn rows_reach_the_function_in_the_order_of_the_calls() {
    let mut fixture = Fixture::open(None);
    for number in 0..1000 {
        fixture.predict(u64::try_from(number).unwrap(), number);
    }
    let mut answers: Vec<_> = (0..1000).map(|_| fixture.next()).collect();
    answers.sort_unstable();
    let expected = (0..1000_u64).map(|number| (number, (2 * number).to_string()));
    assert_eq!(answers, expected.collect::<Vec<_>>());
    assert_eq!(
        *fixture.asked.lock().unwrap(),
        (0..1000).collect::<Vec<_>>()
    );
    fixture.function.close().unwrap();
}

#[test]
fn failures_and_panics_are_events_like_any_other() {
    let mut fixture = Fixture::open(None);
    fixture.predict(0, FAILS);
    insta::assert_debug_snapshot!(fixture.next(), @r#"
    (
        0,
        "row 0, the server is away",
    )
    "#);
    fixture.predict(1, PANICS);
    insta::assert_debug_snapshot!(fixture.next(), @r#"
    (
        1,
        "the native library panicked, which is a mistake in it: row -1 went through the floor",
    )
    "#);
    fixture.predict(2, 21);
    assert_eq!(fixture.next(), (2, "42".to_owned()));
    insta::assert_snapshot!(fixture.function.predict(3, &[1, 2]).unwrap_err(), @"the buffer from Java ends too early; do its jar and its library belong together?");
    fixture.function.close().unwrap();
}

#[test]
fn a_row_that_flink_would_give_up_is_given_up_before() {
    let mut fixture = Fixture::open(Some(Duration::from_millis(1)));
    fixture.predict(7, NEVER);
    insta::assert_snapshot!(fixture.next().1, @"row 7, subtask 1 of 2, attempt 3: it was not answered before Flink would have given it up; raise 'table.exec.async-ml-predict.timeout', or lower the options 'timeout' and 'max-retries' of the model");
    fixture.given_up.recv().unwrap();
    fixture.function.close().unwrap();
}

#[test]
fn cancelling_and_closing_give_up_what_is_under_way() {
    let mut fixture = Fixture::open(None);
    fixture.predict(0, NEVER);
    fixture.function.cancel(0);
    fixture.given_up.recv().unwrap();
    fixture.function.cancel(0);

    fixture.predict(1, NEVER);
    fixture.predict(2, NEVER);
    fixture.function.close().unwrap();
    fixture.given_up.recv().unwrap();
    fixture.given_up.recv().unwrap();
    fixture.function.close().unwrap();
    assert!(fixture.function.events().next(|_| ()).is_none());
    let refused = fixture.function.predict(3, &[1, 0, 0, 0, 0]).unwrap_err();
    insta::assert_snapshot!(refused, @"the function is closed");
}
