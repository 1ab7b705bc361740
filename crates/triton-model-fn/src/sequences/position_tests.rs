//! Rows that say which number they have, handed over in any order to functions that come and go:
//! no answer may be silently wrong.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use proptest::collection::vec;
use proptest::prelude::*;
use tokio::runtime::Runtime;
use tokio::time::sleep;

use super::row_position::{EarlierRows, rows_before};
use super::test_server::{
    Asked, Fault, Running, SERVER_IDLE, TestServer, any_fault, paused_runtime, row, sum, value,
};
use super::{Answered, RowPosition, SourceTraits};
use crate::{Error, ErrorKind};

const KEYS: usize = 3;

/// The options of all rows here; the scope keeps the IDs of functions apart.
fn start(server: &TestServer, extra: &[(&str, &str)]) -> Running {
    let position = [
        ("sequence-id-scope", "run"),
        ("sequence-position-column", "n"),
        ("sequence-max-open", "64"),
    ];
    let options = [&position, extra].concat();
    Running::start_attempt(server, &options, 0, SourceTraits::default())
}

const RESTART: &[(&str, &str)] = &[("sequence-recovery", "restart")];
const REPLAY: &[(&str, &str)] = &[
    ("sequence-recovery", "replay"),
    ("sequence-history-columns", "value:values"),
    ("max-retries", "5"),
];

/// What a row says of its place, with the rows before it or without.
fn said(key: i64, position: u64, max_length: Option<u64>, carries: bool) -> RowPosition {
    let before = rows_before(position, None, max_length).unwrap();
    let first = position - before;
    let earlier = EarlierRows::new(before, move |index| {
        Ok(row(value(key, (first + index) as i64)))
    });
    RowPosition {
        position,
        before: Some(before),
        earlier: carries.then(|| Arc::new(earlier)),
    }
}

async fn answer(running: &Running, position: u64, carries: bool) -> Result<Answered, Error> {
    let said = said(1, position, None, carries);
    let answer = running.hand_over(1, position as i64, false, Some(said));
    answer.await.unwrap()
}

/// The sum of rows of key 1.
fn sum_of(rows: impl IntoIterator<Item = i64>) -> i64 {
    rows.into_iter().map(|number| value(1, number)).sum()
}

// Holds S40.
#[tokio::test(start_paused = true)]
async fn a_row_that_carries_its_history_needs_nothing_else() {
    let server = TestServer::default();
    let running = start(&server, REPLAY);
    for position in [3, 4, 2, 2, 5, 1, 9] {
        let answered = answer(&running, position, true).await.unwrap();
        assert_eq!(sum(&answered), sum_of(1..=position as i64));
        assert!(!answered.restarted);
    }
    // Nothing is sent again where rows follow each other.
    let before = server.seen().len();
    answer(&running, 10, true).await.unwrap();
    assert_eq!(server.seen().len(), before + 1);
    // Silence ends no sequence, and what the server has dropped meanwhile takes no memory here.
    sleep(SERVER_IDLE * 2).await;
    assert_eq!(running.sequences.open_sequences(), 0);
    let answered = answer(&running, 11, true).await.unwrap();
    assert_eq!(
        (sum(&answered), answered.restarted),
        (sum_of(1..=11), false)
    );
}

// Holds S26, S38.
#[tokio::test(start_paused = true)]
async fn a_gap_is_marked_or_refused_where_no_rows_are_carried() {
    let server = TestServer::default();
    let running = start(&server, RESTART);
    let mut answers = Vec::new();
    for position in [1, 2, 5, 6, 1, 2] {
        let answered = answer(&running, position, false).await.unwrap();
        answers.push((sum(&answered), answered.restarted));
    }
    let expected = [
        (sum_of([1]), false),
        (sum_of([1, 2]), false),
        (sum_of([5]), true),
        (sum_of([5, 6]), false),
        // The source started over, and so does the sequence.
        (sum_of([1]), false),
        (sum_of([1, 2]), false),
    ];
    assert_eq!(answers, expected);

    let running = start(&server, &[]);
    let error = answer(&running, 4, false).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SequenceLost);
    insta::assert_snapshot!(error, @"the sequence was lost after 3 rows: row 4 of the key came, and those before it are not known here; the next row of its key starts a new one, and the option 'sequence-recovery' can make it go on instead");
    let answered = answer(&running, 5, false).await.unwrap();
    assert_eq!((sum(&answered), answered.restarted), (sum_of([5]), true));
    let error = answer(&running, 8, false).await.unwrap_err();
    insta::assert_snapshot!(error.to_string().replace(&error.sequence_id().unwrap()[4..30], "RUN"), @"the sequence was lost after 7 rows: row 8 of the key came, and the last one seen here was row 5; the next row of its key starts a new one, and the option 'sequence-recovery' can make it go on instead");
}

// Holds S39.
#[tokio::test(start_paused = true)]
async fn an_end_that_was_seen_makes_the_next_row_the_first() {
    let running = start(&TestServer::default(), RESTART);
    // Where only rows tell of an end, nothing says how many rows came before.
    let said = |position| RowPosition {
        position,
        before: None,
        earlier: None,
    };
    let mut answers = Vec::new();
    for (position, last) in [(1, false), (2, true), (3, false), (9, true), (10, false)] {
        let answer = running.hand_over(1, position, last, Some(said(position as u64)));
        let answered = answer.await.unwrap().unwrap();
        answers.push((sum(&answered), answered.restarted));
    }
    let expected = [
        (sum_of([1]), false),
        (sum_of([1, 2]), false),
        (sum_of([3]), false),
        (sum_of([9]), true),
        (sum_of([10]), false),
    ];
    assert_eq!(answers, expected);
}

