//! Record batches as they are read, whatever file they are in.

use arrow_array::RecordBatch;

/// The most rows of a batch that are held as a whole.
pub(super) const BATCH_ROWS: usize = 1024;

pub(super) type Batches = Box<dyn Iterator<Item = anyhow::Result<RecordBatch>> + Send>;
