//! The commands that ask a server, or tell it, one thing.

pub(crate) mod health;
