//! How many sequences and rows there are, in numbers that metrics show.

use std::time::Duration;

/// What metrics show of the sequences of a subtask.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Counts {
    /// Sequences that are open.
    pub(crate) open: usize,
    /// Places of sequences that are over here and may be alive on the server.
    pub(crate) held: usize,
    /// Lost sequences that are remembered.
    pub(crate) lost: usize,
    /// Rows that were not answered yet.
    pub(crate) rows: usize,
    /// Rows that wait before they are tried again.
    pub(crate) pausing: usize,
    /// The age of the oldest of those rows.
    pub(crate) oldest: Duration,
}
