//! Output tensors, and single values, as Arrow arrays.

use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, ListArray, PrimitiveArray, StringArray, types,
};
use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer};
use arrow_data::ArrayData;
use arrow_schema::{DataType as ArrowType, Field};
use half::f16;
use triton_client::Tensor;

use crate::{Column, DataType, Error, ErrorKind, Value, row_codec};

/// The Arrow type of an output column.
pub(super) fn arrow_type(data_type: &DataType) -> ArrowType {
    match data_type {
        DataType::Boolean => ArrowType::Boolean,
        DataType::TinyInt => ArrowType::Int8,
        DataType::SmallInt => ArrowType::Int16,
        DataType::Integer => ArrowType::Int32,
        DataType::BigInt => ArrowType::Int64,
        DataType::UnsignedTinyInt => ArrowType::UInt8,
        DataType::UnsignedSmallInt => ArrowType::UInt16,
        DataType::UnsignedInteger => ArrowType::UInt32,
        DataType::UnsignedBigInt => ArrowType::UInt64,
        DataType::Float16 => ArrowType::Float16,
        DataType::Float => ArrowType::Float32,
        DataType::Double => ArrowType::Float64,
        DataType::String => ArrowType::Utf8,
        DataType::Bytes => ArrowType::Binary,
        DataType::Array(element) => ArrowType::List(element_field(element)),
    }
}

fn element_field(element: &DataType) -> Arc<Field> {
    Arc::new(Field::new("item", arrow_type(element), true))
}

/// The array of an output tensor for `rows` rows; numbers are not copied unless they lie
/// unaligned in the response.
pub(super) fn from_tensor(
    column: &Column,
    tensor: &Tensor,
    batched: bool,
    rows: usize,
) -> Result<ArrayRef, Error> {
    let scalar = column.data_type.scalar();
    let numbers = arrow_type(scalar);
    let is_number = numbers.primitive_width().is_some();
    let shape = row_codec::row_shape(column, tensor, batched, rows)?;
    if !is_number {
        let values = row_codec::decode(column, tensor, batched, rows)?;
        return from_values(&column.data_type, &values.iter().collect::<Vec<_>>());
    }
    let elements = rows * shape.iter().product::<usize>();
    let data = ArrayData::builder(numbers)
        .len(elements)
        .add_buffer(Buffer::from(tensor.raw().clone()))
        .align_buffers(true)
        .build()
        .map_err(|error| {
            let message = format!("output '{}': {error}", tensor.name());
            Error::new(ErrorKind::Output, message)
        })?;
    let mut array = arrow_array::make_array(data);
    // From the innermost dimension outwards.
    let mut element = scalar.clone();
    for size in shape.iter().rev() {
        let lists = if *size == 0 { 0 } else { array.len() / size };
        let offsets = OffsetBuffer::from_lengths(std::iter::repeat_n(*size, lists));
        array = Arc::new(ListArray::new(
            element_field(&element),
            offsets,
            array,
            None,
        ));
        element = DataType::Array(Box::new(element));
    }
    if array.len() == rows {
        return Ok(array);
    }
    // A dimension of 0 leaves no elements from which the number of lists could be told.
    let values = row_codec::decode(column, tensor, batched, rows)?;
    from_values(&column.data_type, &values.iter().collect::<Vec<_>>())
}

/// An array of values, each NULL or of the type.
pub(super) fn from_values(data_type: &DataType, values: &[&Value]) -> Result<ArrayRef, Error> {
    macro_rules! collect {
        ($variant:ident, $array:ty) => {{
            let values = values.iter().map(|value| match value {
                Value::$variant(value) => Ok(Some(value.to_owned())),
                Value::Null => Ok(None),
                other => Err(unexpected(data_type, other)),
            });
            Arc::new(values.collect::<Result<$array, Error>>()?) as ArrayRef
        }};
    }
    Ok(match data_type {
        DataType::Boolean => collect!(Boolean, BooleanArray),
        DataType::TinyInt => collect!(TinyInt, PrimitiveArray<types::Int8Type>),
        DataType::SmallInt => collect!(SmallInt, PrimitiveArray<types::Int16Type>),
        DataType::Integer => collect!(Integer, PrimitiveArray<types::Int32Type>),
        DataType::BigInt => collect!(BigInt, PrimitiveArray<types::Int64Type>),
        DataType::UnsignedTinyInt => collect!(UnsignedTinyInt, PrimitiveArray<types::UInt8Type>),
        DataType::UnsignedSmallInt => collect!(UnsignedSmallInt, PrimitiveArray<types::UInt16Type>),
        DataType::UnsignedInteger => collect!(UnsignedInteger, PrimitiveArray<types::UInt32Type>),
        DataType::UnsignedBigInt => collect!(UnsignedBigInt, PrimitiveArray<types::UInt64Type>),
        DataType::Float => collect!(Float, PrimitiveArray<types::Float32Type>),
        DataType::Double => collect!(Double, PrimitiveArray<types::Float64Type>),
        DataType::String => collect!(String, StringArray),
        DataType::Bytes => collect!(Bytes, BinaryArray),
        DataType::Float16 => {
            let values = values.iter().map(|value| match value {
                Value::Float16(value) => Ok(Some(f16::from_f32(*value))),
                Value::Null => Ok(None),
                other => Err(unexpected(data_type, other)),
            });
            Arc::new(values.collect::<Result<PrimitiveArray<types::Float16Type>, Error>>()?)
        }
        DataType::Array(element) => {
            let mut elements = Vec::new();
            let mut lengths = Vec::with_capacity(values.len());
            for value in values {
                match value {
                    Value::Array(inner) => {
                        elements.extend(inner);
                        lengths.push(inner.len());
                    }
                    Value::Null => lengths.push(0),
                    other => return Err(unexpected(data_type, other)),
                }
            }
            let valid: Vec<bool> = values.iter().map(|value| **value != Value::Null).collect();
            let elements = from_values(element, &elements)?;
            let offsets = OffsetBuffer::from_lengths(lengths);
            let nulls = Some(NullBuffer::from(valid));
            Arc::new(ListArray::new(
                element_field(element),
                offsets,
                elements,
                nulls,
            ))
        }
    })
}

fn unexpected(expected: &DataType, found: &Value) -> Error {
    let message = format!("expected {expected}, found {}", found.kind());
    Error::new(ErrorKind::Output, message)
}
