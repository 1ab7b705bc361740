//! A value as the text of a CSV cell, or in JSON.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use triton_model_fn::{DataType, Value};

use crate::table::json_text;

use super::reading::shortened;
/// Appends the text of a value in a cell; SQL NULL is an empty cell.
pub(in crate::table) fn write_cell(value: &Value, text: &mut String) {
    // Writing to a String cannot fail.
    match value {
        Value::Null => {}
        Value::Float(value) | Value::Float16(value) | Value::BFloat16(value) => {
            let _ = write!(text, "{value}");
        }
        Value::Double(value) => {
            let _ = write!(text, "{value}");
        }
        Value::String(value) => text.push_str(value),
        Value::Bytes(bytes) => BASE64.encode_string(bytes, text),
        other => write_json(other, text),
    }
}

/// Appends the text of a value in JSON.
pub(in crate::table) fn write_json(value: &Value, text: &mut String) {
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
        Value::Float(value) | Value::Float16(value) | Value::BFloat16(value)
            if value.is_finite() =>
        {
            write!(value);
        }
        Value::Double(value) if value.is_finite() => write!(value),
        Value::Float(value) | Value::Float16(value) | Value::BFloat16(value) => {
            text.push_str(not_finite((*value).into()));
        }
        Value::Double(value) => text.push_str(not_finite(*value)),
        Value::String(value) => write_json_text(value, text),
        Value::Bytes(bytes) => write_json_text(&BASE64.encode(bytes), text),
        Value::Array(values) => {
            text.push('[');
            for (index, value) in values.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write_json(&value, text);
            }
            text.push(']');
        }
        // A type that a later version of the library knows.
        other => write_json_text(&format!("{other:?}"), text),
    }
}

/// What stands in JSON for a number that is none.
fn not_finite(value: f64) -> &'static str {
    if value.is_nan() {
        "\"NaN\""
    } else if value > 0.0 {
        "\"Infinity\""
    } else {
        "\"-Infinity\""
    }
}

/// Appends a text in JSON, quoted.
pub(in crate::table) fn write_json_text(value: &str, text: &mut String) {
    // A text can always be written as JSON, and writing to a String cannot fail.
    text.push_str(&serde_json::to_string(value).unwrap_or_default());
}

/// The text of a JSON value in a cell: of a string what it says, of null nothing.
///
/// A string with half of a surrogate pair in it says nothing that could be written down.
pub(in crate::table) fn try_cell_of_json(text: &str) -> Result<String, String> {
    if text.starts_with('"') {
        return json_text::string(text).ok_or_else(|| {
            let text = shortened(text);
            format!("expected text, found {text} with half of a surrogate pair in it")
        });
    }
    Ok(match text {
        "null" => String::new(),
        text => text.to_owned(),
    })
}

/// Appends the JSON of a cell that was read as a value: its own text, where that is JSON.
pub(in crate::table) fn write_json_of_cell(
    data_type: &DataType,
    cell: &str,
    value: &Value,
    text: &mut String,
) {
    let cell = cell.trim();
    let keeps_its_text = !matches!(
        data_type,
        DataType::String | DataType::Bytes | DataType::Boolean
    );
    if keeps_its_text && json_text::is_json_on_a_line(cell) {
        text.push_str(cell);
    } else if keeps_its_text && let Some(number) = json_number(cell) {
        text.push_str(&number);
    } else {
        write_json(value, text);
    }
}

/// The digits of a number as JSON spells it: without a plus, or zeros in front, and with digits on both
/// sides of a point.
fn json_number(cell: &str) -> Option<String> {
    let (sign, number) = match cell.strip_prefix('-') {
        Some(number) => ("-", number),
        None => ("", cell.strip_prefix('+').unwrap_or(cell)),
    };
    let (mantissa, exponent) = number.split_at(number.find(['e', 'E']).unwrap_or(number.len()));
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, "")) => (whole, Some("0")),
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    if !mantissa.bytes().any(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let whole = match whole.trim_start_matches('0') {
        "" => "0",
        whole => whole,
    };
    let point = fraction.map(|_| ".").unwrap_or_default();
    let spelled = format!(
        "{sign}{whole}{point}{}{exponent}",
        fraction.unwrap_or_default()
    );
    json_text::is_json_on_a_line(&spelled).then_some(spelled)
}
