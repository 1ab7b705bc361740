//! The calls of the protocol, one file for each part of it.

pub(crate) mod health;
pub(crate) mod infer;
pub(crate) mod model;
pub(crate) mod server;
