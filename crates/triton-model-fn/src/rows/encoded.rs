//! Rows whose every input is in the binary form of its tensor, in groups of rows of one shape.

use std::collections::HashMap;

use super::column::EncodedColumn;
use crate::Error;
use crate::row_block::{BlockColumn, RowBlock};
#[cfg(feature = "arrow")]
use crate::{row_codec::EncodedCell, tensor_plan::EncodedRow};

/// Rows that are encoded column by column.
#[derive(Debug)]
pub(crate) struct EncodedRows {
    columns: Vec<EncodedColumn>,
    rows: usize,
}

/// Rows of one shape, and where they are among all.
pub(crate) struct ShapeGroup {
    pub(crate) rows: Vec<usize>,
    pub(crate) block: RowBlock,
}

impl EncodedRows {
    /// One column for each input of the model, in their order.
    pub(crate) fn new(columns: Vec<EncodedColumn>, rows: usize) -> Self {
        Self { columns, rows }
    }

    /// How many rows there are.
    pub(crate) fn len(&self) -> usize {
        self.rows
    }

    /// One row by itself, which shares the memory of all, or why it cannot be sent.
    #[cfg(feature = "arrow")]
    pub(crate) fn row(&self, row: usize) -> Result<EncodedRow, Error> {
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
    pub(crate) fn groups(&self, only: Option<&[usize]>) -> (Vec<ShapeGroup>, Vec<(usize, Error)>) {
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
