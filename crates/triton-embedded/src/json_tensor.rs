//! Tensors as JSON: the values of inputs, with Triton's conversions, and those of outputs.

use crate::error::{ApiError, ContentType};
use crate::json::{Json, WrongType};
use crate::tensor::{DataType, TensorData};

/// Reads the `data` of an input that holds `count` values, nested or flat.
///
/// A narrow integer wraps silently and a double that FP32 cannot hold becomes infinite, as on the
/// real server. The number of BYTES values is not checked here but against the configuration.
pub(crate) fn read_values(
    input: &[u8],
    datatype: DataType,
    count: usize,
    data: &Json,
) -> Result<TensorData, ApiError> {
    // With nothing to read, the real server does not look at the member at all.
    let data = match count {
        0 => &[],
        _ => data.as_array().map_err(unreadable)?,
    };
    Ok(match datatype {
        DataType::Bool => flatten(data, count, Json::as_bool)?.into(),
        DataType::Uint8 => flatten(data, count, |value| Ok(value.as_unsigned()? as u8))?.into(),
        DataType::Uint16 => flatten(data, count, |value| Ok(value.as_unsigned()? as u16))?.into(),
        DataType::Uint32 => flatten(data, count, |value| Ok(value.as_unsigned()? as u32))?.into(),
        DataType::Uint64 => flatten(data, count, Json::as_unsigned)?.into(),
        DataType::Int8 => flatten(data, count, |value| Ok(value.as_signed()? as i8))?.into(),
        DataType::Int16 => flatten(data, count, |value| Ok(value.as_signed()? as i16))?.into(),
        DataType::Int32 => flatten(data, count, |value| Ok(value.as_signed()? as i32))?.into(),
        DataType::Int64 => flatten(data, count, Json::as_signed)?.into(),
        DataType::Fp32 => flatten(data, count, |value| Ok(value.as_double()? as f32))?.into(),
        DataType::Fp64 => flatten(data, count, Json::as_double)?.into(),
        DataType::Bytes => {
            let mut texts = Vec::new();
            flatten_texts(data, &mut texts)?;
            texts.into()
        }
        DataType::Fp16 | DataType::Bf16 => {
            let mut text = format!(
                "receiving {datatype} data via JSON is not supported. Please use the binary data \
                 format for input "
            )
            .into_bytes();
            text.extend(input);
            return Err(ApiError::bad_request(text));
        }
    })
}

/// Reads the value of a key of `…/generate`: one value, or a flat list of `count`.
pub(crate) fn read_value_or_list(
    input: &[u8],
    datatype: DataType,
    count: usize,
    value: &Json,
) -> Result<TensorData, ApiError> {
    match value {
        Json::Array(_) => read_values(input, datatype, count, value),
        _ => {
            let list = Json::Array(vec![value.clone()]);
            read_values(input, datatype, count, &list)
        }
    }
}

/// The values as numbers that can be compared; `None` where they are no numbers.
pub(crate) fn as_doubles(data: &TensorData) -> Option<Vec<f64>> {
    Some(match data {
        TensorData::Uint8(values) => values.iter().map(|value| f64::from(*value)).collect(),
        TensorData::Uint16(values) => values.iter().map(|value| f64::from(*value)).collect(),
        TensorData::Uint32(values) => values.iter().map(|value| f64::from(*value)).collect(),
        TensorData::Uint64(values) => values.iter().map(|value| *value as f64).collect(),
        TensorData::Int8(values) => values.iter().map(|value| f64::from(*value)).collect(),
        TensorData::Int16(values) => values.iter().map(|value| f64::from(*value)).collect(),
        TensorData::Int32(values) => values.iter().map(|value| f64::from(*value)).collect(),
        TensorData::Int64(values) => values.iter().map(|value| *value as f64).collect(),
        TensorData::Fp32(values) => values.iter().map(|value| f64::from(*value)).collect(),
        TensorData::Fp64(values) => values.clone(),
        TensorData::Bool(_) | TensorData::Bytes(_) | TensorData::Fp16(_) | TensorData::Bf16(_) => {
            return None;
        }
    })
}

/// The values of an output as they stand in an answer; always flat.
pub(crate) fn write_values(data: TensorData) -> Result<Json, ApiError> {
    let datatype = data.datatype();
    Ok(match data {
        TensorData::Bool(values) => Json::array(values),
        TensorData::Uint8(values) => Json::array(values.into_iter().map(u64::from)),
        TensorData::Uint16(values) => Json::array(values.into_iter().map(u64::from)),
        TensorData::Uint32(values) => Json::array(values.into_iter().map(u64::from)),
        TensorData::Uint64(values) => Json::array(values),
        TensorData::Int8(values) => Json::array(values.into_iter().map(i64::from)),
        TensorData::Int16(values) => Json::array(values.into_iter().map(i64::from)),
        TensorData::Int32(values) => Json::array(values.into_iter().map(i64::from)),
        TensorData::Int64(values) => Json::array(values),
        TensorData::Fp32(values) => Json::array(values.into_iter().map(f64::from)),
        TensorData::Fp64(values) => Json::array(values),
        TensorData::Bytes(values) => Json::array(values.into_iter().map(Json::Text)),
        TensorData::Fp16(_) | TensorData::Bf16(_) => {
            // The real text ends without the output's name, too.
            let text = format!(
                "sending {datatype} data via JSON is not supported. Please use the binary data \
                 format for output"
            );
            return Err(ApiError::bad_request(text).with_content_type(ContentType::Plain));
        }
    })
}

