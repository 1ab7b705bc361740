//! The answers to the rows of a record batch, put back into their order.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{ArrowError, DataType as ArrowType, Field, Schema as ArrowSchema};
use triton_client::InferResponse;

use super::batch_prediction::BatchPrediction;
use super::output;
use crate::answering::Answering;
use crate::rows::Collect;
use crate::sequences::UnseenMark;
use crate::{Error, ErrorKind, Prediction, PredictionStatus, Schema, Value};

/// An output column: its type, and what makes arrays of its values.
struct OutputColumn {
    name: String,
    data_type: crate::DataType,
    sizes: Vec<Option<i32>>,
    arrow_type: ArrowType,
}

/// Collects answers in any order.
pub(crate) struct Answers<'a> {
    answering: &'a Answering,
    columns: Vec<OutputColumn>,
    /// For each output column the arrays of rows that were answered together.
    parts: Vec<Vec<ArrayRef>>,
    /// For each row of the batch its part, and its place there.
    places: Vec<Option<(usize, usize)>>,
    /// Rows that were answered one by one.
    single: Vec<(usize, Vec<Value>)>,
    failures: Vec<(usize, Error)>,
    statuses: Vec<(usize, PredictionStatus)>,
    /// Of rows whose answers wait for those of others.
    unseen: Vec<UnseenMark>,
}

impl<'a> Answers<'a> {
    /// As [`new`](Self::new), with lists of no fixed size for all arrays.
    pub(crate) fn of_lists(answering: &'a Answering, schema: &Schema, rows: usize) -> Self {
        let mut answers = Self::new(answering, schema, rows);
        for column in &mut answers.columns {
            column.sizes = Vec::new();
            column.arrow_type = output::arrow_type(&column.data_type);
        }
        answers
    }

    pub(crate) fn new(answering: &'a Answering, schema: &Schema, rows: usize) -> Self {
        let columns = schema.outputs.iter().map(|column| {
            let outputs = &answering.plan.outputs;
            // What the function fills in itself is none of the model's.
            let place = outputs.iter().position(|it| it.column.name == column.name);
            let sizes = place.map(|place| outputs[place].array_sizes());
            let default = place.and_then(|place| answering.default_of(place));
            // A default of another length has to have room in the column, too.
            let fits = |sizes: &Vec<_>| default.is_none_or(|value| output::fits(sizes, value));
            let sizes = sizes.filter(fits).unwrap_or_default();
            OutputColumn {
                arrow_type: output::sized_type(&column.data_type, &sizes),
                name: column.name.clone(),
                data_type: column.data_type.clone(),
                sizes,
            }
        });
        Self {
            answering,
            columns: columns.collect(),
            parts: vec![Vec::new(); schema.outputs.len()],
            places: vec![None; rows],
            single: Vec::new(),
            failures: Vec::new(),
            statuses: Vec::new(),
            unseen: Vec::new(),
        }
    }

    fn add(&mut self, rows: &[usize], arrays: Vec<ArrayRef>) {
        let part = self.parts.first().map_or(0, Vec::len);
        for (column, array) in self.parts.iter_mut().zip(arrays) {
            column.push(array);
        }
        for (place, row) in rows.iter().enumerate() {
            self.places[*row] = Some((part, place));
        }
    }

    pub(super) fn finish(self) -> Result<BatchPrediction, Error> {
        self.finish_with(&[])
    }

    /// Of the rows without an answer, those that are not `left_out` were given up.
    pub(crate) fn finish_with(mut self, left_out: &[usize]) -> Result<BatchPrediction, Error> {
        let single = std::mem::take(&mut self.single);
        if !single.is_empty() {
            let columns = self.columns.iter().enumerate().map(|(index, column)| {
                let values: Option<Vec<&Value>> =
                    single.iter().map(|(_, row)| row.get(index)).collect();
                let values = values.ok_or_else(too_few_columns)?;
                output::from_values(&column.data_type, &column.sizes, &values)
            });
            let columns = columns.collect::<Result<Vec<_>, _>>()?;
            let rows: Vec<usize> = single.iter().map(|(row, _)| *row).collect();
            self.add(&rows, columns);
        }
        self.failures.sort_by_key(|(row, _)| *row);
        self.statuses.sort_by_key(|(row, _)| *row);
        let mut is_failure = vec![false; self.places.len()];
        self.failures
            .iter()
            .for_each(|(row, _)| is_failure[*row] = true);
        let unanswered =
            (0..self.places.len()).filter(|row| self.places[*row].is_none() && !is_failure[*row]);
        let unanswered: Vec<usize> = unanswered.collect();
        let given_up = unanswered.iter().copied();
        let given_up = given_up.filter(|row| left_out.binary_search(row).is_err());
        let given_up: Vec<usize> = given_up.collect();
        let failed = self.failures.iter().map(|(row, _)| *row);
        let nulls: Vec<usize> = failed.chain(unanswered).collect();
        if !nulls.is_empty() {
            let null = |column: &OutputColumn| arrow_array::new_null_array(&column.arrow_type, 1);
            let arrays: Vec<ArrayRef> = self.columns.iter().map(null).collect();
            let part = self.parts.first().map_or(0, Vec::len);
            self.add(&[], arrays);
            for row in &nulls {
                self.places[*row] = Some((part, 0));
            }
        }
        self.record_batch(nulls.is_empty(), given_up)
    }

