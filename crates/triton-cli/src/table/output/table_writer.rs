//! What every writer of rows can do.

use triton_model_fn::Value;

use super::added::Added;
use super::cut::Cut;
use crate::table::chunk::Answered;
use crate::table::fault::Fault;
use crate::table::row::Row;

/// Why a row could not be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    /// The row does not fit the output; others may.
    #[error(transparent)]
    Row(#[from] Fault),
    /// The output takes no more rows.
    #[error(transparent)]
    Output(#[from] std::io::Error),
}

/// Rows of a chunk that do not fit the output, and why.
pub(crate) type Unwritten = Vec<(usize, Fault)>;

/// Writes rows to an output.
pub(crate) trait TableWriter: Send {
    /// Writes a row and what was added to it.
    fn write(&mut self, row: &Row, added: &[Value]) -> Result<(), WriteError>;

    /// Writes rows of a chunk and what was added to them. Others are written although some do not fit
    /// the output.
    fn write_rows(&mut self, answered: &Answered<'_>, added: &Added) -> std::io::Result<Unwritten> {
        self.write_each(answered, added)
    }

    /// Writes rows of a chunk one by one.
    fn write_each(&mut self, answered: &Answered<'_>, added: &Added) -> std::io::Result<Unwritten> {
        let mut unwritten = Vec::new();
        let rows = answered.chunk.rows(answered.rows.clone());
        for (index, row) in answered.rows.clone().zip(rows) {
            let values = answered.answers.of_row(&added.0, index);
            match self.write(&row, &values) {
                Ok(()) => {}
                Err(WriteError::Row(fault)) => unwritten.push((index, fault)),
                Err(WriteError::Output(error)) => return Err(error),
            }
        }
        Ok(unwritten)
    }

    /// Hands on what was written so far, as far as the format allows.
    fn flush(&mut self) -> std::io::Result<()>;

    /// Brings everything written so far to the disk.
    fn cut(&mut self) -> std::io::Result<Cut>;

    /// Completes the output, and brings it to the disk.
    fn finish(self: Box<Self>) -> std::io::Result<()>;
}
