//! The answer that stands in for one that could not be had: the option `default-value`.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use triton_options::{DEFAULT_VALUE, TritonOptions};

use crate::half_floats::{single_of, to_bf16, to_f16};
use crate::{Column, DataType, Error, ErrorKind, Value};

/// The default row, if the options have one; a default that does not fit the schema is an error.
pub(crate) fn parse(
    options: &TritonOptions,
    outputs: &[Column],
) -> Result<Option<Vec<Value>>, Error> {
    let Some(text) = &options.default_value else {
        return Ok(None);
    };
    let invalid = |message: String| {
        let message = format!("option '{}': {message}", DEFAULT_VALUE.key());
        Error::new(ErrorKind::Schema, message)
    };
    if text.trim() == "null" {
        return Ok(Some(vec![Value::Null; outputs.len()]));
    }
    match outputs {
        [only] => Ok(Some(vec![column_value(only, text).map_err(invalid)?])),
        several => {
            let object = serde_json::from_str::<BTreeMap<String, &RawValue>>(text);
            let Ok(object) = object else {
                return Err(invalid(format!(
                    "expected null, or for {} output columns a JSON object such as \
                     {{\"{}\": …}}, found '{text}'",
                    several.len(),
                    several[0].name
                )));
            };
            if let Some(unknown) = object
                .keys()
                .find(|key| several.iter().all(|column| column.name != **key))
            {
                return Err(invalid(format!("there is no output column '{unknown}'")));
            }
            let values = several.iter().map(|column| {
                let json = object.get(&column.name).ok_or_else(|| {
                    format!("it has no value for the output column '{}'", column.name)
                })?;
                from_json(&column.data_type, json.get())
                    .ok_or_else(|| expected(&column.name, &column.data_type, json.get()))
            });
            values.collect::<Result<_, _>>().map(Some).map_err(invalid)
        }
    }
}

fn expected(name: &str, data_type: &DataType, found: &str) -> String {
    let why = match is_float(data_type) && is_whole(found) {
        true => {
            ", a whole number that the type does not hold exactly; with a decimal point it means the \
             nearest one"
        }
        false => "",
    };
    format!("expected {data_type} for the output column '{name}', found '{found}'{why}")
}

/// A text stands for itself where the column is text; everything else is read as JSON.
fn column_value(column: &Column, text: &str) -> Result<Value, String> {
    let value = match &column.data_type {
        DataType::String => Some(Value::String(text.to_owned())),
        DataType::Bytes => Some(Value::Bytes(text.as_bytes().to_vec())),
        data_type if is_float(data_type) && is_named(text.trim()) => named(data_type, text.trim()),
        data_type => serde_json::from_str::<&RawValue>(text.trim())
            .ok()
            .and_then(|json| from_json(data_type, json.get())),
    };
    value.ok_or_else(|| expected(&column.name, &column.data_type, text))
}

/// The text of a JSON value as a value of a type; `None` where it does not fit. A number that was parsed
/// before would have lost digits.
fn from_json(data_type: &DataType, json: &str) -> Option<Value> {
    Some(match data_type {
        _ if json == "null" => Value::Null,
        DataType::Boolean => Value::Boolean(json.parse().ok()?),
        DataType::TinyInt => Value::TinyInt(json.parse().ok()?),
        DataType::SmallInt => Value::SmallInt(json.parse().ok()?),
        DataType::Integer => Value::Integer(json.parse().ok()?),
        DataType::BigInt => Value::BigInt(json.parse().ok()?),
        DataType::UnsignedTinyInt => Value::UnsignedTinyInt(json.parse().ok()?),
        DataType::UnsignedSmallInt => Value::UnsignedSmallInt(json.parse().ok()?),
        DataType::UnsignedInteger => Value::UnsignedInteger(json.parse().ok()?),
        DataType::UnsignedBigInt => Value::UnsignedBigInt(json.parse().ok()?),
        data_type if is_float(data_type) => match serde_json::from_str::<String>(json) {
            Ok(name) if is_named(&name) => named(data_type, &name)?,
            Ok(_) => return None,
            Err(_) => number(data_type, json)?,
        },
        DataType::String => Value::String(serde_json::from_str(json).ok()?),
        DataType::Bytes => Value::Bytes(serde_json::from_str::<String>(json).ok()?.into_bytes()),
        DataType::Array(element) => {
            let values: Vec<&RawValue> = serde_json::from_str(json).ok()?;
            let values = values.iter().map(|json| from_json(element, json.get()));
            Value::Array(values.collect::<Option<_>>()?)
        }
        _ => return None,
    })
}

fn is_float(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Float16 | DataType::BFloat16 | DataType::Float | DataType::Double
    )
}

/// Whether a text is the word for what JSON has no number for.
fn is_named(text: &str) -> bool {
    matches!(text, "NaN" | "Infinity" | "-Infinity")
}

fn named(data_type: &DataType, text: &str) -> Option<Value> {
    Some(match data_type {
        DataType::Float16 => Value::Float16(text.parse().ok()?),
        DataType::BFloat16 => Value::BFloat16(text.parse().ok()?),
        DataType::Float => Value::Float(text.parse().ok()?),
        _ => Value::Double(text.parse().ok()?),
    })
}

