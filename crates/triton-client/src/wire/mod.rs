//! How requests and responses look as bytes.

pub(crate) mod infer;
mod json_data;
mod json_tokens;

use serde::de::DeserializeOwned;

use crate::Error;
use crate::error::Operation;
use crate::transport::Transport;

/// Reads a JSON answer.
pub(crate) fn json<T: DeserializeOwned>(
    transport: &Transport,
    operation: &Operation,
    body: &[u8],
) -> Result<T, Error> {
    serde_json::from_slice(body).map_err(|error| malformed(transport, operation, body, error))
}

/// The error for an answer that is not the JSON it should be, with the beginning of what it is.
fn malformed(
    transport: &Transport,
    operation: &Operation,
    body: &[u8],
    error: serde_json::Error,
) -> Error {
    const SHOWN: usize = 120;
    let text = String::from_utf8_lossy(&body[..body.len().min(SHOWN)]);
    let message = format!(
        "the answer is not what the protocol promises: {error}; its {} bytes begin with '{}'",
        body.len(),
        text.escape_debug()
    );
    transport
        .protocol_error(operation, message)
        .with_source(error)
}
