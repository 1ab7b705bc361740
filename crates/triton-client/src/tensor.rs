//! Tensors: a name, a datatype, a shape, and the elements in the binary form of the protocol.

use std::borrow::Cow;

use bytemuck::{CheckedBitPattern, NoUninit};
use bytes::{BufMut, Bytes, BytesMut};

use crate::Datatype;

/// Bytes in front of each element of a `BYTES` tensor: its length, little endian.
const LENGTH_PREFIX: usize = size_of::<u32>();

/// A Rust type whose values are elements of a tensor.
pub trait TensorElement: NoUninit + CheckedBitPattern {
    /// The datatype of a tensor of these.
    const DATATYPE: Datatype;
}

macro_rules! tensor_elements {
    ($($element:ty => $datatype:ident),+ $(,)?) => {
        $(impl TensorElement for $element {
            const DATATYPE: Datatype = Datatype::$datatype;
        })+
    };
}

tensor_elements! {
    bool => Bool,
    u8 => Uint8, u16 => Uint16, u32 => Uint32, u64 => Uint64,
    i8 => Int8, i16 => Int16, i32 => Int32, i64 => Int64,
    f32 => Fp32, f64 => Fp64,
}

/// A named tensor, as a request sends it and a response brings it.
///
/// The elements are kept row-major and little-endian, each `BYTES` element behind its length, as
/// the [binary tensor extension](https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md)
/// lays them out. Cloning shares them.
///
/// ```
/// use triton_client::{Datatype, Tensor};
///
/// let tensor = Tensor::from_slice("reading", [2, 2], &[1.0_f32, 2.0, 3.0, 4.0])?;
/// assert_eq!(tensor.datatype(), Datatype::Fp32);
/// assert_eq!(tensor.values::<f32>()?.len(), 4);
/// # Ok::<(), triton_client::TensorError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tensor {
    name: String,
    datatype: Datatype,
    shape: Vec<usize>,
    data: Bytes,
}

impl Tensor {
    /// A tensor of a copy of `values`, row-major.
    ///
    /// # Errors
    ///
    /// [`TensorError::ElementCount`] when `shape` holds more or fewer elements than `values`.
    pub fn from_slice<T: TensorElement>(
        name: impl Into<String>,
        shape: impl Into<Vec<usize>>,
        values: &[T],
    ) -> Result<Self, TensorError> {
        let data = Bytes::copy_from_slice(bytemuck::cast_slice(values));
        Self::from_raw(name, T::DATATYPE, shape, data)
    }

    /// A `BYTES` tensor of copies of byte strings or texts, row-major.
    ///
    /// # Errors
    ///
    /// [`TensorError::ElementCount`] when `shape` holds more or fewer elements than `values`, and
    /// [`TensorError::Malformed`] when an element is longer than 4 GiB.
    ///
    /// ```
    /// let tensor = triton_client::Tensor::from_byte_strings("word", [2], ["to", "be"])?;
    /// let words: Vec<&[u8]> = tensor.byte_strings()?.collect();
    /// assert_eq!(words, [b"to", b"be"]);
    /// # Ok::<(), triton_client::TensorError>(())
    /// ```
    pub fn from_byte_strings<V: AsRef<[u8]>>(
        name: impl Into<String>,
        shape: impl Into<Vec<usize>>,
        values: impl IntoIterator<Item = V>,
    ) -> Result<Self, TensorError> {
        let name = name.into();
        let mut data = BytesMut::new();
        for value in values {
            if push_byte_string(&mut data, value.as_ref()).is_none() {
                let datatype = Datatype::Bytes;
                return Err(TensorError::Malformed { name, datatype });
            }
        }
        Self::from_raw(name, Datatype::Bytes, shape, data.freeze())
    }