#[derive(Debug, Clone, Copy)]
enum Step {
    /// The next row of a key, or one so many rows before it, to one of two functions.
    Row {
        key: usize,
        back: u64,
        function: usize,
    },
    /// Rows of a key that go elsewhere.
    Lost {
        key: usize,
        rows: u64,
    },
    Fault(Option<Fault>),
    Silence,
    /// A function is opened again and knows nothing.
    Reopen {
        function: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let back = prop_oneof![6 => Just(0_u64), 1 => 1_u64..4];
    let function = prop_oneof![5 => Just(0_usize), 1 => Just(1)];
    prop_oneof![
        14 => (0..KEYS, back, function)
            .prop_map(|(key, back, function)| Step::Row { key, back, function }),
        1 => (0..KEYS, 1_u64..3).prop_map(|(key, rows)| Step::Lost { key, rows }),
        3 => any_fault().prop_map(Step::Fault),
        1 => Just(Step::Silence),
        1 => (0_usize..2).prop_map(|function| Step::Reopen { function }),
    ]
}

struct Pending {
    key: usize,
    position: u64,
    function: usize,
    answer: Asked,
}

struct Run {
    carries: bool,
    max_length: Option<u64>,
    server: TestServer,
    functions: [Running; 2],
    /// How many rows each key has had.
    rows: [u64; KEYS],
    pending: Vec<Pending>,
    /// The rows of a key that are in the answers of a function.
    chains: BTreeMap<(usize, usize), Vec<u64>>,
}

impl Run {
    fn start(&self) -> Running {
        start_with(&self.server, self.carries, self.max_length)
    }

    async fn wait(&mut self) {
        for pending in std::mem::take(&mut self.pending) {
            let Pending {
                key,
                position,
                function,
                answer,
            } = pending;
            let first = position - rows_before(position, None, self.max_length).unwrap();
            let chain = self.chains.entry((key, function)).or_default();
            let Ok(answered) = answer.await.unwrap() else {
                // Not silent; a row that fails is not part of the sequence it was to begin.
                if first == position {
                    chain.clear();
                }
                continue;
            };
            if self.carries {
                assert!(!answered.restarted, "a replay hides every loss");
                *chain = (first..=position).collect();
            } else {
                if answered.restarted || first == position {
                    chain.clear();
                }
                chain.push(position);
                assert!(chain.is_sorted(), "{chain:?}");
            }
            let expected: i64 = chain
                .iter()
                .map(|position| value(key as i64, *position as i64))
                .sum();
            assert_eq!(sum(&answered), expected, "{key} {position} {chain:?}");
        }
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Row {
                key,
                back,
                function,
            } => {
                // Two functions at once are two rows of a key at once, which nobody can order.
                if self.pending.iter().any(|other| other.function != function) {
                    self.wait().await;
                }
                if back == 0 || self.rows[key] < back {
                    self.rows[key] += 1;
                }
                let position = self.rows[key].saturating_sub(back).max(1);
                let said = said(key as i64, position, self.max_length, self.carries);
                let last = self.max_length == Some(said.before.unwrap() + 1);
                let number = position as i64;
                let answer =
                    self.functions[function].hand_over(key as i64, number, last, Some(said));
                self.pending.push(Pending {
                    key,
                    position,
                    function,
                    answer,
                });
            }
            Step::Lost { key, rows } => self.rows[key] += rows,
            Step::Fault(fault) => self.server.fault(fault),
            Step::Silence => {
                self.wait().await;
                sleep(SERVER_IDLE * 2).await;
            }
            Step::Reopen { function } => {
                self.wait().await;
                self.functions[function] = self.start();
                self.chains.retain(|(_, other), _| *other != function);
            }
        }
    }
}

fn start_with(server: &TestServer, carries: bool, max_length: Option<u64>) -> Running {
    let length = max_length.map(|rows| rows.to_string());
    let mut options = if carries { REPLAY } else { RESTART }.to_vec();
    options.extend(length.as_deref().map(|rows| ("sequence-max-length", rows)));
    start(server, &options)
}

static RUNTIME: LazyLock<Runtime> = LazyLock::new(paused_runtime);

proptest! {
    // Holds S24, S38, S39, S40.
    #[test]
    fn no_answer_is_silently_wrong(
        carries: bool,
        max_length in prop::option::weighted(0.3, 2_u64..6),
        steps in vec(step(), 1..60),
    ) {
        RUNTIME.block_on(async {
            let server = TestServer::default();
            let mut run = Run {
                carries,
                max_length,
                functions: [
                    start_with(&server, carries, max_length),
                    start_with(&server, carries, max_length),
                ],
                server,
                rows: [0; KEYS],
                pending: Vec::new(),
                chains: BTreeMap::new(),
            };
            for step in steps {
                run.step(step).await;
            }
            run.wait().await;
        });
    }
}
