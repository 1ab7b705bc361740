//! What reading the inputs brings, whether their rows are sorted or not.

use std::sync::Arc;

use triton_model_fn::InputRows;

use crate::table::{Chunk, Layout, Row, Unusable};

/// What comes up while the inputs are read.
pub(super) enum Event {
    /// An input begins.
    Begin { input: usize, layout: Arc<Layout> },
    /// Rows that are handed over one by one.
    Rows(Vec<ReadRow>),
    /// Rows that are handed over together.
    Chunk(Box<ReadChunk>),
    /// An input ends, after so many rows in all.
    End { input: usize, rows: u64 },
    /// An input cannot be read on.
    Failed(anyhow::Error),
}

/// A row that is handed over by itself.
pub(super) struct ReadRow {
    pub(super) row: Row,
    /// Its number among those of the input, or among all if they were sorted.
    pub(super) number: u64,
    /// Whether it is known to be the last one of its key.
    pub(super) is_last: bool,
    /// About how many bytes of memory it takes.
    pub(super) bytes: usize,
}

/// Rows that are handed over together.
pub(super) struct ReadChunk {
    pub(super) chunk: Chunk,
    pub(super) inputs: InputRows,
    /// The rows that cannot be used.
    pub(super) unusable: Vec<(usize, Unusable)>,
    /// The number of the last row among those of the input.
    pub(super) number: u64,
    /// The bytes of all inputs up to the end of the last row, as far as they are known.
    pub(super) bytes: u64,
}

/// Where reading begins.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Start {
    pub(super) input: usize,
    pub(super) rows: u64,
}
