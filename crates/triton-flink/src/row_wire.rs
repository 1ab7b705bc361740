//! Rows as they cross between Java and Rust, in one buffer each way.
//!
//! A value is a byte, 0 for NULL, and what its type says: a number in its own width, a text or
//! bytes after their length, an array as the number of its elements, whether any of them is NULL,
//! and the elements, which carry the byte for NULL only if one is.

use std::str::Utf8Error;

use triton_model_fn::{Array, Column, DataType, Value};

use crate::failure::Failure;
use crate::wire::{Reader, put_bytes, put_count};

/// Reads a row and appends its values; says why the row cannot be used, if it cannot. A text that is
/// none is NULL, within arrays as well, and makes the row unusable. It is no failure: it comes from the
/// data, and says nothing of the next row.
///
/// In the columns with the indices `histories` it is that of an earlier row, which was unusable then.
/// There it stays the bytes that it is, which no model takes for a text: a NULL might be one that the
/// model can do without, and the row would be part of its sequence now.
pub(crate) fn read_row(
    reader: &mut Reader<'_>,
    columns: &[Column],
    histories: &[usize],
    values: &mut Vec<Value>,
) -> Result<Option<String>, Failure> {
    let mut unusable = None;
    for (index, column) in columns.iter().enumerate() {
        let mut no_text = NoText {
            first: None,
            stays: histories.contains(&index),
        };
        values.push(read_nullable(reader, &column.data_type, &mut no_text)?);
        if let Some(error) = no_text.first.filter(|_| !no_text.stays) {
            unusable.get_or_insert_with(|| {
                format!("column '{}': the text is not UTF-8: {error}", column.name)
            });
        }
    }
    Ok(unusable)
}

/// What is to be a text and is none.
struct NoText {
    first: Option<Utf8Error>,
    /// Whether it stays the bytes that it is.
    stays: bool,
}

impl NoText {
    fn read(&mut self, bytes: &[u8], error: Utf8Error) -> Value {
        self.first.get_or_insert(error);
        match self.stays {
            true => Value::Bytes(bytes.to_vec()),
            false => Value::Null,
        }
    }
}

fn read_nullable(
    reader: &mut Reader<'_>,
    data_type: &DataType,
    no_text: &mut NoText,
) -> Result<Value, Failure> {
    if reader.flag()? {
        read(reader, data_type, no_text)
    } else {
        Ok(Value::Null)
    }
}

fn read(
    reader: &mut Reader<'_>,
    data_type: &DataType,
    no_text: &mut NoText,
) -> Result<Value, Failure> {
    Ok(match data_type {
        DataType::Boolean => Value::Boolean(reader.flag()?),
        DataType::TinyInt => Value::TinyInt(i8::from_le_bytes(reader.array()?)),
        DataType::SmallInt => Value::SmallInt(i16::from_le_bytes(reader.array()?)),
        DataType::Integer => Value::Integer(i32::from_le_bytes(reader.array()?)),
        DataType::BigInt => Value::BigInt(i64::from_le_bytes(reader.array()?)),
        DataType::Float => Value::Float(f32::from_le_bytes(reader.array()?)),
        DataType::Double => Value::Double(f64::from_le_bytes(reader.array()?)),
        DataType::String => {
            let bytes = reader.bytes()?;
            match str::from_utf8(bytes) {
                Ok(text) => Value::String(text.to_owned()),
                Err(error) => no_text.read(bytes, error),
            }
        }
        DataType::Bytes => Value::Bytes(reader.bytes()?.to_vec()),
        DataType::Array(element) => {
            let count = reader.count()?;
            let holds_null = reader.flag()?;
            if let Some(size) = element.tensor_datatype().element_size()
                && element.rank() == 0
                && !holds_null
            {
                let bytes = reader.take_shared(count.saturating_mul(size))?;
                let array = Array::from_raw(element, [count], bytes);
                return Ok(Value::Array(
                    array.map_err(|error| Failure::new(error.to_string()))?,
                ));
            }
            let read = if holds_null { read_nullable } else { read };
            let values = (0..count).map(|_| read(reader, element, no_text));
            Value::Array(values.collect::<Result<_, _>>()?)
        }
        other => return Err(Failure::new(format!("Flink has no {other}"))),
    })
}

/// Appends a row.
pub(crate) fn write_row<'a>(
    buffer: &mut Vec<u8>,
    row: impl IntoIterator<Item = &'a Value>,
) -> Result<(), Failure> {
    row.into_iter()
        .try_for_each(|value| write_nullable(buffer, value))
}

fn write_nullable(buffer: &mut Vec<u8>, value: &Value) -> Result<(), Failure> {
    buffer.push(u8::from(*value != Value::Null));
    write(buffer, value)
}

