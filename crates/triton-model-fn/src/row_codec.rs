//! Values to the binary form of tensors and back, one column at a time.
//!
//! A row is encoded before anything is sent: a bad value is found in its own row.

use std::borrow::Cow;

use bytes::{BufMut as _, Bytes, BytesMut};
use half::{bf16, f16};
use triton_client::{Tensor, TensorElement, TensorError};

use crate::array::{self, Packed};
use crate::half_floats::{to_bf16, to_f16};
use crate::tensor_elements::{check_elements, text};
use crate::tensor_plan::PlannedColumn;
use crate::{Array, Column, DataType, Error, ErrorKind, Value};

/// The value of one column in the binary form of its tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EncodedCell {
    /// The size of each dimension, without any for the batch.
    pub(crate) shape: Vec<usize>,
    /// The elements, row-major.
    pub(crate) data: Bytes,
}

/// Encodes one value; an error names the column.
pub(crate) fn encode(column: &Column, value: &Value) -> Result<EncodedCell, Error> {
    let rank = column.data_type.rank();
    let scalar = column.data_type.scalar();
    if let Value::Array(array) = value
        && let Some(packed) = array.as_packed()
        && packed.scalar() == scalar
        && packed.shape().len() == rank
    {
        return Ok(EncodedCell {
            shape: packed.shape().to_vec(),
            data: packed.tensor().raw().clone(),
        });
    }
    let mut encoder = Encoder {
        scalar,
        rank,
        shape: Vec::with_capacity(rank),
        data: BytesMut::new(),
    };
    match encoder.value(value, 0) {
        Ok(()) => {
            // An empty array does not show the dimensions that lie within it.
            encoder.shape.resize(rank, 0);
            Ok(EncodedCell {
                shape: encoder.shape,
                data: encoder.data.freeze(),
            })
        }
        Err(message) => Err(refused(column, value, &message)),
    }
}

/// Appends the value of a column without arrays; an error names the column.
#[inline]
pub(crate) fn append_scalar(
    data: &mut BytesMut,
    column: &Column,
    value: &Value,
) -> Result<(), Error> {
    append(data, &column.data_type, value).map_err(|message| refused(column, value, &message))
}

/// The error of a value that is no element of its column's tensor.
pub(crate) fn refused(column: &Column, value: &Value, message: &str) -> Error {
    let holds_null = match value {
        Value::Null => true,
        Value::Array(array) => array.holds_null(),
        _ => false,
    };
    let kind = match holds_null {
        true => ErrorKind::NullInput,
        false => ErrorKind::Input,
    };
    Error::new(kind, format!("column '{}': {message}", column.name))
}

/// Notes how long the arrays at a depth are: all of them as the first one.
pub(crate) fn note_length(
    shape: &mut Vec<usize>,
    depth: usize,
    length: usize,
) -> Result<(), String> {
    match shape.get(depth) {
        None => shape.push(length),
        Some(size) if *size == length => {}
        Some(size) => {
            return Err(format!(
                "its arrays differ in length ({size} and {length}), so they make no tensor"
            ));
        }
    }
    Ok(())
}

struct Encoder<'a> {
    scalar: &'a DataType,
    rank: usize,
    shape: Vec<usize>,
    data: BytesMut,
}

impl Encoder<'_> {
    fn value(&mut self, value: &Value, depth: usize) -> Result<(), String> {
        if depth == self.rank {
            return append(&mut self.data, self.scalar, value);
        }
        let Value::Array(array) = value else {
            return Err(format!("expected an ARRAY, found {}", value.kind()));
        };
        note_length(&mut self.shape, depth, array.len())?;
        array
            .iter()
            .try_for_each(|value| self.value(&value, depth + 1))
    }
}

