//! Tensors: a name, a datatype, a shape, and the elements in the binary form of the protocol.

#[cfg(feature = "ndarray")]
mod array;
mod byte_strings;
mod debug;
mod element;
mod elements;
mod error;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};

use crate::{Datatype, Parameter};

pub(crate) use byte_strings::push_byte_string;
pub use element::TensorElement;
pub(crate) use elements::Elements;
pub use error::TensorError;

use byte_strings::{ByteStrings, element_count};

/// The most dimensions of a tensor, as deep as JSON may be nested.
pub(crate) const MAX_DIMENSIONS: usize = 100;

/// The most tensors of a side that a model, or an answer of it, may have.
pub(crate) const MAX_TENSORS: usize = 4096;

/// The most empty parts that a tensor without elements may have: what the sizes before its first 0
/// come to.
const MAX_EMPTY: usize = 1 << 20;

/// A named tensor, as a request sends it and a response brings it.
///
/// The elements are kept row-major and little-endian, each `BYTES` element behind its length, as
/// the [binary tensor extension](https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md)
/// lays them out. Cloning shares them.
///
/// # Copies
///
/// [`from_vec`](Self::from_vec) and [`from_raw`](Self::from_raw) take the caller's memory as it
/// is, and in binary form it goes from there to the socket. On the way back one copy remains: the
/// HTTP library reads into a buffer of its own and hands it over in pieces, which are gathered in
/// one buffer for the whole answer. Tensors are slices of that buffer, and it is placed so that
/// they are aligned: [`values`](Self::values) lends them without a copy, unless a tensor before
/// them in the answer has a length in bytes that is no multiple of their alignment. The JSON form
/// is written and read number by number.
///
/// ```
/// use triton_protocol::{Datatype, Tensor};
///
/// let tensor = Tensor::from_slice("reading", [2, 2], &[1.0_f32, 2.0, 3.0, 4.0])?;
/// assert_eq!(tensor.datatype(), Datatype::Fp32);
/// assert_eq!(tensor.values::<f32>()?.len(), 4);
/// # Ok::<(), triton_protocol::TensorError>(())
/// ```
#[derive(Clone)]
pub struct Tensor {
    name: String,
    datatype: Datatype,
    shape: Vec<usize>,
    elements: Elements,
    parameters: BTreeMap<String, Parameter>,
}

impl PartialEq for Tensor {
    fn eq(&self, other: &Self) -> bool {
        let described = |tensor: &Self| (tensor.datatype, tensor.elements.bytes().clone());
        let same = |(name, value): (&String, &Parameter), (other_name, other): (_, &Parameter)| {
            name == other_name && value.is_same(other)
        };
        self.name == other.name
            && self.shape == other.shape
            && self.parameters.len() == other.parameters.len()
            && self
                .parameters
                .iter()
                .zip(&other.parameters)
                .all(|(parameter, other)| same(parameter, other))
            && described(self) == described(other)
    }
}

impl Eq for Tensor {}

/// How many elements a shape holds, unless no tensor has that shape or they are more than can be
/// counted.
pub(crate) fn count_of(shape: &[usize]) -> Option<usize> {
    if shape.len() > MAX_DIMENSIONS {
        return None;
    }
    let product = |sizes: &[usize]| {
        let mut sizes = sizes.iter();
        sizes.try_fold(1_usize, |count, size| count.checked_mul((*size).max(1)))
    };
    let count = product(shape)?;
    // Where a size is 0 there are no elements, and nothing that was sent bounds the other sizes.
    // Whoever reads a tensor dimension by dimension visits the sizes before the 0, and multiplies
    // those behind it: so their product exists, and the visits are no more than a large batch
    // would take.
    match shape.iter().position(|size| *size == 0) {
        None => Some(count),
        Some(first) => (product(&shape[..first])? <= MAX_EMPTY).then_some(0),
    }
}

impl Tensor {
    /// A tensor of a copy of `values`, row-major.
    ///
    /// # Errors
    ///
    /// [`TensorError::ElementCount`] when `shape` holds more or fewer elements than `values`.
    ///
    /// ```
    /// let tensor = triton_protocol::Tensor::from_slice("flag", [1, 2], &[true, false])?;
    /// # Ok::<(), triton_protocol::TensorError>(())
    /// ```
    pub fn from_slice<T: TensorElement>(
        name: impl Into<String>,
        shape: impl Into<Vec<usize>>,
        values: &[T],
    ) -> Result<Self, TensorError> {
        let data = Bytes::copy_from_slice(bytemuck::cast_slice(values));
        Self::from_raw(name, T::DATATYPE, shape, data)
    }

