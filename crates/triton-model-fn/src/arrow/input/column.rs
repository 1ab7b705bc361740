//! One column of a record batch in the binary form of its tensor, row behind row.

use std::collections::BTreeMap;

use arrow_array::cast::AsArray as _;
use arrow_array::{Array, ArrayRef};
use arrow_buffer::{Buffer, NullBuffer};
use arrow_schema::DataType as ArrowType;
use bytes::{Bytes, BytesMut};

use super::lists::{self, List};
use crate::arrow::{output, values};
use crate::row_block::{BlockColumn, RowEnds};
use crate::row_codec;
use crate::tensor_plan::PlannedColumn;
use crate::{DataType, Error, Value};

/// The rows of a column, and what is wrong with some of them.
pub(in crate::arrow) struct EncodedColumn {
    data: Bytes,
    ends: RowEnds,
    /// The shapes that there are.
    shapes: Vec<Vec<usize>>,
    /// Which of the shapes a row has, where there are several.
    shape_of: Vec<usize>,
    /// The rows that have no value, where that leaves the input out.
    left_out: Option<NullBuffer>,
    faults: BTreeMap<usize, Error>,
}

impl EncodedColumn {
    /// Encodes a column; numbers stay where they are, unless there is something between them.
    pub(super) fn new(planned: &PlannedColumn, array: &ArrayRef) -> Self {
        let nulls = array.logical_nulls().filter(|nulls| nulls.null_count() > 0);
        let mut column = Self {
            data: Bytes::new(),
            ends: RowEnds::Every(0),
            shapes: Vec::new(),
            shape_of: Vec::new(),
            left_out: nulls.clone().filter(|_| planned.is_optional()),
            faults: BTreeMap::new(),
        };
        let is_done = nulls.is_none()
            && (column.share_fixed(planned, array) || column.share_lists(planned, array));
        if !is_done {
            column.copy(planned, array, nulls.as_ref());
        }
        column
    }

    /// Whether all rows can be sent together.
    pub(super) fn is_uniform(&self) -> bool {
        self.shapes.len() <= 1 && self.left_out.is_none() && self.faults.is_empty()
    }

    /// The shape of a row; `None` where the input is left out.
    pub(super) fn shape(&self, row: usize) -> Result<Option<&[usize]>, Error> {
        if let Some(error) = self.faults.get(&row) {
            return Err(error.clone());
        }
        if self
            .left_out
            .as_ref()
            .is_some_and(|nulls| nulls.is_null(row))
        {
            return Ok(None);
        }
        let place = self.shape_of.get(row).copied().unwrap_or_default();
        Ok(self.shapes.get(place).map(Vec::as_slice))
    }

    /// The bytes of a row.
    pub(super) fn data(&self, row: usize) -> Bytes {
        self.data.slice(self.ends.bytes(&(row..row + 1)))
    }