    /// A tensor of elements that are already in the binary form of the protocol.
    ///
    /// # Errors
    ///
    /// [`TensorError::ElementCount`] when `shape` holds more or fewer elements than `data`, and
    /// [`TensorError::Malformed`] when `data` ends within an element.
    pub fn from_raw(
        name: impl Into<String>,
        datatype: Datatype,
        shape: impl Into<Vec<usize>>,
        data: Bytes,
    ) -> Result<Self, TensorError> {
        let (name, shape) = (name.into(), shape.into());
        let expected = shape
            .iter()
            .try_fold(1_usize, |count, dimension| count.checked_mul(*dimension));
        let found = element_count(datatype, &data).ok_or_else(|| TensorError::Malformed {
            name: name.clone(),
            datatype,
        })?;
        if expected != Some(found) {
            return Err(TensorError::ElementCount { name, shape, found });
        }
        Ok(Self {
            name,
            datatype,
            shape,
            data,
        })
    }

    /// The name by which the model knows the tensor.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The datatype of the elements.
    #[must_use]
    pub fn datatype(&self) -> Datatype {
        self.datatype
    }

    /// The size of each dimension, the batch dimension first where the model has one.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The elements in the binary form of the protocol.
    #[must_use]
    pub fn raw(&self) -> &Bytes {
        &self.data
    }

    /// The elements, row-major; they are copied only when they lie unaligned in memory.
    ///
    /// # Errors
    ///
    /// [`TensorError::Datatype`] when the tensor's elements are no `T`, and
    /// [`TensorError::Malformed`] when a `BOOL` is neither 0 nor 1.
    pub fn values<T: TensorElement>(&self) -> Result<Cow<'_, [T]>, TensorError> {
        if self.datatype != T::DATATYPE {
            return Err(self.wrong_datatype(T::DATATYPE));
        }
        if let Ok(values) = bytemuck::checked::try_cast_slice(&self.data) {
            return Ok(Cow::Borrowed(values));
        }
        let elements = self.data.chunks_exact(size_of::<T>());
        let values = elements.map(bytemuck::checked::try_pod_read_unaligned);
        values
            .collect::<Result<_, _>>()
            .map(Cow::Owned)
            .map_err(|_| TensorError::Malformed {
                name: self.name.clone(),
                datatype: self.datatype,
            })
    }

    /// The elements of a `BYTES` tensor, row-major.
    ///
    /// # Errors
    ///
    /// [`TensorError::Datatype`] when the tensor's datatype is another.
    pub fn byte_strings(&self) -> Result<impl Iterator<Item = &[u8]>, TensorError> {
        if self.datatype != Datatype::Bytes {
            return Err(self.wrong_datatype(Datatype::Bytes));
        }
        Ok(ByteStrings(&self.data))
    }

    fn wrong_datatype(&self, expected: Datatype) -> TensorError {
        TensorError::Datatype {
            name: self.name.clone(),
            expected,
            found: self.datatype,
        }
    }
}

/// A tensor that contradicts itself, or was read as what it is not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TensorError {
    /// The shape holds another number of elements than there are.
    #[error("tensor '{name}': shape {shape:?} does not hold {found} elements")]
    ElementCount {
        /// The tensor's name.
        name: String,
        /// Its shape.
        shape: Vec<usize>,
        /// The number of elements there are.
        found: usize,
    },
    /// The tensor was read as another datatype than it has.
    #[error("tensor '{name}': expected datatype {expected}, found {found}")]
    Datatype {
        /// The tensor's name.
        name: String,
        /// The datatype asked for.
        expected: Datatype,
        /// The tensor's datatype.
        found: Datatype,
    },
    /// There is no tensor of this name.
    #[error("no tensor '{name}' among: {}", present.join(", "))]
    Missing {
        /// The name asked for.
        name: String,
        /// The names there are.
        present: Vec<String>,
    },
    /// The bytes are not whole elements of the datatype.
    #[error("tensor '{name}': its bytes are not whole {datatype} elements")]
    Malformed {
        /// The tensor's name.
        name: String,
        /// Its datatype.
        datatype: Datatype,
    },
}