    /// A tensor of `values`, row-major, which are sent from where they are.
    ///
    /// # Errors
    ///
    /// [`TensorError::ElementCount`] when `shape` holds more or fewer elements than `values`.
    ///
    /// ```
    /// let tensor = triton_protocol::Tensor::from_vec("image", [1, 3, 224, 224], vec![0.0_f32; 150_528])?;
    /// assert_eq!(tensor.raw().len(), 602_112);
    /// # Ok::<(), triton_protocol::TensorError>(())
    /// ```
    pub fn from_vec<T: TensorElement>(
        name: impl Into<String>,
        shape: impl Into<Vec<usize>>,
        values: Vec<T>,
    ) -> Result<Self, TensorError> {
        let elements = Elements::from_vec(values);
        Self::of_elements(name.into(), T::DATATYPE, shape.into(), elements)
    }

    /// A `BYTES` tensor of copies of byte strings or texts, row-major.
    ///
    /// # Errors
    ///
    /// [`TensorError::ElementCount`] when `shape` holds more or fewer elements than `values`, and
    /// [`TensorError::Malformed`] when an element is longer than 4 GiB.
    ///
    /// ```
    /// let tensor = triton_protocol::Tensor::from_byte_strings("word", [2], ["to", "be"])?;
    /// let words: Vec<&[u8]> = tensor.byte_strings()?.collect();
    /// assert_eq!(words, [b"to", b"be"]);
    /// # Ok::<(), triton_protocol::TensorError>(())
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
    ///
    /// ```
    /// use triton_protocol::{Datatype, Tensor};
    ///
    /// let data = bytes::Bytes::from_static(&[0, 60, 0, 64]);
    /// let tensor = Tensor::from_raw("half", Datatype::Fp16, [2], data)?;
    /// # Ok::<(), triton_protocol::TensorError>(())
    /// ```
    pub fn from_raw(
        name: impl Into<String>,
        datatype: Datatype,
        shape: impl Into<Vec<usize>>,
        data: Bytes,
    ) -> Result<Self, TensorError> {
        Self::of_elements(name.into(), datatype, shape.into(), data.into())
    }

    /// A tensor of elements, wherever they came from.
    pub(crate) fn of_elements(
        name: String,
        datatype: Datatype,
        shape: Vec<usize>,
        elements: Elements,
    ) -> Result<Self, TensorError> {
        if matches!(datatype, Datatype::Other(_)) {
            return Err(TensorError::UnknownDatatype { name, datatype });
        }
        let Some(found) = element_count(datatype, elements.bytes()) else {
            return Err(TensorError::Malformed { name, datatype });
        };
        if count_of(&shape) != Some(found) {
            let impossible = TensorError::of_shape(&name, &shape);
            return Err(impossible.unwrap_or(TensorError::ElementCount { name, shape, found }));
        }
        Ok(Self {
            name,
            datatype,
            shape,
            elements,
            parameters: BTreeMap::new(),
        })
    }

    /// Says something of this tensor to a server that knows what it means, for example MLServer's
    /// `content_type`; Triton itself has no such parameters.
    ///
    /// The names by which a tensor says how it travels, such as `binary_data_size`, make the call
    /// fail before anything is sent.
    ///
    /// ```
    /// use triton_protocol::Tensor;
    ///
    /// let tensor = Tensor::from_byte_strings("word", [1], ["été"])?
    ///     .with_parameter("content_type", "str");
    /// assert_eq!(tensor.parameters()["content_type"], "str".into());
    /// # Ok::<(), triton_protocol::TensorError>(())
    /// ```
    #[must_use]
    pub fn with_parameter(mut self, name: impl Into<String>, value: impl Into<Parameter>) -> Self {
        self.parameters.insert(name.into(), value.into());
        self
    }

    pub(crate) fn with_parameters(mut self, parameters: BTreeMap<String, Parameter>) -> Self {
        self.parameters = parameters;
        self
    }

    /// What was said of this tensor beside its elements, but for how it travelled.
    #[must_use]
    pub fn parameters(&self) -> &BTreeMap<String, Parameter> {
        &self.parameters
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
        self.elements.bytes()
    }

