//! The text of a CSV cell, or of a JSON value, as a value of its column's type.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use triton_model_fn::{DataType, Value};

use super::rounding;
use crate::table::{json_text, widening};

/// Reads a cell; the error says what was expected and what is there.
///
/// An empty cell is NULL, except where it is an empty text.
pub(in crate::table) fn parse(data_type: &DataType, text: &str) -> Result<Value, String> {
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
        DataType::Float16 => half(trimmed, rounding::to_float16).map(Value::Float16),
        DataType::BFloat16 => half(trimmed, rounding::to_bfloat16).map(Value::BFloat16),
        DataType::Float => float(trimmed, f64::from).map(Value::Float),
        DataType::Double => float(trimmed, |value: f64| value).map(Value::Double),
        DataType::Array(_) => from_json(data_type, trimmed, Keep::Nearest),
        _ => None,
    };
    value.ok_or_else(|| unfit(data_type, trimmed))
}

/// Reads the text of a JSON value.
pub(in crate::table) fn parse_json(data_type: &DataType, text: &str) -> Result<Value, String> {
    from_json(data_type, text, Keep::Nearest).ok_or_else(|| unfit(data_type, text))
}

/// What happens to a number that the type has not.
#[derive(Clone, Copy, PartialEq)]
enum Keep {
    /// The nearest one is taken, as decimal fractions are always read.
    Nearest,
    /// It is refused.
    Exact,
}

fn unfit(data_type: &DataType, text: &str) -> String {
    if let Some(error) = unfit_element(data_type, text, parse_json) {
        return error;
    }
    let found = shortened(text);
    if let DataType::Array(element) = data_type
        && parse(element, text).is_ok()
        && !text.trim_start().starts_with(['[', '{', '"'])
    {
        return format!(
            "expected {data_type}, found '{found}'; declare it {element} in a MODEL.sql where a row \
             has one value"
        );
    }
    let is_float = matches!(
        data_type,
        DataType::Float16 | DataType::BFloat16 | DataType::Float | DataType::Double
    );
    match is_float && is_whole(text) {
        true => format!(
            "expected {data_type}, found '{found}', a whole number that the type does not hold \
             exactly; with a decimal point it means the nearest one"
        ),
        false => format!("expected {data_type}, found '{found}'"),
    }
}

/// Which element of an array cannot be `read`, and why: the beginning of an image shows nothing of it.
fn unfit_element(
    data_type: &DataType,
    text: &str,
    read: fn(&DataType, &str) -> Result<Value, String>,
) -> Option<String> {
    let DataType::Array(element) = data_type else {
        return None;
    };
    let mut elements = (0..).zip(json_text::elements(text)?);
    elements.find_map(|(index, text)| {
        let error = read(element, text).err()?;
        Some(format!("element {index}: {error}"))
    })
}

/// A number that fits its type.
fn float<T: std::str::FromStr + Copy>(text: &str, kept: fn(T) -> f64) -> Option<T> {
    let value = text.parse().ok()?;
    fits(text, kept(value)).then_some(value)
}

/// As [`float`], of 16 bits.
fn half(text: &str, rounded: fn(f32) -> f32) -> Option<f32> {
    let value = rounded(rounding::of_text(text)?);
    fits(text, value.into()).then_some(value)
}

/// Whether a number that is kept so is neither too large for the type, where only the word for it may mean
/// infinity, nor a whole number that the type has not: an identifier, say, which would become another one.
fn fits(text: &str, kept: f64) -> bool {
    // No number has this letter but the word for infinity.
    let is_named = text.bytes().any(|byte| matches!(byte, b'f' | b'F'));
    is_named || !kept.is_infinite() && (!is_whole(text) || is_exactly(text, kept))
}

fn is_whole(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether a whole number is what its digits say.
fn is_exactly(digits: &str, value: f64) -> bool {
    let digits = digits.trim_start_matches(['-', '+', '0']);
    /// All whole numbers of so many digits are doubles.
    const EXACT: usize = 15;
    if digits.len() <= EXACT {
        let digits = digits.bytes().map(|digit| u64::from(digit - b'0'));
        return value.abs() == digits.fold(0, |number, digit| number * 10 + digit) as f64;
    }
    format!("{:.0}", value.abs()).trim_start_matches('0') == digits
}

/// Reads a value from its text: a number that was parsed before would have lost digits.
fn from_json(data_type: &DataType, text: &str, keep: Keep) -> Option<Value> {
    match (data_type, text.as_bytes().first()?) {
        _ if text == "null" => Some(Value::Null),
        (DataType::Array(element), b'[') => json_text::elements(text)?
            .into_iter()
            .map(|text| from_json(element, text, keep))
            .collect::<Option<_>>()
            .map(Value::Array),
        (DataType::String, b'"') => json_text::string(text).map(Value::String),
        (DataType::Bytes, b'"') => parse(data_type, &json_text::string(text)?).ok(),
        (DataType::Boolean, _) if text == "true" => Some(Value::Boolean(true)),
        (DataType::Boolean, _) if text == "false" => Some(Value::Boolean(false)),
        (DataType::Array(_) | DataType::String | DataType::Bytes | DataType::Boolean, _) => None,
        (DataType::Float16 | DataType::BFloat16 | DataType::Float | DataType::Double, b'"') => {
            let text = json_text::string(text)?;
            from_literal(data_type, &text)
        }
        (
            DataType::Float16 | DataType::BFloat16 | DataType::Float | DataType::Double,
            b'N' | b'I',
        ) => from_literal(data_type, text),
        (_, b'-' | b'0'..=b'9') if keep == Keep::Nearest || is_kept(data_type, text) => {
            parse(data_type, text).ok()
        }
        _ => None,
    }
}

/// What JSON has no number for.
fn from_literal(data_type: &DataType, text: &str) -> Option<Value> {
    let parsed = json_text::is_literal(text).then(|| parse(data_type, text));
    parsed?.ok()
}

/// Whether a number is one that the type has.
fn is_kept(data_type: &DataType, number: &str) -> bool {
    match data_type {
        DataType::Double => json_text::is_literal(number) || widening::is_kept_by_double(number),
        _ => !widening::is_negative_zero(number),
    }
}

/// Reads the text of a JSON value for a column whose type the first rows told: as it is, or not.
#[cfg(feature = "arrow")]
pub(in crate::table) fn parse_widened(data_type: &DataType, text: &str) -> Result<Value, String> {
    match data_type {
        DataType::String if !text.starts_with('"') => Ok(match text {
            "null" => Value::Null,
            text => Value::String(text.to_owned()),
        }),
        _ => {
            let value = from_json(data_type, text, Keep::Exact);
            let is_rounded = || {
                let is_double = *data_type == DataType::Double;
                is_double && is_whole(text) || from_json(data_type, text, Keep::Nearest).is_some()
            };
            value.ok_or_else(|| match unfit_element(data_type, text, parse_widened) {
                Some(error) => error,
                None if is_rounded() => format!("no {data_type} is exactly '{}'", shortened(text)),
                None => unfit(data_type, text),
            })
        }
    }
}

/// Whether a type holds the text of a JSON value exactly, if it is one that the `model` takes at all: what
/// it does not take is told of in words.
pub(in crate::table) fn keeps(model: &DataType, data_type: &DataType, text: &str) -> bool {
    from_json(data_type, text, Keep::Exact).is_some() || parse_json(model, text).is_err()
}

/// The beginning of a text, without what a terminal would not show.
pub(in crate::table) fn shortened(text: &str) -> String {
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
