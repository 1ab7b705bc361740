//! One column of rows in the binary form of its tensor, row behind row.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};

use crate::row_block::{BlockColumn, RowEnds};
use crate::row_codec::{self, EncodedCell};
use crate::tensor_plan::PlannedColumn;
use crate::{Error, Value};

/// The rows of a column, and what is wrong with some of them.
#[derive(Debug)]
pub(crate) struct EncodedColumn {
    data: Bytes,
    ends: RowEnds,
    marks: RowMarks,
}

/// What is to be known of rows beside their bytes.
#[derive(Debug, Default)]
pub(crate) struct RowMarks {
    /// The shapes that there are.
    shapes: Vec<Vec<usize>>,
    /// Which of the shapes a row has, where there are several.
    shape_of: Vec<usize>,
    /// Whether each row has no value, where that leaves the input out; empty where all have one.
    left_out: Vec<bool>,
    faults: BTreeMap<usize, Error>,
}

impl RowMarks {
    /// All rows have this shape.
    #[cfg(feature = "arrow")]
    pub(crate) fn of_shape(shape: Vec<usize>) -> Self {
        Self {
            shapes: vec![shape],
            ..Self::default()
        }
    }

    /// Some rows may have no value, which leaves the input out.
    #[cfg(feature = "arrow")]
    pub(crate) fn left_out(left_out: Vec<bool>) -> Self {
        Self {
            left_out,
            ..Self::default()
        }
    }

    /// Whether the input is left out of a row.
    pub(crate) fn is_left_out(&self, row: usize) -> bool {
        self.left_out.get(row).copied().unwrap_or_default()
    }

    pub(crate) fn is_fault(&self, row: usize) -> bool {
        self.faults.contains_key(&row)
    }

    /// The next row has a shape, which may be none that the model takes.
    pub(crate) fn add_shape(&mut self, planned: &PlannedColumn, row: usize, mut shape: Vec<usize>) {
        match planned.fit(&mut shape) {
            Ok(()) => {
                let place = self.shapes.iter().rposition(|known| *known == shape);
                let place = place.unwrap_or_else(|| {
                    self.shapes.push(shape);
                    self.shapes.len() - 1
                });
                self.shape_of.push(place);
            }
            Err(error) => self.add_fault(row, error),
        }
    }

    pub(crate) fn add_fault(&mut self, row: usize, error: Error) {
        self.shape_of.push(0);
        self.faults.insert(row, error);
    }

    /// The next row has no value.
    pub(crate) fn add_left_out(&mut self) {
        self.shape_of.push(0);
    }
}

impl EncodedColumn {
    pub(crate) fn new(data: Bytes, ends: RowEnds, marks: RowMarks) -> Self {
        Self { data, ends, marks }
    }

    /// Whether all rows can be sent together.
    pub(super) fn is_uniform(&self) -> bool {
        let marks = &self.marks;
        marks.shapes.len() <= 1 && marks.left_out.is_empty() && marks.faults.is_empty()
    }

    /// The shape of a row; `None` where the input is left out.
    pub(super) fn shape(&self, row: usize) -> Result<Option<&[usize]>, Error> {
        let marks = &self.marks;
        if let Some(error) = marks.faults.get(&row) {
            return Err(error.clone());
        }
        if marks.is_left_out(row) {
            return Ok(None);
        }
        let place = marks.shape_of.get(row).copied().unwrap_or_default();
        Ok(marks.shapes.get(place).map(Vec::as_slice))
    }

    /// The bytes of a row.
    #[cfg(feature = "arrow")]
    pub(super) fn data(&self, row: usize) -> Bytes {
        self.data.slice(self.ends.bytes(&(row..row + 1)))
    }

    /// All rows of a uniform column.
    pub(super) fn whole(&self) -> Option<BlockColumn> {
        Some(BlockColumn {
            shape: self.marks.shapes.first()?.clone(),
            ends: self.ends.clone(),
            data: self.data.clone(),
        })
    }

    /// Some rows, which have one shape.
    pub(super) fn block(&self, rows: &[usize]) -> Option<BlockColumn> {
        let first = rows.first()?;
        let shape = self.shape(*first).ok()??;
        let all = BlockColumn {
            shape: shape.to_vec(),
            ends: self.ends.clone(),
            data: self.data.clone(),
        };
        Some(all.rows(rows))
    }
}

/// A column that is being filled, value by value.
#[derive(Debug)]
pub(super) struct ColumnBuilder {
    data: BytesMut,
    rows: usize,
    /// Where each row ends, unless all have as many bytes.
    ends: Vec<usize>,
    /// How many bytes each row has, where that is known.
    width: Option<usize>,
    marks: RowMarks,
}

impl ColumnBuilder {
    pub(super) fn new(planned: &PlannedColumn) -> Self {
        let data_type = &planned.column.data_type;
        let is_scalar = data_type.rank() == 0;
        let width = data_type.tensor_datatype().element_size();
        let mut marks = RowMarks::default();
        if is_scalar {
            marks.shapes.push(planned.scalar_shape());
        }
        Self {
            data: BytesMut::new(),
            rows: 0,
            ends: Vec::new(),
            width: width.filter(|_| is_scalar),
            marks,
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.data.len()
    }

    /// Adds the value of the next row.
    #[inline]
    pub(super) fn push(&mut self, planned: &PlannedColumn, value: &Value) {
        let column = &planned.column;
        if *value == Value::Null && planned.is_optional() {
            self.marks.left_out.resize(self.rows, false);
            self.marks.left_out.push(true);
            return self.push_nothing();
        }
        if !self.marks.left_out.is_empty() {
            self.marks.left_out.push(false);
        }
        if column.data_type.rank() == 0 {
            let before = self.data.len();
            match row_codec::append_scalar(&mut self.data, column, value) {
                Ok(()) => self.ends_row(),
                Err(error) => {
                    self.data.truncate(before);
                    self.marks.faults.insert(self.rows, error);
                    self.push_nothing();
                }
            }
            return;
        }
        match row_codec::encode(column, value) {
            Ok(EncodedCell { shape, data }) => {
                self.marks.add_shape(planned, self.rows, shape);
                if !self.marks.is_fault(self.rows) {
                    self.data.extend_from_slice(&data);
                }
                self.ends_row();
            }
            Err(error) => {
                self.marks.add_fault(self.rows, error);
                self.ends_row();
            }
        }
    }

    /// Adds a row that has no bytes of its own, or those of no value.
    fn push_nothing(&mut self) {
        if let Some(width) = self.width {
            self.data.resize(self.data.len() + width, 0);
        }
        if self.marks.shapes.is_empty() || !self.marks.shape_of.is_empty() {
            self.marks.add_left_out();
        }
        self.ends_row();
    }

    fn ends_row(&mut self) {
        self.rows += 1;
        if self.width.is_none() {
            self.ends.push(self.data.len());
        }
    }

    pub(super) fn finish(self) -> EncodedColumn {
        let ends = match self.width {
            Some(width) => RowEnds::Every(width),
            None => RowEnds::At(self.ends),
        };
        EncodedColumn::new(self.data.freeze(), ends, self.marks)
    }
}
