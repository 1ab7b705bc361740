//! A row in the binary form of its tensors.

use crate::row_codec::EncodedCell;

/// A row whose every column is in the binary form of its tensor.
#[derive(Debug)]
pub(crate) struct EncodedRow(Vec<Option<EncodedCell>>);

impl EncodedRow {
    /// The cells of a row in the order of the inputs; `None` for an input that is left out.
    pub(crate) fn new(cells: Vec<Option<EncodedCell>>) -> Self {
        Self(cells)
    }

    pub(crate) fn cells(&self) -> &[Option<EncodedCell>] {
        &self.0
    }
}
