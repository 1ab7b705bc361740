//! The text of a CSV cell, or of a JSON value, as a value of its column's type, and back.
//!
//! An array is a JSON array within its cell, for example `[1.5, 2]`; `BYTES` are in base64. What
//! JSON has no number for is a text in it: `"NaN"`, `"Infinity"`, `"-Infinity"`.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use half::f16;
use serde_json::Value as Json;
use triton_model_fn::{DataType, Value};

/// Reads a cell; the error says what was expected and what is there.
///
/// An empty cell is NULL, except where it is an empty text.
pub(super) fn parse(data_type: &DataType, text: &str) -> Result<Value, String> {
    let trimmed = text.trim();
    let value = match data_type {
        DataType::String => Some(Value::String(text.to_owned())),
        DataType::Bytes if text.is_empty() => Some(Value::Bytes(Vec::new())),
        _ if trimmed.is_empty() => Some(Value::Null),
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
    value.ok_or_else(|| unfit(data_type, trimmed))
}

/// Reads the text of a JSON value.
pub(super) fn parse_json(data_type: &DataType, text: &str) -> Result<Value, String> {
    let value = serde_json::from_str(text)
        .ok()
        .and_then(|json| from_json(data_type, &json));
    value.ok_or_else(|| unfit(data_type, text))
}

fn unfit(data_type: &DataType, text: &str) -> String {
    format!("expected {data_type}, found '{}'", shortened(text))
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
        (_, Json::Null) => Some(Value::Null),
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
        (DataType::Float16 | DataType::Float | DataType::Double, Json::String(text))
            if matches!(text.as_str(), "NaN" | "Infinity" | "-Infinity") =>
        {
            parse(data_type, text).ok()
        }
        _ => None,
    }
}

/// The narrowest type that holds a JSON value, and whatever type was found before it.
///
/// Objects, and values that no one type holds, are `STRING`: their JSON text.
pub(super) fn widened(known: Option<DataType>, json: &Json) -> Option<DataType> {
    let found = match json {
        Json::Null => return known,
        Json::Bool(_) => DataType::Boolean,
        Json::Number(number) if number.is_i64() => DataType::BigInt,
        Json::Number(number) if number.is_u64() => DataType::UnsignedBigInt,
        Json::Number(_) => DataType::Double,
        Json::String(_) | Json::Object(_) => DataType::String,
        Json::Array(values) => {
            let element = match &known {
                None => None,
                Some(DataType::Array(element)) => Some((**element).clone()),
                Some(_) => return Some(DataType::String),
            };
            let element = values.iter().fold(element, widened);
            // An array in which nothing was found yet takes any type, and text takes all.
            return element.map(|element| DataType::Array(Box::new(element)));
        }
    };
    Some(match (known, found) {
        (None, found) => found,
        (Some(known), found) if known == found => known,
        (Some(DataType::Double), DataType::BigInt | DataType::UnsignedBigInt)
        | (
            Some(DataType::BigInt | DataType::UnsignedBigInt),
            DataType::Double | DataType::BigInt | DataType::UnsignedBigInt,
        ) => DataType::Double,
        _ => DataType::String,
    })
}

/// Reads the text of a JSON value for a column whose type [`widened`] found.
#[cfg(feature = "arrow")]
pub(super) fn parse_widened(data_type: &DataType, text: &str) -> Result<Value, String> {
    match data_type {
        DataType::String if !text.starts_with('"') => Ok(match text {
            "null" => Value::Null,
            text => Value::String(text.to_owned()),
        }),
        _ => parse_json(data_type, text),
    }
}

/// The beginning of a text, without what a terminal would not show.
pub(super) fn shortened(text: &str) -> String {
    const LONGEST: usize = 40;
    let mut characters = text.chars();
    let mut shown = String::new();
    for character in characters.by_ref().take(LONGEST) {
        match character.is_control() {
            true => shown.extend(character.escape_debug()),
            false => shown.push(character),
        }
    }
    if characters.next().is_some() {
        shown.push('…');
    }
    shown
}

/// The text of a value in a cell; SQL NULL is an empty cell.
pub(super) fn format(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Float(value) | Value::Float16(value) => value.to_string(),
        Value::Double(value) => value.to_string(),
        Value::String(text) => text.clone(),
        Value::Bytes(bytes) => BASE64.encode(bytes),
        other => {
            let mut text = String::new();
            write_json(other, &mut text);
            text
        }
    }
}

