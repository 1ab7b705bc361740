//! The text of a CSV cell as a value of its column's type, and back.
//!
//! An array is a JSON array within its cell, for example `[1.5, 2]`; `BYTES` are in base64.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use half::f16;
use serde_json::Value as Json;
use triton_model_fn::{DataType, Value};

/// Reads a cell; the error says what was expected and what is there.
pub(crate) fn parse(data_type: &DataType, text: &str) -> Result<Value, String> {
    let trimmed = text.trim();
    let value = match data_type {
        DataType::String => Some(Value::String(text.to_owned())),
        DataType::Bytes => BASE64.decode(trimmed).ok().map(Value::Bytes),
        DataType::Boolean if trimmed.eq_ignore_ascii_case("true") => Some(Value::Boolean(true)),
        DataType::Boolean if trimmed.eq_ignore_ascii_case("false") => Some(Value::Boolean(false)),
        DataType::TinyInt => trimmed.parse().ok().map(Value::TinyInt),
        DataType::SmallInt => trimmed.parse().ok().map(Value::SmallInt),
        DataType::Integer => trimmed.parse().ok().map(Value::Integer),
        DataType::BigInt => trimmed.parse().ok().map(Value::BigInt),
        DataType::UnsignedTinyInt => trimmed.parse().ok().map(Value::UnsignedTinyInt),
        DataType::UnsignedSmallInt => trimmed.parse().ok().map(Value::UnsignedSmallInt),
        DataType::UnsignedInteger => trimmed.parse().ok().map(Value::UnsignedInteger),
        DataType::UnsignedBigInt => trimmed.parse().ok().map(Value::UnsignedBigInt),
        DataType::Float16 => float(trimmed, exceeds_float16).map(Value::Float16),
        DataType::Float => float(trimmed, f32::is_infinite).map(Value::Float),
        DataType::Double => float(trimmed, f64::is_infinite).map(Value::Double),
        DataType::Array(_) => serde_json::from_str(trimmed)
            .ok()
            .and_then(|json| from_json(data_type, &json)),
        _ => None,
    };
    value.ok_or_else(|| match trimmed {
        "" => format!("expected {data_type}, found an empty cell"),
        _ => format!("expected {data_type}, found '{}'", shortened(trimmed)),
    })
}

/// A number, unless it is too large for the type: only the word for it may mean infinity.
fn float<T: std::str::FromStr + Copy>(text: &str, is_infinite: fn(T) -> bool) -> Option<T> {
    let value = text.parse().ok()?;
    let named = text.to_ascii_lowercase().contains("inf");
    (named || !is_infinite(value)).then_some(value)
}

fn exceeds_float16(value: f32) -> bool {
    f16::from_f32(value).is_infinite()
}

fn from_json(data_type: &DataType, json: &Json) -> Option<Value> {
    match (data_type, json) {
        (DataType::Array(element), Json::Array(values)) => values
            .iter()
            .map(|value| from_json(element, value))
            .collect::<Option<_>>()
            .map(Value::Array),
        (DataType::String, Json::String(text)) => Some(Value::String(text.clone())),
        (DataType::Bytes, Json::String(text)) => parse(data_type, text).ok(),
        (DataType::Boolean, Json::Bool(value)) => Some(Value::Boolean(*value)),
        // The number's own text keeps every digit of a 64-bit integer.
        (DataType::Array(_) | DataType::String | DataType::Bytes | DataType::Boolean, _) => None,
        (_, Json::Number(number)) => parse(data_type, &number.to_string()).ok(),
        _ => None,
    }
}

fn shortened(text: &str) -> String {
    const LONGEST: usize = 40;
    match text.char_indices().nth(LONGEST) {
        Some((cut, _)) => format!("{}…", text[..cut].escape_debug()),
        None => text.escape_debug().to_string(),
    }
}

/// The text of a value; SQL NULL is an empty cell.
pub(crate) fn format(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Boolean(value) => value.to_string(),
        Value::TinyInt(value) => value.to_string(),
        Value::SmallInt(value) => value.to_string(),
        Value::Integer(value) => value.to_string(),
        Value::BigInt(value) => value.to_string(),
        Value::UnsignedTinyInt(value) => value.to_string(),
        Value::UnsignedSmallInt(value) => value.to_string(),
        Value::UnsignedInteger(value) => value.to_string(),
        Value::UnsignedBigInt(value) => value.to_string(),
        Value::Float(value) | Value::Float16(value) => value.to_string(),
        Value::Double(value) => value.to_string(),
        Value::String(text) => text.clone(),
        Value::Bytes(bytes) => BASE64.encode(bytes),
        Value::Array(values) => {
            let mut text = String::from("[");
            for (index, value) in values.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                match value {
                    Value::String(_) | Value::Bytes(_) => {
                        // Writing to a String cannot fail.
                        let _ = write!(text, "{}", Json::from(format(value)));
                    }
                    Value::Null => text.push_str("null"),
                    other => text.push_str(&format(other)),
                }
            }
            text.push(']');
            text
        }
        // A type that a later version of the library knows.
        other => format!("{other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array(element: DataType) -> DataType {
        DataType::Array(Box::new(element))
    }

    #[test]
    fn cells_are_read_by_the_type_of_their_column_and_written_back() {
        for (data_type, text) in [
            (DataType::Boolean, "true"),
            (DataType::TinyInt, "-128"),
            (DataType::BigInt, "9223372036854775807"),
            (DataType::Float, "0.1"),
            (DataType::Double, "-inf"),
            (DataType::UnsignedTinyInt, "255"),
            (DataType::UnsignedBigInt, "18446744073709551615"),
            (DataType::Float16, "-0.5"),
            (DataType::Bytes, "AP8="),
            (array(DataType::Bytes), r#"["AP8=",""]"#),
            (DataType::String, " kept as it is "),
            (array(DataType::BigInt), "[9223372036854775807,-1]"),
            (array(DataType::Float), "[0.1,25]"),
            (array(array(DataType::String)), r#"[["a\"b"],[]]"#),
            (array(DataType::Boolean), "[true,false]"),
        ] {
            let value = parse(&data_type, text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(format(&value), text);
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for (data_type, text) in [
            (DataType::Boolean, "1"),
            (DataType::TinyInt, "128"),
            (DataType::Integer, "1.0"),
            (DataType::Float, "1e39"),
            (DataType::Float16, "70000"),
            (DataType::UnsignedInteger, "-1"),
            (DataType::Bytes, "not base64"),
            (DataType::Double, "1e309"),
            (DataType::Float, ""),
            (array(DataType::Float), "1"),
            (array(DataType::Float), "[1, null]"),
            (array(DataType::Float), "[1"),
            (array(DataType::String), "[1]"),
            (array(DataType::Integer), "[true]"),
        ] {
            assert!(parse(&data_type, text).is_err(), "{data_type} {text:?}");
        }
        let error = parse(&DataType::Integer, &"x".repeat(50)).unwrap_err();
        insta::assert_snapshot!(error, @"expected INT, found 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…'");
        insta::assert_snapshot!(parse(&DataType::Float, " ").unwrap_err(), @"expected FLOAT, found an empty cell");
    }
}
