//! What the fuzz targets call: what reads the words of a server that refuses.

use http::{HeaderMap, StatusCode};

use crate::operation::Operation;
use crate::transport::Answer;
use crate::{Client, Error};

/// What a client makes of a refusal with these headers and this body.
#[must_use]
pub fn refusal(client: &Client, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Error {
    let operation = Operation::server("fuzz", "fuzz", "v2");
    let answer = Answer::refusing(status, headers, body.to_vec().into());
    client.context(operation).refusal(&answer)
}
