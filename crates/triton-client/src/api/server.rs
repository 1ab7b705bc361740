//! Server metadata: which server this is and which extensions it has.
//!
//! [Protocol](https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md#server-metadata)

use crate::operation::Operation;
use crate::transport::{Call, Pool};
use crate::{Client, Error, ServerMetadata};

impl Client {
    /// Asks the server for its name, version and extensions.
    ///
    /// # Errors
    ///
    /// Any failure of the call.
    ///
    /// ```no_run
    /// # async fn example(client: triton_client::Client) -> Result<(), triton_client::Error> {
    /// let server = client.server_metadata().await?;
    /// println!("{} {}", server.name, server.version);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn server_metadata(&self) -> Result<ServerMetadata, Error> {
        let operation = Operation::server("server_metadata", "read server metadata", "v2");
        self.json(Call::get(operation, Pool::Data)).await
    }
}