fn write(buffer: &mut Vec<u8>, value: &Value) -> Result<(), Failure> {
    match value {
        Value::Null => {}
        Value::Boolean(value) => buffer.push(u8::from(*value)),
        Value::TinyInt(value) => buffer.extend_from_slice(&value.to_le_bytes()),
        Value::SmallInt(value) => buffer.extend_from_slice(&value.to_le_bytes()),
        Value::Integer(value) => buffer.extend_from_slice(&value.to_le_bytes()),
        Value::BigInt(value) => buffer.extend_from_slice(&value.to_le_bytes()),
        Value::Float(value) => buffer.extend_from_slice(&value.to_le_bytes()),
        Value::Double(value) => buffer.extend_from_slice(&value.to_le_bytes()),
        Value::String(text) => put_bytes(buffer, text.as_bytes())?,
        Value::Bytes(bytes) => put_bytes(buffer, bytes)?,
        Value::Array(values) => {
            put_count(buffer, values.len())?;
            if let (Some([_]), Some(bytes)) = (values.shape(), values.raw())
                && values.is_of_fixed_width()
            {
                buffer.push(0);
                buffer.extend_from_slice(bytes);
                return Ok(());
            }
            let any_null = values.iter().any(|value| value == Value::Null);
            buffer.push(u8::from(any_null));
            let write = if any_null { write_nullable } else { write };
            values.iter().try_for_each(|value| write(buffer, &value))?;
        }
        // The columns have types of Flink, and the function answers in the types of the columns.
        other => return Err(Failure::new(format!("Flink cannot take {other:?}"))),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn array(element: DataType) -> DataType {
        DataType::Array(Box::new(element))
    }

    #[test]
    fn a_row_of_every_type_survives_both_ways() {
        let cells = [
            (DataType::Boolean, Value::Boolean(true)),
            (DataType::TinyInt, Value::TinyInt(i8::MIN)),
            (DataType::SmallInt, Value::SmallInt(i16::MIN)),
            (DataType::Integer, Value::Integer(i32::MIN)),
            (DataType::BigInt, Value::BigInt(i64::MIN)),
            (DataType::Float, Value::Float(f32::MIN_POSITIVE)),
            (DataType::Double, Value::Double(f64::NEG_INFINITY)),
            (DataType::String, Value::String("käse".to_owned())),
            (DataType::Bytes, Value::Bytes(vec![0, 255])),
            (DataType::Integer, Value::Null),
            (
                array(array(DataType::String)),
                Value::Array(
                    [
                        Value::Array(Array::default()),
                        Value::Array(vec![Value::String(String::new()), Value::Null].into()),
                    ]
                    .into_iter()
                    .collect(),
                ),
            ),
            (array(DataType::Float), Value::from(vec![0.5_f32, -1.0])),
            (array(DataType::Boolean), Value::from(vec![true, false])),
            (
                array(array(DataType::Integer)),
                Value::Array(Array::with_shape(vec![1, 2, 3, 4, 5, 6], [3, 2]).unwrap()),
            ),
        ];
        let columns = cells
            .iter()
            .map(|(data_type, _)| Column::new("x", data_type.clone()));
        let columns: Vec<_> = columns.collect();
        let row: Vec<_> = cells.into_iter().map(|(_, value)| value).collect();
        let mut buffer = Vec::new();
        write_row(&mut buffer, &row).unwrap();
        let buffer = Bytes::from(buffer);
        for mut reader in [Reader::new(&buffer), Reader::sharing(&buffer)] {
            let mut values = Vec::new();
            assert_eq!(read_row(&mut reader, &columns, &[], &mut values), Ok(None));
            assert!(values == row && reader.is_empty());
        }

        // Whatever is cut off is noticed.
        for length in 0..buffer.len() {
            let mut reader = Reader::new(&buffer[..length]);
            let read = read_row(&mut reader, &columns, &[], &mut Vec::new());
            assert!(read.is_err(), "{length}");
        }
    }
    // Holds J3.
    #[test]
    fn only_the_element_that_is_no_text_is_null() {
        let columns = [
            Column::new("word", DataType::String),
            Column::new("words", array(DataType::String)),
            Column::new("x", DataType::Integer),
        ];
        let text = |text: &[u8], has_flag: bool| {
            let mut bytes = if has_flag { vec![1] } else { Vec::new() };
            put_bytes(&mut bytes, text).unwrap();
            bytes
        };
        // Two elements, of which none is NULL.
        let words = [
            &[1, 2, 0, 0, 0, 0][..],
            &text(b"\xff", false),
            &text(b"b", false),
        ];
        let row = [&text(b"b", true)[..], &words.concat(), &[1, 7, 0, 0, 0]].concat();
        let mut values = Vec::new();
        let read = read_row(&mut Reader::new(&row), &columns, &[], &mut values);
        insta::assert_snapshot!(read.unwrap().unwrap(), @"column 'words': the text is not UTF-8: invalid utf-8 sequence of 1 bytes from index 0");
        let b = || Value::String("b".to_owned());
        let expected = [
            b(),
            Value::Array(vec![Value::Null, b()].into()),
            Value::Integer(7),
        ];
        assert_eq!(values, expected);
        // In a history it says something of an earlier row alone, which has failed, and is no NULL.
        values.clear();
        let read = read_row(&mut Reader::new(&row), &columns, &[1], &mut values);
        let words = Value::Array(vec![Value::Bytes(vec![0xff]), b()].into());
        let expected = [b(), words, Value::Integer(7)];
        assert_eq!((read, &values[..]), (Ok(None), &expected[..]));
    }
}
