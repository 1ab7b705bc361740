//! CUDA shared memory: regions of a GPU's memory that the server maps under names.
//!
//! Status and unregistration are tested on a server without a GPU; registration follows the
//! protocol page and was never tried on a GPU.
//!
//! [Protocol](https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_shared_memory.md#cuda-shared-memory)

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::ser::SerializeStruct as _;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::json;

use crate::tolerant::{number, text};

/// A region to register.
///
/// ```
/// use triton_protocol::CudaRegion;
///
/// let region = CudaRegion { raw_handle: vec![0; 64], device_id: 0, byte_size: 4096 };
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CudaRegion {
    /// The bytes of the `cudaIpcMemHandle_t`.
    pub raw_handle: Vec<u8>,
    /// The GPU whose memory it is.
    pub device_id: u64,
    /// How large the region is, in bytes.
    pub byte_size: u64,
}

impl Serialize for CudaRegion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let handle = json!({ "b64": STANDARD.encode(&self.raw_handle) });
        let mut body = serializer.serialize_struct("CudaRegion", 3)?;
        body.serialize_field("raw_handle", &handle)?;
        body.serialize_field("device_id", &self.device_id)?;
        body.serialize_field("byte_size", &self.byte_size)?;
        body.end()
    }
}

/// A region that is registered.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct CudaRegionStatus {
    /// The name that it was given.
    #[serde(deserialize_with = "text")]
    pub name: String,
    /// The GPU whose memory it is.
    #[serde(default, deserialize_with = "number")]
    pub device_id: u64,
    /// How large the region is, in bytes.
    #[serde(default, deserialize_with = "number")]
    pub byte_size: u64,
}
