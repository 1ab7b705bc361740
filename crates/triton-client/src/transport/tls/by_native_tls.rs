//! TLS by the library of the system: OpenSSL on Linux.
//!
//! It tells why a connection was refused in words alone, so those of OpenSSL are looked for; what
//! another system says comes as it is, with the general kind.

use std::error::Error as StdError;
use std::fmt;
use std::io;

use native_tls::{Certificate, Identity};
use tokio_native_tls::TlsConnector;

use super::super::causes::causes;
use super::super::connection_settings::{ConnectionSettings, Invalid};
use super::super::stream::Layer;
use super::{TlsFailure, TlsRefusal};

/// The name that a server's certificate must bear.
pub(in crate::transport) type TlsName = String;

/// The name of a host; nothing where a certificate cannot be for it.
pub(in crate::transport) fn name(host: &str) -> Option<TlsName> {
    url::Host::parse(host).ok()?;
    Some(host.to_owned())
}

/// Makes TLS connections of plain ones.
#[derive(Clone)]
pub(in crate::transport) struct Tls {
    connector: TlsConnector,
    has_certificate: bool,
}

impl fmt::Debug for Tls {
    /// Without the client's key.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Tls").finish_non_exhaustive()
    }
}

impl Tls {
    pub(in crate::transport) fn new(settings: &ConnectionSettings) -> Result<Self, Invalid> {
        let mut builder = native_tls::TlsConnector::builder();
        if let Some(pem) = &settings.authorities {
            const EXPECTED: &str = "expected certificate authorities as PEM";
            let authorities = Certificate::stack_from_pem(pem);
            let authorities = authorities.map_err(Invalid::because(EXPECTED))?;
            if authorities.is_empty() {
                return Err(EXPECTED.into());
            }
            builder.disable_built_in_roots(true);
            for authority in authorities {
                builder.add_root_certificate(authority);
            }
        }
        if let Some((certificate, key)) = &settings.identity {
            let identity = Identity::from_pkcs8(certificate, key).map_err(Invalid::because(
                "expected a client certificate and its private key (PKCS #8) as PEM",
            ))?;
            builder.identity(identity);
        }
        let connector = builder.build().map_err(Invalid::because(
            "expected a client certificate and the private key that belongs to it",
        ))?;
        Ok(Self {
            connector: TlsConnector::from(connector),
            has_certificate: settings.identity.is_some(),
        })
    }

    /// Agrees on TLS with the server that bears `name`.
    pub(in crate::transport) async fn connect(
        &self,
        name: TlsName,
        io: Box<dyn Layer>,
    ) -> Result<Box<dyn Layer>, TlsFailure> {
        match self.connector.connect(&name, io).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(error) => {
                // In these words a server also refuses what has nothing to do with certificates.
                let words = words(&error);
                let asked = ["alert handshake failure", "alert certificate required"];
                let asked = asked.iter().any(|alert| words.contains(alert));
                Err(TlsFailure {
                    lacks_certificate: asked && !self.has_certificate,
                    source: io::Error::other(error),
                })
            }
        }
    }
}

/// The refusal that an error of the TLS library stands for, if it stands for one.
pub(in crate::transport) fn refusal(error: &(dyn StdError + 'static)) -> Option<TlsRefusal> {
    let error = causes(error).find(|cause| is_tls(*cause))?;
    let words = words(error);
    let says = |texts: &[&str]| texts.iter().any(|text| words.contains(text));
    if says(&["wrong version number", "unknown protocol", "http request"]) {
        return Some(TlsRefusal::no_tls());
    }
    if says(&["certificate verify failed"]) {
        return Some(if says(&["certificate has expired"]) {
            TlsRefusal::expired(None)
        } else if says(&["certificate is not yet valid"]) {
            TlsRefusal::not_yet_valid(None, false)
        } else if says(&["hostname mismatch", "IP address mismatch"]) {
            TlsRefusal::wrong_name("the server's certificate is for another host")
        } else if says(&[
            "issuer certificate",
            "self-signed certificate",
            "self signed certificate",
            "certificate signature failure",
            "unable to verify the first certificate",
        ]) {
            TlsRefusal::untrusted()
        } else {
            TlsRefusal::general(&words)
        });
    }
    if says(&["alert certificate required", "alert no certificate"]) {
        return Some(TlsRefusal::lacking_certificate());
    }
    let alerts = [
        ("bad certificate", "bad certificate"),
        ("unsupported certificate", "unsupported certificate"),
        ("certificate revoked", "certificate revoked"),
        ("certificate expired", "certificate expired"),
        ("certificate unknown", "certificate unknown"),
        ("unknown ca", "unknown authority"),
        ("decrypt error", "wrong signature"),
        ("access denied", "access denied"),
    ];
    for (alert, meaning) in alerts {
        if words.contains(&format!("alert {alert}")) {
            return Some(TlsRefusal::refused_certificate(meaning));
        }
    }
    // Said by either side in the middle of a connection, which then merely breaks.
    match says(&["unexpected EOF", "bad record mac", "alert internal error"]) {
        true => None,
        false => Some(TlsRefusal::general(&words)),
    }
}

/// Whether an error comes from the TLS library: during a handshake as its own type, later as that of
/// OpenSSL, which can be told by its words alone.
pub(in crate::transport) fn is_tls(error: &(dyn StdError + 'static)) -> bool {
    error.is::<native_tls::Error>()
        || !error.is::<io::Error>() && error.to_string().contains("SSL routines")
}

fn words(error: &(dyn StdError + 'static)) -> String {
    error.to_string()
}
