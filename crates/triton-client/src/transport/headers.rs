//! Headers of the caller, which must not contradict the request that they go with.

use http::HeaderMap;
use triton_protocol::reserved_header;

/// Refuses headers that would contradict the request.
pub(crate) fn check(headers: &HeaderMap) -> Result<(), String> {
    for name in headers.keys() {
        if let Some(reason) = reserved_header(name.as_str()) {
            return Err(format!(
                "expected no header '{name}', which belongs to the client itself: {reason}"
            ));
        }
    }
    Ok(())
}