/// The leaves of nested arrays; the wrong type of one before the wrong number is what counts.
fn flatten<Value>(
    data: &[Json],
    count: usize,
    convert: impl Copy + Fn(&Json) -> Result<Value, WrongType>,
) -> Result<Vec<Value>, ApiError> {
    let mut values = Vec::new();
    flatten_into(data, count, convert, &mut values)?;
    match values.len() == count {
        true => Ok(values),
        false => Err(wrong_count()),
    }
}

fn flatten_into<Value>(
    data: &[Json],
    count: usize,
    convert: impl Copy + Fn(&Json) -> Result<Value, WrongType>,
    values: &mut Vec<Value>,
) -> Result<(), ApiError> {
    for item in data {
        match item {
            Json::Array(items) => flatten_into(items, count, convert, values)?,
            _ if values.len() == count => return Err(wrong_count()),
            _ => values.push(convert(item).map_err(unreadable)?),
        }
    }
    Ok(())
}

fn flatten_texts(data: &[Json], texts: &mut Vec<Vec<u8>>) -> Result<(), ApiError> {
    for item in data {
        match item {
            Json::Array(items) => flatten_texts(items, texts)?,
            _ => texts.push(
                item.as_text()
                    .map_err(|error| {
                        ApiError::internal(format!("Unable to parse JSON bytes array: {error}"))
                    })?
                    .to_vec(),
            ),
        }
    }
    Ok(())
}

fn unreadable(error: WrongType) -> ApiError {
    ApiError::internal(format!("Unable to parse 'data': {error}"))
}

fn wrong_count() -> ApiError {
    ApiError::internal("Unable to parse 'data': Shape does not match true shape of 'data' field")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::read;

    fn values(datatype: DataType, count: usize, data: &str) -> Result<TensorData, String> {
        let data = read(data.as_bytes()).expect("JSON");
        read_values(b"t", datatype, count, &data)
            .map_err(|error| String::from_utf8_lossy(&error.text).into_owned())
    }

    #[test]
    fn nesting_does_not_matter_but_the_number_of_values_does() {
        let expected = Ok(TensorData::Int32(vec![1, 2, 3]));
        for data in ["[1,2,3]", "[[1],[2,3]]", "[[],[[1,2]],3]"] {
            assert_eq!(values(DataType::Int32, 3, data), expected);
        }
        let refusal = "Unable to parse 'data': Shape does not match true shape of 'data' field";
        for data in ["[]", "[1,2]", "[1,2,3,\"x\"]"] {
            assert_eq!(values(DataType::Int32, 3, data), Err(refusal.to_owned()));
        }
    }

    #[test]
    fn narrow_integers_wrap_and_wide_doubles_become_infinite() {
        assert_eq!(
            values(DataType::Int8, 2, "[300,-129]"),
            Ok(TensorData::Int8(vec![44, 127]))
        );
        assert_eq!(
            values(DataType::Uint32, 1, "[4294967297]"),
            Ok(TensorData::Uint32(vec![1]))
        );
        assert_eq!(
            values(DataType::Fp32, 2, "[1e39,-Infinity]"),
            Ok(TensorData::Fp32(vec![f32::INFINITY, f32::NEG_INFINITY]))
        );
    }

    #[test]
    fn wrong_types_are_refused_in_the_words_of_triton() {
        let cases = [
            (
                DataType::Bool,
                "[1]",
                "'data': attempt to access JSON non-boolean as boolean",
            ),
            (
                DataType::Int8,
                "[1.0]",
                "'data': attempt to access JSON non-signed-integer as signed-integer",
            ),
            (
                DataType::Uint8,
                "[-1]",
                "'data': attempt to access JSON non-unsigned-integer as unsigned-integer",
            ),
            (
                DataType::Fp32,
                "[true]",
                "'data': attempt to access JSON non-number as double",
            ),
            (
                DataType::Fp32,
                "5",
                "'data': attempt to access JSON non-array as array",
            ),
            (
                DataType::Bytes,
                "[5]",
                "JSON bytes array: attempt to access JSON non-string as string",
            ),
        ];
        for (datatype, data, text) in cases {
            let refusal = format!("Unable to parse {text}");
            assert_eq!(values(datatype, 1, data), Err(refusal));
        }
    }
}
