//! What the machine wants sent, and what comes of it.

use std::sync::Arc;

use tokio::time::Instant;

use super::history::KeptRow;
use super::recoveries::ServerFacts;
use crate::replicas::ReplicaId;
use crate::sequences::SequenceKey;
use crate::sequences::row_position::EarlierRows;
use crate::tensor_plan::EncodedRow;
use crate::{Error, Value};

/// A request of a sequence. Whoever takes it says what came of it, in whatever way it ends.
#[derive(Debug)]
pub(in crate::sequences) struct Request {
    /// Tells it from every other one.
    pub(in crate::sequences) number: u64,
    pub(in crate::sequences) key: SequenceKey,
    /// The server that has the sequence.
    pub(in crate::sequences) server: ReplicaId,
    /// The number of the sequence's ID.
    pub(in crate::sequences) counter: u64,
    pub(in crate::sequences) content: Content,
    /// How many rows of the sequence come before it.
    pub(in crate::sequences) row: u64,
    pub(in crate::sequences) start: bool,
    pub(in crate::sequences) end: bool,
    /// When the row that it is sent for is given up.
    pub(in crate::sequences) deadline: Option<Instant>,
    /// Whether it only ends a sequence that was left.
    pub(in crate::sequences) is_left: bool,
    /// Whether the row is to be kept for a replay once it is answered.
    pub(in crate::sequences) is_kept: bool,
}

/// What a request carries.
#[derive(Debug)]
pub(in crate::sequences) enum Content {
    Encoded(Arc<EncodedRow>),
    /// A row kept for a replay.
    Packed(Arc<[u8]>),
    /// A row that a later one carries.
    Carried(Arc<EarlierRows>, u64),
}

/// What came of a request.
#[derive(Debug)]
pub(in crate::sequences) enum Outcome {
    Answered {
        values: Vec<Value>,
        /// The row as it is kept, where it is to be.
        kept: Option<KeptRow>,
        /// The digest of the answer, where answers are compared.
        digest: Option<u32>,
    },
    /// Nothing was sent, because the row that is carried can never be.
    Unsendable,
    Failed(Failed),
}

/// A request that was not answered.
#[derive(Debug)]
pub(in crate::sequences) struct Failed {
    pub(in crate::sequences) error: Error,
    pub(in crate::sequences) effect: FailureEffect,
    pub(in crate::sequences) server: Option<ServerFacts>,
}

/// What a failed request has done to its sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sequences) enum FailureEffect {
    /// Nothing, for certain.
    None,
    /// The server does not know the sequence.
    Forgotten,
    /// It may have been executed.
    Uncertain,
    /// It was executed, and its answer is of no use.
    Executed,
    /// It was not executed, and its server is away while others are there.
    Away,
}
