//! What comes of a record batch.

use arrow_array::RecordBatch;

use crate::{Error, PredictionStatus};

/// The answers to a record batch.
#[derive(Debug)]
#[non_exhaustive]
pub struct BatchPrediction {
    /// The output columns, one row for each row of the input; a row that failed is NULL.
    pub outputs: RecordBatch,
    /// The rows that failed, by their index in the batch, in order.
    pub failures: Vec<(usize, Error)>,
    /// The rows of which something else became than the model's answer or a failure, in order.
    pub statuses: Vec<(usize, PredictionStatus)>,
    /// The rows that were not answered before they were given up, in order.
    pub given_up: Vec<usize>,
}