#[inline]
pub(crate) fn append(data: &mut BytesMut, scalar: &DataType, value: &Value) -> Result<(), String> {
    match (scalar, value) {
        (DataType::Boolean, Value::Boolean(value)) => data.put_u8(u8::from(*value)),
        (DataType::TinyInt, Value::TinyInt(value)) => data.put_i8(*value),
        (DataType::SmallInt, Value::SmallInt(value)) => data.put_i16_le(*value),
        (DataType::Integer, Value::Integer(value)) => data.put_i32_le(*value),
        (DataType::BigInt, Value::BigInt(value)) => data.put_i64_le(*value),
        (DataType::UnsignedTinyInt, Value::UnsignedTinyInt(value)) => data.put_u8(*value),
        (DataType::UnsignedSmallInt, Value::UnsignedSmallInt(value)) => data.put_u16_le(*value),
        (DataType::UnsignedInteger, Value::UnsignedInteger(value)) => data.put_u32_le(*value),
        (DataType::UnsignedBigInt, Value::UnsignedBigInt(value)) => data.put_u64_le(*value),
        (DataType::Float16, Value::Float16(value)) => {
            let half = to_f16(*value).ok_or_else(|| too_large(scalar, *value))?;
            data.put_u16_le(half.to_bits());
        }
        (DataType::BFloat16, Value::BFloat16(value)) => {
            let half = to_bf16(*value).ok_or_else(|| too_large(scalar, *value))?;
            data.put_u16_le(half.to_bits());
        }
        (DataType::Float, Value::Float(value)) => data.put_f32_le(*value),
        (DataType::Double, Value::Double(value)) => data.put_f64_le(*value),
        (DataType::String, Value::String(text)) => append_byte_string(data, text.as_bytes())?,
        (DataType::Bytes, Value::Bytes(bytes)) => append_byte_string(data, bytes)?,
        (expected, found) => {
            return Err(format!("expected {expected}, found {}", found.kind()));
        }
    }
    Ok(())
}

fn too_large(scalar: &DataType, value: f32) -> String {
    format!("{value:e} is too large for {scalar}, where it would become infinite")
}

pub(crate) fn append_byte_string(data: &mut BytesMut, bytes: &[u8]) -> Result<(), String> {
    let length = u32::try_from(bytes.len())
        .map_err(|_| format!("an element of {} bytes is longer than 4 GiB", bytes.len()))?;
    data.put_u32_le(length);
    data.put_slice(bytes);
    Ok(())
}

/// The values of one column for the `rows` rows of an answer, from its output tensor; arrays are
/// parts of the tensor.
///
/// `batched` says whether the tensor has a leading batch dimension; without one there is one row.
pub(crate) fn decode(
    planned: &PlannedColumn,
    tensor: &Tensor,
    batched: bool,
    rows: usize,
) -> Result<Vec<Value>, Error> {
    let shape = &*row_shape(planned, tensor, batched, rows)?;
    let failed = |message: String| output_error(tensor, &message);
    let data_type = &planned.column.data_type;
    let scalar = data_type.scalar();
    if data_type.rank() == 0 {
        let values = scalars(scalar, tensor).map_err(failed)?;
        if values.len() == rows {
            return Ok(values);
        }
        return Err(failed(format!(
            "expected {rows} elements, found {}",
            values.len()
        )));
    }
    check_elements(scalar, tensor).map_err(failed)?;
    let mut rest = tensor.raw().clone();
    let elements = shape.iter().product();
    let values = (0..rows).map(|_| {
        let length = array::length(scalar, &rest, elements)?;
        let data = (length <= rest.len()).then(|| rest.split_to(length))?;
        let packed = Packed::of_bytes(scalar, shape, data)?;
        Some(Value::Array(Array::packed(packed)))
    });
    let values = values.collect::<Option<Vec<_>>>();
    values.ok_or_else(|| failed(format!("its shape {shape:?} does not hold its elements")))
}

