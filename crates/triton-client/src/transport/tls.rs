//! TLS: whom the client trusts, what it shows of itself, and what a refusal on either side means.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use rustls::client::ResolvesClientCert;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{AlertDescription, CertificateError, ClientConfig, RootCertStore, SignatureScheme};
use tokio_rustls::TlsConnector;

use super::connection::{ConnectionSettings, Invalid};
use super::failure::causes;
use super::stream::Layer;
use crate::ErrorKind;

/// A clock that differs from the other side's by no more than this is soon as late.
const CLOCK_SKEW: Duration = Duration::from_secs(600);

/// Makes TLS connections of plain ones.
#[derive(Clone)]
pub(super) struct Tls {
    connector: TlsConnector,
    certificate: Arc<ClientCertificate>,
}

impl fmt::Debug for Tls {
    /// Without the client's key.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Tls").finish_non_exhaustive()
    }
}

impl Tls {
    pub(super) fn new(settings: &ConnectionSettings) -> Result<Self, Invalid> {
        // One provider is chosen here, so that it does not depend on what else is in the program.
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(Invalid::because("TLS cannot be set up"))?;
        let builder = match &settings.authorities {
            Some(pem) => builder.with_root_certificates(authorities(pem)?),
            None => {
                let verifier = rustls_platform_verifier::Verifier::new(Arc::clone(&provider))
                    .map_err(Invalid::because(
                        "expected the system to have certificate authorities, found none: set those \
                         that are to be trusted",
                    ))?;
                builder
                    .dangerous()
                    .with_custom_certificate_verifier(Arc::new(verifier))
            }
        };
        let key = match &settings.identity {
            Some((certificate, key)) => Some(Arc::new(identity(certificate, key, &provider)?)),
            None => None,
        };
        let certificate = Arc::new(ClientCertificate {
            key,
            wanted: AtomicBool::new(false),
        });
        let resolver: Arc<ClientCertificate> = Arc::clone(&certificate);
        let mut config = builder.with_client_cert_resolver(resolver);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            connector: TlsConnector::from(Arc::new(config)),
            certificate,
        })
    }

    /// Agrees on TLS with the server that bears `name`.
    pub(super) async fn connect(
        &self,
        name: ServerName<'static>,
        io: Box<dyn Layer>,
    ) -> Result<Box<dyn Layer>, TlsFailure> {
        match self.connector.connect(name, io).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(source) => Err(TlsFailure {
                lacks_certificate: self.certificate.is_lacking(),
                source,
            }),
        }
    }
}

/// Why TLS could not be agreed on.
#[derive(Debug)]
pub(super) struct TlsFailure {
    pub(super) lacks_certificate: bool,
    pub(super) source: io::Error,
}

fn authorities(pem: &[u8]) -> Result<RootCertStore, Invalid> {
    const EXPECTED: &str = "expected certificate authorities as PEM";
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(Invalid::because(EXPECTED))?;
        roots.add(certificate).map_err(Invalid::because(EXPECTED))?;
    }
    match roots.is_empty() {
        true => Err(EXPECTED.into()),
        false => Ok(roots),
    }
}

fn identity(
    certificate: &[u8],
    key: &[u8],
    provider: &CryptoProvider,
) -> Result<CertifiedKey, Invalid> {
    const EXPECTED: &str = "expected a client certificate and its private key as PEM";
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificate).collect();
    let chain = chain.map_err(Invalid::because(EXPECTED))?;
    if chain.is_empty() {
        return Err(EXPECTED.into());
    }
    let key = PrivateKeyDer::from_pem_slice(key).map_err(Invalid::because(EXPECTED))?;
    CertifiedKey::from_der(chain, key, provider).map_err(Invalid::because(
        "expected a client certificate and the private key that belongs to it",
    ))
}

/// The client's certificate, and whether anybody has asked for it.
#[derive(Debug)]
struct ClientCertificate {
    key: Option<Arc<CertifiedKey>>,
    wanted: AtomicBool,
}

impl ClientCertificate {
    fn is_lacking(&self) -> bool {
        self.key.is_none() && self.wanted.load(Ordering::Acquire)
    }
}

impl ResolvesClientCert for ClientCertificate {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.wanted.store(true, Ordering::Release);
        self.key.clone()
    }

    fn has_certs(&self) -> bool {
        // Without one, too: only then is the question heard.
        true
    }
}

/// Why one side does not go on with TLS: a kind, and a sentence with what to do.
#[derive(Debug, Clone)]
pub(super) struct TlsRefusal {
    pub(super) kind: ErrorKind,
    pub(super) message: String,
    pub(super) transient: bool,
}

impl TlsRefusal {
    /// The server asked for a certificate, got none and closed the connection.
    pub(super) fn lacking_certificate() -> Self {
        Self::for_good(
            ErrorKind::ClientCertificate,
            "the server wants a client certificate, and none is set: set the certificate and its \
             private key",
        )
    }

