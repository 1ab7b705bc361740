//! The columns of a record batch in the binary form of tensors, in groups of rows of one shape.

mod column;
pub(super) mod lists;

use std::collections::HashMap;

use arrow_array::{ArrayRef, RecordBatch};

use crate::row_block::{BlockColumn, RowBlock};
use crate::row_codec::EncodedCell;
use crate::tensor_plan::{EncodedRow, TensorPlan};
use crate::{Column, Error, ErrorKind};

pub(super) use column::EncodedColumn;

/// The array of each input column.
pub(super) fn columns(inputs: &[Column], batch: &RecordBatch) -> Result<Vec<ArrayRef>, Error> {
    let columns = inputs.iter().map(|column| {
        let array = batch.column_by_name(&column.name).ok_or_else(|| {
            let fields: Vec<&str> = batch
                .schema_ref()
                .fields()
                .iter()
                .map(|field| field.name().as_str())
                .collect();
            let message = format!(
                "the record batch has no column '{}'; it has: {}",
                column.name,
                fields.join(", ")
            );
            Error::new(ErrorKind::Schema, message)
        })?;
        if super::values::is_of(&column.data_type, array.data_type()) {
            return Ok(ArrayRef::clone(array));
        }
        let message = format!(
            "column '{}': expected {}, found an Arrow array of {}",
            column.name,
            column.data_type,
            array.data_type()
        );
        Err(Error::new(ErrorKind::Schema, message))
    });
    columns.collect()
}

/// The rows of a record batch whose every input is in binary form.
pub(super) struct EncodedRows {
    columns: Vec<EncodedColumn>,
    rows: usize,
}

/// Rows of one shape, and where they are in the record batch.
pub(super) struct ShapeGroup {
    pub(super) rows: Vec<usize>,
    pub(super) block: RowBlock,
}

impl EncodedRows {
    /// Encodes the model's inputs, each the array of the same place.
    pub(super) fn new(plan: &TensorPlan, arrays: &[&ArrayRef], rows: usize) -> Self {
        let columns = plan.inputs.iter().zip(arrays);
        let columns = columns.map(|(planned, array)| EncodedColumn::new(planned, array));
        Self {
            columns: columns.collect(),
            rows,
        }
    }

    /// One row by itself, which shares the memory of all, or why it cannot be sent.
    pub(super) fn row(&self, row: usize) -> Result<EncodedRow, Error> {
        let cells = self.columns.iter().map(|column| {
            let Some(shape) = column.shape(row)? else {
                return Ok(None);
            };
            Ok(Some(EncodedCell {
                shape: shape.to_vec(),
                data: column.data(row),
            }))
        });
        Ok(EncodedRow::new(cells.collect::<Result<_, Error>>()?))
    }

    /// The rows that can be sent, by their shapes, and those that cannot, in order: all of them, or
    /// `only` some.
    pub(super) fn groups(&self, only: Option<&[usize]>) -> (Vec<ShapeGroup>, Vec<(usize, Error)>) {
        let only = only.filter(|only| only.len() < self.rows);
        if only.is_none() && self.columns.iter().all(EncodedColumn::is_uniform) {
            let group = ShapeGroup {
                rows: (0..self.rows).collect(),
                block: self.block(None),
            };
            let is_empty = self.rows == 0;
            return (if is_empty { Vec::new() } else { vec![group] }, Vec::new());
        }
        let mut places: HashMap<Vec<Option<&[usize]>>, usize> = HashMap::new();
        let mut groups: Vec<Vec<usize>> = Vec::new();
        let mut faults = Vec::new();
        let all = 0..only.map_or(self.rows, <[usize]>::len);
        for row in all.map(|place| only.map_or(place, |only| only[place])) {
            let shapes = self.columns.iter().map(|column| column.shape(row));
            match shapes.collect::<Result<Vec<_>, Error>>() {
                Ok(shapes) => {
                    let place = *places.entry(shapes).or_insert_with(|| {
                        groups.push(Vec::new());
                        groups.len() - 1
                    });
                    groups[place].push(row);
                }
                Err(error) => faults.push((row, error)),
            }
        }
        let groups = groups.into_iter().map(|rows| ShapeGroup {
            block: self.block(Some(&rows)),
            rows,
        });
        (groups.collect(), faults)
    }

    /// Some of the rows, which have one shape, or all of them.
    fn block(&self, rows: Option<&[usize]>) -> RowBlock {
        let columns = self.columns.iter().map(|column| match rows {
            Some(rows) => column.block(rows),
            None => column.whole(),
        });
        let columns: Vec<Option<BlockColumn>> = columns.collect();
        RowBlock::new(columns, rows.map_or(self.rows, <[usize]>::len))
    }
}
