//! Output tensors, and single values, as Arrow arrays.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, FixedSizeListArray, ListArray, PrimitiveArray,
    StringArray, types,
};
use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer};
use arrow_data::ArrayData;
use arrow_schema::{DataType as ArrowType, Field};
use half::f16;
use triton_client::Tensor;

use crate::tensor_elements::check_elements;
use crate::tensor_plan::PlannedColumn;
use crate::{DataType, Error, ErrorKind, Value, row_codec};

/// The Arrow type of a column.
pub(super) fn arrow_type(data_type: &DataType) -> ArrowType {
    sized_type(data_type, &[])
}

/// The Arrow type of a column whose arrays, from the outermost inwards, have these sizes where they
/// are known: they are then lists of a fixed size.
pub(super) fn sized_type(data_type: &DataType, sizes: &[Option<i32>]) -> ArrowType {
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
        // Arrow has no type of 16 bits with such an exponent.
        DataType::BFloat16 | DataType::Float => ArrowType::Float32,
        DataType::Double => ArrowType::Float64,
        DataType::String => ArrowType::Utf8,
        DataType::Bytes => ArrowType::Binary,
        DataType::Array(element) => {
            let field = element_field(element, rest(sizes));
            match size(sizes) {
                Some(size) => ArrowType::FixedSizeList(field, size),
                None => ArrowType::List(field),
            }
        }
    }
}

fn element_field(element: &DataType, sizes: &[Option<i32>]) -> Arc<Field> {
    Arc::new(Field::new("item", sized_type(element, sizes), true))
}

fn size(sizes: &[Option<i32>]) -> Option<i32> {
    sizes.first().copied().flatten()
}

fn rest(sizes: &[Option<i32>]) -> &[Option<i32>] {
    sizes.get(1..).unwrap_or_default()
}

/// The array of an output tensor for `rows` rows; numbers are not copied unless they lie
/// unaligned in the response.
pub(super) fn from_tensor(
    planned: &PlannedColumn,
    sizes: &[Option<i32>],
    tensor: &Tensor,
    batched: bool,
    rows: usize,
) -> Result<ArrayRef, Error> {
    let data_type = &planned.column.data_type;
    let scalar = data_type.scalar();
    let numbers = arrow_type(scalar);
    let shape = row_codec::row_shape(planned, tensor, batched, rows)?;
    let failed = |message: String| {
        let message = format!("output '{}': {message}", tensor.name());
        Error::new(ErrorKind::Output, message)
    };
    let from_decoded = || {
        let values = row_codec::decode(planned, tensor, batched, rows)?;
        from_values(data_type, sizes, &values.iter().collect::<Vec<_>>())
    };
    // A dimension of 0 leaves no elements from which the number of lists could be told, nor how much
    // memory they take.
    let lists = |level: usize| {
        let mut sizes = shape[..level].iter();
        let count = sizes.try_fold(rows, |count, size| count.checked_mul(*size));
        count.filter(|count| i32::try_from(*count).is_ok())
    };
    if (0..=shape.len()).any(|level| lists(level).is_none()) {
        return Err(failed(format!("shape {shape:?} is too large for lists")));
    }
    let is_of_numbers = numbers.primitive_width().is_some() && *scalar != DataType::BFloat16;
    if !is_of_numbers {
        return from_decoded();
    }
    check_elements(scalar, tensor).map_err(failed)?;
    let data = ArrayData::builder(numbers)
        .len(rows * shape.iter().product::<usize>())
        .add_buffer(Buffer::from(tensor.raw().clone()))
        .align_buffers(true)
        .build()
        .map_err(|error| failed(error.to_string()))?;
    let mut array = arrow_array::make_array(data);
    // From the innermost dimension outwards.
    let mut element = scalar.clone();
    for (level, found) in shape.iter().enumerate().rev() {
        let field = element_field(&element, sizes.get(level + 1..).unwrap_or_default());
        array = match sizes.get(level).copied().flatten() {
            Some(size) => Arc::new(FixedSizeListArray::new(field, size, array, None)),
            None => {
                let lists = lists(level).unwrap_or_default();
                let offsets = OffsetBuffer::from_lengths(std::iter::repeat_n(*found, lists));
                Arc::new(ListArray::new(field, offsets, array, None))
            }
        };
        element = DataType::Array(Box::new(element));
    }
    Ok(array)
}

