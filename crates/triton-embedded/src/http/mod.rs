//! HTTP/1.1 by hand: a stand-in for Triton's own server needs its exact header lines and its
//! habits with broken requests, and a fault script needs every byte of an answer.

mod delivery;
mod listener;
mod message;
mod reader;

pub(crate) use delivery::Delivery;
pub(crate) use listener::{Control, Listener};
pub(crate) use message::{Reply, Request};
#[cfg(feature = "fuzzing")]
pub(crate) use reader::Reader;