/// The shape of one row's value in an output tensor: a dimension for each array of the column.
pub(crate) fn row_shape<'a>(
    planned: &PlannedColumn,
    tensor: &'a Tensor,
    batched: bool,
    rows: usize,
) -> Result<Cow<'a, [usize]>, Error> {
    let shape = match (batched, tensor.shape()) {
        (false, shape) => shape,
        (true, [batch, shape @ ..]) if *batch == rows => shape,
        (true, shape) => {
            let message = format!("expected a batch of {rows}, found shape {shape:?}");
            return Err(output_error(tensor, &message));
        }
    };
    let data_type = &planned.column.data_type;
    if let Some(problem) = planned.contradiction(shape) {
        return Err(output_error(tensor, &problem));
    }
    if planned.is_flat() {
        return Ok(Cow::Owned(vec![shape.iter().product()]));
    }
    match data_type.rank() {
        0 if shape.iter().all(|size| *size == 1) => Ok(Cow::Borrowed(&[])),
        rank if rank == shape.len() => Ok(Cow::Borrowed(shape)),
        _ => {
            let message = format!("expected {data_type}, found shape {shape:?}");
            Err(output_error(tensor, &message))
        }
    }
}

fn output_error(tensor: &Tensor, message: &str) -> Error {
    Error::new(
        ErrorKind::Output,
        format!("output '{}': {message}", tensor.name()),
    )
}