    /// The elements, row-major; they are copied only when they lie unaligned in memory.
    ///
    /// # Errors
    ///
    /// [`TensorError::Datatype`] when the tensor's elements are no `T`, and
    /// [`TensorError::Malformed`] when a `BOOL` is neither 0 nor 1.
    ///
    /// ```
    /// # let tensor = triton_protocol::Tensor::from_slice("x", [3], &[1.0_f32, 2.0, 3.0])?;
    /// let sum: f32 = tensor.values::<f32>()?.iter().sum();
    /// # Ok::<(), triton_protocol::TensorError>(())
    /// ```
    pub fn values<T: TensorElement>(&self) -> Result<Cow<'_, [T]>, TensorError> {
        if self.datatype != T::DATATYPE {
            return Err(self.wrong_datatype(T::DATATYPE));
        }
        if let Ok(values) = bytemuck::checked::try_cast_slice(self.raw()) {
            return Ok(Cow::Borrowed(values));
        }
        let elements = self.raw().chunks_exact(size_of::<T>());
        let values = elements.map(bytemuck::checked::try_pod_read_unaligned);
        values
            .collect::<Result<_, _>>()
            .map(Cow::Owned)
            .map_err(|_| self.malformed())
    }

    /// The elements, row-major, as a vector of your own.
    ///
    /// It is the vector that [`from_vec`](Self::from_vec) took, or that the elements were read
    /// into from JSON, where nobody shares it: neither a clone of the tensor nor a request that
    /// is on its way. Otherwise they are copied once.
    ///
    /// # Errors
    ///
    /// Those of [`values`](Self::values).
    ///
    /// ```
    /// let tensor = triton_protocol::Tensor::from_vec("x", [3], vec![1.0_f32, 2.0, 3.0])?;
    /// assert_eq!(tensor.into_vec::<f32>()?, [1.0, 2.0, 3.0]);
    /// # Ok::<(), triton_protocol::TensorError>(())
    /// ```
    pub fn into_vec<T: TensorElement>(self) -> Result<Vec<T>, TensorError> {
        if self.datatype != T::DATATYPE {
            return Err(self.wrong_datatype(T::DATATYPE));
        }
        let Self {
            name,
            datatype,
            shape,
            elements,
            parameters,
        } = self;
        match elements.into_vec() {
            Ok(values) => Ok(values),
            Err(elements) => {
                let tensor = Self {
                    name,
                    datatype,
                    shape,
                    elements,
                    parameters,
                };
                tensor.values::<T>().map(Cow::into_owned)
            }
        }
    }

    /// The elements of a `BYTES` tensor, row-major.
    ///
    /// # Errors
    ///
    /// [`TensorError::Datatype`] when the tensor's datatype is another.
    ///
    /// ```
    /// # let tensor = triton_protocol::Tensor::from_byte_strings("word", [2], ["to", "be"])?;
    /// for word in tensor.byte_strings()? {
    ///     println!("{}", String::from_utf8_lossy(word));
    /// }
    /// # Ok::<(), triton_protocol::TensorError>(())
    /// ```
    pub fn byte_strings(&self) -> Result<impl Iterator<Item = &[u8]>, TensorError> {
        if self.datatype != Datatype::Bytes {
            return Err(self.wrong_datatype(Datatype::Bytes));
        }
        Ok(ByteStrings(self.raw()))
    }

    /// The elements of a `BYTES` tensor that are all text, row-major.
    ///
    /// # Errors
    ///
    /// [`TensorError::Datatype`] when the tensor's datatype is another, and
    /// [`TensorError::NotText`] naming the first element that is not UTF-8.
    ///
    /// ```
    /// # let tensor = triton_protocol::Tensor::from_byte_strings("word", [2], ["to", "be"])?;
    /// let sentence: Vec<&str> = tensor.strings()?.collect();
    /// assert_eq!(sentence.join(" "), "to be");
    /// # Ok::<(), triton_protocol::TensorError>(())
    /// ```
    pub fn strings(&self) -> Result<impl ExactSizeIterator<Item = &str>, TensorError> {
        let texts = self.byte_strings()?.enumerate().map(|(index, value)| {
            std::str::from_utf8(value).map_err(|_| TensorError::NotText {
                name: self.name.clone(),
                index,
            })
        });
        Ok(texts.collect::<Result<Vec<_>, _>>()?.into_iter())
    }

    /// How many bytes so many elements take of `data`.
    pub(crate) fn byte_strings_length(data: &[u8], count: Option<usize>) -> Option<usize> {
        let mut strings = ByteStrings(data);
        let found = strings.by_ref().take(count?).count();
        (Some(found) == count).then_some(data.len() - strings.0.len())
    }

    fn wrong_datatype(&self, expected: Datatype) -> TensorError {
        TensorError::Datatype {
            name: self.name.clone(),
            expected,
            found: self.datatype,
        }
    }

    fn malformed(&self) -> TensorError {
        TensorError::Malformed {
            name: self.name.clone(),
            datatype: self.datatype,
        }
    }
}
