//! Holds what a run came to against what was promised.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::options::Lane;
use crate::outcome::{Outcome, Run, Settled};
use crate::script::{IDLE, PLACES, Row, Script};
use crate::seen::{Returned, Seen};

/// A machine that is busy is late with everything.
const SLACK: Duration = Duration::from_millis(100);

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

/// What is promised besides the answers themselves.
pub(crate) fn promises(script: &Script, run: &Run) -> Vec<String> {
    let mut broken = run.violations.clone();
    let deadline = match script.option("row-deadline") {
        Some("2 s") => Duration::from_secs(2),
        Some(_) => Duration::from_secs(8),
        None => Duration::MAX,
    };
    let is_whole = script.lane == Lane::Replay
        && script.option("sequence-replay-limit").is_none()
        && !script.forgets();
    for (number, settled) in run.rows.iter().enumerate() {
        let Some(settled) = settled else { continue };
        let time = settled.settled - settled.handed_over;
        if time > deadline.saturating_add(Duration::from_secs(1)) {
            broken.push(format!("row {number} took {time:?} of {deadline:?}"));
        }
        match &settled.outcome {
            Outcome::Answered { marked: true, .. } if is_whole => {
                broken.push(format!("row {number} is marked, although it is replayed"));
            }
            Outcome::Failed { kind, text } if matches!(*kind, "internal" | "input") => {
                broken.push(format!("row {number}: {text}"));
            }
            _ => {}
        }
    }
    broken
}

/// What must hold of the requests that the proxy saw.
pub(crate) fn requests(script: &Script, run: &Run, log: &[Seen]) -> Vec<String> {
    let mut broken = Vec::new();
    let mut by_id = BTreeMap::<&str, Vec<&Seen>>::new();
    for seen in log {
        if let Some(id) = &seen.id {
            by_id.entry(id).or_default().push(seen);
        }
    }
    for (id, seen) in &by_id {
        let found = match script.lane {
            Lane::Static => check_static_id(run, seen),
            Lane::PerRequest => Ok(()),
            _ => check_keyed_id(script, seen),
        };
        if let Err((number, what)) = found {
            let around = seen[..=number].iter().rev().take(4).rev();
            let around: Vec<_> = around.map(|seen| seen.to_string()).collect();
            broken.push(format!(
                "sequence {id}: {what}:\n      {}",
                around.join("\n      ")
            ));
        }
    }
    if script.lane.is_keyed() && !script.can_be_late() && !script.forgets() {
        broken.extend(check_places(run, &by_id));
    }
    broken
}

/// What a client may know of an ID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    Fresh,
    Open,
    Uncertain,
    Over,
}

/// An ID of a key: one key, its rows in their order, START once, and nothing after a loss.
fn check_keyed_id(script: &Script, seen: &[&Seen]) -> Result<(), (usize, String)> {
    let ends_abandoned = script.option("sequence-abandon") == Some("end");
    let mut life = Life::Fresh;
    let mut last_value = i32::MIN;
    let key_of = |value: i32| script.rows[value as usize / 4096 - 1].key;
    for (number, request) in seen.iter().enumerate() {
        let Some(value) = request.value else {
            return Err((number, "it has no value".to_owned()));
        };
        if last_value > i32::MIN && key_of(value) != key_of(last_value) {
            return Err((number, "rows of two keys".to_owned()));
        }
        // An END for a sequence that is left has its last row's tensors.
        let is_end_of_left = ends_abandoned && request.end && !request.start && value <= last_value;
        let is_allowed = match life {
            Life::Fresh => request.start,
            Life::Open => !request.start && (value >= last_value || is_end_of_left),
            Life::Uncertain => is_end_of_left,
            // The answer to END may have come when nobody read it any more.
            Life::Over => is_end_of_left && seen[number - 1].returned == Returned::Answer,
        };
        if !is_allowed {
            return Err((
                number,
                format!("the last request is sent while it is {life:?}"),
            ));
        }
        if number > 0 && seen[number - 1].returned == Returned::Answer && !is_end_of_left {
            let before = seen[number - 1].concluded;
            if before.is_none_or(|before| before > request.received + SLACK) {
                return Err((
                    number,
                    "the last request overtakes the one before".to_owned(),
                ));
            }
        }
        life = match request.returned {
            Returned::Answer if request.end => Life::Over,
            Returned::Answer => Life::Open,
            Returned::Refusal => life,
            Returned::StartMissing => Life::Over,
            Returned::NotWhole | Returned::Doubtful if life == Life::Uncertain => Life::Over,
            Returned::NotWhole | Returned::Doubtful => Life::Uncertain,
        };
        last_value = last_value.max(value);
    }
    Ok(())
}

