//! The client through its public API, against the embedded server and a real Triton.

#![expect(
    clippy::unwrap_used,
    reason = "a test ends where something unexpected comes"
)]

mod calls;
mod conformance;
mod early_answers;
mod errors;
mod features;
mod headers;
mod malformed_servers;
mod negotiation;
mod official_client;
mod proxy;
mod raw_server;
mod round_trip;
mod secrets;
mod streams;
#[cfg(any(feature = "rustls", feature = "native-tls"))]
mod tls;
mod wrong_addresses;
