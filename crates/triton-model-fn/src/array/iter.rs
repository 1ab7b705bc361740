//! The elements of an array, one value at a time.

use std::slice;

use half::{bf16, f16};

use super::{Array, Packed, Repr};
use crate::{DataType, Value};

/// The elements of an [`Array`].
#[derive(Debug, Clone)]
pub struct ArrayElements<'a>(Source<'a>);

#[derive(Debug, Clone)]
enum Source<'a> {
    Packed {
        packed: &'a Packed,
        /// Where the next element begins.
        at: usize,
        left: usize,
    },
    Values(slice::Iter<'a, Value>),
}

impl Array {
    /// The elements one by one; those of an array of arrays are arrays.
    #[must_use]
    pub fn iter(&self) -> ArrayElements<'_> {
        ArrayElements::of(self)
    }
}

impl<'a> IntoIterator for &'a Array {
    type Item = Value;
    type IntoIter = ArrayElements<'a>;

    fn into_iter(self) -> ArrayElements<'a> {
        self.iter()
    }
}

impl<'a> ArrayElements<'a> {
    pub(super) fn of(array: &'a Array) -> Self {
        Self(match &array.0 {
            Repr::Packed(packed) => Source::Packed {
                packed,
                at: 0,
                left: packed.shape()[0],
            },
            Repr::Values(values) => Source::Values(values.iter()),
        })
    }
}

impl Iterator for ArrayElements<'_> {
    type Item = Value;

    fn next(&mut self) -> Option<Value> {
        match &mut self.0 {
            Source::Values(values) => values.next().cloned(),
            Source::Packed { left: 0, .. } => None,
            Source::Packed { packed, at, left } => {
                *left -= 1;
                let rest = &packed.tensor().raw()[*at..];
                let inner = &packed.shape()[1..];
                if inner.is_empty() {
                    let (value, length) = scalar(packed.scalar(), rest)?;
                    *at += length;
                    return Some(value);
                }
                let length = length(packed.scalar(), rest, inner.iter().product())?;
                let element = packed.element(*at..*at + length);
                *at += length;
                element.map(Value::Array)
            }
        }
    }

    fn nth(&mut self, places: usize) -> Option<Value> {
        if let Source::Packed { packed, at, left } = &mut self.0 {
            let skipped = places.min(*left);
            let elements = skipped * packed.shape()[1..].iter().product::<usize>();
            let rest = &packed.tensor().raw()[*at..];
            *at += length(packed.scalar(), rest, elements)?;
            *left -= skipped;
            return self.next();
        }
        (0..places).try_for_each(|_| self.next().map(drop))?;
        self.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = match &self.0 {
            Source::Packed { left, .. } => *left,
            Source::Values(values) => values.len(),
        };
        (left, Some(left))
    }
}

impl ExactSizeIterator for ArrayElements<'_> {}

/// The first scalar, and how many bytes it takes; `None` where they are not those of a tensor.
fn scalar(scalar: &DataType, bytes: &[u8]) -> Option<(Value, usize)> {
    macro_rules! number {
        ($variant:ident, $type:ty) => {
            number!($variant, $type, |number| number)
        };
        ($variant:ident, $type:ty, $value:expr) => {{
            let (bytes, _) = bytes.split_first_chunk::<{ size_of::<$type>() }>()?;
            let number = <$type>::from_le_bytes(*bytes);
            (Value::$variant($value(number)), bytes.len())
        }};
    }
    Some(match scalar {
        DataType::Boolean => (Value::Boolean(*bytes.first()? != 0), 1),
        DataType::TinyInt => number!(TinyInt, i8),
        DataType::SmallInt => number!(SmallInt, i16),
        DataType::Integer => number!(Integer, i32),
        DataType::BigInt => number!(BigInt, i64),
        DataType::UnsignedTinyInt => number!(UnsignedTinyInt, u8),
        DataType::UnsignedSmallInt => number!(UnsignedSmallInt, u16),
        DataType::UnsignedInteger => number!(UnsignedInteger, u32),
        DataType::UnsignedBigInt => number!(UnsignedBigInt, u64),
        DataType::Float16 => number!(Float16, f16, f16::to_f32),
        DataType::BFloat16 => number!(BFloat16, bf16, bf16::to_f32),
        DataType::Float => number!(Float, f32),
        DataType::Double => number!(Double, f64),
        DataType::String => {
            let text = byte_string(bytes)?;
            let value = Value::String(str::from_utf8(text).ok()?.to_owned());
            (value, size_of::<u32>() + text.len())
        }
        DataType::Bytes => {
            let value = byte_string(bytes)?;
            let length = size_of::<u32>() + value.len();
            (Value::Bytes(value.to_vec()), length)
        }
        DataType::Array(_) => return None,
    })
}

fn byte_string(bytes: &[u8]) -> Option<&[u8]> {
    let (length, rest) = bytes.split_first_chunk()?;
    rest.get(..u32::from_le_bytes(*length) as usize)
}

/// How many bytes so many scalars take.
pub(crate) fn length(scalar: &DataType, bytes: &[u8], count: usize) -> Option<usize> {
    match scalar.tensor_datatype().element_size() {
        Some(size) => Some(size * count),
        None => (0..count).try_fold(0, |at, _| {
            let text = byte_string(bytes.get(at..)?)?;
            Some(at + size_of::<u32>() + text.len())
        }),
    }
}
