//! The answer that stands in for one that could not be had: the option `default-value`.

use serde_json::Value as Json;
use triton_options::{DEFAULT_VALUE, TritonOptions};

use crate::half_floats::{to_bf16, to_f16};
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
            let Ok(Json::Object(object)) = serde_json::from_str(text) else {
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
                from_json(&column.data_type, json)
                    .ok_or_else(|| expected(&column.name, &column.data_type, &json.to_string()))
            });
            values.collect::<Result<_, _>>().map(Some).map_err(invalid)
        }
    }
}

fn expected(name: &str, data_type: &DataType, found: &str) -> String {
    format!("expected {data_type} for the output column '{name}', found '{found}'")
}

/// A text stands for itself where the column is text; everything else is read as JSON.
fn column_value(column: &Column, text: &str) -> Result<Value, String> {
    let value = match &column.data_type {
        DataType::String => Some(Value::String(text.to_owned())),
        DataType::Bytes => Some(Value::Bytes(text.as_bytes().to_vec())),
        data_type => serde_json::from_str(text.trim())
            .ok()
            .and_then(|json| from_json(data_type, &json)),
    };
    value.ok_or_else(|| expected(&column.name, &column.data_type, text))
}

/// A JSON value as a value of a type; `None` where it does not fit.
fn from_json(data_type: &DataType, json: &Json) -> Option<Value> {
    fn integer<T: TryFrom<i128>>(json: &Json) -> Option<T> {
        let number = json
            .as_i64()
            .map(i128::from)
            .or_else(|| json.as_u64().map(i128::from));
        T::try_from(number?).ok()
    }
    fn single(json: &Json) -> Option<f32> {
        let narrowed = json.as_f64()? as f32;
        narrowed.is_finite().then_some(narrowed)
    }
    Some(match data_type {
        _ if json.is_null() => Value::Null,
        DataType::Boolean => Value::Boolean(json.as_bool()?),
        DataType::TinyInt => Value::TinyInt(integer(json)?),
        DataType::SmallInt => Value::SmallInt(integer(json)?),
        DataType::Integer => Value::Integer(integer(json)?),
        DataType::BigInt => Value::BigInt(integer(json)?),
        DataType::UnsignedTinyInt => Value::UnsignedTinyInt(integer(json)?),
        DataType::UnsignedSmallInt => Value::UnsignedSmallInt(integer(json)?),
        DataType::UnsignedInteger => Value::UnsignedInteger(integer(json)?),
        DataType::UnsignedBigInt => Value::UnsignedBigInt(integer(json)?),
        DataType::Float16 => Value::Float16(to_f16(single(json)?)?.to_f32()),
        DataType::BFloat16 => Value::BFloat16(to_bf16(single(json)?)?.to_f32()),
        DataType::Float => Value::Float(single(json)?),
        DataType::Double => Value::Double(json.as_f64()?),
        DataType::String => Value::String(json.as_str()?.to_owned()),
        DataType::Bytes => Value::Bytes(json.as_str()?.as_bytes().to_vec()),
        DataType::Array(element) => {
            let values = json
                .as_array()?
                .iter()
                .map(|value| from_json(element, value));
            Value::Array(values.collect::<Option<_>>()?)
        }
    })
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
        ] {
            assert!(parsed(text, &[("y", data_type)]).is_err(), "{text:?}");
        }
        insta::assert_snapshot!(parsed("high", &[("y", DataType::Float)]).unwrap_err(), @"option 'default-value': expected FLOAT for the output column 'y', found 'high'");
    }
}
