//! The client: a cheap handle on a connection pool, and the builder that sets it up.

use std::sync::Arc;
use std::time::Duration;

use triton_options::Endpoint;

use crate::Error;
use crate::transport::Transport;

/// Calls one Triton server; clones share its pool of connections.
#[derive(Debug, Clone)]
pub struct Client {
    pub(crate) transport: Arc<Transport>,
}

impl Client {
    /// Starts to set up a client of the server at `endpoint`.
    #[must_use]
    pub fn builder(endpoint: Endpoint) -> ClientBuilder {
        ClientBuilder {
            endpoint,
            timeout: Duration::from_secs(30),
            response_limit: 256 << 20,
        }
    }

    /// The server's address; its `Display` hides credentials.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.transport.endpoint
    }
}

/// The settings of a [`Client`] to be.
#[derive(Debug, Clone)]
pub struct ClientBuilder {
    endpoint: Endpoint,
    timeout: Duration,
    response_limit: usize,
}

impl ClientBuilder {
    /// The longest time a call may take, from connecting until its whole answer is read
    /// (30 s unless set).
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The most bytes an answer's body may have (256 MiB unless set).
    #[must_use]
    pub fn response_limit(mut self, bytes: usize) -> Self {
        self.response_limit = bytes;
        self
    }

    /// Makes the client; no connection is opened yet.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidRequest`](crate::ErrorKind::InvalidRequest) when the HTTP library
    /// cannot be set up.
    pub fn build(self) -> Result<Client, Error> {
        let transport = Transport::new(self.endpoint, self.timeout, self.response_limit)?;
        Ok(Client {
            transport: Arc::new(transport),
        })
    }
}