fn scalars(scalar: &DataType, tensor: &Tensor) -> Result<Vec<Value>, String> {
    fn all<T: TensorElement>(
        tensor: &Tensor,
        wrap: impl Fn(T) -> Value,
    ) -> Result<Vec<Value>, TensorError> {
        Ok(tensor.values::<T>()?.iter().copied().map(wrap).collect())
    }
    let values = match scalar {
        DataType::Boolean => all(tensor, Value::Boolean),
        DataType::TinyInt => all(tensor, Value::TinyInt),
        DataType::SmallInt => all(tensor, Value::SmallInt),
        DataType::Integer => all(tensor, Value::Integer),
        DataType::BigInt => all(tensor, Value::BigInt),
        DataType::UnsignedTinyInt => all(tensor, Value::UnsignedTinyInt),
        DataType::UnsignedSmallInt => all(tensor, Value::UnsignedSmallInt),
        DataType::UnsignedInteger => all(tensor, Value::UnsignedInteger),
        DataType::UnsignedBigInt => all(tensor, Value::UnsignedBigInt),
        DataType::Float16 => all(tensor, |value: f16| Value::Float16(value.to_f32())),
        DataType::BFloat16 => all(tensor, |value: bf16| Value::BFloat16(value.to_f32())),
        DataType::Float => all(tensor, Value::Float),
        DataType::Double => all(tensor, Value::Double),
        DataType::Bytes => {
            let strings = tensor.byte_strings().map_err(|error| error.to_string())?;
            return Ok(strings.map(|bytes| Value::Bytes(bytes.to_vec())).collect());
        }
        DataType::String => {
            let strings = tensor.byte_strings().map_err(|error| error.to_string())?;
            let texts = strings.enumerate().map(|(index, bytes)| text(index, bytes));
            return texts
                .map(|text| text.map(|text| Value::String(text.to_owned())))
                .collect();
        }
        DataType::Array(_) => return Err("an array is no scalar".to_owned()),
    };
    values.map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A value of each scalar type, at an edge of its range.
    fn examples() -> Vec<(DataType, Value)> {
        vec![
            (DataType::Boolean, Value::Boolean(true)),
            (DataType::TinyInt, Value::TinyInt(i8::MIN)),
            (DataType::SmallInt, Value::SmallInt(i16::MIN)),
            (DataType::Integer, Value::Integer(i32::MIN)),
            (DataType::BigInt, Value::BigInt(i64::MIN)),
            (DataType::UnsignedTinyInt, Value::UnsignedTinyInt(u8::MAX)),
            (
                DataType::UnsignedSmallInt,
                Value::UnsignedSmallInt(u16::MAX),
            ),
            (DataType::UnsignedInteger, Value::UnsignedInteger(u32::MAX)),
            (DataType::UnsignedBigInt, Value::UnsignedBigInt(u64::MAX)),
            (DataType::Float16, Value::Float16(-0.5)),
            (DataType::BFloat16, Value::BFloat16(-0.5)),
            (DataType::Float, Value::Float(f32::MIN_POSITIVE)),
            (DataType::Double, Value::Double(f64::INFINITY)),
            (DataType::String, Value::String("größe".into())),
            (DataType::Bytes, Value::Bytes(vec![0, 0xff])),
        ]
    }

    fn planned(column: &Column) -> PlannedColumn {
        PlannedColumn::of(column.clone(), &vec![-1; column.data_type.rank()])
    }

    /// The tensor of rows that were encoded one by one.
    fn batch(column: &Column, rows: &[Value]) -> Tensor {
        let cells: Vec<_> = rows
            .iter()
            .map(|value| encode(column, value).unwrap())
            .collect();
        let mut shape = vec![rows.len()];
        shape.extend(&cells[0].shape);
        let data: Vec<u8> = cells.iter().flat_map(|cell| cell.data.to_vec()).collect();
        Tensor::from_raw("t", column.data_type.tensor_datatype(), shape, data.into()).unwrap()
    }

    #[test]
    fn every_type_survives_both_ways_as_scalar_and_in_arrays() {
        let examples = examples();
        assert_eq!(examples.len(), DataType::SCALARS.len());
        for (data_type, value) in examples {
            let column = Column::new("c", data_type.clone());
            let rows = vec![value.clone(), value.clone()];
            assert_eq!(
                decode(&planned(&column), &batch(&column, &rows), true, 2).unwrap(),
                rows
            );

            let array = DataType::Array(Box::new(DataType::Array(Box::new(data_type))));
            let column = Column::new("c", array);
            let inner = Value::Array(vec![value.clone(), value.clone(), value].into());
            let rows = vec![Value::Array(vec![inner.clone(), inner].into())];
            let tensor = batch(&column, &rows);
            assert_eq!(tensor.shape(), [1, 2, 3]);
            assert_eq!(decode(&planned(&column), &tensor, true, 1).unwrap(), rows);
        }
    }

    // Holds F2.
    #[test]
    fn no_type_takes_the_value_of_another_or_null() {
        let examples = examples();
        for (data_type, _) in &examples {
            let column = Column::new("c", data_type.clone());
            for (other, value) in &examples {
                assert_eq!(
                    encode(&column, value).is_ok(),
                    data_type == other,
                    "{other}"
                );
            }
            let error = encode(&column, &Value::Null).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NullInput);
        }
    }

    #[test]
    fn arrays_must_be_rectangular() {
        let column = Column::new(
            "c",
            DataType::Array(Box::new(DataType::Array(Box::new(DataType::Integer)))),
        );
        let array = |length: usize| Value::from(vec![1_i32; length]);
        let error = encode(&column, &Value::Array(vec![array(2), array(3)].into())).unwrap_err();
        insta::assert_snapshot!(error, @"column 'c': its arrays differ in length (2 and 3), so they make no tensor");
        let empty = encode(&column, &Value::Array(Vec::<Value>::new().into())).unwrap();
        assert_eq!(empty.shape, [0, 0]);
    }

    #[test]
    fn an_answer_of_another_size_or_shape_is_refused() {
        let column = Column::new("c", DataType::Integer);
        let tensor = Tensor::from_slice("t", [2, 1], &[1, 2]).unwrap();
        insta::assert_snapshot!(decode(&planned(&column), &tensor, true, 3).unwrap_err(), @"output 't': expected a batch of 3, found shape [2, 1]");
        let tensor = Tensor::from_slice("t", [1, 2], &[1, 2]).unwrap();
        insta::assert_snapshot!(decode(&planned(&column), &tensor, true, 1).unwrap_err(), @"output 't': expected INT, found shape [2]");
        let tensor = Tensor::from_byte_strings("t", [1], [b"\xff"]).unwrap();
        let column = Column::new("c", DataType::String);
        insta::assert_snapshot!(decode(&planned(&column), &tensor, true, 1).unwrap_err(), @"output 't': element 0 is not UTF-8, which a STRING must be; make the column BYTES");
    }
}
