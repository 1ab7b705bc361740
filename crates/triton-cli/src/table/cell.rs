//! The text of a CSV cell, or of a JSON value, as a value of its column's type, and back.
//!
//! An array is a JSON array within its cell, for example `[1.5, 2]`; `BYTES` are in base64. What
//! JSON has no number for is a text in it: `"NaN"`, `"Infinity"`, `"-Infinity"`.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use half::{bf16, f16};
use triton_model_fn::{DataType, Value};

use super::{json_text, widening};

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
        DataType::Float16 => float(trimmed, rounded_to_float16).map(Value::Float16),
        DataType::BFloat16 => float(trimmed, rounded_to_bfloat16).map(Value::BFloat16),
        DataType::Float => float(trimmed, f64::from).map(Value::Float),
        DataType::Double => float(trimmed, |value: f64| value).map(Value::Double),
        DataType::Array(_) => from_json(data_type, trimmed, Keep::Nearest),
        _ => None,
    };
    value.ok_or_else(|| unfit(data_type, trimmed))
}

/// Reads the text of a JSON value.
pub(super) fn parse_json(data_type: &DataType, text: &str) -> Result<Value, String> {
    from_json(data_type, text, Keep::Nearest).ok_or_else(|| unfit(data_type, text))
}

/// What happens to a number that the type has not.
#[derive(Clone, Copy, PartialEq)]
enum Keep {
    /// The nearest one is taken, as decimal fractions are always read.
    Nearest,
    /// It is refused.
    #[cfg(feature = "arrow")]
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

/// A number, unless it is too large for the type, where only the word for it may mean infinity,
/// or a whole number that the type has not: an identifier, say, which would become another one.
fn float<T: std::str::FromStr + Copy>(text: &str, kept: fn(T) -> f64) -> Option<T> {
    let value = text.parse().ok()?;
    // No number has this letter but the word for infinity.
    let named = text.bytes().any(|byte| matches!(byte, b'f' | b'F'));
    if named {
        return Some(value);
    }
    let kept = kept(value);
    let fits = !kept.is_infinite() && (!is_whole(text) || is_exactly(text, kept));
    fits.then_some(value)
}

fn rounded_to_float16(value: f32) -> f64 {
    f16::from_f32(value).to_f64()
}

fn rounded_to_bfloat16(value: f32) -> f64 {
    bf16::from_f32(value).to_f64()
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
pub(super) fn parse_widened(data_type: &DataType, text: &str) -> Result<Value, String> {
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

/// Appends the text of a value in a cell; SQL NULL is an empty cell.
pub(super) fn write_cell(value: &Value, text: &mut String) {
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
///
/// A string with half of a surrogate pair in it says nothing that could be written down.
pub(super) fn try_cell_of_json(text: &str) -> Result<String, String> {
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
pub(super) fn write_json_of_cell(
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
    match keeps_its_text && json_text::is_json_on_a_line(cell) {
        true => text.push_str(cell),
        false => write_json(value, text),
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
            (DataType::BFloat16, "-0.5"),
            (DataType::Bytes, "AP8="),
            (array(DataType::Bytes), r#"["AP8=",""]"#),
            (DataType::String, " kept as it is "),
            (array(DataType::BigInt), "[9223372036854775807,-1]"),
            (array(DataType::Float), "[0.1,25]"),
            (array(array(DataType::String)), r#"[["a\"b"],[]]"#),
            (array(DataType::Boolean), "[true,false]"),
        ] {
            let value = parse(&data_type, text).unwrap_or_else(|error| panic!("{text}: {error}"));
            let mut written = String::new();
            write_cell(&value, &mut written);
            assert_eq!(written, text);
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
        let error = |data_type, text: &str| parse(&data_type, text).unwrap_err();
        // What is wrong with an array is said of its element, however far behind it is.
        let image = format!("[{}\"x\", 2]", "0.5, ".repeat(150_000));
        insta::assert_snapshot!(error(array(DataType::Float), &image), @r#"element 150000: expected FLOAT, found '"x"'"#);
        insta::assert_snapshot!(error(array(DataType::Float), "[1, 16777217]"), @"element 1: expected FLOAT, found '16777217', a whole number that the type does not hold exactly; with a decimal point it means the nearest one");
        insta::assert_snapshot!(error(array(array(DataType::Integer)), "[[1], [2, 3.5]]"), @"element 1: element 1: expected INT, found '3.5'");
        insta::assert_snapshot!(error(array(DataType::Float), "[1"), @"expected ARRAY<FLOAT>, found '[1'");
        insta::assert_snapshot!(error(array(DataType::Float), "[[1]]"), @"element 0: expected FLOAT, found '[1]'");
    }

    #[test]
    fn an_empty_cell_is_null_unless_it_is_text() {
        assert_eq!(parse(&DataType::Float, " "), Ok(Value::Null));
        assert_eq!(parse(&array(DataType::Float), ""), Ok(Value::Null));
        assert_eq!(
            parse(&DataType::String, ""),
            Ok(Value::String(String::new()))
        );
        let nulls = Value::Array(vec![Value::Float(1.0), Value::Null].into());
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

    #[cfg(feature = "arrow")]
    #[test]
    fn what_no_one_type_holds_is_kept_as_its_json() {
        let text = parse_widened(&DataType::String, "[1, 2]");
        assert_eq!(text, Ok(Value::String("[1, 2]".into())));
        assert_eq!(parse_widened(&DataType::String, "null"), Ok(Value::Null));
        let text = parse_widened(&DataType::String, "\"a\"");
        assert_eq!(text, Ok(Value::String("a".into())));
    }

    #[cfg(feature = "arrow")]
    #[test]
    fn what_the_type_of_the_first_rows_does_not_hold_exactly_is_refused() {
        for (data_type, text) in [
            (DataType::Double, "9007199254740992"),
            (DataType::Double, "NaN"),
            (DataType::BigInt, "9223372036854775807"),
            (array(DataType::Double), "[0.1, -Infinity, null]"),
        ] {
            assert!(
                parse_widened(&data_type, text).is_ok(),
                "{data_type} {text}"
            );
        }
        for (data_type, text) in [
            (DataType::Double, "9007199254740993"),
            (DataType::Double, "1E400"),
            (DataType::BigInt, "9223372036854775808"),
            (DataType::BigInt, "-0"),
            (DataType::String, r#""\ud800""#),
            (array(DataType::Double), "[0.1, 0.1234567890123456789012]"),
        ] {
            assert!(
                parse_widened(&data_type, text).is_err(),
                "{data_type} {text}"
            );
        }
        let error = parse_widened(&DataType::Double, "9007199254740993").unwrap_err();
        insta::assert_snapshot!(error, @"no DOUBLE is exactly '9007199254740993'");
    }

    #[test]
    fn numbers_are_read_from_all_of_their_digits() {
        // By way of a double it would be rounded twice, to 1.
        let nearest = parse_json(&DataType::Float, "1.00000005960464477540").unwrap();
        assert_eq!(nearest, Value::Float(1.000_000_1));
        assert_eq!(parse_json(&DataType::Integer, "-0"), Ok(Value::Integer(0)));
        let literals = Value::from(vec![1.0, f32::NEG_INFINITY]);
        let list = array(DataType::Float);
        assert_eq!(parse_json(&list, "[1, -Infinity]"), Ok(literals));
        for text in ["1.0", "1e3", "NaN", "18446744073709551616"] {
            assert!(parse_json(&DataType::BigInt, text).is_err(), "{text}");
        }
        for text in ["nan", "inf", "1E400", "\"1\"", "\"nan\""] {
            assert!(parse_json(&DataType::Double, text).is_err(), "{text}");
        }
    }

    #[test]
    fn cells_are_numbers_in_the_usual_spelling_or_refused() {
        for text in ["5", " 5", "+5", "5 ", "005"] {
            assert_eq!(
                parse(&DataType::Integer, text),
                Ok(Value::Integer(5)),
                "{text}"
            );
        }
        for text in [
            "1.0", "1e3", "0x10", "1,000", "1_000", "1 000", "- 5", "٣", "5L", "NaN",
        ] {
            assert!(parse(&DataType::BigInt, text).is_err(), "{text}");
        }
        for text in ["inf", "Infinity", "+INF", " infinity "] {
            let infinity = Ok(Value::Double(f64::INFINITY));
            assert_eq!(parse(&DataType::Double, text), infinity, "{text}");
        }
        for text in ["1,5", "0x1p3", "1_0.5", "1d", "--1", "infinite", "5%"] {
            assert!(parse(&DataType::Double, text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_cell_keeps_its_text_where_that_is_json() {
        for (data_type, cell, expected) in [
            (DataType::Float, " 16777216 ", "16777216"),
            (DataType::Float, "16777217.0", "16777217.0"),
            (
                DataType::Double,
                "0.1234567890123456789012",
                "0.1234567890123456789012",
            ),
            (DataType::Double, "+1.50", "1.5"),
            (DataType::Double, "inf", "\"Infinity\""),
            (DataType::Integer, "007", "7"),
            (DataType::Boolean, "TRUE", "true"),
            (DataType::Float, "", "null"),
            (array(DataType::Float), "[1.50, 2]", "[1.50, 2]"),
            (array(DataType::Float), "[1.50,\n2]", "[1.5,2]"),
            (array(DataType::Float), "[NaN]", "[\"NaN\"]"),
        ] {
            let value = parse(&data_type, cell).unwrap();
            let mut text = String::new();
            write_json_of_cell(&data_type, cell, &value, &mut text);
            assert_eq!(text, expected, "{data_type} {cell}");
        }
    }
}
