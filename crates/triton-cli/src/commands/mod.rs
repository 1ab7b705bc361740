//! The commands that ask a server, or tell it, one thing; and those about the command line itself.

pub(crate) mod bench;
pub(crate) mod describe;
pub(crate) mod figures;
pub(crate) mod health;
pub(crate) mod infer;
mod json_tensors;
pub(crate) mod loading;
pub(crate) mod models;
mod sequences;
pub(crate) mod shell;
mod statistics_difference;
pub(crate) mod stats;
mod text_table;
