//! The server as a client meets it, over plain sockets, with the record of what arrived.

mod connection;
mod inference;
mod lifecycle;
mod routes;
mod sequences;
