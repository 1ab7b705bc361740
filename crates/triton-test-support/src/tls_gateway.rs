//! A gateway that speaks TLS in front of a server that does not, with certificates of an authority
//! of its own.

use std::fmt::Display;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

/// Hands connections on to a server, on a thread of its own; it ends when it is dropped.
#[derive(Debug)]
pub struct TlsGateway {
    /// Where it listens, on 127.0.0.1.
    pub port: u16,
    /// The authority of all the certificates, as PEM.
    pub authority_pem: String,
    /// A certificate for a client, as PEM.
    pub client_pem: String,
    /// The key of that certificate, as PEM.
    pub client_key_pem: String,
    _running: oneshot::Sender<()>,
}

impl TlsGateway {
    /// Starts a gateway before `endpoint` whose certificate bears `name`; it may want one of its
    /// clients, too.
    ///
    /// # Panics
    ///
    /// When it cannot listen, or `endpoint` is no `http://host:port`.
    #[must_use]
    pub fn start(endpoint: &str, name: &str, wants_client_certificate: bool) -> Self {
        let server = endpoint.trim_start_matches("http://").trim_end_matches('/');
        let server = server.to_owned();
        let authority_key = expected(KeyPair::generate());
        let mut authority = expected(CertificateParams::new(Vec::new()));
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = expected(authority.self_signed(&authority_key));
        let issuer = Issuer::new(authority, authority_key);
        let issue = |name: &str| {
            let key = expected(KeyPair::generate());
            let parameters = expected(CertificateParams::new(vec![name.to_owned()]));
            (expected(parameters.signed_by(&key, &issuer)), key)
        };
        let (own, own_key) = issue(name);
        let (client, client_key) = issue("client");
        let mut roots = RootCertStore::empty();
        expected(roots.add(certificate.der().clone()));
        let config = ServerConfig::builder();
        let config = match wants_client_certificate {
            false => config.with_no_client_auth(),
            true => {
                let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build();
                config.with_client_cert_verifier(expected(verifier))
            }
        };
        let own_key = expected(PrivateKeyDer::try_from(own_key.serialize_der()));
        let config = expected(config.with_single_cert(vec![own.der().clone()], own_key));
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build();
        let runtime = expected(runtime);
        let listener = expected(runtime.block_on(TcpListener::bind("127.0.0.1:0")));
        let port = expected(listener.local_addr()).port();
        let (running, over) = oneshot::channel();
        std::thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = accept(&listener, &acceptor, &server) => {}
                    _ = over => {}
                }
            });
        });
        Self {
            port,
            authority_pem: certificate.pem(),
            client_pem: client.pem(),
            client_key_pem: client_key.serialize_pem(),
            _running: running,
        }
    }
}

async fn accept(listener: &TcpListener, acceptor: &TlsAcceptor, server: &str) {
    while let Ok((client, _)) = listener.accept().await {
        let (acceptor, server) = (acceptor.clone(), server.to_owned());
        tokio::spawn(async move {
            let Ok(mut client) = acceptor.accept(client).await else {
                return;
            };
            if let Ok(mut server) = TcpStream::connect(server).await {
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            }
        });
    }
}

fn expected<T, E: Display>(outcome: Result<T, E>) -> T {
    outcome.unwrap_or_else(|error| panic!("the gateway: {error}"))
}
