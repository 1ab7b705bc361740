//! Whole Arrow record batches in and out, without copying columns of fixed width.

mod input;
mod output;

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType as ArrowType, Field, Schema as ArrowSchema};
use futures_util::future::join_all;
use tokio::time::Instant;

use crate::arrow::input::ColumnarRows;
use crate::inference::Prepared;
use crate::row_batch::{self, PartAnswer};
use crate::{CallContext, Column, DataType, Error, ErrorKind, InferenceFunction, Opened, Value};

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
        if !input::is_of(data_type, array.data_type()) || index >= array.len() {
            let message = format!(
                "expected {data_type}, found element {index} of {} in an Arrow array of {}",
                array.len(),
                array.data_type()
            );
            return Err(Error::new(ErrorKind::Input, message));
        }
        input::value(data_type, array, index)
    }

    /// An array of values, each NULL or of the type.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Output`] when a value is of another type.
    pub fn to_arrow(data_type: &DataType, values: &[&Self]) -> Result<ArrayRef, Error> {
        output::from_values(data_type, values)
    }
}

/// The answers to a record batch.
#[derive(Debug)]
#[non_exhaustive]
pub struct BatchPrediction {
    /// The output columns, one row for each row of the input; a row that failed is NULL.
    pub outputs: RecordBatch,
    /// The rows that failed, by their index in the batch, in order.
    pub failures: Vec<(usize, Error)>,
}

impl InferenceFunction {
    /// Answers every row of a record batch, which has the input columns among its own.
    ///
    /// Rows of a stateless model are batched, as many in a request as the model's
    /// `max_batch_size` allows, whatever `batch-size` says. Columns of fixed width (numbers and
    /// fixed-size lists of them) without NULL go to the socket, and come from it, without being
    /// copied; other columns are copied once. With `sequence-key`, rows of one key are answered in
    /// the order of the batch.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::State`] when the function is not open and [`ErrorKind::Schema`] when the
    /// batch lacks an input column or has it in another type. What is wrong with single rows
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
        let Opened {
            subtask: open,
            prepared,
        } = &*opened;
        let columns = input::columns(&self.schema().inputs, batch)
            .map_err(|error| error.in_subtask(open.subtask))?;
        let rows_per_request = prepared.plan.rows_per_batch;
        let columnar = (rows_per_request > 1)
            .then(|| ColumnarRows::new(&prepared.plan, &columns, batch.num_rows()))
            .flatten();
        let mut answers = Answers::new(&self.schema().outputs);
        if let Some(rows) = columnar {
            let deadline = open.row_deadline();
            let parts = (0..batch.num_rows())
                .step_by(rows_per_request)
                .map(|start| {
                    let part = rows.part(start, rows_per_request.min(batch.num_rows() - start));
                    answer_part(open, prepared, start, part, deadline)
                });
            for part in join_all(parts).await.into_iter().flatten() {
                answers.push_part(open, prepared, part);
            }
        } else {
            let rows = (0..batch.num_rows()).map(|index| {
                // Rows of one key are answered in the order of these calls.
                let row = input::row(&self.schema().inputs, &columns, index);
                let answer = row.map(|row| self.submit(&row));
                async move { answer?.await }
            });
            for (index, answer) in join_all(rows).await.into_iter().enumerate() {
                match answer {
                    Ok(prediction) => answers.push_row(prediction.row)?,
                    Err(error) => answers.push_failure(index, 1, &error),
                }
            }
        }
        answers.finish()
    }
}

/// Sends a part of a batch; the ranges of the answers are those of the whole batch.
async fn answer_part(
    open: &CallContext,
    prepared: &Prepared,
    start: usize,
    rows: ColumnarRows,
    deadline: Option<Instant>,
) -> Vec<PartAnswer> {
    let permit = match open.request_permit(deadline).await {
        Ok(permit) => permit,
        Err(error) => {
            let range = start..start + rows.len();
            return vec![PartAnswer {
                range,
                result: Err(error),
            }];
        }
    };
    let mut answers = row_batch::answer(open, &prepared.plan, &rows, deadline).await;
    drop(permit);
    for answer in &mut answers {
        answer.range = start + answer.range.start..start + answer.range.end;
    }
    answers
}

/// Collects the answers of a batch in the order of its rows.
struct Answers {
    columns: Vec<Column>,
    /// For each output column the arrays of consecutive rows.
    arrays: Vec<Vec<ArrayRef>>,
    failures: Vec<(usize, Error)>,
}

impl Answers {
    fn new(columns: &[Column]) -> Self {
        Self {
            columns: columns.to_vec(),
            arrays: vec![Vec::new(); columns.len()],
            failures: Vec::new(),
        }
    }

    fn push_part(&mut self, open: &CallContext, prepared: &Prepared, part: PartAnswer) {
        let PartAnswer { range, result } = part;
        let plan = &prepared.plan;
        let arrays = result.and_then(|response| {
            let arrays = plan.outputs.iter().map(|planned| {
                let tensor = plan.output(planned, &response)?;
                output::from_tensor(&planned.column, tensor, plan.batched, range.len())
            });
            arrays.collect::<Result<Vec<_>, _>>()
        });
        match arrays {
            Ok(arrays) => {
                (0..range.len()).for_each(|_| open.metrics().row_answered());
                for (column, array) in self.arrays.iter_mut().zip(arrays) {
                    column.push(array);
                }
            }
            Err(error) => match prepared.default_for(open, &error) {
                Some(row) => {
                    for _ in range.clone() {
                        open.metrics().row_defaulted();
                        // The default was checked against the schema at open.
                        let _ = self.push_row(row.clone());
                    }
                }
                None => {
                    (0..range.len()).for_each(|_| open.metrics().row_failed());
                    let error = error.in_subtask(open.subtask);
                    self.push_failure(range.start, range.len(), &error);
                }
            },
        }
    }

    fn push_row(&mut self, row: Vec<Value>) -> Result<(), Error> {
        for ((column, arrays), value) in self.columns.iter().zip(&mut self.arrays).zip(row) {
            arrays.push(output::from_values(&column.data_type, &[&value])?);
        }
        Ok(())
    }

    fn push_failure(&mut self, first: usize, rows: usize, error: &Error) {
        for (column, arrays) in self.columns.iter().zip(&mut self.arrays) {
            arrays.push(arrow_array::new_null_array(
                &output::arrow_type(&column.data_type),
                rows,
            ));
        }
        self.failures
            .extend((first..first + rows).map(|index| (index, error.clone())));
    }

    fn finish(self) -> Result<BatchPrediction, Error> {
        let output_error = |error: arrow_schema::ArrowError| {
            Error::new(
                ErrorKind::Output,
                format!("the answers make no record batch: {error}"),
            )
        };
        let mut fields = Vec::with_capacity(self.columns.len());
        let mut columns = Vec::with_capacity(self.columns.len());
        for (column, arrays) in self.columns.iter().zip(self.arrays) {
            let data_type = output::arrow_type(&column.data_type);
            columns.push(match arrays.as_slice() {
                [] => arrow_array::new_empty_array(&data_type),
                [only] => Arc::clone(only),
                several => {
                    let several: Vec<_> = several.iter().map(AsRef::as_ref).collect();
                    arrow_select::concat::concat(&several).map_err(output_error)?
                }
            });
            fields.push(Field::new(&column.name, data_type, true));
        }
        let schema = Arc::new(ArrowSchema::new(fields));
        Ok(BatchPrediction {
            outputs: RecordBatch::try_new(schema, columns).map_err(output_error)?,
            failures: self.failures,
        })
    }
}
