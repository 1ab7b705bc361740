//! Rows that were read together: as they are in the input, so that they pass through unchanged, and
//! read as values only for whoever needs those.

use std::ops::Range;

use triton_model_fn::{Column, InputRows, InputRowsBuilder, Value};

#[cfg(feature = "arrow")]
use super::input::ArrowRows;
use super::input::{CsvRows, JsonRows};
use super::row::{Row, Unusable};

/// Rows of one input that follow each other.
#[derive(Debug)]
pub(crate) struct Chunk {
    pub(super) rows: ChunkRows,
}

/// The rows, as their format has them.
#[derive(Debug)]
pub(super) enum ChunkRows {
    Csv(CsvRows),
    Json(JsonRows),
    #[cfg(feature = "arrow")]
    Arrow(ArrowRows),
}

/// How much is read together, at most.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ChunkSize {
    pub(crate) rows: usize,
    /// A row that is larger is read alone.
    pub(crate) bytes: usize,
}

impl ChunkSize {
    /// For whoever takes one row after the other.
    pub(crate) const OF_ROWS: Self = Self {
        rows: 128,
        bytes: 256 * 1024,
    };
}

impl Chunk {
    pub(crate) fn len(&self) -> usize {
        match &self.rows {
            ChunkRows::Csv(rows) => rows.len(),
            ChunkRows::Json(rows) => rows.len(),
            #[cfg(feature = "arrow")]
            ChunkRows::Arrow(rows) => rows.len(),
        }
    }

    /// About how many bytes of memory it takes.
    pub(crate) fn bytes(&self) -> usize {
        match &self.rows {
            ChunkRows::Csv(rows) => rows.bytes(),
            ChunkRows::Json(rows) => rows.bytes(),
            #[cfg(feature = "arrow")]
            ChunkRows::Arrow(rows) => rows.bytes(),
        }
    }

    /// One of the rows by itself.
    pub(crate) fn row(&self, index: usize) -> Row {
        match &self.rows {
            ChunkRows::Csv(rows) => rows.row(index),
            ChunkRows::Json(rows) => rows.row(index),
            #[cfg(feature = "arrow")]
            ChunkRows::Arrow(rows) => rows.row(index),
        }
    }

    /// Some of the rows, one by one.
    pub(super) fn rows(&self, rows: Range<usize>) -> Vec<Row> {
        match &self.rows {
            ChunkRows::Csv(all) => all.rows(rows),
            _ => rows.map(|index| self.row(index)).collect(),
        }
    }

    /// All rows, one by one.
    pub(crate) fn into_rows(self) -> Vec<Row> {
        match self.rows {
            ChunkRows::Csv(rows) => rows.into_rows(),
            ChunkRows::Json(rows) => rows.into_rows(),
            #[cfg(feature = "arrow")]
            ChunkRows::Arrow(rows) => rows.into_rows(),
        }
    }

    /// The rows as the model takes them, and those that cannot be used, which are left out.
    pub(crate) fn encoded(
        &self,
        builder: &mut InputRowsBuilder,
    ) -> (InputRows, Vec<(usize, Unusable)>) {
        let unusable = match &self.rows {
            ChunkRows::Csv(rows) => rows.encode(builder),
            ChunkRows::Json(rows) => rows.encode(builder),
            #[cfg(feature = "arrow")]
            ChunkRows::Arrow(rows) => rows.encode(builder),
        };
        let left_out = unusable.iter().map(|(row, _)| *row).collect();
        (builder.finish(self.len(), left_out), unusable)
    }

    /// Whether answers to these rows are best had as arrays, because the rows go on as such.
    #[cfg(feature = "arrow")]
    pub(crate) fn goes_on_as_arrays(&self) -> bool {
        matches!(&self.rows, ChunkRows::Arrow(rows) if rows.are_columns())
    }
}

/// What is added to the rows of a chunk: a value a row for each added column.
#[derive(Debug)]
pub(crate) enum Answers {
    Values(Vec<Vec<Value>>),
    #[cfg(feature = "arrow")]
    Arrays(arrow_array::RecordBatch),
}

impl Answers {
    /// The values that are added to a row, for columns of these types.
    pub(super) fn of_row(&self, columns: &[Column], row: usize) -> Vec<Value> {
        let mut values: Vec<Value> = match self {
            Answers::Values(answers) => {
                let answers = answers.iter();
                answers.map(|column| column[row].clone()).collect()
            }
            #[cfg(feature = "arrow")]
            Answers::Arrays(batch) => {
                let arrays = batch.columns().iter().zip(columns);
                let values = arrays.map(|(array, column)| {
                    let value = Value::from_arrow(&column.data_type, array, row);
                    value.unwrap_or(Value::Null)
                });
                values.collect()
            }
        };
        // Rows that are handed over together have no sequence, and so no ID of one.
        values.resize(columns.len(), Value::Null);
        values
    }
}

/// Which rows of a chunk are written, and what is added to them.
#[derive(Clone)]
pub(crate) struct Answered<'a> {
    pub(crate) chunk: &'a Chunk,
    pub(crate) rows: Range<usize>,
    pub(crate) answers: &'a Answers,
}
