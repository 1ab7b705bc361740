//! What can be wrong with a tensor.

use std::fmt;

use super::{MAX_DIMENSIONS, MAX_EMPTY, count_of};
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
    #[error(
        "tensor '{name}': shape {} does not hold {found} elements",
        Shortened(shape)
    )]
    ElementCount {
        /// The tensor's name.
        name: String,
        /// Its shape.
        shape: Vec<usize>,
        /// The number of elements there are.
        found: usize,
    },
    /// No tensor has such a shape: it has more than 100 dimensions, or it holds no elements and its
    /// other sizes are larger than anything bounds.
    #[error(
        "tensor '{name}': shape {} {}",
        Shortened(shape),
        why_impossible(shape)
    )]
    Shape {
        /// The tensor's name.
        name: String,
        /// Its shape.
        shape: Vec<usize>,
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

impl TensorError {
    /// That no tensor has this shape, if none has.
    pub(crate) fn of_shape(name: &str, shape: &[usize]) -> Option<Self> {
        let may_be_impossible = shape.len() > MAX_DIMENSIONS || shape.contains(&0);
        (may_be_impossible && count_of(shape).is_none()).then(|| Self::Shape {
            name: name.to_owned(),
            shape: shape.to_vec(),
        })
    }
}

fn why_impossible(shape: &[usize]) -> String {
    match shape.len() {
        dimensions if dimensions > MAX_DIMENSIONS => {
            format!("has {dimensions} dimensions, expected at most {MAX_DIMENSIONS}")
        }
        _ => format!(
            "holds no elements, so its other sizes may be at most {MAX_EMPTY} before the first 0 \
             and {} in all, each times the others",
            usize::MAX
        ),
    }
}

/// A shape, of which no more is shown than a line holds.
struct Shortened<'a>(&'a [usize]);

impl fmt::Display for Shortened<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 16;
        let Self(shape) = self;
        match shape.get(..SHOWN) {
            Some(first) if first.len() < shape.len() => {
                write!(formatter, "{first:?}…")
            }
            _ => write!(formatter, "{shape:?}"),
        }
    }
}
