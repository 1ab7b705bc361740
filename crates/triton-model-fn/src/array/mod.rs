//! Values of `ARRAY<…>` columns: typed elements behind each other, and not a value for each of them.

mod iter;
mod packed;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use triton_client::{Tensor, TensorElement};

use crate::tensor_elements::check_elements;
use crate::{DataType, Error, ErrorKind, Value};

pub use iter::ArrayElements;
pub(crate) use iter::length;
pub(crate) use packed::Packed;

/// The value of an `ARRAY<…>` column.
///
/// Where all elements have one type, none is NULL, and arrays within it have one shape, they lie
/// behind each other as a tensor has them: an array of a million floats is four million bytes, goes
/// to the socket from where it is, and comes back as a part of the answer it came in. Such an array
/// keeps the memory of that answer alive. Others, which no tensor can hold, keep a [`Value`] for each
/// element.
///
/// ```
/// use triton_model_fn::{Array, Value};
///
/// let image = Array::with_shape(vec![0.5_f32; 12], [3, 2, 2])?;
/// assert_eq!((image.len(), image.shape()), (3, Some(&[3, 2, 2][..])));
/// assert_eq!(image.values::<f32>().map(|values| values.len()), Some(12));
///
/// let same: Array = [1.0, 2.0].into_iter().map(Value::Float).collect();
/// assert_eq!(same, Array::from(vec![1.0_f32, 2.0]));
/// # Ok::<(), triton_model_fn::Error>(())
/// ```
#[derive(Clone)]
pub struct Array(Repr);

#[derive(Clone)]
enum Repr {
    Packed(Box<Packed>),
    /// What cannot be packed, and what has no element to tell its type by.
    Values(Vec<Value>),
}

impl Array {
    /// An array of arrays of `values`, row-major, which are sent from where they are.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`] when `shape` has no dimension, or holds more or fewer elements than
    /// there are values.
    pub fn with_shape<T: TensorElement>(
        values: Vec<T>,
        shape: impl Into<Vec<usize>>,
    ) -> Result<Self, Error> {
        let refused = |message: String| Error::new(ErrorKind::Input, message);
        let shape = shape.into();
        if shape.is_empty() {
            return Err(refused("an array has at least one dimension".to_owned()));
        }
        let tensor = Tensor::from_vec("array", shape, values);
        let tensor = tensor.map_err(|error| refused(error.to_string()))?;
        let Some(scalar) = DataType::of_elements(T::DATATYPE) else {
            return Err(refused(format!("no column is of {}", T::DATATYPE)));
        };
        Ok(Self::packed(Packed::new(scalar, tensor)))
    }

    /// An array of scalars of a type that are already in the binary form of a tensor: row-major,
    /// little-endian, a BOOLEAN as a byte, a text or byte string behind its length in 4 bytes.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`] when `scalar` is an array, `shape` has no dimension or holds more or
    /// fewer elements than `data`, a BOOLEAN is neither 0 nor 1, or a STRING is not UTF-8.
    pub fn from_raw(
        scalar: &DataType,
        shape: impl Into<Vec<usize>>,
        data: impl Into<Bytes>,
    ) -> Result<Self, Error> {
        let refused = |message: String| Error::new(ErrorKind::Input, message);
        let shape = shape.into();
        if shape.is_empty() || scalar.rank() > 0 {
            let message = format!("expected scalars in a shape, found {scalar} and {shape:?}");
            return Err(refused(message));
        }
        let tensor = Tensor::from_raw("array", scalar.tensor_datatype(), shape, data.into());
        let tensor = tensor.map_err(|error| refused(error.to_string()))?;
        check_elements(scalar, &tensor).map_err(refused)?;
        Ok(Self::packed(Packed::new(scalar.clone(), tensor)))
    }

    /// The binary form of the scalars of an array that could be a tensor.
    #[must_use]
    pub fn raw(&self) -> Option<&Bytes> {
        self.as_packed().map(|packed| packed.tensor().raw())
    }

    /// How many elements there are; those of arrays within it do not count.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.0 {
            Repr::Packed(packed) => packed.shape()[0],
            Repr::Values(values) => values.len(),
        }
    }

    /// Whether there is no element.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The size of each dimension, for an array that could be a tensor as it is.
    #[must_use]
    pub fn shape(&self) -> Option<&[usize]> {
        self.as_packed().map(Packed::shape)
    }

    /// All scalars of an array that could be a tensor, row-major; `None` where they are no `T`.
    #[must_use]
    pub fn values<T: TensorElement>(&self) -> Option<Cow<'_, [T]>> {
        self.as_packed()?.tensor().values().ok()
    }

    /// Whether all scalars of an array that could be a tensor have the same number of bytes.
    #[must_use]
    pub fn is_of_fixed_width(&self) -> bool {
        let datatype = self.as_packed().map(|packed| packed.tensor().datatype());
        datatype.is_some_and(|datatype| datatype.element_size().is_some())
    }

    /// The element at a place; one after the last is none.
    ///
    /// Where texts or byte strings lie before it, they are skipped one by one.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Value> {
        self.iter().nth(index)
    }

    /// Whether an element is NULL, at any depth.
    #[must_use]
    pub fn holds_null(&self) -> bool {
        match &self.0 {
            Repr::Packed(_) => false,
            Repr::Values(values) => values.iter().any(|value| match value {
                Value::Null => true,
                Value::Array(array) => array.holds_null(),
                _ => false,
            }),
        }
    }

    /// The same array in memory of its own: one that came in an answer keeps all of that alive.
    pub(crate) fn compact(&self) -> Self {
        Self(match &self.0 {
            Repr::Packed(packed) => Repr::Packed(Box::new(packed.compact())),
            Repr::Values(values) => Repr::Values(values.iter().map(Value::compact).collect()),
        })
    }

    /// How many bytes a [compact](Self::compact) array has beside the place of its value.
    pub(crate) fn memory(&self) -> usize {
        match &self.0 {
            Repr::Packed(packed) => packed.memory(),
            Repr::Values(values) => values.iter().map(Value::memory).sum(),
        }
    }

    /// Elements as a tensor has them, which are known to be valid.
    pub(crate) fn packed(packed: Packed) -> Self {
        Self(Repr::Packed(Box::new(packed)))
    }

    pub(crate) fn as_packed(&self) -> Option<&Packed> {
        match &self.0 {
            Repr::Packed(packed) => Some(packed),
            Repr::Values(_) => None,
        }
    }
}

/// No element.
impl Default for Array {
    fn default() -> Self {
        Self(Repr::Values(Vec::new()))
    }
}

impl From<Vec<Value>> for Array {
    fn from(values: Vec<Value>) -> Self {
        match Packed::of_values(&values) {
            Some(packed) => Self::packed(packed),
            None => Self(Repr::Values(values)),
        }
    }
}

impl FromIterator<Value> for Array {
    fn from_iter<I: IntoIterator<Item = Value>>(values: I) -> Self {
        values.into_iter().collect::<Vec<_>>().into()
    }
}

impl<T: TensorElement> From<Vec<T>> for Array {
    fn from(values: Vec<T>) -> Self {
        let scalar = DataType::of_elements(T::DATATYPE);
        let count = values.len();
        // One dimension of so many elements fits them, and every type of elements is a column's.
        let tensor = Tensor::from_vec("array", [count], values).ok();
        match scalar.zip(tensor) {
            Some((scalar, tensor)) => Self::packed(Packed::new(scalar, tensor)),
            None => Self::default(),
        }
    }
}

/// Arrays are equal when their elements are, however they are kept.
impl PartialEq for Array {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl fmt::Debug for Array {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.iter()).finish()
    }
}
