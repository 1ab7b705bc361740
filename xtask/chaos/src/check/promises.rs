//! What is promised of each row besides its answer: that it comes in time, and whole where it is replayed.

use std::time::Duration;

use crate::options::Lane;
use crate::outcome::{Outcome, Run};
use crate::script::Script;

/// A machine that is busy is late with everything.
pub(super) const SLACK: Duration = Duration::from_secs(1);

/// How long a row may take, unless that is longer than a run.
pub(super) fn deadline(script: &Script) -> Option<Duration> {
    match script.option("row-deadline") {
        Some("2 s") => Some(Duration::from_secs(2)),
        Some("8 s") => Some(Duration::from_secs(8)),
        Some(_) | None => None,
    }
}

pub(super) fn promises(script: &Script, run: &Run) -> Vec<String> {
    let mut broken = run.violations.clone();
    let deadline = deadline(script).unwrap_or(Duration::MAX);
    let is_whole = script.lane == Lane::Replay
        && script.option("sequence-replay-limit").is_none()
        && !run.has_forgotten(script);
    for (number, settled) in run.rows.iter().enumerate() {
        let Some(settled) = settled else { continue };
        let time = settled.settled - settled.handed_over;
        if time > deadline.saturating_add(SLACK) {
            broken.push(format!("row {number} took {time:?} of {deadline:?}"));
        }
        match &settled.outcome {
            Outcome::Answered { marked: true, .. } if is_whole => {
                broken.push(format!("row {number} is marked, although it is replayed"));
            }
            // Whatever goes wrong on the way, every row can be read and nobody panics.
            Outcome::Failed { kind, text } if matches!(&**kind, "internal" | "input" | "row") => {
                broken.push(format!("row {number}: {kind}: {text}"));
            }
            _ => {}
        }
    }
    broken
}
