//! What an attempt holds of its server until its answer has been read.

use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;

use crate::replicas::{InFlight, Server};

/// A connection permit, and what counts as in flight to one of several servers.
#[derive(Debug)]
pub(crate) struct Connection {
    _permit: OwnedSemaphorePermit,
    _in_flight: Option<Arc<InFlight>>,
}

impl Connection {
    pub(super) fn new(permit: OwnedSemaphorePermit, server: &Server<'_>) -> Self {
        Self {
            _permit: permit,
            _in_flight: match server {
                Server::Only(_) => None,
                Server::One(load) => Some(load.in_flight()),
            },
        }
    }
}
