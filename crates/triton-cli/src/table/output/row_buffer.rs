//! Rows that are gathered until they make a record batch.

use std::io;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, new_null_array};
use arrow_schema::SchemaRef;
use triton_model_fn::{Column, DataType, Value};

use super::Added;
use crate::table::arrow_rows::{bytes_of, gathered, without_unused};
use crate::table::cell;
use crate::table::chunk::{Answered, Answers, ChunkRows};
use crate::table::fault::Fault;
use crate::table::layout::PassedKind;
use crate::table::original::Original;
use crate::table::row::Row;

/// How many rows make a record batch, and about how many bytes: a row of more is one by itself.
const CHUNK_ROWS: usize = 1024;
const CHUNK_BYTES: usize = 8 * 1024 * 1024;

/// Rows that will make a record batch.
pub(super) struct RowBuffer {
    pub(super) schema: SchemaRef,
    added: Vec<Column>,
    added_rows: Vec<Vec<Value>>,
    passed: Passed,
    /// About how much memory the rows take.
    bytes: usize,
}

/// The columns that pass through.
enum Passed {
    /// Values, and the types of their columns.
    Values(Vec<DataType>, Vec<Vec<Value>>),
    /// Record batches, and for each row the batch it is from and its place there.
    Batches(Vec<HeldBatch>, Vec<(usize, usize)>),
}

/// A batch that rows are from.
struct HeldBatch {
    batch: Arc<RecordBatch>,
    bytes_of_row: usize,
}

impl HeldBatch {
    fn new(batch: &Arc<RecordBatch>) -> Self {
        Self {
            batch: Arc::clone(batch),
            bytes_of_row: bytes_of(batch) / batch.num_rows().max(1),
        }
    }
}

/// About how much memory a value takes.
fn bytes_of_value(value: &Value) -> usize {
    let beside = match value {
        Value::String(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        Value::Array(array) => match array.raw() {
            Some(raw) => raw.len(),
            None => array.iter().map(|element| bytes_of_value(&element)).sum(),
        },
        _ => 0,
    };
    size_of::<Value>() + beside
}

impl RowBuffer {
    pub(super) fn new(schema: SchemaRef, added: &Added) -> Self {
        Self {
            schema,
            added: added.0.clone(),
            added_rows: Vec::new(),
            passed: Passed::Batches(Vec::new(), Vec::new()),
            bytes: 0,
        }
    }

    /// Whether a row can be pushed before the others are taken.
    pub(super) fn has_room_for(&self, row: &Row) -> bool {
        let is_batch = matches!(row.original, Original::Batch { .. });
        let fits = is_batch == matches!(self.passed, Passed::Batches(..));
        let has_room = self.added_rows.len() < CHUNK_ROWS && self.bytes < CHUNK_BYTES;
        self.added_rows.is_empty() || (fits && has_room)
    }

    pub(super) fn push(&mut self, row: &Row, added: &[Value]) -> Result<(), Fault> {
        if let Original::Batch { batch, index } = &row.original {
            if !matches!(self.passed, Passed::Batches(..)) {
                self.passed = Passed::Batches(Vec::new(), Vec::new());
            }
            if let Passed::Batches(batches, rows) = &mut self.passed {
                let last = batches.last();
                if !last.is_some_and(|last| Arc::ptr_eq(&last.batch, batch)) {
                    batches.push(HeldBatch::new(batch));
                }
                self.bytes += batches.last().map_or(0, |last| last.bytes_of_row);
                rows.push((batches.len() - 1, *index));
            }
        } else {
            let values = values(row)?;
            if !matches!(self.passed, Passed::Values(..)) {
                let types = row.layout.columns.iter().map(|column| match &column.kind {
                    PassedKind::Input(_, data_type) | PassedKind::Other(data_type) => {
                        data_type.clone()
                    }
                    PassedKind::Arrow(_) => DataType::String,
                });
                self.passed = Passed::Values(types.collect(), Vec::new());
            }
            self.bytes += values.iter().map(bytes_of_value).sum::<usize>();
            if let Passed::Values(_, rows) = &mut self.passed {
                rows.push(values);
            }
        }
        self.bytes += added.iter().map(bytes_of_value).sum::<usize>();
        self.added_rows.push(added.to_vec());
        Ok(())
    }

    /// Rows of a record batch and what was added to them, as columns; `None` where they are to be pushed
    /// one by one: where they are no columns, or so little that a batch of their own is too much.
    pub(super) fn whole(&self, answered: &Answered<'_>) -> anyhow::Result<Option<RecordBatch>> {
        const LEAST_ROWS: usize = 64;
        const LEAST_BYTES: usize = 64 * 1024;
        let (ChunkRows::Arrow(rows), Answers::Arrays(answers)) =
            (&answered.chunk.rows, answered.answers)
        else {
            return Ok(None);
        };
        let (start, count) = (answered.rows.start, answered.rows.len());
        if !rows.are_columns() {
            return Ok(None);
        }
        let passed = rows.batch().slice(start, count);
        let answers = answers.slice(start, count);
        if count < LEAST_ROWS && bytes_of(&passed) + bytes_of(&answers) < LEAST_BYTES {
            return Ok(None);
        }
        let mut columns = without_unused(passed.columns())?;
        columns.extend(answers.columns().iter().cloned());
        let missing = self.schema.fields().iter().skip(columns.len());
        // Rows that are handed over together have no sequence, and so no ID of one.
        let missing = missing.map(|field| new_null_array(field.data_type(), count));
        let missing: Vec<ArrayRef> = missing.collect();
        columns.extend(missing);
        Ok(Some(RecordBatch::try_new(
            Arc::clone(&self.schema),
            columns,
        )?))
    }

    /// The rows as a batch, if there are any.
    pub(super) fn take(&mut self) -> io::Result<Option<RecordBatch>> {
        if self.added_rows.is_empty() {
            return Ok(None);
        }
        let batch = self.batch().map_err(io::Error::other)?;
        self.added_rows.clear();
        self.bytes = 0;
        match &mut self.passed {
            Passed::Values(_, rows) => rows.clear(),
            Passed::Batches(batches, rows) => {
                batches.clear();
                rows.clear();
            }
        }
        Ok(Some(batch))
    }

    fn batch(&self) -> anyhow::Result<RecordBatch> {
        let mut columns = match &self.passed {
            Passed::Batches(batches, rows) => {
                let batches: Vec<&RecordBatch> = batches.iter().map(|it| &*it.batch).collect();
                gathered(&batches, rows)?
            }
            Passed::Values(types, rows) => arrays(types.iter(), rows)?,
        };
        let types = self.added.iter().map(|column| &column.data_type);
        columns.extend(arrays(types, &self.added_rows)?);
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns)?)
    }
}