/// A static ID: START only where nothing of it can be on the way, and the server has dropped it.
fn check_static_id(run: &Run, seen: &[&Seen]) -> Result<(), (usize, String)> {
    let opened = |from: Instant, to: Instant| {
        run.rows.iter().enumerate().any(|(number, row)| {
            run.begins.contains(&number)
                && row
                    .as_ref()
                    .is_some_and(|row| from <= row.handed_over + SLACK && row.handed_over <= to)
        })
    };
    for (number, pair) in seen.windows(2).enumerate() {
        let [before, next] = pair else { continue };
        if !next.start {
            continue;
        }
        let is_settled = matches!(before.returned, Returned::StartMissing | Returned::Refusal);
        let Some(forwarded) = before.forwarded.filter(|_| !is_settled) else {
            continue;
        };
        // A function that is opened again may start again over an answered sequence.
        if before.returned == Returned::Answer && opened(before.received, next.received) {
            continue;
        }
        let waited = next.received.saturating_duration_since(forwarded);
        if waited + SLACK < IDLE {
            return Err((number + 1, format!("START again after {waited:?}")));
        }
    }
    Ok(())
}

/// There are never more sequences on the server than it has places.
fn check_places(run: &Run, by_id: &BTreeMap<&str, Vec<&Seen>>) -> Option<String> {
    // From when to when each ID was alive at least.
    let mut lives = Vec::new();
    for (id, seen) in by_id {
        let started = seen
            .iter()
            .find(|seen| seen.start && seen.server == Some(Returned::Answer));
        let Some(from) = started.and_then(|seen| seen.answered) else {
            continue;
        };
        // One that was refused proves that the sequence was over, at a time that nobody knows.
        let executed = seen.iter().filter(|it| it.server == Some(Returned::Answer));
        let last = executed.filter_map(|seen| seen.forwarded).max();
        let idle = last.map_or(from, |last| last + IDLE - SLACK);
        let over = seen.iter().filter(|seen| seen.end);
        let over = over.filter_map(|seen| seen.forwarded).min();
        let wiped = run.wiped.iter().filter(|wiped| **wiped > from).min();
        let ends = [Some(idle), over, wiped.copied()];
        if let Some(to) = ends.into_iter().flatten().min() {
            lives.push((from, to, *id, last));
        }
    }
    let alive_at = |now: Instant| {
        let alive = lives.iter();
        alive.filter(move |(from, to, ..)| *from <= now && now < *to)
    };
    let (at, ..) = lives
        .iter()
        .max_by_key(|(from, ..)| alive_at(*from).count())?;
    let alive = alive_at(*at);
    if alive.clone().count() <= PLACES {
        return None;
    }
    let told = alive.map(|(from, to, id, last)| {
        let last = last.map(|last| at.saturating_duration_since(last));
        format!(
            "\n      {id}: started {:?} before, last heard of {last:?} before, alive {:?} longer",
            *at - *from,
            *to - *at
        )
    });
    let told: Vec<_> = told.collect();
    Some(format!(
        "{} sequences were alive on the server of {PLACES}:{}",
        told.len(),
        told.concat()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A script of `fail` with one key, and what came of its rows: sums, and whether each is marked.
    fn check(rows: &[Option<(i64, bool)>]) -> (Answers, Vec<String>) {
        let seed = |seed: &u64| Script::draw(*seed).lane == Lane::Fail;
        let mut script = Script::draw((0..).find(seed).unwrap_or_default());
        script.bounded = true;
        script.rows = (1..=rows.len() as i32)
            .map(|number| Row {
                key: 0,
                number,
                value: number,
                last: false,
            })
            .collect();
        let now = Instant::now();
        let settled = rows.iter().map(|answer| {
            let outcome = match *answer {
                Some((number, marked)) => Outcome::Answered {
                    number,
                    id: None,
                    seen_id: None,
                    marked,
                },
                None => Outcome::Failed {
                    kind: "call",
                    text: String::new(),
                },
            };
            Some(Settled {
                outcome,
                handed_over: now,
                settled: now,
            })
        });
        let run = Run {
            rows: settled.collect(),
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
