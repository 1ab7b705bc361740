//! A row fails, or is marked, only for a cause: a request that was not answered in time, an event, a sequence that
//! nothing was heard of for long, or the row's own deadline.
//!
//! A cause counts from when its key's last answered row was sent: what went wrong before that had not harmed
//! the sequence, or was told by then. And it takes two rows of a key at most: the one that met it, and the one
//! that is told of a lost sequence; the next one begins a new sequence.

use std::time::{Duration, Instant};

use super::promises::{SLACK, deadline};
use crate::fault::{Event, Fault};
use crate::options::Lane;
use crate::outcome::{Outcome, Run, Settled};
use crate::proxy::{Returned, Seen};
use crate::script::{Front, IDLE, Script, TIMEOUT};

/// The proxy of a machine that is busy may read a request when its client has given it up.
const LATE: Duration = Duration::from_millis(500);

/// After this time without a request of a sequence, its end may be near.
const SILENCE: Duration = IDLE.saturating_sub(LATE);

/// Rows that share the fate of a request: those of a sequence, or of a lane whose requests have several rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Group(usize);

impl Group {
    fn of_row(script: &Script, row: usize) -> Self {
        Self(match script.lane {
            Lane::PerRequest => row,
            // The proxy sees only the first row of a request.
            Lane::Stateless => 0,
            _ => script.rows[row].key,
        })
    }

    fn of(script: &Script, seen: &Seen) -> Option<Self> {
        let row = script.row_of(seen.value?)?;
        Some(Self::of_row(script, row))
    }
}

/// From when to when something could take answers away.
#[derive(Debug, Clone, Copy)]
struct Cause {
    /// All groups, where it is none's own.
    group: Option<Group>,
    from: Instant,
    to: Instant,
    /// Whether it only takes sequences and servers away: a request that it harms is a cause of its own.
    is_silent: bool,
}

/// Of rows that fail for something else than their own request.
const WITHOUT_A_REQUEST: [&str; 4] = [
    "sequence_lost",
    "sequence_uncertain",
    "server_away",
    "circuit_open",
];

impl Cause {
    /// A request that the proxy saw.
    fn of_request(group: Option<Group>, received: Instant, to: Instant) -> Self {
        Self {
            group,
            from: received.checked_sub(LATE).unwrap_or(received),
            to,
            is_silent: false,
        }
    }

    fn can_bring(&self, outcome: &Outcome) -> bool {
        match outcome {
            Outcome::Failed { kind, .. } if self.is_silent => WITHOUT_A_REQUEST.contains(&&**kind),
            _ => true,
        }
    }
}

/// Rows that failed or are marked without a cause.
pub(super) fn causeless(script: &Script, run: &Run, log: &[Seen]) -> Vec<String> {
    let causes = causes(script, run, log);
    let mut broken = Vec::new();
    for (number, settled) in run.rows.iter().enumerate() {
        let Some(settled) = settled else { continue };
        let what = match &settled.outcome {
            Outcome::Failed { .. } if has_met_its_deadline(script, settled) => continue,
            Outcome::Failed { kind, text } => format!("failed, {kind}: {text}"),
            Outcome::Answered { marked: true, .. } => "is marked".to_owned(),
            Outcome::Answered { .. } => continue,
        };
        let group = Group::of_row(script, number);
        let told = told_until(script, run, number);
        let since = sound_since(script, run, log, number).max(told);
        let has_cause = causes.iter().any(|cause| {
            cause.group.is_none_or(|of| of == group)
                && since.is_none_or(|since| since < cause.to)
                && cause.from <= settled.settled
                && cause.can_bring(&settled.outcome)
        });
        let was_silent = || {
            if script.front == Front::Command {
                // Nobody saw when a row was settled that was never sent.
                return false;
            }
            let requests = requests_of(script, log, group);
            let requests = requests.filter(|it| it.received <= settled.settled);
            let last = requests.map(|it| it.received).max();
            last.is_some_and(|last| {
                settled.settled > told.map_or(last, |told| told.max(last)) + SILENCE
            })
        };
        if !has_cause && !was_silent() {
            let key = script.rows[number].key;
            broken.push(format!("row {number} of key {key} {what}, without a cause"));
        }
    }
    broken
}

fn has_met_its_deadline(script: &Script, settled: &Settled) -> bool {
    let Some(deadline) = deadline(script) else {
        return false;
    };
    let Outcome::Failed { text, .. } = &settled.outcome else {
        return false;
    };
    match script.front {
        Front::Function => settled.settled - settled.handed_over + SLACK >= deadline,
        // Nobody saw when it was handed over.
        Front::Command => text.contains("row-deadline"),
    }
}

