//! HTTP/1.1 by hand: a stand-in for Triton's own server needs its exact header lines and its
//! habits with broken requests, and a fault script needs every byte of an answer.

mod control;
mod delivery;
mod listener;
mod message;
mod reader;

pub(crate) use control::Control;
pub(crate) use delivery::Delivery;
pub(crate) use listener::Listener;
pub(crate) use message::{Reply, Request};
#[cfg(feature = "fuzzing")]
pub(crate) use reader::Reader;
