//! TLS, by the library that a feature chooses: `rustls`, or else the system's own, or none.

#[cfg(not(any(feature = "rustls", feature = "native-tls")))]
mod absent;
#[cfg(all(feature = "native-tls", not(feature = "rustls")))]
mod by_native_tls;
#[cfg(feature = "rustls")]
mod by_rustls;
mod refusal;

use std::io;

#[cfg(not(any(feature = "rustls", feature = "native-tls")))]
pub(super) use absent::{Tls, TlsName, is_tls, name, refusal};
#[cfg(all(feature = "native-tls", not(feature = "rustls")))]
pub(super) use by_native_tls::{Tls, TlsName, is_tls, name, refusal};
#[cfg(feature = "rustls")]
pub(super) use by_rustls::{Tls, TlsName, is_tls, name, refusal};
pub(super) use refusal::TlsRefusal;

/// Why TLS could not be agreed on.
#[derive(Debug)]
pub(super) struct TlsFailure {
    pub(super) lacks_certificate: bool,
    pub(super) source: io::Error,
}
