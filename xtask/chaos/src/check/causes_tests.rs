//! Rows of one key that fail or are marked, and what is a cause for that.

use std::time::{Duration, Instant};

use super::causes::causeless;
use super::{row_of_test, script_of_test};
use crate::fault::{Event, Fault};
use crate::outcome::{Outcome, Run};
use crate::proxy::{Returned, Seen};
use crate::script::{Front, IDLE, Script};

const MOMENT: Duration = Duration::from_millis(10);
const STEP: Duration = Duration::from_millis(200);
const FAILED: Option<(i64, bool)> = None;

fn answered(number: i64) -> Option<(i64, bool)> {
    Some((number, false))
}

fn marked(number: i64) -> Option<(i64, bool)> {
    Some((number, true))
}

/// Rows of one key, each sent and settled so long after the one before.
struct Case {
    script: Script,
    run: Run,
    log: Vec<Seen>,
    begun: Instant,
}

fn case(rows: &[Option<(i64, bool)>]) -> Case {
    let begun = Instant::now();
    let at = |row: usize| begun + STEP * row as u32;
    let settled = |(row, answer): (usize, &Option<_>)| row_of_test(*answer, at(row) + MOMENT);
    let sent = |(row, answer): (usize, &Option<_>)| {
        let seen = Seen::of_test("a", row as i32 + 1, at(row));
        answer.map(|_| seen.answered_after(MOMENT))
    };
    Case {
        script: script_of_test(rows.len()),
        run: Run {
            rows: rows.iter().enumerate().map(settled).collect(),
            ..Run::default()
        },
        log: rows.iter().enumerate().filter_map(sent).collect(),
        begun,
    }
}

impl Case {
    fn found(&self) -> usize {
        causeless(&self.script, &self.run, &self.log).len()
    }

    /// The same, where a row was sent and has no answer.
    fn lost(mut self, row: i32) -> Self {
        let at = self.begun + STEP * (row as u32 - 1);
        self.log.push(Seen::of_test("a", row, at));
        self.log.sort_by_key(|seen| seen.received);
        self
    }

    fn meets(mut self, event: Event, from: Duration, to: Duration) -> Self {
        let (from, to) = (self.begun + from, self.begun + to);
        self.run
            .happened
            .push(crate::outcome::Happened { event, from, to });
        self
    }
}

#[test]
fn rows_that_fail_or_are_marked_without_a_cause_are_found() {
    assert_eq!(case(&[answered(1), answered(3)]).found(), 0);
    assert_eq!(case(&[FAILED, FAILED, FAILED]).found(), 3);
    assert_eq!(case(&[marked(1), marked(2)]).found(), 2);
}

#[test]
fn a_request_without_an_answer_is_a_cause_until_a_row_is_answered() {
    let rows = [answered(1), FAILED, marked(3)];
    assert_eq!(case(&rows).found(), 2);
    assert_eq!(case(&rows).lost(2).found(), 0);
    let further = [
        answered(1),
        FAILED,
        marked(3),
        marked(4),
        answered(9),
        FAILED,
    ];
    assert_eq!(case(&further).lost(2).found(), 2);
}

#[test]
fn a_request_without_an_answer_takes_the_row_and_the_next_one_and_no_more() {
    let rows = [answered(1), FAILED, FAILED, FAILED, marked(5)];
    assert_eq!(case(&rows).lost(2).found(), 2);
    assert_eq!(case(&rows).lost(2).lost(4).found(), 0);
}

#[test]
fn a_request_of_another_key_is_no_cause_unless_the_circuit_is_shared() {
    let mut case = case(&[answered(1), FAILED]).lost(2);
    case.script.rows.push(crate::script::Row {
        key: 1,
        number: 1,
        value: 100,
        last: true,
    });
    case.log[1].value = Some(100);
    assert_eq!(case.found(), 1);
    let options = &mut case.script.options;
    options.push(("circuit-breaker-enabled".to_owned(), "true".to_owned()));
    assert_eq!(case.found(), 0);
}

#[test]
fn an_event_is_a_cause_while_it_lasts_and_shortly_after() {
    let second = Duration::from_secs(1);
    let rows = [answered(1), answered(3), FAILED];
    let crash = |from, to| case(&rows).meets(Event::Crash, from, to).found();
    assert_eq!(crash(2 * STEP, 2 * STEP), 0);
    assert_eq!(crash(5 * second, 6 * second), 1);
    let pause = Event::Pause(MOMENT);
    assert_eq!(case(&rows).meets(pause, STEP, 2 * STEP).found(), 1);
}

#[test]
fn an_event_of_a_server_takes_a_sequence_and_no_row_that_was_not_sent() {
    let rows = [answered(1), FAILED, marked(3)];
    let mut case = case(&rows).meets(Event::Reload, STEP, STEP);
    assert_eq!(case.found(), 1);
    if let Some(row) = &mut case.run.rows[1] {
        row.outcome = Outcome::Failed {
            kind: "sequence_lost".into(),
            text: String::new(),
        };
    }
    assert_eq!(case.found(), 0);
}

#[test]
fn when_a_row_of_the_command_was_told_is_not_known() {
    let rows = [answered(1), FAILED, FAILED, marked(4)];
    let mut case = case(&rows).lost(2).lost(3);
    case.script.front = Front::Command;
    // Both failed when their files were read.
    for row in case.run.rows[1..3].iter_mut().flatten() {
        row.settled += Duration::from_secs(60);
    }
    assert_eq!(case.found(), 0);
    case.log.retain(|seen| seen.returned == Returned::Answer);
    assert_eq!(case.found(), 3);
}

#[test]
fn a_row_of_the_command_may_be_answered_again_after_a_kill() {
    let rows = [answered(1), answered(3), marked(3)];
    let mut killed = case(&rows).meets(Event::Crash, 4 * STEP, 4 * STEP);
    killed.script.front = Front::Command;
    assert_eq!(killed.found(), 1);
    let again = Seen::of_test("b", 3, killed.begun + 5 * STEP).answered_after(MOMENT);
    killed.log.push(again);
    assert_eq!(killed.found(), 0);
}

#[test]
fn that_the_server_does_not_know_a_sequence_is_no_cause() {
    let mut refused = case(&[answered(1), FAILED]).lost(2);
    refused.log[1].returned = Returned::StartMissing;
    refused.log[1].concluded = Some(refused.log[1].received + MOMENT);
    assert_eq!(refused.found(), 1);
    refused.log[1].fault = Some(Fault::CutBefore);
    assert_eq!(refused.found(), 0);
}

#[test]
fn the_deadline_of_a_row_is_a_cause() {
    let mut late = case(&[answered(1), FAILED]);
    let options = &mut late.script.options;
    options.push(("row-deadline".to_owned(), "2 s".to_owned()));
    assert_eq!(late.found(), 1);
    if let Some(row) = &mut late.run.rows[1] {
        row.settled += Duration::from_secs(2);
    }
    late.log
        .push(Seen::of_test("a", 1, late.begun + Duration::from_secs(2)).answered_after(MOMENT));
    assert_eq!(late.found(), 0);
}

#[test]
fn a_sequence_that_was_silent_may_be_over() {
    let mut silent = case(&[answered(1), marked(2)]);
    assert_eq!(silent.found(), 1);
    let later = silent.begun + IDLE;
    silent.log[1] = Seen::of_test("a", 2, later).answered_after(MOMENT);
    if let Some(row) = &mut silent.run.rows[1] {
        row.settled = later + MOMENT;
    }
    assert_eq!(silent.found(), 0);
}
