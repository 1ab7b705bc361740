//! Tensors that lie in shared memory: the request and the answer only say where.
//!
//! [Protocol](https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_shared_memory.md)

use bytes::Bytes;

use crate::tensor::count_of;
use crate::{Datatype, Tensor, TensorError};

/// A part of a region of shared memory, system or CUDA, that is registered with the server.
///
/// ```
/// let second_half = triton_protocol::SharedMemory::new("inputs", 2048).at(2048);
/// assert_eq!(second_half.offset, 2048);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SharedMemory {
    /// The name under which the region is registered.
    pub region: String,
    /// Where the part begins in the region, in bytes.
    pub offset: usize,
    /// How large the part is, in bytes.
    pub byte_size: usize,
}

impl SharedMemory {
    /// The first bytes of a region.
    #[must_use]
    pub fn new(region: impl Into<String>, byte_size: usize) -> Self {
        Self {
            region: region.into(),
            offset: 0,
            byte_size,
        }
    }

    /// As many bytes from another place on.
    #[must_use]
    pub fn at(self, offset: usize) -> Self {
        Self { offset, ..self }
    }
}

/// A tensor whose elements lie in shared memory, from where the server takes an input, or where
/// it has put an output.
///
/// It is no [`Tensor`], as it has no elements here that could be taken for those of the model.
///
/// ```
/// use triton_protocol::{Datatype, SharedMemory, SharedTensor};
///
/// let memory = SharedMemory::new("inputs", 12);
/// let input = SharedTensor::new("value", Datatype::Fp32, [1, 3], memory)?;
/// # Ok::<(), triton_protocol::TensorError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedTensor {
    name: String,
    datatype: Datatype,
    shape: Vec<usize>,
    memory: SharedMemory,
}

impl SharedTensor {
    /// A tensor whose elements are in this part of a region, in the binary form of the protocol.
    ///
    /// # Errors
    ///
    /// [`TensorError::Shape`] when no tensor has such a shape, and
    /// [`TensorError::ByteSize`] when the part is larger or smaller than the tensor. How many
    /// bytes a `BYTES` tensor has cannot be told from its shape; it has four for each element at
    /// least.
    pub fn new(
        name: impl Into<String>,
        datatype: Datatype,
        shape: impl Into<Vec<usize>>,
        memory: SharedMemory,
    ) -> Result<Self, TensorError> {
        let tensor = Self {
            name: name.into(),
            datatype,
            shape: shape.into(),
            memory,
        };
        if let Some(error) = TensorError::of_shape(&tensor.name, &tensor.shape) {
            return Err(error);
        }
        let found = tensor.memory.byte_size;
        let fits = match (tensor.least_size(), datatype.element_size()) {
            (Some(size), Some(_)) => found == size,
            (Some(size), None) => found >= size,
            (None, _) => false,
        };
        match fits {
            true => Ok(tensor),
            false => Err(tensor.wrong_size()),
        }
    }

    /// An output that the server has put into a part that was set aside for it.
    pub(crate) fn written(
        name: String,
        datatype: Datatype,
        shape: Vec<usize>,
        mut memory: SharedMemory,
    ) -> Result<Self, TensorError> {
        if let (Some(size), Some(count)) = (datatype.element_size(), count_of(&shape)) {
            memory.byte_size = memory.byte_size.min(count.saturating_mul(size));
        }
        Self::new(name, datatype, shape, memory)
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

    /// Where the elements are: exactly those bytes, but for an output of `BYTES`, which may need
    /// less than the part that was set aside for it.
    #[must_use]
    pub fn memory(&self) -> &SharedMemory {
        &self.memory
    }

    /// A tensor of a copy of the elements, out of the bytes of the whole region.
    ///
    /// # Errors
    ///
    /// [`TensorError::ByteSize`] when the region does not reach so far, and
    /// [`TensorError::Malformed`] when it does not hold `BYTES` elements there.
    ///
    /// ```
    /// use triton_protocol::{Datatype, SharedMemory, SharedTensor};
    ///
    /// let region = [0, 0, 0, 0, 0, 0, 0, 64];
    /// let memory = SharedMemory::new("outputs", 4).at(4);
    /// let output = SharedTensor::new("echo", Datatype::Fp32, [1], memory)?;
    /// assert_eq!(*output.read(&region)?.values::<f32>()?, [2.0]);
    /// # Ok::<(), triton_protocol::TensorError>(())
    /// ```
    pub fn read(&self, region: &[u8]) -> Result<Tensor, TensorError> {
        let SharedMemory {
            offset, byte_size, ..
        } = self.memory;
        let part = region.get(offset..).and_then(|rest| rest.get(..byte_size));
        let part = part.ok_or_else(|| self.wrong_size())?;
        let length = match self.datatype {
            Datatype::Bytes => Tensor::byte_strings_length(part, count_of(&self.shape)),
            _ => Some(part.len()),
        };
        let elements = length.and_then(|length| part.get(..length));
        let elements = elements.ok_or_else(|| TensorError::Malformed {
            name: self.name.clone(),
            datatype: self.datatype,
        })?;
        let data = Bytes::copy_from_slice(elements);
        Tensor::from_raw(&self.name, self.datatype, self.shape.clone(), data)
    }

    /// The fewest bytes that the elements can have.
    fn least_size(&self) -> Option<usize> {
        let size = self.datatype.element_size().unwrap_or(size_of::<u32>());
        count_of(&self.shape)?.checked_mul(size)
    }

    fn wrong_size(&self) -> TensorError {
        TensorError::ByteSize {
            name: self.name.clone(),
            datatype: self.datatype,
            shape: self.shape.clone(),
            found: self.memory.byte_size,
            region: self.memory.region.clone(),
        }
    }
}
