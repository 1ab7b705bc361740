//! Elements of one type, in the binary form of a tensor.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use triton_client::{Tensor, TensorElement};

use super::Array;
use crate::half_floats::{to_bf16, to_f16};
use crate::{DataType, Value};

/// Elements of one type, and the shape in which they lie.
#[derive(Debug, Clone)]
pub(crate) struct Packed {
    scalar: DataType,
    /// It has a dimension at least; a STRING is UTF-8, and a BOOLEAN 0 or 1.
    tensor: Tensor,
}

impl Packed {
    /// The tensor is one of this type of scalars, with a dimension at least.
    pub(crate) fn new(scalar: DataType, tensor: Tensor) -> Self {
        debug_assert!(!tensor.shape().is_empty(), "an array has a dimension");
        debug_assert_eq!(scalar.tensor_datatype(), tensor.datatype());
        Self { scalar, tensor }
    }

    /// Elements in binary form; `None` where they do not fit the shape.
    pub(crate) fn of_bytes(scalar: &DataType, shape: &[usize], data: Bytes) -> Option<Self> {
        let tensor = Tensor::from_raw("", scalar.tensor_datatype(), shape, data).ok()?;
        Some(Self::new(scalar.clone(), tensor))
    }

    /// Values of one type without NULL, or arrays of one shape.
    pub(crate) fn of_values(values: &[Value]) -> Option<Self> {
        macro_rules! all {
            ($variant:ident) => {
                all!($variant, Some)
            };
            ($variant:ident, $element:expr) => {{
                let elements = values.iter().map(|value| match value {
                    Value::$variant(value) => $element(*value),
                    _ => None,
                });
                flat(DataType::$variant, elements.collect::<Option<Vec<_>>>()?)
            }};
        }
        match values.first()? {
            Value::Null => None,
            Value::Boolean(_) => all!(Boolean),
            Value::TinyInt(_) => all!(TinyInt),
            Value::SmallInt(_) => all!(SmallInt),
            Value::Integer(_) => all!(Integer),
            Value::BigInt(_) => all!(BigInt),
            Value::UnsignedTinyInt(_) => all!(UnsignedTinyInt),
            Value::UnsignedSmallInt(_) => all!(UnsignedSmallInt),
            Value::UnsignedInteger(_) => all!(UnsignedInteger),
            Value::UnsignedBigInt(_) => all!(UnsignedBigInt),
            Value::Float16(_) => all!(Float16, to_f16),
            Value::BFloat16(_) => all!(BFloat16, to_bf16),
            Value::Float(_) => all!(Float),
            Value::Double(_) => all!(Double),
            Value::String(_) => texts(DataType::String, values, |value| match value {
                Value::String(text) => Some(text.as_bytes()),
                _ => None,
            }),
            Value::Bytes(_) => texts(DataType::Bytes, values, |value| match value {
                Value::Bytes(bytes) => Some(bytes.as_slice()),
                _ => None,
            }),
            Value::Array(_) => nested(values),
        }
    }

    /// The same elements in memory of their own.
    pub(crate) fn compact(&self) -> Self {
        let data = Bytes::copy_from_slice(self.tensor.raw());
        // It is the same data, so it fits; if it did not, the old one would do.
        Self::of_bytes(&self.scalar, self.tensor.shape(), data).unwrap_or_else(|| self.clone())
    }

    /// How many bytes these take, with the header that shared bytes have.
    pub(crate) fn memory(&self) -> usize {
        const SHARED_BYTES: usize = 32;
        size_of::<Self>()
            + size_of_val(self.tensor.shape())
            + SHARED_BYTES
            + self.tensor.raw().len()
    }

    pub(crate) fn scalar(&self) -> &DataType {
        &self.scalar
    }

    pub(crate) fn tensor(&self) -> &Tensor {
        &self.tensor
    }

    pub(crate) fn shape(&self) -> &[usize] {
        self.tensor.shape()
    }

    /// The array of a part of the bytes, which is one element of this one.
    pub(super) fn element(&self, bytes: Range<usize>) -> Option<Array> {
        let data = self.tensor.raw().slice(bytes);
        Self::of_bytes(&self.scalar, &self.shape()[1..], data).map(Array::packed)
    }
}

fn flat<T: TensorElement>(scalar: DataType, elements: Vec<T>) -> Option<Packed> {
    let tensor = Tensor::from_vec("", [elements.len()], elements).ok()?;
    Some(Packed::new(scalar, tensor))
}

fn texts<'a>(
    scalar: DataType,
    values: &'a [Value],
    text: impl Fn(&'a Value) -> Option<&'a [u8]>,
) -> Option<Packed> {
    let texts = values.iter().map(text).collect::<Option<Vec<_>>>()?;
    let tensor = Tensor::from_byte_strings("", [texts.len()], texts).ok()?;
    Some(Packed::new(scalar, tensor))
}

fn nested(values: &[Value]) -> Option<Packed> {
    let packed = values.iter().map(|value| match value {
        Value::Array(array) => array.as_packed(),
        _ => None,
    });
    let packed = packed.collect::<Option<Vec<&Packed>>>()?;
    let first = packed.first()?;
    let is_alike = |it: &&Packed| it.scalar == first.scalar && it.shape() == first.shape();
    if !packed.iter().all(is_alike) {
        return None;
    }
    let shape: Vec<usize> = [values.len()]
        .iter()
        .chain(first.shape())
        .copied()
        .collect();
    if let [only] = packed.as_slice() {
        return Packed::of_bytes(&only.scalar, &shape, only.tensor.raw().clone());
    }
    let mut data = BytesMut::with_capacity(first.tensor.raw().len() * values.len());
    for array in &packed {
        data.extend_from_slice(array.tensor.raw());
    }
    Packed::of_bytes(&first.scalar, &shape, data.freeze())
}
