//! A column of a record batch in the binary form of its tensor, row behind row.

use arrow_array::cast::AsArray as _;
use arrow_array::{Array, ArrayRef};
use arrow_buffer::{Buffer, NullBuffer};
use arrow_schema::DataType as ArrowType;
use bytes::{Bytes, BytesMut};

use super::lists::{self, List};
use crate::arrow::{output, values};
use crate::row_block::RowEnds;
use crate::row_codec;
use crate::rows::{EncodedColumn, RowMarks};
use crate::tensor_plan::PlannedColumn;
use crate::{DataType, Value};

/// Encodes a column; numbers stay where they are, unless there is something between them.
pub(crate) fn encoded(planned: &PlannedColumn, array: &ArrayRef) -> EncodedColumn {
    let nulls = array.logical_nulls().filter(|nulls| nulls.null_count() > 0);
    let shared = match &nulls {
        None => shared_fixed(planned, array).or_else(|| shared_lists(planned, array)),
        Some(_) => None,
    };
    shared.unwrap_or_else(|| copied(planned, array, nulls.as_ref()))
}

/// Takes numbers, and fixed-size lists of them, as they lie in memory.
fn shared_fixed(planned: &PlannedColumn, array: &ArrayRef) -> Option<EncodedColumn> {
    let mut shape = Vec::new();
    let buffer = fixed_width(planned, array, &mut shape)?;
    let row_bytes = buffer.len().checked_div(array.len()).unwrap_or_default();
    planned.fit(&mut shape).ok()?;
    let data = Bytes::from_owner(BufferOwner(buffer));
    let marks = RowMarks::of_shape(shape);
    Some(EncodedColumn::new(data, RowEnds::Every(row_bytes), marks))
}

/// Takes lists of numbers as they lie in memory.
fn shared_lists(planned: &PlannedColumn, array: &ArrayRef) -> Option<EncodedColumn> {
    if planned.column.data_type.rank() != 1 {
        return None;
    }
    let offsets = lists::offsets(array)?;
    let (values, first, count) = (&offsets.values, offsets.first(), offsets.count());
    let buffer = numbers(planned, &values.slice(first, count))?;
    let width = buffer.len().checked_div(count).unwrap_or_default();
    let mut ends = Vec::with_capacity(array.len());
    let mut marks = RowMarks::default();
    for (row, length) in offsets.lengths().enumerate() {
        ends.push(ends.last().copied().unwrap_or_default() + length * width);
        marks.add_shape(planned, row, vec![length]);
    }
    let data = Bytes::from_owner(BufferOwner(buffer));
    Some(EncodedColumn::new(data, RowEnds::At(ends), marks))
}

/// Encodes row by row.
fn copied(planned: &PlannedColumn, array: &ArrayRef, nulls: Option<&NullBuffer>) -> EncodedColumn {
    let mut data = BytesMut::new();
    let mut ends = Vec::with_capacity(array.len());
    let data_type = &planned.column.data_type;
    let left_out = nulls.filter(|_| planned.is_optional());
    let mut marks = RowMarks::left_out(left_out.map_or_else(Vec::new, |nulls| {
        nulls.iter().map(|is_valid| !is_valid).collect()
    }));
    for row in 0..array.len() {
        let before = data.len();
        if marks.is_left_out(row) {
            marks.add_left_out();
        } else {
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
                    marks.add_shape(planned, row, shape);
                }
                Err(message) => {
                    let value = values::value(data_type, array, row);
                    let value = value.unwrap_or(Value::Null);
                    let error = row_codec::refused(&planned.column, &value, &message);
                    marks.add_fault(row, error);
                }
            }
        }
        if marks.is_fault(row) {
            data.truncate(before);
        }
        ends.push(data.len());
    }
    EncodedColumn::new(data.freeze(), RowEnds::At(ends), marks)
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
