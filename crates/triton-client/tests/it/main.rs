//! The client through its public API, against the embedded server and a real Triton.

#![expect(
    clippy::unwrap_used,
    reason = "a test ends where something unexpected comes"
)]

mod calls;
mod conformance;
mod early_answers;
mod endless;
mod errors;
mod examples;
mod features;
mod header_providers;
mod headers;
mod http_service;
mod injections;
mod malformed_servers;
mod negotiation;
mod official_client;
mod other_servers;
mod proofs;
mod proxy;
mod raw_server;
mod replicas;
mod round_trip;
mod secrets;
mod shared_memory;
mod streams;
#[cfg(any(feature = "rustls", feature = "native-tls"))]
mod tls;
#[cfg(feature = "opentelemetry")]
mod trace_context;
mod wrong_addresses;