    fn record_batch(self, is_whole: bool, given_up: Vec<usize>) -> Result<BatchPrediction, Error> {
        let failed = |error: ArrowError| {
            let message = format!("the answers make no record batch: {error}");
            Error::new(ErrorKind::Output, message)
        };
        let places = self.places.iter().copied().collect::<Option<Vec<_>>>();
        let places = places.ok_or_else(|| {
            Error::new(
                ErrorKind::Internal,
                "a row of the record batch was not answered",
            )
        })?;
        let is_next = |pair: &[(usize, usize)]| match pair {
            [(part, place), (next_part, next)] if part == next_part => place + 1 == *next,
            [(part, _), (next_part, next)] => part + 1 == *next_part && *next == 0,
            _ => true,
        };
        let starts = places.first().is_none_or(|first| *first == (0, 0));
        let is_in_order = starts && is_whole && places.windows(2).all(is_next);
        let mut fields = Vec::with_capacity(self.columns.len());
        let mut arrays = Vec::with_capacity(self.columns.len());
        for (column, parts) in self.columns.iter().zip(&self.parts) {
            let several: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
            arrays.push(match parts.as_slice() {
                [] => arrow_array::new_empty_array(&column.arrow_type),
                [only] if is_in_order => Arc::clone(only),
                _ if is_in_order => arrow_select::concat::concat(&several).map_err(failed)?,
                _ => arrow_select::interleave::interleave(&several, &places).map_err(failed)?,
            });
            fields.push(Field::new(&column.name, column.arrow_type.clone(), true));
        }
        let schema = Arc::new(ArrowSchema::new(fields));
        let outputs = RecordBatch::try_new(schema, arrays).map_err(failed)?;
        self.unseen.into_iter().for_each(UnseenMark::seen);
        Ok(BatchPrediction {
            outputs,
            failures: self.failures,
            statuses: self.statuses,
            given_up,
        })
    }
}

impl Collect for Answers<'_> {
    /// What the model answered to rows of a stateless model in one request.
    fn push_part(&mut self, rows: &[usize], result: Result<InferResponse, Error>) {
        let plan = &self.answering.plan;
        let arrays = result.and_then(|response| {
            let filled = &self.answering.columns.filled;
            let answered = Prediction::new(Vec::new(), None);
            let mut outputs = plan.outputs.iter();
            let columns = self.columns.iter().enumerate();
            let arrays = columns.map(|(index, column)| {
                if let Some(value) = filled.value(index, &answered) {
                    let values = vec![&value; rows.len()];
                    return output::from_values(&column.data_type, &column.sizes, &values);
                }
                let planned = outputs.next().ok_or_else(too_few_columns)?;
                let tensor = plan.output(planned, &response)?;
                output::from_tensor(planned, &column.sizes, tensor, plan.batched, rows.len())
            });
            arrays.collect::<Result<Vec<_>, _>>()
        });
        match arrays {
            Ok(arrays) => {
                let metrics = self.answering.open.metrics();
                rows.iter().for_each(|_| metrics.row_answered());
                self.add(rows, arrays);
            }
            Err(error) => {
                for row in rows {
                    self.push_row(*row, self.answering.conclude(Err(error.clone())));
                }
            }
        }
    }

    /// What happened to a row by itself, which is counted already.
    fn push_row(&mut self, row: usize, result: Result<Prediction, Error>) {
        match result {
            Ok(prediction) => {
                self.unseen.extend(prediction.unseen.map(|mark| *mark));
                if !matches!(prediction.status, PredictionStatus::Answered) {
                    self.statuses.push((row, prediction.status));
                }
                self.single.push((row, prediction.row));
            }
            Err(error) => self.failures.push((row, error)),
        }
    }
}

fn too_few_columns() -> Error {
    let message = "an answer has fewer columns than the schema";
    Error::new(ErrorKind::Output, message)
}
