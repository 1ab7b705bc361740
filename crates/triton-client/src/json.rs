//! Answers of JSON.

use serde::de::DeserializeOwned;
use triton_protocol::wire::unreadable;

use crate::Error;
use crate::transport::{Answer, Context};

/// Reads a JSON answer.
pub(crate) fn read<T: DeserializeOwned>(
    context: &Context<'_>,
    answer: &Answer,
) -> Result<T, Error> {
    let body = &answer.body;
    serde_json::from_slice(body).map_err(|error| context.protocol(unreadable(body, &error)))
}