/// Whether the arrays of a value are as long as is known of them.
pub(super) fn fits(sizes: &[Option<i32>], value: &Value) -> bool {
    let Value::Array(array) = value else {
        return true;
    };
    match array.shape() {
        Some(shape) => all_are(sizes, shape),
        None => {
            let outermost = sizes.get(..1).unwrap_or_default();
            all_are(outermost, &[array.len()]) && array.iter().all(|it| fits(rest(sizes), &it))
        }
    }
}

/// Whether dimensions have the sizes that are known of them.
fn all_are(sizes: &[Option<i32>], shape: &[usize]) -> bool {
    let is_size = |(size, found): (&Option<i32>, &usize)| {
        size.is_none_or(|size| usize::try_from(size).is_ok_and(|size| size == *found))
    };
    sizes.iter().zip(shape).all(is_size)
}

/// An array of values, each NULL or of the type.
pub(super) fn from_values(
    data_type: &DataType,
    sizes: &[Option<i32>],
    values: &[&Value],
) -> Result<ArrayRef, Error> {
    macro_rules! collect {
        ($variant:ident, $array:ty) => {
            collect!($variant, $array, |value| value)
        };
        ($variant:ident, $array:ty, $element:expr) => {{
            let values = values.iter().map(|value| match value {
                Value::$variant(value) => Ok(Some($element(value.to_owned()))),
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
        DataType::Float16 => {
            collect!(Float16, PrimitiveArray<types::Float16Type>, f16::from_f32)
        }
        DataType::BFloat16 => collect!(BFloat16, PrimitiveArray<types::Float32Type>),
        DataType::Float => collect!(Float, PrimitiveArray<types::Float32Type>),
        DataType::Double => collect!(Double, PrimitiveArray<types::Float64Type>),
        DataType::String => collect!(String, StringArray),
        DataType::Bytes => collect!(Bytes, BinaryArray),
        DataType::Array(element) => lists(data_type, element, sizes, values)?,
    })
}

fn lists(
    data_type: &DataType,
    element: &DataType,
    sizes: &[Option<i32>],
    values: &[&Value],
) -> Result<ArrayRef, Error> {
    let size = size(sizes);
    let missing = size
        .and_then(|size| usize::try_from(size).ok())
        .unwrap_or_default();
    let mut elements = Vec::new();
    let mut lengths = Vec::with_capacity(values.len());
    for value in values {
        let before = elements.len();
        match value {
            Value::Array(inner) => elements.extend(inner),
            // A list of a fixed size has so many elements where it is NULL, too.
            Value::Null => elements.extend(std::iter::repeat_n(Value::Null, missing)),
            other => return Err(unexpected(data_type, other)),
        }
        let length = elements.len() - before;
        if size.is_some() && length != missing {
            let message = format!(
                "expected {data_type} of {missing} elements, as the model says, found {length}"
            );
            return Err(Error::new(ErrorKind::Output, message));
        }
        lengths.push(length);
    }
    let valid: Vec<bool> = values.iter().map(|value| **value != Value::Null).collect();
    let elements: Vec<&Value> = elements.iter().collect();
    let elements = from_values(element, rest(sizes), &elements)?;
    let field = element_field(element, rest(sizes));
    let nulls = Some(NullBuffer::from(valid));
    Ok(match size {
        Some(size) => Arc::new(FixedSizeListArray::new(field, size, elements, nulls)),
        None => {
            let offsets = OffsetBuffer::from_lengths(lengths);
            Arc::new(ListArray::new(field, offsets, elements, nulls))
        }
    })
}

fn unexpected(expected: &DataType, found: &Value) -> Error {
    let message = format!("expected {expected}, found {}", found.kind());
    Error::new(ErrorKind::Output, message)
}
