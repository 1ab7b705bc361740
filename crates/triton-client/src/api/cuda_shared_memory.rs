//! CUDA shared memory: regions of a GPU's memory that the server maps under names.
//!
//! Status and unregistration are tested on a server without a GPU; registration follows the
//! protocol page and was never tried on a GPU.
//!
//! [Protocol](https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_shared_memory.md#cuda-shared-memory)

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::json;

use super::system_shared_memory::RegionCall;
use crate::transport::{Call, Payload, Pool};
use crate::{Client, Error};

const KIND: &str = "cudasharedmemory";

/// A region to register.
///
/// ```
/// use triton_client::CudaRegion;
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

/// A region that is registered.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct CudaRegionStatus {
    /// The name that it was given.
    pub name: String,
    /// The GPU whose memory it is.
    pub device_id: u64,
    /// How large the region is, in bytes.
    pub byte_size: u64,
}

impl Client {
    /// Lists the regions of CUDA shared memory, or the one called `region`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when there is no such region, and any
    /// other failure of the call.
    ///
    /// ```no_run
    /// # async fn example(client: triton_client::Client) -> Result<(), triton_client::Error> {
    /// println!("{} regions", client.cuda_shared_memory(None).await?.len());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn cuda_shared_memory(
        &self,
        region: Option<&str>,
    ) -> Result<Vec<CudaRegionStatus>, Error> {
        let operation = RegionCall {
            kind: KIND,
            name: "cuda_shared_memory",
            words: "read the status of",
            suffix: "/status",
            all: "v2/cudasharedmemory/status",
        };
        let operation = operation.of(self, region)?;
        self.json(Call::get(operation, Pool::Control)).await
    }

    /// Lets the server map a region of a GPU's memory under a name. Never tried on a GPU.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Rejected`](crate::ErrorKind::Rejected) when the name is taken or the server
    /// cannot open the handle, and any other failure of the call.
    ///
    /// ```no_run
    /// # async fn example(client: triton_client::Client) -> Result<(), triton_client::Error> {
    /// use triton_client::CudaRegion;
    ///
    /// let region = CudaRegion { raw_handle: vec![0; 64], device_id: 0, byte_size: 4096 };
    /// client.register_cuda_shared_memory("inputs", &region).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn register_cuda_shared_memory(
        &self,
        name: &str,
        region: &CudaRegion,
    ) -> Result<(), Error> {
        let operation = RegionCall {
            kind: KIND,
            name: "register_cuda_shared_memory",
            words: "register",
            suffix: "/register",
            all: "",
        };
        let operation = operation.of(self, Some(name))?;
        let body = json!({
            "raw_handle": { "b64": STANDARD.encode(&region.raw_handle) },
            "device_id": region.device_id,
            "byte_size": region.byte_size,
        });
        let payload = Payload::json(body.to_string());
        self.done(Call::post(operation, Pool::Control, payload))
            .await
    }

    /// Makes the server forget a region, or all of them; one that it does not know is no error.
    ///
    /// # Errors
    ///
    /// Any failure of the call.
    ///
    /// ```no_run
    /// # async fn example(client: triton_client::Client) -> Result<(), triton_client::Error> {
    /// client.unregister_cuda_shared_memory(None).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn unregister_cuda_shared_memory(&self, region: Option<&str>) -> Result<(), Error> {
        let operation = RegionCall {
            kind: KIND,
            name: "unregister_cuda_shared_memory",
            words: "unregister",
            suffix: "/unregister",
            all: "v2/cudasharedmemory/unregister",
        };
        let operation = operation.of(self, region)?;
        self.done(Call::post(operation, Pool::Control, Payload::json("{}")))
            .await
    }
}