/// The nearest number that the type has; a whole one only if the type has it.
fn number(data_type: &DataType, text: &str) -> Option<Value> {
    let double: f64 = text.parse().ok()?;
    let (value, kept) = match data_type {
        DataType::Float16 => {
            let half = to_f16(single_of(double))?.to_f32();
            (Value::Float16(half), f64::from(half))
        }
        DataType::BFloat16 => {
            let half = to_bf16(single_of(double))?.to_f32();
            (Value::BFloat16(half), f64::from(half))
        }
        DataType::Float => {
            let single: f32 = text.parse().ok()?;
            (Value::Float(single), f64::from(single))
        }
        _ => (Value::Double(double), double),
    };
    let digits = |text: &str| text.trim_start_matches(['-', '0']).to_owned();
    let is_kept = !is_whole(text) || digits(&format!("{kept:.0}")) == digits(text);
    (kept.is_finite() && is_kept).then_some(value)
}

fn is_whole(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str, types: &[(&str, DataType)]) -> Result<Option<Vec<Value>>, String> {
        let common = [
            ("endpoint", "h"),
            ("model-name", "m"),
            ("default-value", text),
        ];
        let options = TritonOptions::parse(common).unwrap();
        let columns: Vec<Column> = types
            .iter()
            .map(|(name, data_type)| Column::new(*name, data_type.clone()))
            .collect();
        parse(&options, &columns).map_err(|error| error.to_string())
    }

    #[test]
    fn a_default_fits_the_type_of_its_column() {
        let array = DataType::Array(Box::new(DataType::Float));
        for (text, data_type, value) in [
            ("-1.5", DataType::Float, Value::Float(-1.5)),
            (
                "18446744073709551615",
                DataType::UnsignedBigInt,
                Value::UnsignedBigInt(u64::MAX),
            ),
            ("unknown", DataType::String, Value::String("unknown".into())),
            ("5", DataType::String, Value::String("5".into())),
            ("true", DataType::Boolean, Value::Boolean(true)),
            ("null", DataType::Integer, Value::Null),
            ("16777216", DataType::Float, Value::Float(16_777_216.0)),
            ("16777217.0", DataType::Float, Value::Float(16_777_216.0)),
            ("Infinity", DataType::Float, Value::Float(f32::INFINITY)),
            (
                "\"-Infinity\"",
                DataType::Double,
                Value::Double(f64::NEG_INFINITY),
            ),
            (
                "[\"Infinity\", 1]",
                array.clone(),
                Value::from(vec![f32::INFINITY, 1.0]),
            ),
            (
                "1.0004882812500002",
                DataType::Float16,
                Value::Float16(1.000_976_6),
            ),
            ("[1, 2.5]", array, Value::from(vec![1.0_f32, 2.5])),
        ] {
            assert_eq!(
                parsed(text, &[("y", data_type)]),
                Ok(Some(vec![value])),
                "{text}"
            );
        }
    }

    #[test]
    fn several_columns_take_null_or_an_object() {
        let types = [("label", DataType::String), ("score", DataType::Double)];
        assert_eq!(
            parsed("null", &types),
            Ok(Some(vec![Value::Null, Value::Null]))
        );
        let row = vec![Value::String("none".into()), Value::Double(0.5)];
        assert_eq!(
            parsed(r#"{"score": 0.5, "label": "none"}"#, &types),
            Ok(Some(row))
        );
        insta::assert_snapshot!(parsed("0", &types).unwrap_err(), @r#"option 'default-value': expected null, or for 2 output columns a JSON object such as {"label": …}, found '0'"#);
        insta::assert_snapshot!(parsed(r#"{"score": 1}"#, &types).unwrap_err(), @"option 'default-value': it has no value for the output column 'label'");
        insta::assert_snapshot!(
            parsed(r#"{"score": 1, "label": "", "x": 1}"#, &types).unwrap_err(), @"option 'default-value': there is no output column 'x'");
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for (text, data_type) in [
            ("128", DataType::TinyInt),
            ("-1", DataType::UnsignedInteger),
            ("1.5", DataType::Integer),
            ("1e39", DataType::Float),
            ("yes", DataType::Boolean),
            ("", DataType::Float),
            ("123456789", DataType::Float),
            ("9007199254740993", DataType::Double),
            ("36893488147419103233", DataType::Double),
            ("2049", DataType::Float16),
            ("1e400", DataType::Double),
            ("\"1\"", DataType::Float),
            ("[16777217]", DataType::Array(Box::new(DataType::Float))),
        ] {
            assert!(parsed(text, &[("y", data_type)]).is_err(), "{text:?}");
        }
        let nan = parsed("NaN", &[("y", DataType::Double)]).unwrap().unwrap();
        assert!(matches!(nan[..], [Value::Double(value)] if value.is_nan()));
        insta::assert_snapshot!(parsed("123456789", &[("y", DataType::Float)]).unwrap_err(), @"option 'default-value': expected FLOAT for the output column 'y', found '123456789', a whole number that the type does not hold exactly; with a decimal point it means the nearest one");
        insta::assert_snapshot!(parsed("high", &[("y", DataType::Float)]).unwrap_err(), @"option 'default-value': expected FLOAT for the output column 'y', found 'high'");
    }
}
