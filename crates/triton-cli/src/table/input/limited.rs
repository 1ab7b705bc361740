//! The first rows of an input, as if there were no more.

use std::sync::Arc;

use triton_model_fn::Column;

use super::TableReader;
use crate::table::chunk::{Chunk, ChunkSize};
use crate::table::layout::Layout;

/// Ends after so many rows.
pub(super) struct Limited {
    reader: Box<dyn TableReader>,
    left: u64,
}

impl Limited {
    pub(super) fn new(reader: Box<dyn TableReader>, rows: u64) -> Self {
        let left = rows;
        Self { reader, left }
    }
}

impl TableReader for Limited {
    fn layout(&self) -> &Arc<Layout> {
        self.reader.layout()
    }

    fn decided(&self) -> Option<&Arc<[Column]>> {
        self.reader.decided()
    }

    fn next_chunk(&mut self, most: ChunkSize) -> anyhow::Result<Option<Chunk>> {
        if self.left == 0 {
            return Ok(None);
        }
        let left = usize::try_from(self.left).unwrap_or(usize::MAX);
        let most = ChunkSize {
            rows: most.rows.min(left),
            ..most
        };
        let chunk = self.reader.next_chunk(most)?;
        self.left -= chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
        Ok(chunk)
    }

    fn bytes_done(&self) -> u64 {
        self.reader.bytes_done()
    }

    fn skip(&mut self, rows: u64) -> anyhow::Result<()> {
        self.left = self.left.saturating_sub(rows);
        self.reader.skip(rows)
    }
}
