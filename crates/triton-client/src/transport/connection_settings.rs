//! What is set of connections: limits, TLS and an explicit proxy; and why that makes no client.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

/// What the builder was told about connections; checked when its [service](Self::service) is made.
#[derive(Clone)]
pub(crate) struct ConnectionSettings {
    pub(crate) connect_timeout: Duration,
    pub(crate) idle_timeout: Duration,
    pub(crate) idle_connections: usize,
    /// PEM, trusted instead of the system's.
    pub(crate) authorities: Option<Vec<u8>>,
    /// PEM of a certificate chain and of its key.
    pub(crate) identity: Option<(Vec<u8>, Vec<u8>)>,
    pub(crate) server_name: Option<String>,
    pub(crate) proxy: Option<String>,
    /// Where the endpoint's server is, where its name is not to be looked up.
    pub(crate) connect_to: Option<SocketAddr>,
}

impl fmt::Debug for ConnectionSettings {
    /// Without the proxy, whose address may hold credentials, and without the client's key.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ConnectionSettings")
            .field("connect_timeout", &self.connect_timeout)
            .field("idle_timeout", &self.idle_timeout)
            .field("idle_connections", &self.idle_connections)
            .field("authorities", &self.authorities.is_some())
            .field("identity", &self.identity.is_some())
            .field("server_name", &self.server_name)
            .field("proxy", &self.proxy.is_some())
            .field("connect_to", &self.connect_to)
            .finish()
    }
}

/// Why the settings make no client.
pub(super) struct Invalid {
    pub(super) message: &'static str,
    pub(super) source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl From<&'static str> for Invalid {
    fn from(message: &'static str) -> Self {
        let source = None;
        Self { message, source }
    }
}

#[cfg_attr(
    not(any(feature = "rustls", feature = "native-tls")),
    expect(dead_code, reason = "only what TLS is set up with has causes")
)]
impl Invalid {
    pub(super) fn because<E: std::error::Error + Send + Sync + 'static>(
        message: &'static str,
    ) -> impl FnOnce(E) -> Self {
        move |source| Self {
            message,
            source: Some(Box::new(source)),
        }
    }
}
