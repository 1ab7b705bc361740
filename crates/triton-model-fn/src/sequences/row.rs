//! A row of a sequence, and its answer.

use std::sync::Arc;

use super::row_position::RowPosition;
use super::unseen_mark::UnseenMark;
use crate::tensor_plan::EncodedRow;
use crate::{Error, Value};

/// A row for the sequence of its key.
#[derive(Debug)]
pub(crate) struct Row {
    /// What is sent; a row that cannot be sent still has its position, which may be the last.
    pub(crate) encoded: Result<Arc<EncodedRow>, Error>,
    /// Whether it is the last row of its sequence.
    pub(crate) last: bool,
    /// What it says of its position, where columns are there for that.
    pub(crate) position: Option<RowPosition>,
}

/// The answer to a row.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) values: Vec<Value>,
    pub(crate) sequence_id: String,
    /// Whether earlier rows of the key are not in the model's state.
    pub(crate) restarted: bool,
    /// There where nobody has been told of that yet.
    pub(crate) unseen: Option<Box<UnseenMark>>,
}

#[cfg(test)]
impl Answered {
    pub(super) fn seen(mut self) -> Self {
        if let Some(mark) = self.unseen.take() {
            mark.seen();
        }
        self
    }
}