    /// All rows of a uniform column.
    pub(super) fn whole(&self) -> Option<BlockColumn> {
        Some(BlockColumn {
            shape: self.shapes.first()?.clone(),
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

    /// Takes numbers, and fixed-size lists of them, as they lie in memory.
    fn share_fixed(&mut self, planned: &PlannedColumn, array: &ArrayRef) -> bool {
        let mut shape = Vec::new();
        let Some(buffer) = fixed_width(planned, array, &mut shape) else {
            return false;
        };
        let row_bytes = buffer.len().checked_div(array.len()).unwrap_or_default();
        if planned.fit(&mut shape).is_err() {
            return false;
        }
        self.shapes.push(shape);
        self.ends = RowEnds::Every(row_bytes);
        self.data = Bytes::from_owner(BufferOwner(buffer));
        true
    }

    /// Takes lists of numbers as they lie in memory.
    fn share_lists(&mut self, planned: &PlannedColumn, array: &ArrayRef) -> bool {
        if planned.column.data_type.rank() != 1 {
            return false;
        }
        let Some(offsets) = lists::offsets(array) else {
            return false;
        };
        let (values, first, count) = (&offsets.values, offsets.first(), offsets.count());
        let Some(buffer) = numbers(planned, &values.slice(first, count)) else {
            return false;
        };
        let width = buffer.len().checked_div(count).unwrap_or_default();
        let mut ends = Vec::with_capacity(array.len());
        for (row, length) in offsets.lengths().enumerate() {
            ends.push(ends.last().copied().unwrap_or_default() + length * width);
            self.add_shape(planned, row, vec![length]);
        }
        self.ends = RowEnds::At(ends);
        self.data = Bytes::from_owner(BufferOwner(buffer));
        true
    }

    /// Encodes row by row.
    fn copy(&mut self, planned: &PlannedColumn, array: &ArrayRef, nulls: Option<&NullBuffer>) {
        let mut data = BytesMut::new();
        let mut ends = Vec::with_capacity(array.len());
        let data_type = &planned.column.data_type;
        for row in 0..array.len() {
            let before = data.len();
            let is_null = nulls.is_some_and(|nulls| nulls.is_null(row));
            if !(is_null && self.left_out.is_some()) {
                let mut encoder = Encoder {
                    scalar: data_type.scalar(),
                    rank: data_type.rank(),
                    shape: Vec::new(),
                    data: &mut data,
                };
                match encoder.value(array, row, 0) {
                    Ok(()) => {
                        let mut shape = encoder.shape;
                        // An empty array does not show the dimensions that lie within it.
                        shape.resize(data_type.rank(), 0);
                        self.add_shape(planned, row, shape);
                    }
                    Err(message) => {
                        let value = values::value(data_type, array, row);
                        let value = value.unwrap_or(Value::Null);
                        let error = row_codec::refused(&planned.column, &value, &message);
                        self.add_fault(row, error);
                    }
                }
            } else {
                self.shape_of.push(0);
            }
            if self.faults.contains_key(&row) {
                data.truncate(before);
            }
            ends.push(data.len());
        }
        self.data = data.freeze();
        self.ends = RowEnds::At(ends);
    }

    /// The next row has a shape, which may be none that the model takes.
    fn add_shape(&mut self, planned: &PlannedColumn, row: usize, mut shape: Vec<usize>) {
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

    fn add_fault(&mut self, row: usize, error: Error) {
        self.shape_of.push(0);
        self.faults.insert(row, error);
    }
}

/// Encodes the value of one row.
struct Encoder<'a> {
    scalar: &'a DataType,
    rank: usize,
    shape: Vec<usize>,
    data: &'a mut BytesMut,
}

impl Encoder<'_> {
    fn value(&mut self, array: &dyn Array, index: usize, depth: usize) -> Result<(), String> {
        if values::is_null(array, index) {
            let expected = match depth == self.rank {
                true => self.scalar.to_string(),
                false => "an ARRAY".to_owned(),
            };
            return Err(format!("expected {expected}, found NULL"));
        }
        if let Some(dictionary) = array.as_any_dictionary_opt() {
            let values = dictionary.values();
            let key = lists::dictionary_key(dictionary, index);
            return self.value(values, key, depth);
        }
        if depth == self.rank {
            return values::append_scalar(self.data, self.scalar, array, index);
        }
        let List { values, range } = lists::list(array, index)
            .ok_or_else(|| format!("expected an ARRAY, found an Arrow {}", array.data_type()))?;
        row_codec::note_length(&mut self.shape, depth, range.len())?;
        range
            .into_iter()
            .try_for_each(|index| self.value(values, index, depth + 1))
    }
}

/// The elements of an array of numbers, or of fixed-size lists of them, and the shape of a row.
fn fixed_width(
    planned: &PlannedColumn,
    array: &ArrayRef,
    shape: &mut Vec<usize>,
) -> Option<Buffer> {
    match array.data_type() {
        ArrowType::FixedSizeList(_, size) if array.null_count() == 0 => {
            let list = array.as_fixed_size_list();
            let size = usize::try_from(*size).ok()?;
            shape.push(size);
            let first = usize::try_from(list.value_offset(0)).ok()?;
            let values = list.values().slice(first, list.len() * size);
            fixed_width(planned, &values, shape)
        }
        _ => numbers(planned, array),
    }
}

/// The elements of an array of numbers that lie as those of the tensor do.
fn numbers(planned: &PlannedColumn, array: &ArrayRef) -> Option<Buffer> {
    let scalar = planned.column.data_type.scalar();
    if array.null_count() > 0
        || *array.data_type() != output::arrow_type(scalar)
        || *scalar == DataType::BFloat16
    {
        return None;
    }
    let width = array.data_type().primitive_width()?;
    let data = array.to_data();
    let elements = data.buffers().first()?;
    Some(elements.slice_with_length(data.offset() * width, data.len() * width))
}

/// Keeps the memory of an array alive for as long as bytes of it are used.
struct BufferOwner(Buffer);

impl AsRef<[u8]> for BufferOwner {
    fn as_ref(&self) -> &[u8] {
        self.0.as_slice()
    }
}
