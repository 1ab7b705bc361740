//! Which headers a caller may set: those that say nothing of the bytes that follow them.

/// Headers by which client and server agree on a request's bytes and on the connection.
///
/// `Host` is not among them: gateways find the server by it.
const RESERVED: &[(&str, &str)] = &[
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

/// Why nobody but the client itself may set the header `name`, whatever the case of its letters;
/// `None` where others may.
///
/// ```
/// assert!(triton_protocol::reserved_header("Content-Length").is_some());
/// assert!(triton_protocol::reserved_header("Host").is_none());
/// ```
#[must_use]
pub fn reserved_header(name: &str) -> Option<&'static str> {
    let found = RESERVED
        .iter()
        .find(|(reserved, _)| reserved.eq_ignore_ascii_case(name));
    found.map(|(_, reason)| *reason)
}
