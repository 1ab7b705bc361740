//! TLS by `rustls`: whom the client trusts, what it shows of itself, and what a refusal on either
//! side means.

use std::error::Error as StdError;
use std::fmt;
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

use super::super::causes::causes;
use super::super::connection_settings::{ConnectionSettings, Invalid};
use super::super::stream::Layer;
use super::{TlsFailure, TlsRefusal};
use crate::ErrorKind;

/// A clock that differs from the other side's by no more than this is soon as late.
const CLOCK_SKEW: Duration = Duration::from_secs(600);

/// The name that a server's certificate must bear.
pub(in crate::transport) type TlsName = ServerName<'static>;

/// The name of a host; nothing where a certificate cannot be for it.
pub(in crate::transport) fn name(host: &str) -> Option<TlsName> {
    ServerName::try_from(host.to_owned()).ok()
}

/// Makes TLS connections of plain ones.
#[derive(Clone)]
pub(in crate::transport) struct Tls {
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
    pub(in crate::transport) fn new(settings: &ConnectionSettings) -> Result<Self, Invalid> {
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
    pub(in crate::transport) async fn connect(
        &self,
        name: TlsName,
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

/// The refusal that an error of the TLS library stands for, if it stands for one.
pub(in crate::transport) fn refusal(error: &(dyn StdError + 'static)) -> Option<TlsRefusal> {
    let error = causes(error).find_map(|cause| cause.downcast_ref::<rustls::Error>())?;
    match error {
        rustls::Error::InvalidCertificate(error) => Some(of_certificate(error)),
        rustls::Error::AlertReceived(alert) => of_alert(*alert),
        rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType) => {
            Some(TlsRefusal::no_tls())
        }
        other => Some(TlsRefusal::general(other)),
    }
}

/// Whether an error comes from the TLS library.
pub(in crate::transport) fn is_tls(error: &(dyn StdError + 'static)) -> bool {
    error.is::<rustls::Error>()
}

fn of_certificate(error: &CertificateError) -> TlsRefusal {
    match error {
        // The latter where another authority has the same name.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => TlsRefusal::untrusted(),
        CertificateError::Expired => TlsRefusal::expired(None),
        CertificateError::ExpiredContext { not_after, .. } => {
            TlsRefusal::expired(Some(&date(*not_after)))
        }
        CertificateError::NotValidYet => TlsRefusal::not_yet_valid(None, false),
        CertificateError::NotValidYetContext { time, not_before } => {
            let wait = not_before.as_secs().saturating_sub(time.as_secs());
            let is_soon = wait <= CLOCK_SKEW.as_secs();
            TlsRefusal::not_yet_valid(Some(&date(*not_before)), is_soon)
        }
        CertificateError::NotValidForName => {
            TlsRefusal::wrong_name("the server's certificate is for another host")
        }
        CertificateError::NotValidForNameContext {
            expected,
            presented,
        } => wrong_name(expected, presented),
        other => TlsRefusal::general(&format!("the server's certificate is refused: {other}")),
    }
}

fn of_alert(alert: AlertDescription) -> Option<TlsRefusal> {
    let refused = |words: &str| Some(TlsRefusal::refused_certificate(words));
    match alert {
        AlertDescription::CertificateRequired | AlertDescription::NoCertificate => {
            Some(TlsRefusal::lacking_certificate())
        }
        AlertDescription::BadCertificate => refused("bad certificate"),
        AlertDescription::UnsupportedCertificate => refused("unsupported certificate"),
        AlertDescription::CertificateRevoked => refused("certificate revoked"),
        AlertDescription::CertificateExpired => refused("certificate expired"),
        AlertDescription::CertificateUnknown => refused("certificate unknown"),
        AlertDescription::UnknownCA => refused("unknown authority"),
        AlertDescription::DecryptError => refused("wrong signature"),
        AlertDescription::AccessDenied => refused("access denied"),
        AlertDescription::UnrecognisedName => Some(TlsRefusal::for_good(
            ErrorKind::CertificateName,
            "the server knows no host of this name: set the TLS server name to the one that it \
             serves",
        )),
        // Said by either side in the middle of a connection, which then merely breaks.
        AlertDescription::CloseNotify
        | AlertDescription::UserCanceled
        | AlertDescription::BadRecordMac
        | AlertDescription::InternalError => None,
        other => Some(TlsRefusal::general(&format!("the server said {other:?}"))),
    }
}

fn wrong_name(expected: &ServerName<'static>, presented: &[String]) -> TlsRefusal {
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
    TlsRefusal::wrong_name(&format!(
        "expected a certificate for {expected}, found one for {presented}"
    ))
}

fn date(time: UnixTime) -> String {
    // The library that writes dates ends where they have five digits.
    let seconds = time.as_secs().min(253_402_300_799);
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds))
}
