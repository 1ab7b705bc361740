//! The columns of a record batch as tensors.

use std::ops::Range;

use arrow_array::cast::AsArray as _;
use arrow_array::{Array, ArrayRef, RecordBatch, types};
use arrow_buffer::Buffer;
use arrow_schema::DataType as ArrowType;
use bytes::Bytes;
use triton_client::Tensor;

use crate::row_batch::Rows;
use crate::tensor_plan::TensorPlan;
use crate::{Column, DataType, Error, ErrorKind, Value};

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
        if is_of(&column.data_type, array.data_type()) {
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

/// Whether arrays of an Arrow type hold values of a column's type.
pub(super) fn is_of(data_type: &DataType, arrow: &ArrowType) -> bool {
    match (data_type, arrow) {
        (
            DataType::Array(element),
            ArrowType::List(field)
            | ArrowType::LargeList(field)
            | ArrowType::FixedSizeList(field, _),
        ) => is_of(element, field.data_type()),
        (DataType::String, ArrowType::Utf8 | ArrowType::LargeUtf8)
        | (DataType::Bytes, ArrowType::Binary | ArrowType::LargeBinary)
        | (DataType::Boolean, ArrowType::Boolean)
        | (DataType::TinyInt, ArrowType::Int8)
        | (DataType::SmallInt, ArrowType::Int16)
        | (DataType::Integer, ArrowType::Int32)
        | (DataType::BigInt, ArrowType::Int64)
        | (DataType::UnsignedTinyInt, ArrowType::UInt8)
        | (DataType::UnsignedSmallInt, ArrowType::UInt16)
        | (DataType::UnsignedInteger, ArrowType::UInt32)
        | (DataType::UnsignedBigInt, ArrowType::UInt64)
        | (DataType::Float16, ArrowType::Float16)
        | (DataType::Float, ArrowType::Float32)
        | (DataType::Double, ArrowType::Float64) => true,
        _ => false,
    }
}

/// The values of one row, in the order of the input columns.
pub(super) fn row(
    inputs: &[Column],
    columns: &[ArrayRef],
    index: usize,
) -> Result<Vec<Value>, Error> {
    let values = inputs.iter().zip(columns);
    values
        .map(|(column, array)| value(&column.data_type, array.as_ref(), index))
        .collect()
}

pub(super) fn value(data_type: &DataType, array: &dyn Array, index: usize) -> Result<Value, Error> {
    if array.is_null(index) {
        return Ok(Value::Null);
    }
    macro_rules! primitive {
        ($arrow:ident) => {
            array.as_primitive::<types::$arrow>().value(index)
        };
    }
    Ok(match (data_type, array.data_type()) {
        (DataType::Boolean, _) => Value::Boolean(array.as_boolean().value(index)),
        (DataType::TinyInt, _) => Value::TinyInt(primitive!(Int8Type)),
        (DataType::SmallInt, _) => Value::SmallInt(primitive!(Int16Type)),
        (DataType::Integer, _) => Value::Integer(primitive!(Int32Type)),
        (DataType::BigInt, _) => Value::BigInt(primitive!(Int64Type)),
        (DataType::UnsignedTinyInt, _) => Value::UnsignedTinyInt(primitive!(UInt8Type)),
        (DataType::UnsignedSmallInt, _) => Value::UnsignedSmallInt(primitive!(UInt16Type)),
        (DataType::UnsignedInteger, _) => Value::UnsignedInteger(primitive!(UInt32Type)),
        (DataType::UnsignedBigInt, _) => Value::UnsignedBigInt(primitive!(UInt64Type)),
        (DataType::Float16, _) => Value::Float16(primitive!(Float16Type).to_f32()),
        (DataType::Float, _) => Value::Float(primitive!(Float32Type)),
        (DataType::Double, _) => Value::Double(primitive!(Float64Type)),
        (DataType::String, ArrowType::LargeUtf8) => {
            Value::String(array.as_string::<i64>().value(index).to_owned())
        }
        (DataType::String, _) => Value::String(array.as_string::<i32>().value(index).to_owned()),
        (DataType::Bytes, ArrowType::LargeBinary) => {
            Value::Bytes(array.as_binary::<i64>().value(index).to_vec())
        }
        (DataType::Bytes, _) => Value::Bytes(array.as_binary::<i32>().value(index).to_vec()),
        (DataType::Array(element), list) => {
            let values = match list {
                ArrowType::LargeList(_) => array.as_list::<i64>().value(index),
                ArrowType::FixedSizeList(..) => array.as_fixed_size_list().value(index),
                _ => array.as_list::<i32>().value(index),
            };
            let values = (0..values.len()).map(|index| value(element, values.as_ref(), index));
            Value::Array(values.collect::<Result<_, _>>()?)
        }
    })
}

/// Rows whose columns lie in memory as tensors lie on the wire; parts of them share that memory.
#[derive(Debug, Clone)]
pub(super) struct ColumnarRows {
    columns: Vec<FixedWidth>,
    rows: usize,
}

#[derive(Debug, Clone)]
struct FixedWidth {
    /// The shape of one row's value, as the tensor wants it.
    shape: Vec<usize>,
    row_bytes: usize,
    data: Bytes,
}

impl ColumnarRows {
    /// The rows of these columns; `None` where a column is not of fixed width, holds NULL or has
    /// another shape than the tensor, so that rows have to be looked at one by one.
    pub(super) fn new(plan: &TensorPlan, columns: &[ArrayRef], rows: usize) -> Option<Self> {
        let columns = plan.inputs.iter().zip(columns).map(|(planned, array)| {
            let mut shape = Vec::new();
            let buffer = fixed_width(array, &mut shape)?;
            let element_bytes = planned.column.data_type.tensor_datatype().element_size()?;
            let row_bytes = shape.iter().product::<usize>() * element_bytes;
            planned.fit(&mut shape).ok()?;
            Some(FixedWidth {
                shape,
                row_bytes,
                data: Bytes::from_owner(BufferOwner(buffer)),
            })
        });
        Some(Self {
            columns: columns.collect::<Option<_>>()?,
            rows,
        })
    }

    pub(super) fn len(&self) -> usize {
        self.rows
    }

    /// Some of the rows.
    pub(super) fn part(&self, start: usize, rows: usize) -> Self {
        let columns = self.columns.iter().map(|column| FixedWidth {
            data: column.slice(start..start + rows),
            ..column.clone()
        });
        Self {
            columns: columns.collect(),
            rows,
        }
    }
}

impl FixedWidth {
    fn slice(&self, rows: Range<usize>) -> Bytes {
        self.data
            .slice(rows.start * self.row_bytes..rows.end * self.row_bytes)
    }
}

impl Rows for ColumnarRows {
    fn count(&self) -> usize {
        self.rows
    }

    fn tensors(&self, plan: &TensorPlan, range: Range<usize>) -> Result<Vec<Tensor>, Error> {
        let columns = plan.inputs.iter().zip(&self.columns);
        let tensors = columns.map(|(planned, column)| {
            let shape = std::iter::once(range.len()).chain(column.shape.iter().copied());
            planned.tensor(shape.collect(), column.slice(range.clone()))
        });
        tensors.collect()
    }
}

/// The elements of an array of numbers, or of fixed-size lists of them, and the shape of a row.
fn fixed_width(array: &ArrayRef, shape: &mut Vec<usize>) -> Option<Buffer> {
    if array.null_count() > 0 {
        return None;
    }
    match array.data_type() {
        ArrowType::FixedSizeList(_, size) => {
            let list = array.as_fixed_size_list();
            let size = usize::try_from(*size).ok()?;
            shape.push(size);
            let first = usize::try_from(list.value_offset(0)).ok()?;
            fixed_width(&list.values().slice(first, list.len() * size), shape)
        }
        numbers => {
            let width = numbers.primitive_width()?;
            let data = array.to_data();
            let elements = data.buffers().first()?;
            Some(elements.slice_with_length(data.offset() * width, data.len() * width))
        }
    }
}

/// Keeps the memory of an array alive for as long as bytes of it are used.
struct BufferOwner(Buffer);

impl AsRef<[u8]> for BufferOwner {
    fn as_ref(&self) -> &[u8] {
        self.0.as_slice()
    }
}
