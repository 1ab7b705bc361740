//! Which headers a caller may set: those that say nothing of the bytes that follow them.

use http::HeaderMap;

/// Headers by which client and server agree on a request's bytes and on the connection.
///
/// `Host` is not among them: gateways find the server by it.
const OWN: &[(&str, &str)] = &[
    ("accept-encoding", "ask for a compressed response instead"),
    ("connection", "connections are the client's own"),
    ("content-encoding", "ask for a compressed request instead"),
    (
        "content-length",
        "the client knows the length of what it sends",
    ),
    ("content-type", "the client knows the form of what it sends"),
    ("expect", "the client sends a request at once"),
    (
        "inference-header-content-length",
        "the client knows the length of what it sends",
    ),
    ("keep-alive", "connections are the client's own"),
    (
        "proxy-authorization",
        "set the proxy to an address with credentials",
    ),
    ("proxy-connection", "connections are the client's own"),
    ("te", "connections are the client's own"),
    ("trailer", "the client knows the form of what it sends"),
    (
        "transfer-encoding",
        "the client knows the form of what it sends",
    ),
    ("upgrade", "connections are the client's own"),
];

/// Refuses headers that would contradict the request.
pub(crate) fn check(headers: &HeaderMap) -> Result<(), String> {
    for (name, reason) in OWN {
        if headers.contains_key(*name) {
            return Err(format!(
                "expected no header '{name}', which belongs to the client itself: {reason}"
            ));
        }
    }
    Ok(())
}