    /// The refusal that an error of the TLS library stands for, if it stands for one.
    pub(super) fn of(error: &(dyn StdError + 'static)) -> Option<Self> {
        let error = causes(error).find_map(|cause| cause.downcast_ref::<rustls::Error>())?;
        match error {
            rustls::Error::InvalidCertificate(error) => Some(Self::of_certificate(error)),
            rustls::Error::AlertReceived(alert) => Self::of_alert(*alert),
            rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType) => {
                Some(Self::for_good(
                    ErrorKind::Tls,
                    "the port answers, but does not speak TLS; does it speak plain HTTP, so that \
                     http:// is right?",
                ))
            }
            other => Some(Self::general(other)),
        }
    }

    fn for_good(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            transient: false,
        }
    }

    fn general(words: &dyn fmt::Display) -> Self {
        let message = format!("no TLS connection could be made: {words}");
        Self::for_good(ErrorKind::Tls, message)
    }

    fn of_certificate(error: &CertificateError) -> Self {
        match error {
            // The latter where another authority has the same name.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => Self::for_good(
                ErrorKind::CertificateUntrusted,
                "the server's certificate is of an authority that is not trusted: set the \
                 certificate authorities to the one that issued it",
            ),
            CertificateError::Expired => expired(None),
            CertificateError::ExpiredContext { not_after, .. } => expired(Some(*not_after)),
            CertificateError::NotValidYet => not_yet_valid(None),
            CertificateError::NotValidYetContext { time, not_before } => {
                not_yet_valid(Some((*time, *not_before)))
            }
            CertificateError::NotValidForName => wrong_name(None),
            CertificateError::NotValidForNameContext {
                expected,
                presented,
            } => wrong_name(Some((expected, presented))),
            other => Self::general(&format!("the server's certificate is refused: {other}")),
        }
    }

    fn of_alert(alert: AlertDescription) -> Option<Self> {
        let refused = |words: &str| {
            let message = format!(
                "the server refuses the client's certificate ({words}): set a client certificate, \
                 with its private key, of an authority that the server trusts"
            );
            Some(Self::for_good(ErrorKind::ClientCertificate, message))
        };
        match alert {
            AlertDescription::CertificateRequired | AlertDescription::NoCertificate => {
                Some(Self::lacking_certificate())
            }
            AlertDescription::BadCertificate => refused("bad certificate"),
            AlertDescription::UnsupportedCertificate => refused("unsupported certificate"),
            AlertDescription::CertificateRevoked => refused("certificate revoked"),
            AlertDescription::CertificateExpired => refused("certificate expired"),
            AlertDescription::CertificateUnknown => refused("certificate unknown"),
            AlertDescription::UnknownCA => refused("unknown authority"),
            AlertDescription::DecryptError => refused("wrong signature"),
            AlertDescription::AccessDenied => refused("access denied"),
            AlertDescription::UnrecognisedName => Some(Self::for_good(
                ErrorKind::CertificateName,
                "the server knows no host of this name: set the TLS server name to the one that it \
                 serves",
            )),
            // Said by either side in the middle of a connection, which then merely breaks.
            AlertDescription::CloseNotify
            | AlertDescription::UserCanceled
            | AlertDescription::BadRecordMac
            | AlertDescription::InternalError => None,
            other => Some(Self::general(&format!("the server said {other:?}"))),
        }
    }
}

fn expired(end: Option<UnixTime>) -> TlsRefusal {
    let end = end.map_or_else(String::new, |end| format!(" on {}", date(end)));
    let message = format!(
        "the server's certificate has expired{end}: renew it, or set this machine's clock right"
    );
    TlsRefusal::for_good(ErrorKind::CertificateExpired, message)
}

/// `times` are the time now and that of the certificate's beginning.
fn not_yet_valid(times: Option<(UnixTime, UnixTime)>) -> TlsRefusal {
    let begin = times.map_or_else(String::new, |(_, begin)| format!(" before {}", date(begin)));
    let message = format!(
        "the server's certificate is not valid{begin}: wait, or set this machine's clock right"
    );
    TlsRefusal {
        transient: times.is_some_and(|(now, begin)| {
            begin.as_secs().saturating_sub(now.as_secs()) <= CLOCK_SKEW.as_secs()
        }),
        ..TlsRefusal::for_good(ErrorKind::CertificateExpired, message)
    }
}

fn wrong_name(names: Option<(&ServerName<'static>, &Vec<String>)>) -> TlsRefusal {
    let found = match names {
        Some((expected, presented)) => {
            // The library writes 'DnsName("triton.example")'.
            let bare = |name: &String| match name.split('"').nth(1) {
                Some(bare) => bare.to_owned(),
                None => name.clone(),
            };
            let presented: Vec<_> = presented.iter().map(bare).collect();
            let presented = match &presented[..] {
                [] => "no host".to_owned(),
                names => names.join(", "),
            };
            let expected = expected.to_str();
            format!("expected a certificate for {expected}, found one for {presented}")
        }
        None => "the server's certificate is for another host".to_owned(),
    };
    let message = format!("{found}: set the TLS server name to a name that the certificate bears");
    TlsRefusal::for_good(ErrorKind::CertificateName, message)
}

fn date(time: UnixTime) -> String {
    // The library that writes dates ends where they have five digits.
    let seconds = time.as_secs().min(253_402_300_799);
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds))
}
