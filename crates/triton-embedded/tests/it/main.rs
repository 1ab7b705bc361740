//! The server as a client meets it, over plain sockets, with the record of what arrived.

mod connection;
mod differential;
mod faults;
mod inference;
mod lifecycle;
mod python_client;
mod queues;
mod routes;
mod sequences;
