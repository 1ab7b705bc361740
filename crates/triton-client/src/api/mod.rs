//! The calls of the protocol, one file for each part of it.

pub(crate) mod cuda_shared_memory;
pub(crate) mod description;
pub(crate) mod ensemble;
pub(crate) mod generate;
pub(crate) mod health;
pub(crate) mod infer;
pub(crate) mod logging;
pub(crate) mod model;
mod refused;
pub(crate) mod repository;
pub(crate) mod server;
pub(crate) mod statistics;
pub(crate) mod system_shared_memory;
pub(crate) mod trace;
