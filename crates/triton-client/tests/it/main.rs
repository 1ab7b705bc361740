//! The client through its public API, against the embedded server and a real Triton.

#![expect(
    clippy::unwrap_used,
    reason = "a test ends where something unexpected comes"
)]

mod calls;
mod conformance;
mod errors;
mod header_providers;
mod malformed_servers;
mod official_client;
mod proofs;
mod proxy;
mod raw_server;
mod round_trip;
mod secrets;
mod tls;
#[cfg(feature = "opentelemetry")]
mod trace_context;
