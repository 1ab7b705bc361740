//! The memory of a tensor's elements, which may be a vector that the caller gave or can have.

use std::any::Any;
use std::sync::Arc;

use bytes::Bytes;

use super::TensorElement;

/// Elements in the binary form of the protocol. Cloning shares them.
#[derive(Clone)]
pub(crate) struct Elements {
    bytes: Bytes,
    /// The `Vec<T>` that the bytes are, where they are one: `Bytes` does not give it back.
    vector: Option<Arc<dyn Any + Send + Sync>>,
}

impl Elements {
    /// The elements of a vector, where they are.
    pub(crate) fn from_vec<T: TensorElement>(values: Vec<T>) -> Self {
        let vector = Arc::new(values);
        Self {
            bytes: Bytes::from_owner(Lent(Arc::clone(&vector))),
            vector: Some(vector),
        }
    }

    pub(crate) fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The vector that they are, unless they are none of `T` or somebody shares them.
    pub(crate) fn into_vec<T: TensorElement>(self) -> Result<Vec<T>, Self> {
        let Self { bytes, vector } = self;
        match vector.map(Arc::downcast::<Vec<T>>) {
            Some(Ok(vector)) => {
                // They hold the vector, too. Where others do so as well, it cannot be had, but
                // with a count of its own nobody else can come to hold it meanwhile.
                drop(bytes);
                Arc::try_unwrap(vector).map_err(|vector| Self {
                    bytes: Bytes::from_owner(Lent(Arc::clone(&vector))),
                    vector: Some(vector),
                })
            }
            Some(Err(vector)) => Err(Self {
                bytes,
                vector: Some(vector),
            }),
            None => Err(Self {
                bytes,
                vector: None,
            }),
        }
    }
}

impl From<Bytes> for Elements {
    fn from(bytes: Bytes) -> Self {
        Self {
            bytes,
            vector: None,
        }
    }
}

/// Values that are lent to the network as the bytes they consist of.
struct Lent<T>(Arc<Vec<T>>);

impl<T: TensorElement> AsRef<[u8]> for Lent<T> {
    fn as_ref(&self) -> &[u8] {
        bytemuck::cast_slice(&self.0)
    }
}
