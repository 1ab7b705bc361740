//! No TLS: whatever needs it is refused when the client is built.

use std::convert::Infallible;
use std::error::Error as StdError;

use super::super::connection_settings::{ConnectionSettings, Invalid};
use super::super::stream::Layer;
use super::{TlsFailure, TlsRefusal};

/// The name that a server's certificate must bear.
pub(in crate::transport) type TlsName = String;

/// Every name will do: that there is no TLS is what is to be said.
#[expect(clippy::unnecessary_wraps, reason = "with TLS not every name will do")]
pub(in crate::transport) fn name(host: &str) -> Option<TlsName> {
    Some(host.to_owned())
}

/// TLS that nobody can have.
#[derive(Debug, Clone)]
pub(in crate::transport) struct Tls(Infallible);

impl Tls {
    pub(in crate::transport) fn new(_: &ConnectionSettings) -> Result<Self, Invalid> {
        Err(
            "triton-client was built without TLS, which an https address and certificates need: \
             build it with its feature 'rustls' or 'native-tls', or use http://"
                .into(),
        )
    }

    #[expect(
        clippy::unused_async,
        reason = "with TLS there is something to wait for"
    )]
    pub(in crate::transport) async fn connect(
        &self,
        _: TlsName,
        _: Box<dyn Layer>,
    ) -> Result<Box<dyn Layer>, TlsFailure> {
        match self.0 {}
    }
}

pub(in crate::transport) fn refusal(_: &(dyn StdError + 'static)) -> Option<TlsRefusal> {
    None
}

pub(in crate::transport) fn is_tls(_: &(dyn StdError + 'static)) -> bool {
    false
}
