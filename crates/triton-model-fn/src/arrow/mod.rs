//! Whole Arrow record batches in and out, without copying columns of fixed width.

mod answers;
mod batch_prediction;
mod cached;
mod input;
mod output;
mod values;

use std::sync::Mutex;

use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::DataType as ArrowType;
use futures_util::future::join_all;
use triton_client::InferResponse;

pub(crate) use self::answers::Answers;
pub use self::batch_prediction::BatchPrediction;
use self::cached::LookedUp;
pub(crate) use self::input::encoded;
use crate::lanes::Lane;
use crate::rows::{Collect as _, MostOfRequest, answer_groups};
use crate::tensor_plan::PlannedColumn;
use crate::{DataType, Error, ErrorKind, InferenceFunction, Value, streams};

impl DataType {
    /// The Arrow type of a column of this type, as predictions have it.
    #[must_use]
    pub fn arrow_type(&self) -> ArrowType {
        output::arrow_type(self)
    }
}

impl Value {
    /// The value at `index` of an array whose type is [`DataType::arrow_type`], or the same with
    /// long offsets or lists of a fixed size.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`] when the array is of another type or has no such index.
    pub fn from_arrow(
        data_type: &DataType,
        array: &dyn Array,
        index: usize,
    ) -> Result<Self, Error> {
        if !values::is_of(data_type, array.data_type()) || index >= array.len() {
            let message = format!(
                "expected {data_type}, found element {index} of {} in an Arrow array of {}",
                array.len(),
                array.data_type()
            );
            return Err(Error::new(ErrorKind::Input, message));
        }
        values::value(data_type, array, index)
    }

    /// An array of values, each NULL or of the type.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Output`] when a value is of another type.
    pub fn to_arrow(data_type: &DataType, values: &[&Self]) -> Result<ArrayRef, Error> {
        output::from_values(data_type, &[], values)
    }
}

/// Whether an array is of a type that an input can be read from.
pub(crate) fn takes(planned: &PlannedColumn, array: &dyn Array) -> bool {
    values::is_of(&planned.column.data_type, array.data_type())
}

