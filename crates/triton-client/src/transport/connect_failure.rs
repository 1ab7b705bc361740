//! Why no connection was made.

use std::time::Duration;

/// Why no connection was made.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectFailure {
    #[error("no connection within {0:?}")]
    TooSlow(Duration, /* to the proxy */ bool),
    #[error("no connection")]
    Unreachable {
        proxy: bool,
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("the proxy answered with status {status}")]
    ProxyRefused { status: u16 },
    #[error("the proxy closed the connection")]
    ProxyBroke { source: std::io::Error },
    #[error("the proxy did not answer as one")]
    NoProxy,
    #[error("the proxy answered: {0}")]
    Socks(String),
    #[error("TLS was not agreed on")]
    Tls {
        proxy: bool,
        lacks_certificate: bool,
        source: std::io::Error,
    },
}
