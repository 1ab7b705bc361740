//! Server metadata: which server this is and which extensions it has.
//!
//! [Protocol](https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md#server-metadata)

use serde::Deserialize;

use crate::tolerant::{text, texts};

/// What a server says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct ServerMetadata {
    /// The name it was given, `triton` unless configured; empty where it does not tell.
    #[serde(default, deserialize_with = "text")]
    pub name: String,
    /// The server's version, for example `2.51.0`; empty where it does not tell.
    #[serde(default, deserialize_with = "text")]
    pub version: String,
    /// The protocol extensions it has, for example `sequence` and `binary_tensor_data`.
    #[serde(default, deserialize_with = "texts")]
    pub extensions: Vec<String>,
}
