//! What every reader of rows can do.

use std::sync::Arc;

use triton_model_fn::Column;

use crate::table::chunk::{Chunk, ChunkSize};
use crate::table::layout::Layout;

/// The rows of an input.
pub(crate) trait TableReader: Send {
    /// The columns that pass through.
    fn layout(&self) -> &Arc<Layout>;

    /// The columns that are wanted of it, where it decided on their types.
    fn decided(&self) -> Option<&Arc<[Column]>> {
        None
    }

    /// The next rows, as many as are there, at least one and at most so many; an error means that the
    /// input cannot be read on.
    fn next_chunk(&mut self, most: ChunkSize) -> anyhow::Result<Option<Chunk>>;

    /// The bytes of the input up to the end of the row that came last, as well as that is known.
    fn bytes_done(&self) -> u64;

    /// Goes past rows that were answered already.
    fn skip(&mut self, rows: u64) -> anyhow::Result<()>;
}

/// Why rows cannot be gone past that were read before.
pub(super) fn too_short(found: u64, expected: u64) -> String {
    format!("it has only {found} rows, but {expected} were read from it before")
}
