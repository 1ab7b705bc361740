//! Single elements of Arrow arrays, whichever kind of array they are in.

use arrow_array::cast::AsArray as _;
use arrow_array::{Array, types};
use arrow_schema::DataType as ArrowType;
use bytes::BytesMut;

use super::input::lists::{self, List};
use crate::row_codec;
use crate::{DataType, Error, ErrorKind, Value};

/// Whether arrays of an Arrow type hold values of a column's type.
pub(super) fn is_of(data_type: &DataType, arrow: &ArrowType) -> bool {
    match (data_type, arrow) {
        // A column of nothing but NULL says of no type that it is one.
        (_, ArrowType::Null) => true,
        (_, ArrowType::Dictionary(_, values)) => is_of(data_type, values),
        (
            DataType::Array(element),
            ArrowType::List(field)
            | ArrowType::LargeList(field)
            | ArrowType::ListView(field)
            | ArrowType::LargeListView(field)
            | ArrowType::FixedSizeList(field, _),
        ) => is_of(element, field.data_type()),
        (DataType::String, ArrowType::Utf8 | ArrowType::LargeUtf8 | ArrowType::Utf8View)
        | (
            DataType::Bytes,
            ArrowType::Binary
            | ArrowType::LargeBinary
            | ArrowType::BinaryView
            | ArrowType::FixedSizeBinary(_),
        )
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
        // Arrow has no such type.
        | (DataType::BFloat16, ArrowType::Float32)
        | (DataType::Float, ArrowType::Float32)
        | (DataType::Double, ArrowType::Float64) => true,
        _ => false,
    }
}

/// Whether there is NULL at `index`, but for one that only a dictionary's values say.
pub(super) fn is_null(array: &dyn Array, index: usize) -> bool {
    array.is_null(index) || *array.data_type() == ArrowType::Null
}

/// The value at `index`, where the array is one of the type.
pub(super) fn value(data_type: &DataType, array: &dyn Array, index: usize) -> Result<Value, Error> {
    if is_null(array, index) {
        return Ok(Value::Null);
    }
    if let Some(dictionary) = array.as_any_dictionary_opt() {
        let key = lists::dictionary_key(dictionary, index);
        return value(data_type, dictionary.values(), key);
    }
    macro_rules! primitive {
        ($arrow:ident) => {
            array.as_primitive::<types::$arrow>().value(index)
        };
    }
    Ok(match data_type {
        DataType::Boolean => Value::Boolean(array.as_boolean().value(index)),
        DataType::TinyInt => Value::TinyInt(primitive!(Int8Type)),
        DataType::SmallInt => Value::SmallInt(primitive!(Int16Type)),
        DataType::Integer => Value::Integer(primitive!(Int32Type)),
        DataType::BigInt => Value::BigInt(primitive!(Int64Type)),
        DataType::UnsignedTinyInt => Value::UnsignedTinyInt(primitive!(UInt8Type)),
        DataType::UnsignedSmallInt => Value::UnsignedSmallInt(primitive!(UInt16Type)),
        DataType::UnsignedInteger => Value::UnsignedInteger(primitive!(UInt32Type)),
        DataType::UnsignedBigInt => Value::UnsignedBigInt(primitive!(UInt64Type)),
        DataType::Float16 => Value::Float16(primitive!(Float16Type).to_f32()),
        DataType::BFloat16 => Value::BFloat16(primitive!(Float32Type)),
        DataType::Float => Value::Float(primitive!(Float32Type)),
        DataType::Double => Value::Double(primitive!(Float64Type)),
        DataType::String => {
            let text = bytes(array, index).and_then(|bytes| str::from_utf8(bytes).ok());
            Value::String(text.ok_or_else(|| unexpected(data_type, array))?.to_owned())
        }
        DataType::Bytes => {
            let bytes = bytes(array, index).ok_or_else(|| unexpected(data_type, array))?;
            Value::Bytes(bytes.to_vec())
        }
        DataType::Array(element) => {
            let list = lists::list(array, index).ok_or_else(|| unexpected(data_type, array))?;
            let List { values, range } = list;
            let values = range.map(|index| value(element, values, index));
            Value::Array(values.collect::<Result<_, _>>()?)
        }
    })
}

/// Appends the scalar at `index`, which is not NULL, in the binary form of a tensor.
pub(super) fn append_scalar(
    data: &mut BytesMut,
    scalar: &DataType,
    array: &dyn Array,
    index: usize,
) -> Result<(), String> {
    match (scalar, bytes(array, index)) {
        (DataType::String | DataType::Bytes, Some(bytes)) => {
            row_codec::append_byte_string(data, bytes)
        }
        _ => {
            let value = value(scalar, array, index).map_err(|error| error.to_string())?;
            row_codec::append(data, scalar, &value)
        }
    }
}

/// The bytes of a text or of a byte string.
fn bytes(array: &dyn Array, index: usize) -> Option<&[u8]> {
    Some(match array.data_type() {
        ArrowType::Utf8 => array.as_string::<i32>().value(index).as_bytes(),
        ArrowType::LargeUtf8 => array.as_string::<i64>().value(index).as_bytes(),
        ArrowType::Utf8View => array.as_string_view().value(index).as_bytes(),
        ArrowType::Binary => array.as_binary::<i32>().value(index),
        ArrowType::LargeBinary => array.as_binary::<i64>().value(index),
        ArrowType::BinaryView => array.as_binary_view().value(index),
        ArrowType::FixedSizeBinary(_) => array.as_fixed_size_binary().value(index),
        _ => return None,
    })
}

fn unexpected(expected: &DataType, array: &dyn Array) -> Error {
    let message = format!(
        "expected {expected}, found an Arrow array of {}",
        array.data_type()
    );
    Error::new(ErrorKind::Input, message)
}
