//! System shared memory: regions that the server maps, under names that requests can use.
//!
//! [Protocol](https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_shared_memory.md)

use serde::{Deserialize, Serialize};

use crate::tolerant::{number, text};

/// A region to register.
///
/// ```
/// use triton_protocol::SystemRegion;
///
/// let region = SystemRegion { key: "/inputs".to_owned(), offset: 0, byte_size: 4096 };
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SystemRegion {
    /// The name by which the system knows the memory object, as of `shm_open`.
    pub key: String,
    /// Where the region begins in it, in bytes.
    pub offset: u64,
    /// How large the region is, in bytes.
    pub byte_size: u64,
}

/// A region that is registered.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct SystemRegionStatus {
    /// The name that it was given.
    #[serde(deserialize_with = "text")]
    pub name: String,
    /// The name by which the system knows the memory object.
    #[serde(default, deserialize_with = "text")]
    pub key: String,
    /// Where the region begins in it, in bytes.
    #[serde(default, deserialize_with = "number")]
    pub offset: u64,
    /// How large the region is, in bytes.
    #[serde(default, deserialize_with = "number")]
    pub byte_size: u64,
}
