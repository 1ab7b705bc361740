//! Elements of Arrow arrays as values of the model's columns: each as it is, or refused.

use arrow_array::Array;
use arrow_array::cast::AsArray as _;
use arrow_array::types::{
    Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use arrow_schema::DataType as ArrowType;
use half::{bf16, f16};
use triton_model_fn::{DataType, Value};

use super::arrow_text;
use super::cell::{self, rounding};

/// Whether arrays of an Arrow type hold what a column of the model may hold: values that do not
/// fit are then found one by one.
pub(super) fn converts(from: &ArrowType, to: &DataType) -> bool {
    match (from, to) {
        (ArrowType::Dictionary(_, values), to) => converts(values, to),
        (ArrowType::RunEndEncoded(_, values), to) => converts(values.data_type(), to),
        (ArrowType::Null, _) => true,
        (
            ArrowType::List(field)
            | ArrowType::LargeList(field)
            | ArrowType::FixedSizeList(field, _)
            | ArrowType::ListView(field)
            | ArrowType::LargeListView(field),
            DataType::Array(element),
        ) => converts(field.data_type(), element),
        (ArrowType::Boolean, DataType::Boolean)
        | (ArrowType::Utf8 | ArrowType::LargeUtf8 | ArrowType::Utf8View, DataType::String) => true,
        (from, DataType::Bytes) => is_binary(from),
        (from, to) if from.is_integer() => is_integer(to) || is_float(to),
        (from, to) if from.is_floating() || from.is_decimal() => is_float(to),
        _ => false,
    }
}

/// Whether the values, or those within lists, are bytes.
pub(super) fn holds_binary(found: &ArrowType) -> bool {
    match found {
        ArrowType::Dictionary(_, values) => holds_binary(values),
        ArrowType::RunEndEncoded(_, field)
        | ArrowType::List(field)
        | ArrowType::LargeList(field)
        | ArrowType::FixedSizeList(field, _)
        | ArrowType::ListView(field)
        | ArrowType::LargeListView(field) => holds_binary(field.data_type()),
        found => is_binary(found),
    }
}

fn is_binary(found: &ArrowType) -> bool {
    matches!(
        found,
        ArrowType::Binary
            | ArrowType::LargeBinary
            | ArrowType::BinaryView
            | ArrowType::FixedSizeBinary(_)
    )
}

fn is_integer(to: &DataType) -> bool {
    matches!(
        to,
        DataType::TinyInt
            | DataType::SmallInt
            | DataType::Integer
            | DataType::BigInt
            | DataType::UnsignedTinyInt
            | DataType::UnsignedSmallInt
            | DataType::UnsignedInteger
            | DataType::UnsignedBigInt
    )
}

fn is_float(to: &DataType) -> bool {
    matches!(
        to,
        DataType::Float16 | DataType::BFloat16 | DataType::Float | DataType::Double
    )
}

/// An element as a value of a type; the error says what was expected and what is there.
///
/// The array is plain, and of a type that [`converts`].
pub(super) fn value(to: &DataType, array: &dyn Array, index: usize) -> Result<Value, String> {
    element(to, array, index).map_err(|Misfit { found, why }| {
        let found = cell::shortened(&found);
        format!("expected {to}, found '{found}'{why}")
    })
}

/// A value that does not fit, and what more is to be said of it.
struct Misfit {
    found: String,
    why: String,
}

fn element(to: &DataType, array: &dyn Array, index: usize) -> Result<Value, Misfit> {
    if arrow_text::is_null(array, index) {
        return Ok(Value::Null);
    }
    if let DataType::Array(inner) = to {
        let Some(elements) = arrow_text::elements(array, index) else {
            return Err(unfit(array, index, ""));
        };
        let values = (0..elements.len()).map(|place| {
            element(inner, &elements, place).map_err(|misfit| Misfit {
                why: format!(" in place {} of an array{}", place + 1, misfit.why),
                ..misfit
            })
        });
        return Ok(Value::Array(values.collect::<Result<_, _>>()?));
    }
    let value = match array.data_type() {
        ArrowType::Boolean => Some(Value::Boolean(array.as_boolean().value(index))),
        ArrowType::Utf8 => Some(Value::String(array.as_string::<i32>().value(index).into())),
        ArrowType::LargeUtf8 => Some(Value::String(array.as_string::<i64>().value(index).into())),
        ArrowType::Utf8View => Some(Value::String(array.as_string_view().value(index).into())),
        found if found.is_integer() => {
            let number = integer(array, index);
            if is_float(to) {
                return exact_float(to, number).ok_or_else(|| {
                    unfit(
                        array,
                        index,
                        ", a whole number that the type does not hold exactly",
                    )
                });
            }
            whole(to, number)
        }
        found if found.is_floating() => narrowed(to, array, index),
        found if found.is_decimal() => arrow_text::cell(array, index)
            .ok()
            .and_then(|digits| cell::parse(to, &digits).ok()),
        _ => arrow_text::bytes(array, index).map(|bytes| Value::Bytes(bytes.to_vec())),
    };
    value.ok_or_else(|| unfit(array, index, ""))
}

fn unfit(array: &dyn Array, index: usize, why: &str) -> Misfit {
    let found = match array.data_type() {
        // With an exponent, where there are hundreds of digits else.
        found if found.is_floating() => format!("{:?}", double(array, index)),
        _ => arrow_text::cell(array, index).unwrap_or_default(),
    };
    let why = why.to_owned();
    Misfit { found, why }
}

fn integer(array: &dyn Array, index: usize) -> i128 {
    macro_rules! number {
        ($arrow:ident) => {
            array.as_primitive::<$arrow>().value(index).into()
        };
    }
    match array.data_type() {
        ArrowType::Int8 => number!(Int8Type),
        ArrowType::Int16 => number!(Int16Type),
        ArrowType::Int32 => number!(Int32Type),
        ArrowType::Int64 => number!(Int64Type),
        ArrowType::UInt8 => number!(UInt8Type),
        ArrowType::UInt16 => number!(UInt16Type),
        ArrowType::UInt32 => number!(UInt32Type),
        _ => number!(UInt64Type),
    }
}

fn whole(to: &DataType, number: i128) -> Option<Value> {
    match to {
        DataType::TinyInt => number.try_into().ok().map(Value::TinyInt),
        DataType::SmallInt => number.try_into().ok().map(Value::SmallInt),
        DataType::Integer => number.try_into().ok().map(Value::Integer),
        DataType::BigInt => number.try_into().ok().map(Value::BigInt),
        DataType::UnsignedTinyInt => number.try_into().ok().map(Value::UnsignedTinyInt),
        DataType::UnsignedSmallInt => number.try_into().ok().map(Value::UnsignedSmallInt),
        DataType::UnsignedInteger => number.try_into().ok().map(Value::UnsignedInteger),
        DataType::UnsignedBigInt => number.try_into().ok().map(Value::UnsignedBigInt),
        _ => None,
    }
}

/// A whole number as a float that is the same number.
fn exact_float(to: &DataType, number: i128) -> Option<Value> {
    let (value, back) = match to {
        DataType::Float16 => {
            // Whatever a double rounds is far beyond the largest half.
            let half = f16::from_f64(number as f64);
            (Value::Float16(half.to_f32()), half.to_f64())
        }
        DataType::BFloat16 => {
            let half = bf16::from_f64(number as f64);
            (Value::BFloat16(half.to_f32()), half.to_f64())
        }
        DataType::Float => (Value::Float(number as f32), f64::from(number as f32)),
        DataType::Double => (Value::Double(number as f64), number as f64),
        _ => return None,
    };
    (back.is_finite() && back as i128 == number).then_some(value)
}

fn double(array: &dyn Array, index: usize) -> f64 {
    match array.data_type() {
        ArrowType::Float16 => array.as_primitive::<Float16Type>().value(index).to_f64(),
        ArrowType::Float32 => array.as_primitive::<Float32Type>().value(index).into(),
        _ => array.as_primitive::<Float64Type>().value(index),
    }
}

/// A number in a type of fewer digits: the nearest, unless it is too large for the type.
fn narrowed(to: &DataType, array: &dyn Array, index: usize) -> Option<Value> {
    let number = double(array, index);
    let (value, is_finite) = match to {
        DataType::Float16 => {
            let half = rounding::to_float16(rounding::of_double(number));
            (Value::Float16(half), half.is_finite())
        }
        DataType::BFloat16 => {
            let half = rounding::to_bfloat16(rounding::of_double(number));
            (Value::BFloat16(half), half.is_finite())
        }
        DataType::Float => (Value::Float(number as f32), (number as f32).is_finite()),
        DataType::Double => (Value::Double(number), number.is_finite()),
        _ => return None,
    };
    (is_finite || !number.is_finite()).then_some(value)
}
