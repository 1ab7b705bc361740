//! Any interleaving of rows, faults, pauses, snapshots and restores: what each recovery promises.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::time::sleep;

use super::test_server::{
    Fault, Running, SERVER_IDLE, TestServer, any_fault, paused_runtime, sum, value,
};
use super::{Answered, SequenceSnapshot};
use crate::Error;

const KEYS: i64 = 5;

#[derive(Debug, Clone, Copy)]
enum Step {
    /// A row of a key, and whether it is the last of its sequence.
    Row { key: i64, last: bool },
    /// What goes wrong with a request to come.
    Fault(Option<Fault>),
    /// The source has nothing for so long that every sequence is over.
    Silence,
    /// The server forgets everything between two requests.
    Forget,
    /// All answers are waited for.
    Wait,
    /// The subtask is restarted from a snapshot.
    Restore,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (0..KEYS, prop::bool::weighted(0.15)).prop_map(|(key, last)| Step::Row { key, last }),
        3 => any_fault().prop_map(Step::Fault),
        1 => Just(Step::Silence),
        1 => Just(Step::Forget),
        2 => Just(Step::Wait),
        1 => Just(Step::Restore),
    ]
}

/// What is expected of a key.
#[derive(Debug, Clone, Copy, Default)]
struct Expected {
    /// The sum of the rows answered in its sequence.
    sum: i64,
    rows: u64,
    /// Whether a row failed after which the next one may say that it starts anew.
    failed: bool,
    /// Whether anything went wrong since its last answer.
    disturbed: bool,
}

type Pending = (i64, i64, bool, oneshot::Receiver<Result<Answered, Error>>);

struct Run {
    recovery: &'static str,
    max_length: Option<u64>,
    bounded: bool,
    running: Running,
    pending: Vec<Pending>,
    expected: BTreeMap<i64, Expected>,
    answered: usize,
}

impl Run {
    fn options(recovery: &'static str, max_length: Option<u64>) -> Vec<(&'static str, String)> {
        let mut options = vec![
            ("sequence-recovery", recovery.to_owned()),
            (
                "sequence-replay-compare",
                (recovery == "replay").to_string(),
            ),
            ("max-retries", "2".to_owned()),
            // A key that waits for a place lets time go by, in which others become idle.
            ("sequence-max-open", "64".to_owned()),
        ];
        options.extend(max_length.map(|rows| ("sequence-max-length", rows.to_string())));
        // Without `replay` it would have no effect.
        options.retain(|(key, _)| recovery == "replay" || *key != "sequence-replay-compare");
        options
    }

    fn running(&self, server: &TestServer) -> Running {
        let options = Self::options(self.recovery, self.max_length);
        let options: Vec<(&str, &str)> = options
            .iter()
            .map(|(key, value)| (*key, value.as_str()))
            .collect();
        Running::start(server, &options, self.bounded)
    }

    async fn wait(&mut self) {
        for (key, number, last, answer) in std::mem::take(&mut self.pending) {
            let answer = answer.await.expect("every row is answered");
            self.answered += 1;
            let expected = self.expected.entry(key).or_default();
            let value = value(key, number);
            match answer {
                Ok(answered) => {
                    if answered.restarted {
                        assert_ne!(self.recovery, "replay", "a replay hides every loss");
                        assert!(expected.disturbed, "nothing went wrong");
                        assert!(self.recovery == "restart" || expected.failed);
                        (expected.sum, expected.rows) = (0, 0);
                    }
                    expected.sum += value;
                    expected.rows += 1;
                    expected.failed = false;
                    assert_eq!(sum(&answered), expected.sum, "{answered:?} {expected:?}");
                }
                Err(error) => {
                    assert_eq!(error.sequence_key(), Some(key.to_string().as_str()));
                    assert!(expected.disturbed, "{error}");
                    expected.failed = true;
                }
            }
            let length_reached = self.max_length == Some(expected.rows);
            if last || (length_reached && !expected.failed) {
                let disturbed = expected.disturbed;
                *expected = Expected {
                    disturbed,
                    ..Expected::default()
                };
            }
        }
    }

    fn disturb(&mut self) {
        for key in 0..KEYS {
            self.expected.entry(key).or_default().disturbed = true;
        }
    }

    async fn step(&mut self, number: i64, step: Step) {
        let server = self.running.server.clone();
        match step {
            Step::Row { key, last } => {
                let answer = self.running.submit(key, number, last);
                self.pending.push((key, number, last, answer));
            }
            Step::Fault(fault) => {
                server.fault(fault);
                self.disturb();
            }
            Step::Forget => {
                server.forget_everything();
                self.disturb();
            }
            Step::Silence => {
                self.wait().await;
                sleep(SERVER_IDLE * 2).await;
                if self.bounded {
                    self.disturb();
                } else {
                    for expected in self.expected.values_mut() {
                        *expected = Expected {
                            disturbed: expected.disturbed,
                            ..Expected::default()
                        };
                    }
                }
            }
            Step::Wait => self.wait().await,
            Step::Restore => {
                self.wait().await;
                let bytes = self.running.sequences.snapshot().unwrap().to_bytes();
                self.running = self.running(&server);
                let snapshot = SequenceSnapshot::from_bytes(&bytes).unwrap();
                self.running.sequences.restore(snapshot).unwrap();
                self.disturb();
            }
        }
    }
}

async fn check(recovery: &'static str, max_length: Option<u64>, bounded: bool, steps: &[Step]) {
    let server = TestServer::default();
    let options = Run::options(recovery, max_length);
    let options: Vec<(&str, &str)> = options
        .iter()
        .map(|(key, value)| (*key, value.as_str()))
        .collect();
    let mut run = Run {
        recovery,
        max_length,
        bounded,
        running: Running::start(&server, &options, bounded),
        pending: Vec::new(),
        expected: BTreeMap::new(),
        answered: 0,
    };
    for (number, step) in steps.iter().enumerate() {
        run.step(number as i64, *step).await;
        // The time in which rows of other keys may overtake.
        if number % 3 == 0 {
            sleep(Duration::from_millis(1)).await;
        }
    }
    run.wait().await;
    let rows = steps.iter().filter(|step| matches!(step, Step::Row { .. }));
    assert_eq!(run.answered, rows.count());

    // Within an ID the server saw the rows of one key only, in order, START first and END last.
    let mut ids: BTreeMap<String, Vec<(i64, bool, bool)>> = BTreeMap::new();
    for seen in server.seen() {
        let row = (seen.value, seen.start, seen.end);
        ids.entry(seen.id).or_default().push(row);
    }
    for (id, rows) in ids {
        assert!(
            rows.is_sorted_by(|left, right| left.0 < right.0),
            "{id}: {rows:?}"
        );
        let keys = rows.iter().map(|row| row.0 / value(1, 0));
        assert!(
            keys.clone().all(|key| keys.clone().next() == Some(key)),
            "{id}"
        );
        for (place, (_, start, end)) in rows.iter().enumerate() {
            assert_eq!(*start, place == 0, "{id}");
            assert!(!*end || place + 1 == rows.len(), "{id}");
        }
    }
}

static RUNTIME: LazyLock<Runtime> = LazyLock::new(paused_runtime);

proptest! {
    // Holds S5, S6, S7, S24, S28.
    #[test]
    fn every_recovery_keeps_its_promise(
        recovery in prop_oneof![Just("fail"), Just("restart"), Just("replay")],
        max_length in prop::option::weighted(0.3, 2_u64..6),
        bounded: bool,
        steps in vec(step(), 1..80),
    ) {
        RUNTIME.block_on(check(recovery, max_length, bounded, &steps));
    }
}
