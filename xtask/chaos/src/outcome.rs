//! What happened to a row.

use std::sync::{Arc, Mutex};
use std::time::Instant;

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
        kind: &'static str,
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

/// What a client made of a script.
#[derive(Debug, Default)]
pub(crate) struct Run {
    /// By the row's number.
    pub(crate) rows: Vec<Option<Settled>>,
    /// The rows before which a static sequence started over.
    pub(crate) begins: Vec<usize>,
    /// Which server forgot its sequences, and when.
    pub(crate) wiped: Vec<(usize, Instant)>,
    /// What was wrong besides answers.
    pub(crate) violations: Vec<String>,
}

/// A run while it goes on, so that a watchdog can look at one that hangs.
pub(crate) type Progress = Arc<Mutex<Run>>;