/// When the last answered row before this one was sent.
fn sound_since(script: &Script, run: &Run, log: &[Seen], number: usize) -> Option<Instant> {
    let group = Group::of_row(script, number);
    let rows = run.rows[..number].iter().enumerate().rev();
    let mut rows = rows.filter(|(row, _)| Group::of_row(script, *row) == group);
    let (before, settled) = rows.find_map(|(row, settled)| {
        let settled = settled.as_ref()?;
        matches!(settled.outcome, Outcome::Answered { .. }).then_some((row, settled))
    })?;
    let sent = log.iter().filter(|seen| {
        seen.value == Some(script.rows[before].value) && seen.returned == Returned::Answer
    });
    let sent = sent.map(|seen| seen.received);
    match script.lane {
        // Rows are not in the order of their numbers.
        Lane::Stateless => None,
        // Of what a process has sent again, nobody knows which answer was taken.
        _ if script.front == Front::Command => sent.min(),
        _ => sent.filter(|sent| *sent <= settled.settled).max(),
    }
}

/// When the row before the last one failed, where the last one did as well and it is known when.
fn told_until(script: &Script, run: &Run, number: usize) -> Option<Instant> {
    if !script.lane.is_keyed() || script.front == Front::Command {
        return None;
    }
    let key = script.rows[number].key;
    let rows = run.rows[..number].iter().zip(&script.rows).rev();
    let mut rows = rows.filter(|(_, row)| row.key == key);
    let mut failed = || {
        let settled = rows.next()?.0.as_ref()?;
        matches!(settled.outcome, Outcome::Failed { .. }).then_some(settled.settled)
    };
    let (last, before) = (failed()?, failed()?);
    Some(last.min(before))
}

fn requests_of<'a>(
    script: &'a Script,
    log: &'a [Seen],
    group: Group,
) -> impl Iterator<Item = &'a Seen> {
    log.iter()
        .filter(move |seen| Group::of(script, seen) == Some(group))
}

fn causes(script: &Script, run: &Run, log: &[Seen]) -> Vec<Cause> {
    let mut causes = Vec::new();
    let has_breaker = script.option("circuit-breaker-enabled") == Some("true");
    for seen in log {
        let group = Group::of(script, seen);
        let from = seen.received;
        let concluded = seen.concluded.unwrap_or(from);
        let in_time = concluded - from < TIMEOUT / 2;
        let is_prompt = seen.returned == Returned::Answer && in_time;
        // What the server itself refuses follows from what was before: of that there is a cause, or the
        // request should not have been sent.
        let follows = matches!(seen.returned, Returned::StartMissing | Returned::Refusal)
            && seen.fault.is_none()
            && in_time;
        if !is_prompt && !follows {
            let to = from + Duration::from_nanos(1);
            causes.push(Cause::of_request(group, from, to));
        }
        // What is wrong with a connection is met by whoever has it next; a circuit that opens is everybody's.
        let harms_next = matches!(
            seen.fault,
            Some(Fault::IdleClosed(_) | Fault::AnswerTwice | Fault::HalfClose)
        );
        if harms_next || has_breaker && !is_prompt {
            let to = concluded + 2 * TIMEOUT;
            causes.push(Cause::of_request(None, from, to));
        }
    }
    for it in &run.happened {
        // The rows that come too late for their sequence are silent for as long.
        let is_harmless = match it.event {
            Event::Pause(_) => script.front == Front::Function,
            Event::Checkpoint => true,
            _ => false,
        };
        if is_harmless {
            continue;
        }
        let is_of_server = matches!(
            it.event,
            Event::Kill(_) | Event::Stop(_) | Event::Reload | Event::Unload(_)
        );
        causes.push(Cause {
            group: None,
            from: it.from,
            to: it.to + IDLE,
            is_silent: is_of_server,
        });
    }
    causes.extend(silences(script, log));
    // A replay that a deadline has ended is a sequence that is lost.
    for (number, settled) in run.rows.iter().enumerate() {
        let Some(settled) = settled else { continue };
        if has_met_its_deadline(script, settled) {
            let group = Some(Group::of_row(script, number));
            causes.push(Cause::of_request(group, settled.settled, settled.settled));
        }
    }
    causes
}

/// Requests of a key that come so long after the one before that time may have ended their sequence.
fn silences(script: &Script, log: &[Seen]) -> Vec<Cause> {
    let mut last = std::collections::BTreeMap::new();
    let mut silences = Vec::new();
    for seen in log {
        let Some(group) = Group::of(script, seen) else {
            continue;
        };
        let from = seen.received;
        let before = last.insert(group.0, from);
        if before.is_some_and(|before| from > before + SILENCE) {
            let to = from + Duration::from_nanos(1);
            silences.push(Cause::of_request(Some(group), from, to));
        }
    }
    silences
}

#[cfg(test)]
mod tests {
    use super::super::{row_of_test, script_of_test};
    use super::*;

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
    fn what_the_server_refuses_by_itself_is_no_cause() {
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
        late.log.push(
            Seen::of_test("a", 1, late.begun + Duration::from_secs(2)).answered_after(MOMENT),
        );
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
}
