//! The address of a server or of a proxy.

use std::fmt;

use super::connect_failure::ConnectFailure;

/// A host, in brackets where it is an IPv6 address, and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) host: String,
    pub(super) port: u16,
}

impl Address {
    pub(super) fn bare_host(&self) -> &str {
        self.host.trim_matches(['[', ']'])
    }

    /// The same with the first address that the host's name stands for.
    pub(super) async fn resolved(&self) -> Result<Self, ConnectFailure> {
        let failed = |source| ConnectFailure::Unreachable {
            proxy: false,
            source,
        };
        let found = tokio::net::lookup_host((self.bare_host(), self.port)).await;
        let found = found.map_err(|error| failed(Box::new(error)))?.next();
        let found = found.ok_or_else(|| failed("the host has no address".into()))?;
        let host = match found.ip() {
            std::net::IpAddr::V4(ip) => ip.to_string(),
            std::net::IpAddr::V6(ip) => format!("[{ip}]"),
        };
        let port = self.port;
        Ok(Self { host, port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.host, self.port)
    }
}
