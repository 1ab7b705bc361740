//! The answers to rows that were sent together, put back into their order as values.

use triton_client::InferResponse;

use crate::answering::Answering;
use crate::{Error, Prediction, PredictionStatus, Value};

/// What happened to rows that were handed over together.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct RowsPrediction {
    /// For each output column a value a row; NULL in rows that failed.
    pub columns: Vec<Vec<Value>>,
    /// The rows of which something else became than the model's answer, in order.
    pub statuses: Vec<(usize, PredictionStatus)>,
    /// The rows that failed, in order.
    pub failures: Vec<(usize, Error)>,
    /// The rows that were not answered before they were given up, in order.
    pub given_up: Vec<usize>,
}

/// Takes what happened to rows, in any order.
pub(crate) trait Collect {
    /// What the model answered to rows of a stateless model in one request.
    fn push_part(&mut self, rows: &[usize], result: Result<InferResponse, Error>);

    /// What happened to a row by itself, which is counted already.
    fn push_row(&mut self, row: usize, result: Result<Prediction, Error>);
}

/// Collects answers as values.
pub(super) struct Answers<'a> {
    answering: &'a Answering,
    columns: Vec<Vec<Value>>,
    /// Whether something became of a row.
    is_done: Vec<bool>,
    statuses: Vec<(usize, PredictionStatus)>,
    failures: Vec<(usize, Error)>,
}

impl<'a> Answers<'a> {
    /// `columns` are those of the outputs.
    pub(super) fn new(answering: &'a Answering, columns: usize, rows: usize) -> Self {
        Self {
            answering,
            columns: vec![vec![Value::Null; rows]; columns],
            is_done: vec![false; rows],
            statuses: Vec::new(),
            failures: Vec::new(),
        }
    }

    pub(super) fn finish(self, left_out: &[usize]) -> RowsPrediction {
        let Self {
            columns,
            is_done,
            mut statuses,
            mut failures,
            ..
        } = self;
        statuses.sort_by_key(|(row, _)| *row);
        failures.sort_by_key(|(row, _)| *row);
        let left = is_done.iter().enumerate().filter(|(_, is_done)| !**is_done);
        let left = left.map(|(row, _)| row);
        RowsPrediction {
            columns,
            statuses,
            failures,
            given_up: left
                .filter(|row| left_out.binary_search(row).is_err())
                .collect(),
        }
    }
}

impl Collect for Answers<'_> {
    fn push_part(&mut self, rows: &[usize], result: Result<InferResponse, Error>) {
        let answering = self.answering;
        let answered = result.and_then(|response| answering.columns_of(&response, rows.len()));
        let answered = match answered {
            Ok(answered) => answered,
            Err(error) => {
                for row in rows {
                    self.push_row(*row, answering.conclude(Err(error.clone())));
                }
                return;
            }
        };
        for (column, values) in self.columns.iter_mut().zip(answered) {
            for (row, value) in rows.iter().zip(values) {
                column[*row] = value;
            }
        }
        answering.open.metrics().rows_answered(rows.len());
        for row in rows {
            self.is_done[*row] = true;
        }
    }

    fn push_row(&mut self, row: usize, result: Result<Prediction, Error>) {
        self.is_done[row] = true;
        match result {
            Ok(prediction) => {
                for (column, value) in self.columns.iter_mut().zip(prediction.row) {
                    column[row] = value;
                }
                if !matches!(prediction.status, PredictionStatus::Answered) {
                    self.statuses.push((row, prediction.status));
                }
            }
            Err(error) => self.failures.push((row, error)),
        }
    }
}
