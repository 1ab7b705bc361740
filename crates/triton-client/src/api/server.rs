//! Server metadata: which server this is and which extensions it has.
//!
//! [Protocol](https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md#server-metadata)

use serde::Deserialize;

use crate::operation::Operation;
use crate::transport::{Call, Pool};
use crate::{Client, Error};

/// What a server says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct ServerMetadata {
    /// The name it was given, `triton` unless configured.
    pub name: String,
    /// The server's version, for example `2.51.0`.
    pub version: String,
    /// The protocol extensions it has, for example `sequence` and `binary_tensor_data`.
    #[serde(default)]
    pub extensions: Vec<String>,
}

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
