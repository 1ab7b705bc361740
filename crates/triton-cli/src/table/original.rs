//! A row as it was read.

#[cfg(feature = "arrow")]
use std::sync::Arc;

use csv::StringRecord;

use super::json_object::JsonObject;

/// The row as it was read, in the form that suits the output.
#[derive(Debug, Clone)]
pub(crate) enum Original {
    /// A text for each column of the layout.
    Cells(StringRecord),
    /// A JSON object.
    Object(JsonObject),
    /// A row of a record batch.
    #[cfg(feature = "arrow")]
    Batch {
        batch: Arc<arrow_array::RecordBatch>,
        index: usize,
    },
    /// What cannot be read as a row.
    Text(String),
}
