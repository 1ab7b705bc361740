//! Holds what a run came to against what was promised.

mod arrived;
mod causes;
#[cfg(test)]
mod causes_tests;
mod expects;
mod places;
mod promises;
mod requests;

use std::collections::BTreeMap;
use std::time::Duration;

pub(crate) use self::expects::{Expects, Rows};
use crate::fault::{At, Fault};
use crate::journal::Arrived;
use crate::options::Lane;
use crate::outcome::{Outcome, Run, Settled};
use crate::proxy::Seen;
use crate::script::{IDLE, Row, Script};

/// What the answers of a run were.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Answers {
    pub(crate) right: usize,
    pub(crate) wrong: usize,
    pub(crate) failed: usize,
    pub(crate) marked: usize,
}

/// Compares each answer with the reference; says in words what is wrong.
pub(crate) fn answers(script: &Script, run: &Run) -> (Answers, Vec<String>) {
    let mut counted = Answers::default();
    let mut wrong = Vec::new();
    let mut known = BTreeMap::<usize, Known<'_>>::new();
    for (number, (row, settled)) in script.rows.iter().zip(&run.rows).enumerate() {
        let Some(settled) = settled else {
            wrong.push(format!("row {number} has neither an answer nor a failure"));
            continue;
        };
        let known = known.entry(row.key).or_default();
        if script.lane == Lane::Static {
            let begins = run.begins.iter().filter(|begin| **begin <= number).count();
            if std::mem::replace(&mut known.begins, begins) < begins {
                known.rows.clear();
            }
        }
        known.hears_of(script, settled);
        match &settled.outcome {
            Outcome::Failed { .. } => counted.failed += 1,
            Outcome::Answered {
                number: answer,
                id,
                seen_id,
                marked,
            } => {
                if seen_id != id && seen_id.is_some() && id.is_some() {
                    wrong.push(format!(
                        "row {number}: the model saw {seen_id:?}, not {id:?}"
                    ));
                }
                if *marked {
                    known.rows.clear();
                    counted.marked += 1;
                }
                match known.expects(script, row, *answer) {
                    Ok(()) => counted.right += 1,
                    Err(expected) => {
                        counted.wrong += 1;
                        wrong.push(format!(
                            "row {number} of key {}: {answer} in place of {expected}, the sum of \
                             the values {:?} and {}; sequence {id:?}",
                            row.key, known.rows, row.value
                        ));
                    }
                }
                known.rows.push(row.value);
            }
        }
        if row.last {
            known.rows.clear();
        }
    }
    (counted, wrong)
}

/// The rows of a key that are in the model's state.
#[derive(Default)]
struct Known<'a> {
    rows: Vec<i32>,
    before: Option<&'a Settled>,
    begins: usize,
    /// Whether the key was silent for so long since its last answer that time may have ended the
    /// sequence.
    may_be_over: bool,
}

impl<'a> Known<'a> {
    fn expects(&mut self, script: &Script, row: &Row, answer: i64) -> Result<(), i64> {
        let own = i64::from(row.value);
        let may_be_over = std::mem::take(&mut self.may_be_over);
        if !script.lane.is_keyed() && script.lane != Lane::Static {
            self.rows.clear();
        }
        let sum: i64 = self.rows.iter().copied().map(i64::from).sum::<i64>() + own;
        if answer == sum {
            return Ok(());
        }
        if answer == own && may_be_over {
            self.rows.clear();
            return Ok(());
        }
        Err(sum)
    }

    /// A key that falls silent ends its sequence, where the input has no end.
    fn hears_of(&mut self, script: &Script, settled: &'a Settled) {
        let silence = self
            .before
            .replace(settled)
            .map_or(Duration::ZERO, |before| {
                settled
                    .handed_over
                    .saturating_duration_since(before.handed_over)
            });
        self.may_be_over |= script.lane.is_keyed() && !script.bounded && silence > IDLE / 2;
    }
}

/// What others wrote down of a run.
#[derive(Debug)]
pub(crate) struct Records {
    /// What the proxies saw.
    pub(crate) log: Vec<Seen>,
    /// The faults that requests met.
    pub(crate) met: Vec<(At, Fault)>,
    /// What arrived at the models of each server.
    pub(crate) journals: Vec<Vec<Arrived>>,
}

/// What came of the checks.
#[derive(Debug, Default)]
pub(crate) struct Checked {
    pub(crate) broken: Vec<String>,
    /// Whether the run could be held against the places of its servers.
    pub(crate) has_places: bool,
}

/// All that a run is held against, but for the answers themselves.
pub(crate) fn run(script: &Script, run: &Run, records: &Records) -> Checked {
    let Records { log, met, journals } = records;
    let mut broken = promises::promises(script, run);
    broken.extend(script.expects.unmet(run, records));
    broken.extend(causes::causeless(script, run, log));
    broken.extend(requests::requests(script, run, log));
    broken.extend(arrived::arrived(script, run, journals, log));
    let has_places = places::has_places_to_check(script, run, met);
    if has_places {
        broken.extend(places::places(script, run, log));
    }
    Checked { broken, has_places }
}

/// A script of `fail` with so many rows of one key, without faults or events.
#[cfg(test)]
fn script_of_test(rows: usize) -> Script {
    let is_plain = |script: &Script| {
        script.lane == Lane::Fail
            && script.front == crate::script::Front::Function
            && script.option("row-deadline").is_none()
            && script.option("circuit-breaker-enabled").is_none()
    };
    let mut scripts = (0..1000).map(Script::draw);
    let mut script = scripts.find(is_plain).expect("a seed has no such option");
    script.bounded = true;
    script.faults.clear();
    script.events.clear();
    script.rows = (1..=rows as i32)
        .map(|number| Row {
            key: 0,
            number,
            value: number,
            last: false,
        })
        .collect();
    script
}

/// What came of a row: a sum, and whether it is marked, or nothing where it failed.
#[cfg(test)]
fn row_of_test(answer: Option<(i64, bool)>, settled: std::time::Instant) -> Option<Settled> {
    let outcome = match answer {
        Some((number, marked)) => Outcome::Answered {
            number,
            id: None,
            seen_id: None,
            marked,
        },
        None => Outcome::Failed {
            kind: "call".into(),
            text: String::new(),
        },
    };
    Some(Settled {
        outcome,
        handed_over: settled,
        settled,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    /// A script of `fail` with one key, and what came of its rows: sums, and whether each is marked.
    fn check(rows: &[Option<(i64, bool)>]) -> (Answers, Vec<String>) {
        let (script, now) = (script_of_test(rows.len()), Instant::now());
        let rows = rows.iter().map(|row| row_of_test(*row, now));
        let run = Run {
            rows: rows.collect(),
            ..Run::default()
        };
        answers(&script, &run)
    }

    #[test]
    fn an_answer_is_the_sum_of_the_rows_that_are_in_it() {
        let (counted, wrong) = check(&[Some((1, false)), None, Some((4, false))]);
        assert_eq!((counted.right, counted.failed, wrong.len()), (2, 1, 0));
        let (counted, _) = check(&[Some((1, false)), Some((2, true)), Some((5, false))]);
        assert_eq!((counted.right, counted.marked), (3, 1));
    }

    #[test]
    fn one_that_lacks_rows_without_a_mark_or_has_one_twice_is_wrong() {
        let (counted, wrong) = check(&[Some((1, false)), Some((2, false)), Some((7, false))]);
        assert_eq!((counted.right, counted.wrong), (1, 2), "{wrong:?}");
    }
}