/// Appends the text of a value in JSON.
pub(super) fn write_json(value: &Value, text: &mut String) {
    // Writing to a String cannot fail.
    macro_rules! write {
        ($value:expr) => {{
            let _ = std::write!(text, "{}", $value);
        }};
    }
    match value {
        Value::Null => text.push_str("null"),
        Value::Boolean(value) => write!(value),
        Value::TinyInt(value) => write!(value),
        Value::SmallInt(value) => write!(value),
        Value::Integer(value) => write!(value),
        Value::BigInt(value) => write!(value),
        Value::UnsignedTinyInt(value) => write!(value),
        Value::UnsignedSmallInt(value) => write!(value),
        Value::UnsignedInteger(value) => write!(value),
        Value::UnsignedBigInt(value) => write!(value),
        Value::Float(value) | Value::Float16(value) if value.is_finite() => write!(value),
        Value::Double(value) if value.is_finite() => write!(value),
        Value::Float(value) | Value::Float16(value) => text.push_str(not_finite((*value).into())),
        Value::Double(value) => text.push_str(not_finite(*value)),
        Value::String(value) => write_json_text(value, text),
        Value::Bytes(bytes) => write_json_text(&BASE64.encode(bytes), text),
        Value::Array(values) => {
            text.push('[');
            for (index, value) in values.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write_json(value, text);
            }
            text.push(']');
        }
        // A type that a later version of the library knows.
        other => write_json_text(&format!("{other:?}"), text),
    }
}

/// What stands in JSON for a number that is none.
pub(super) fn not_finite(value: f64) -> &'static str {
    if value.is_nan() {
        "\"NaN\""
    } else if value > 0.0 {
        "\"Infinity\""
    } else {
        "\"-Infinity\""
    }
}

/// Appends a text in JSON, quoted.
pub(super) fn write_json_text(value: &str, text: &mut String) {
    // A text can always be written as JSON, and writing to a String cannot fail.
    text.push_str(&serde_json::to_string(value).unwrap_or_default());
}

/// The text of a JSON value in a cell: of a string what it says, of null nothing.
pub(super) fn cell_of_json(text: &str) -> String {
    if text.starts_with('"') {
        return serde_json::from_str(text).unwrap_or_else(|_| text.to_owned());
    }
    match text {
        "null" => String::new(),
        text => text.to_owned(),
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
            (array(DataType::Float), "1"),
            (array(DataType::Float), "[1"),
            (array(DataType::String), "[1]"),
            (array(DataType::Integer), "[true]"),
            (array(DataType::Integer), "[\"NaN\"]"),
        ] {
            assert!(parse(&data_type, text).is_err(), "{data_type} {text:?}");
        }
        let error = parse(&DataType::Integer, &"x".repeat(50)).unwrap_err();
        insta::assert_snapshot!(error, @"expected INT, found 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…'");
    }

    #[test]
    fn an_empty_cell_is_null_unless_it_is_text() {
        assert_eq!(parse(&DataType::Float, " "), Ok(Value::Null));
        assert_eq!(parse(&array(DataType::Float), ""), Ok(Value::Null));
        assert_eq!(
            parse(&DataType::String, ""),
            Ok(Value::String(String::new()))
        );
        let nulls = Value::Array(vec![Value::Float(1.0), Value::Null]);
        assert_eq!(parse(&array(DataType::Float), "[1, null]"), Ok(nulls));
    }

    #[test]
    fn json_values_are_read_by_the_type_of_their_column_and_written_back() {
        for (data_type, text) in [
            (DataType::String, r#""a \"quoted\" \u0001 text""#),
            (DataType::UnsignedBigInt, "18446744073709551615"),
            (DataType::Double, "\"-Infinity\""),
            (array(DataType::Float), "[\"NaN\",0.1]"),
            (DataType::Bytes, "\"AP8=\""),
            (DataType::Boolean, "null"),
        ] {
            let value = parse_json(&data_type, text).unwrap_or_else(|error| panic!("{error}"));
            let mut written = String::new();
            write_json(&value, &mut written);
            assert_eq!(written, text);
        }
        assert!(parse_json(&DataType::Integer, "\"1\"").is_err());
        assert!(parse_json(&DataType::String, "1").is_err());
    }

    #[test]
    fn the_type_of_a_column_is_wide_enough_for_all_its_values() {
        for (values, data_type) in [
            ("[null, true]", Some(DataType::Boolean)),
            ("[1, 18446744073709551615]", Some(DataType::Double)),
            ("[1, 2.5, null]", Some(DataType::Double)),
            ("[1, \"a\"]", Some(DataType::String)),
            ("[{\"a\": 1}]", Some(DataType::String)),
            ("[[], [1], [2.5]]", Some(array(DataType::Double))),
            ("[[1], 2]", Some(DataType::String)),
            ("[1, [2]]", Some(DataType::String)),
            ("[null]", None),
        ] {
            let values: Vec<Json> = serde_json::from_str(values).unwrap();
            assert_eq!(values.iter().fold(None, widened), data_type, "{values:?}");
        }
    }

    #[cfg(feature = "arrow")]
    #[test]
    fn what_no_one_type_holds_is_kept_as_its_json() {
        let text = parse_widened(&DataType::String, "[1, 2]");
        assert_eq!(text, Ok(Value::String("[1, 2]".into())));
        assert_eq!(parse_widened(&DataType::String, "null"), Ok(Value::Null));
        let text = parse_widened(&DataType::String, "\"a\"");
        assert_eq!(text, Ok(Value::String("a".into())));
    }
}
