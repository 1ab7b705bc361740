//! What can be wrong with a tensor.

use crate::Datatype;

/// A tensor that contradicts itself, or was read as what it is not.
///
/// ```
/// use triton_protocol::{Tensor, TensorError};
///
/// let error = Tensor::from_slice("x", [2, 2], &[1.0_f32]).unwrap_err();
/// assert!(matches!(error, TensorError::ElementCount { found: 1, .. }));
/// ```
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
    /// The datatype is one of the server's own, which this crate cannot read or write.
    #[error(
        "tensor '{name}': its datatype {datatype} is none of the protocol's, so it cannot be read"
    )]
    UnknownDatatype {
        /// The tensor's name.
        name: String,
        /// Its datatype.
        datatype: Datatype,
    },
    /// An element was read as text that is none.
    #[error("tensor '{name}': expected UTF-8, found other bytes in element {index}")]
    NotText {
        /// The tensor's name.
        name: String,
        /// The element's place, counted from 0.
        index: usize,
    },
    /// A part of a region of shared memory does not hold the tensor.
    #[error(
        "tensor '{name}': expected a part of the shared memory region '{region}' that holds \
         {datatype} elements of shape {shape:?}, found {found} bytes"
    )]
    ByteSize {
        /// The tensor's name.
        name: String,
        /// Its datatype.
        datatype: Datatype,
        /// Its shape.
        shape: Vec<usize>,
        /// The bytes there are.
        found: usize,
        /// The region's name.
        region: String,
    },
    /// The elements are not in the answer: the server has put them into shared memory.
    #[error(
        "tensor '{name}': its elements are not in the answer but in the shared memory region \
         '{region}'; SharedTensor::read reads them there"
    )]
    InSharedMemory {
        /// The tensor's name.
        name: String,
        /// The region's name.
        region: String,
    },
}
