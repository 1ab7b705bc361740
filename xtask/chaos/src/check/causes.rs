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
        let until = known_until(script, log, number, settled);
        let has_cause = causes.iter().any(|cause| {
            cause.group.is_none_or(|of| of == group)
                && since.is_none_or(|since| since < cause.to)
                && cause.from <= until
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

/// When what became of a row was certain: one of the command may be sent again by a process that goes on.
fn known_until(script: &Script, log: &[Seen], number: usize, settled: &Settled) -> Instant {
    let value = Some(script.rows[number].value);
    let of_row = log.iter().filter(|seen| seen.value == value);
    match script.front {
        Front::Command => of_row.filter_map(|seen| seen.concluded).max(),
        Front::Function => None,
    }
    .map_or(settled.settled, |last| last.max(settled.settled))
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
        // That the server does not know a sequence follows from what was before: of that there is a cause,
        // or the request should not have been sent.
        let follows = seen.returned == Returned::StartMissing && seen.fault.is_none() && in_time;
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