impl InferenceFunction {
    /// Answers every row of a record batch, which has the input columns among its own.
    ///
    /// Rows of a stateless model are batched, as many in a request as the model's
    /// `max_batch_size` allows, whatever `batch-size` says: those of one shape in one request, those
    /// of different shapes side by side. Numbers, and lists of them, without NULL go to the socket,
    /// and numbers come from it, without being copied; other columns are copied once. With
    /// `sequence-key`, rows of one key are answered in the order of the batch.
    ///
    /// Texts, byte strings and lists may be of any kind (with long offsets, views, of a fixed size,
    /// within a dictionary). An output whose arrays have a length that the model's metadata knows
    /// comes back as lists of that fixed size, unless the option `default-value` has another.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::State`] when the function is not open, [`ErrorKind::Options`] when the option
    /// `decoupled` is `stream`, and [`ErrorKind::Schema`] when the batch lacks an input column or
    /// has it in another type. What is wrong with single rows
    /// does not fail the others: see [`BatchPrediction::failures`].
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use arrow_array::cast::AsArray as _;
    /// use arrow_array::types::Float32Type;
    /// use arrow_array::{ArrayRef, Float32Array, RecordBatch};
    /// use triton_embedded::EmbeddedTriton;
    /// use triton_model_fn::{
    ///     Column, DataType, InferenceFunction, ModelFunction as _, Schema, Subtask,
    /// };
    /// use triton_options::TritonOptions;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let server = EmbeddedTriton::start()?;
    /// let options = [("endpoint", server.endpoint()), ("model-name", "echo".to_owned())];
    /// let schema = Schema {
    ///     inputs: vec![Column::new("value", DataType::Float)],
    ///     outputs: vec![Column::new("echo", DataType::Float)],
    /// };
    /// let function = InferenceFunction::new(TritonOptions::parse(options)?, schema)?;
    /// function.open(Subtask::new(0, 1, 0)?).await?;
    ///
    /// let values: ArrayRef = Arc::new(Float32Array::from(vec![1.0, 2.0, 3.0]));
    /// let batch = RecordBatch::try_from_iter([("value", values)])?;
    /// let prediction = function.predict_batch(&batch).await?;
    /// assert!(prediction.failures.is_empty());
    /// let echo = prediction.outputs.column(0).as_primitive::<Float32Type>();
    /// assert_eq!(echo.values(), &[1.0, 2.0, 3.0]);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn predict_batch(&self, batch: &RecordBatch) -> Result<BatchPrediction, Error> {
        let opened = self.opened()?;
        let prepared = &opened.prepared;
        let answering = &*prepared.answering;
        if let Lane::Streamed(_) = &prepared.lane {
            let error = streams::wanted("predict_many for each row");
            return Err(error.in_subtask(answering.open.subtask));
        }
        let arrays = input::columns(&self.schema().inputs, batch)
            .map_err(|error| error.in_subtask(answering.open.subtask))?;
        let inputs: Vec<&ArrayRef> = answering.columns.inputs_of(&arrays);
        let rows = input::encoded_rows(&answering.plan, &inputs, batch.num_rows());
        let mut answers = Answers::new(answering, self.schema(), batch.num_rows());
        if answering.open.has_sequences() {
            let columns = self.row_columns();
            let begun = (0..batch.num_rows()).map(|index| {
                // Rows of one key are answered in the order of these calls.
                let row = arrays.iter().zip(&self.schema().inputs).enumerate();
                let row = row.map(|(place, (array, column))| match columns.needs(place) {
                    true => values::value(&column.data_type, array, index),
                    false => Ok(Value::Null),
                });
                let begun = match row.collect::<Result<Vec<_>, Error>>() {
                    Ok(row) => prepared.begin_encoded(&columns, &row, || rows.row(index)),
                    Err(error) => error.into(),
                };
                prepared.answer(begun)
            });
            let begun: Vec<_> = begun.collect();
            for (index, answer) in join_all(begun).await.into_iter().enumerate() {
                answers.push_row(index, answer);
            }
        } else {
            let mut waiting = Vec::new();
            let looked_up = prepared.cached.as_ref().map(|cached| {
                let mut looked_up = LookedUp::default();
                for index in 0..batch.num_rows() {
                    match rows.row(index) {
                        Ok(row) => {
                            looked_up.look_up(answering, &cached.rows, index, row, &mut answers);
                        }
                        // What is wrong with it is said once more below.
                        Err(_) => looked_up.missing.push(index),
                    }
                }
                waiting.append(&mut looked_up.waiting);
                looked_up
            });
            let only = looked_up.as_ref().map(|it| it.missing.as_slice());
            let (groups, faults) = rows.groups(only);
            for (row, error) in faults {
                answers.push_row(row, answering.conclude(Err(error)));
            }
            let answers = Mutex::new(&mut answers);
            let done = |rows: &[usize], result: Result<InferResponse, Error>| {
                if let Some(looked_up) = &looked_up {
                    looked_up.ends(answering, rows, &result);
                }
                if let Ok(mut answers) = answers.lock() {
                    answers.push_part(rows, result);
                }
            };
            let most = MostOfRequest {
                rows: answering.plan.rows_per_batch,
                bytes: None,
            };
            answer_groups(answering, &groups, most, &done).await;
            // Whatever this batch sends for others is told by now.
            drop(looked_up);
            if let Some(cached) = &prepared.cached {
                let waiting = waiting.into_iter().map(async |(index, row, found)| {
                    let outcome = cached.rows.answer(row, Some(found)).await;
                    if let Ok(mut answers) = answers.lock() {
                        answers.push_row(index, outcome);
                    }
                });
                join_all(waiting).await;
            }
        }
        answers.finish()
    }
}
