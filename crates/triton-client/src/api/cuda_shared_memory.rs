//! CUDA shared memory: regions of a GPU's memory that the server maps under names.
//!
//! Status and unregistration are tested on a server without a GPU; registration follows the
//! protocol page and was never tried on a GPU.
//!
//! [Protocol](https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_shared_memory.md#cuda-shared-memory)

use super::system_shared_memory::RegionCall;
use crate::transport::{Call, Payload, Pool};
use crate::{Client, CudaRegion, CudaRegionStatus, Error};
use serde_json::json;

const KIND: &str = "cudasharedmemory";

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
        let payload = Payload::json(json!(region).to_string());
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
