//! A simulated server and network on virtual time, which drive the sequences of a function as a
//! whole. (`quinn-proto` tests its machine so, between two ends of a network that is none.)
//!
//! The server and the network are pure pictures; [`transport`] lets tokio's paused time go by for
//! them, and [`function`] is all that the tests know of the core.

mod client_errors;
mod function;
mod network;
mod server;
mod server_tests;
mod transport;
