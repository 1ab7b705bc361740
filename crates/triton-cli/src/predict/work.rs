//! Rows that were begun, and what has happened to them so far.

use std::time::{Duration, Instant};

use triton_model_fn::{Error, Prediction};

use super::rejections::Reason;
use super::subtasks::Outcome;
use crate::table::{Chunk, Row};

/// What was begun.
pub(super) enum Work {
    Row(RowWork),
    Chunk(ChunkWork),
}

/// A row that was handed over by itself, and what happened to it so far.
pub(super) struct RowWork {
    pub(super) row: Row,
    /// The rows that it becomes: one, unless the answers to a row are a stream. One that breaks is an
    /// error as a whole, so that rows that are run again are not in the output twice.
    pub(super) result: Result<Vec<Prediction>, Reason>,
    pub(super) begun: Instant,
}

/// Rows that were handed over together, and what happened to them so far.
pub(super) struct ChunkWork {
    pub(super) chunk: Chunk,
    /// The bytes of the inputs up to the end of the last row.
    pub(super) bytes: u64,
    /// The rows that cannot be used, in order.
    pub(super) unusable: Vec<(usize, Result<Prediction, Reason>)>,
    /// What happened to the others, or why nothing could.
    pub(super) outcome: Result<Outcome, Error>,
}

/// What a task of the scheduler has done.
pub(super) enum Finished {
    /// Rows were answered that were handed over together.
    Chunk {
        number: u64,
        latency: Duration,
        outcome: Result<Outcome, Error>,
    },
    /// All answers to a row have come that may have any number of them.
    Streamed {
        number: u64,
        result: Result<Vec<Prediction>, Reason>,
    },
    /// The sequence of a row that cannot be used has learned of it.
    Told(u64),
}