/// Arrays of the columns of rows.
fn arrays<'a>(
    types: impl Iterator<Item = &'a DataType>,
    rows: &[Vec<Value>],
) -> anyhow::Result<Vec<ArrayRef>> {
    let columns = types.enumerate().map(|(index, data_type)| {
        let values: Vec<&Value> = rows.iter().map(|row| &row[index]).collect();
        Ok(Value::to_arrow(data_type, &values)?)
    });
    columns.collect()
}

/// The passing columns of a row whose input has no types of its own.
fn values(row: &Row) -> Result<Vec<Value>, Fault> {
    let members = match &row.original {
        Original::Object(object) => object.by_column(&row.layout)?,
        _ => Vec::new(),
    };
    let columns = row.layout.columns.iter().enumerate();
    let values = columns.map(|(position, column)| {
        let (input, data_type) = match &column.kind {
            PassedKind::Input(index, data_type) => (row.input_value(*index), data_type),
            PassedKind::Other(data_type) => (None, data_type),
            PassedKind::Arrow(_) => return Err(Fault::of_row("the row has no columns")),
        };
        match (&row.original, input) {
            // An object has more digits than the model takes of it.
            (Original::Object(_), input) => match members.get(position).copied().flatten() {
                Some(text) => match (cell::parse_widened(data_type, text), input) {
                    (Ok(value), _) => Ok(value),
                    // The model cannot read it either, and the row says so.
                    (Err(_), Some(Value::Null)) => Ok(Value::Null),
                    (Err(reason), _) => {
                        let reason = format!("{reason}; the first rows decide on the type");
                        Err(Fault::of_column(&column.name, reason))
                    }
                },
                None => Ok(Value::Null),
            },
            (Original::Cells(_), Some(value)) => Ok(value.clone()),
            (Original::Cells(record), None) => Ok(Value::String(
                record.get(position).unwrap_or_default().to_owned(),
            )),
            _ => Err(Fault::of_row("the row has no columns")),
        }
    });
    values.collect()
}
