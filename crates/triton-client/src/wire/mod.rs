//! How requests and responses look as bytes.

pub(crate) mod decode;
pub(crate) mod encode;
mod json_data;
pub(crate) mod json_text;
pub(crate) mod json_tokens;
pub(crate) mod server_sent_events;

use serde::de::DeserializeOwned;

use crate::Error;
use crate::transport::{Answer, Context};

/// Reads a JSON answer.
pub(crate) fn json<T: DeserializeOwned>(
    context: &Context<'_>,
    answer: &Answer,
) -> Result<T, Error> {
    let body = &answer.body;
    serde_json::from_slice(body).map_err(|error| context.protocol(unreadable(body, &error)))
}

/// Says that a body is not the JSON it should be, and shows its beginning.
pub(crate) fn unreadable(body: &[u8], error: &serde_json::Error) -> String {
    const SHOWN: usize = 120;
    let text = String::from_utf8_lossy(&body[..body.len().min(SHOWN)]);
    format!(
        "the answer is not what the protocol promises: {error}; its {} bytes begin with '{}'",
        body.len(),
        text.escape_debug()
    )
}