/// Appends one element of a `BYTES` tensor, unless it is longer than a length can say.
pub(crate) fn push_byte_string(data: &mut BytesMut, value: &[u8]) -> Option<()> {
    data.put_u32_le(u32::try_from(value.len()).ok()?);
    data.put_slice(value);
    Some(())
}

/// The number of elements in `data`, or `None` when it ends within one.
fn element_count(datatype: Datatype, data: &[u8]) -> Option<usize> {
    if let Some(size) = datatype.element_size() {
        return data.len().is_multiple_of(size).then(|| data.len() / size);
    }
    let mut strings = ByteStrings(data);
    let count = strings.by_ref().count();
    strings.0.is_empty().then_some(count)
}

/// Splits length-prefixed elements; stops before one that is cut short.
struct ByteStrings<'a>(&'a [u8]);

impl<'a> Iterator for ByteStrings<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (prefix, rest) = self.0.split_first_chunk::<LENGTH_PREFIX>()?;
        let length = usize::try_from(u32::from_le_bytes(*prefix)).ok()?;
        let (value, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_must_hold_exactly_the_elements() {
        let tensor = Tensor::from_slice("x", [2, 3], &[1_i32, 2, 3, 4, 5, 6]).unwrap();
        assert_eq!(tensor.raw().len(), 24);
        let error = Tensor::from_slice("x", [2, 2], &[1_i32]).unwrap_err();
        insta::assert_snapshot!(error, @"tensor 'x': shape [2, 2] does not hold 1 elements");
        assert!(Tensor::from_slice("x", [usize::MAX, 2], &[1_i32, 2]).is_err());
        assert!(Tensor::from_slice::<f32>("x", [0, 7], &[]).is_ok());
    }

    #[test]
    fn a_scalar_has_an_empty_shape() {
        assert!(Tensor::from_slice("x", [], &[1.5_f64]).is_ok());
    }

    #[test]
    fn values_are_read_from_unaligned_memory_too() {
        let aligned = Tensor::from_slice("x", [3], &[1.0_f64, -2.0, f64::INFINITY]).unwrap();
        for offset in 0..2 {
            let mut padded = vec![0_u8; offset];
            padded.extend_from_slice(aligned.raw());
            let data = Bytes::from(padded).slice(offset..);
            let tensor = Tensor::from_raw("x", Datatype::Fp64, [3], data).unwrap();
            assert_eq!(*tensor.values::<f64>().unwrap(), [1.0, -2.0, f64::INFINITY]);
        }
    }

    #[test]
    fn a_bool_other_than_0_and_1_is_malformed() {
        let data = Bytes::from_static(&[0, 1, 2]);
        let tensor = Tensor::from_raw("flag", Datatype::Bool, [3], data).unwrap();
        insta::assert_snapshot!(tensor.values::<bool>().unwrap_err(), @"tensor 'flag': its bytes are not whole BOOL elements");
    }

    #[test]
    fn a_tensor_is_read_only_as_what_it_is() {
        let tensor = Tensor::from_slice("x", [1], &[1_u8]).unwrap();
        insta::assert_snapshot!(tensor.values::<i8>().unwrap_err(), @"tensor 'x': expected datatype INT8, found UINT8");
        assert!(tensor.byte_strings().is_err());
    }

    #[test]
    fn byte_strings_may_be_empty_and_need_not_be_text() {
        let values: [&[u8]; 3] = [b"", b"\xff\0", b"abc"];
        let tensor = Tensor::from_byte_strings("b", [3], values).unwrap();
        assert_eq!(tensor.byte_strings().unwrap().collect::<Vec<_>>(), values);
        let cut = tensor.raw().slice(..tensor.raw().len() - 1);
        assert!(Tensor::from_raw("b", Datatype::Bytes, [3], cut).is_err());
    }
}
