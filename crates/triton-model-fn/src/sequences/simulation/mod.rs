//! A simulated server and network on virtual time, which drive the sequences of a function as a
//! whole. (`quinn-proto` tests its machine so, between two ends of a network that is none.)
//!
//! The server and the network are pure pictures; [`transport`] lets tokio's paused time go by for
//! them, and [`function`] is all that the tests know of the core.

mod client_errors;
mod expected;
mod function;
mod history;
mod long_replay_tests;
mod memory_tests;
mod network;
mod network_tests;
mod opening_tests;
mod place_tests;
mod property_tests;
mod recovery_tests;
mod run;
mod server;
mod server_tests;
mod transport;
