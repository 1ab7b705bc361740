//! Whether answers to rows of keys are right, or say from where on they are not.

use std::collections::{BTreeMap, BTreeSet};

use crate::job::Printed;
use crate::keyed::ROWS_PER_KEY;

/// A table that answers are printed to; what reads them knows its columns.
pub(crate) fn sink(identifier: &str, suffix: &str, answers: &str) -> String {
    format!(
        "CREATE TABLE printed{suffix} (x INT, total INT, restarted BOOLEAN) WITH (
           'connector' = 'print', 'print-identifier' = '{identifier}');
         INSERT INTO printed{suffix} SELECT x, `sum`, sequence_restarted FROM {answers};\n"
    )
}

/// Whether every key has had answers, and there is more to come: the time to break something.
pub(crate) fn is_in_the_middle(printed: &[Printed], keys: u64) -> bool {
    let answered = printed.iter().map(|row| number(&row.cells[0]) % keys);
    let answered: BTreeSet<u64> = answered.collect();
    printed.len() as u64 >= keys * ROWS_PER_KEY / 3 && answered.len() as u64 == keys
}

/// What the answers of one attempt tell about it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Attempt {
    pub(crate) rows: u64,
    /// How many keys have no mark.
    pub(crate) unmarked: u64,
    /// How many are marked at their first row ever: nothing is missing, but nobody told so.
    pub(crate) begin_again: u64,
    /// How many are marked at another row: those before it are missing in the answers.
    pub(crate) go_on: u64,
}

/// A row of a key, by its place among all rows.
struct Answer {
    attempt: u32,
    x: u64,
    sum: u64,
    marked: bool,
}

impl Answer {
    fn read(printed: &Printed) -> Self {
        let [x, sum, marked] = &printed.cells[..] else {
            panic!("{printed:?}")
        };
        Self {
            attempt: printed.attempt,
            x: number(x),
            sum: number(sum),
            marked: marked.parse().unwrap(),
        }
    }
}

fn check_that_every_row_is_answered(printed: &[Printed], keys: u64) {
    let answered: BTreeSet<u64> = printed.iter().map(|row| Answer::read(row).x).collect();
    let rows = keys * ROWS_PER_KEY;
    let missing: Vec<u64> = (0..rows).filter(|x| !answered.contains(x)).collect();
    assert!(missing.is_empty(), "no answers to {missing:?}");
}

/// The attempts that gave answers.
///
/// Every answer must be that of a chain of rows without a gap that ends with its row: from the
/// key's first row ever, or from one that is marked and was answered before in the same attempt.
/// Each row must have an answer, in one attempt at least.
pub(crate) fn check(printed: &[Printed], keys: u64) -> BTreeMap<u32, Attempt> {
    check_that_every_row_is_answered(printed, keys);
    let mut chains = BTreeMap::<(u32, u64), Vec<Answer>>::new();
    for answer in printed.iter().map(Answer::read) {
        let chain = chains.entry((answer.attempt, answer.x % keys)).or_default();
        chain.push(answer);
    }
    let mut attempts = BTreeMap::<u32, Attempt>::new();
    for ((number, key), answers) in chains {
        let attempt = attempts.entry(number).or_default();
        attempt.rows += answers.len() as u64;
        let mut begin = key;
        let mut last = None;
        for Answer { x, sum, marked, .. } in answers {
            let row = format!("row {x} of key {key} in attempt {number}");
            assert!(last.is_none_or(|last| x == last + keys), "{row}: {last:?}");
            if marked {
                assert!(last.is_none(), "{row} is marked, after {last:?}");
                begin = x;
            }
            if last.is_none() {
                let count = match (marked, x == key) {
                    (false, _) => &mut attempt.unmarked,
                    (true, true) => &mut attempt.begin_again,
                    (true, false) => &mut attempt.go_on,
                };
                *count += 1;
            }
            assert_eq!(sum, sum_from(begin, x, keys), "{row} is silently wrong");
            last = Some(x);
        }
    }
    attempts
}

/// The attempts that gave answers, each of which must be that of all rows of its key so far, in
/// whatever order they came.
pub(crate) fn check_whole(printed: &[Printed], keys: u64) -> BTreeSet<u32> {
    check_that_every_row_is_answered(printed, keys);
    let answers = printed.iter().map(Answer::read);
    let attempts = answers.map(|answer| {
        let Answer { x, sum, marked, .. } = answer;
        assert!(!marked, "row {x} in attempt {}", answer.attempt);
        assert_eq!(
            sum,
            sum_from(x % keys, x, keys),
            "row {x} in {}",
            answer.attempt
        );
        answer.attempt
    });
    attempts.collect()
}

/// What the model answers to row `x` in a sequence that begins with another row of its key.
fn sum_from(begin: u64, x: u64, keys: u64) -> u64 {
    (begin..=x).step_by(keys as usize).sum()
}

fn number(cell: &str) -> u64 {
    cell.parse()
        .unwrap_or_else(|_| panic!("'{cell}' is no number"))
}
