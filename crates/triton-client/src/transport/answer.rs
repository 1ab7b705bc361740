//! An answer that is there as a whole.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{HeaderName, LOCATION};
use http::{HeaderMap, StatusCode};

use super::retry_after::retry_after;

/// The header that says how many bytes of a body are JSON, before any compression
/// ([protocol](https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md)).
pub(super) const JSON_LENGTH: HeaderName =
    HeaderName::from_static("inference-header-content-length");

/// An answer read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    /// How many bytes of the body are JSON, where tensors in binary form follow.
    pub(crate) json_length: Option<usize>,
    /// The least wait before another attempt, where the answer names one.
    pub(crate) retry_after: Option<Duration>,
    /// Where the answer leads to, if it is a redirect.
    pub(crate) location: Option<String>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// Whether some of the body is missing, which is so with refusals only.
    pub(crate) is_cut: bool,
    /// Whether the server had the whole request before it answered, as far as is known here.
    pub(crate) request_was_sent: bool,
}

impl Answer {
    /// A whole answer that refuses, to a request that was sent as a whole.
    pub(crate) fn refusing(status: StatusCode, headers: &HeaderMap, body: Bytes) -> Self {
        let location = headers.get(LOCATION).filter(|_| status.is_redirection());
        Self {
            status,
            json_length: None,
            retry_after: retry_after(headers, SystemTime::now()),
            location: location.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()),
            headers: HeaderMap::new(),
            body,
            is_cut: false,
            request_was_sent: true,
        }
    }
}
