//! What happened to a row.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::fault::Event;
use crate::script::Script;

/// An answer, or why there is none.
#[derive(Debug, Clone)]
pub(crate) enum Outcome {
    Answered {
        /// What the model says: a sum, or the value itself.
        number: i64,
        /// The ID that the client says it sent.
        id: Option<String>,
        /// The ID that the model saw.
        seen_id: Option<String>,
        /// Whether earlier rows are said to be missing.
        marked: bool,
    },
    Failed {
        /// The name of the kind.
        kind: Cow<'static, str>,
        text: String,
    },
}

/// A row's way, from when it was handed over last.
#[derive(Debug, Clone)]
pub(crate) struct Settled {
    pub(crate) outcome: Outcome,
    pub(crate) handed_over: Instant,
    pub(crate) settled: Instant,
}

/// An event that happened, and when.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Happened {
    pub(crate) event: Event,
    pub(crate) from: Instant,
    pub(crate) to: Instant,
}

/// What a client made of a script.
#[derive(Debug, Default)]
pub(crate) struct Run {
    /// By the row's number.
    pub(crate) rows: Vec<Option<Settled>>,
    /// The rows before which a static sequence started over.
    pub(crate) begins: Vec<usize>,
    /// Which server forgot its sequences, and when.
    pub(crate) wiped: Vec<(usize, Instant)>,
    /// When functions were opened again.
    pub(crate) opened_again: Vec<Instant>,
    /// What happened of the script's events: some are past the end of a run, or of a server.
    pub(crate) happened: Vec<Happened>,
    /// What was wrong besides answers.
    pub(crate) violations: Vec<String>,
}

impl Run {
    /// Whether functions started over without what they knew.
    pub(crate) fn has_forgotten(&self, script: &Script) -> bool {
        let begins_anew = |event: Event| matches!(event, Event::CloseAndOpen { .. } | Event::Crash);
        script.without_state && self.has_met(begins_anew)
    }

    /// Whether any event that happened is such a one.
    pub(crate) fn has_met(&self, is_such: impl Fn(Event) -> bool) -> bool {
        self.happened.iter().any(|it| is_such(it.event))
    }

    /// Notes an event that is over now.
    pub(crate) fn happens(&mut self, event: Event, from: Instant) {
        let to = Instant::now();
        self.happened.push(Happened { event, from, to });
    }

    /// Notes what came of an event.
    pub(crate) fn ends(&mut self, event: Event, from: Instant, met: anyhow::Result<Met>) {
        match met {
            Ok(Met::Happened) => self.happens(event, from),
            Ok(Met::Missed) => {}
            Err(error) => self.violations.push(format!("{event} failed: {error:#}")),
        }
    }
}

/// What came of an event that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Met {
    Happened,
    /// Whoever it was for had come to an end of its own.
    Missed,
}

/// A run while it goes on, so that a watchdog can look at one that hangs.
pub(crate) type Progress = Arc<Mutex<Run>>;

/// Looks at a run while it goes on, or changes it.
pub(crate) fn with<T>(progress: &Progress, look: impl FnOnce(&mut Run) -> T) -> T {
    look(&mut progress.lock().unwrap_or_else(PoisonError::into_inner))
}
