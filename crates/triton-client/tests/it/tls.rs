//! TLS: who trusts whom, by which name, and what is said when they do not.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};
use triton_client::{Client, ClientBuilder, ErrorKind, Readiness};

/// An authority, a server's certificate of a name, and a client's; all made for one test.
struct Certificates {
    authority_pem: String,
    client_pem: String,
    client_key_pem: String,
    server: ServerConfig,
}

fn certificates(server_name: &str, wants_client_certificate: bool) -> Certificates {
    let authority_key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_certificate = authority.self_signed(&authority_key).unwrap();
    let issuer = Issuer::new(authority, authority_key);
    let issue = |name: &str| {
        let key = KeyPair::generate().unwrap();
        let parameters = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (parameters.signed_by(&key, &issuer).unwrap(), key)
    };
    let (server, server_key) = issue(server_name);
    let (client, client_key) = issue("client");
    let mut roots = RootCertStore::empty();
    roots.add(authority_certificate.der().clone()).unwrap();
    let builder = ServerConfig::builder();
    let builder = match wants_client_certificate {
        false => builder.with_no_client_auth(),
        true => {
            let verifier = WebPkiClientVerifier::builder(Arc::new(roots))
                .build()
                .unwrap();
            builder.with_client_cert_verifier(verifier)
        }
    };
    let key = PrivateKeyDer::try_from(server_key.serialize_der()).unwrap();
    Certificates {
        authority_pem: authority_certificate.pem(),
        client_pem: client.pem(),
        client_key_pem: client_key.serialize_pem(),
        server: builder
            .with_single_cert(vec![server.der().clone()], key)
            .unwrap(),
    }
}

/// Answers every request over TLS with an empty 200; returns its port.
async fn serve(config: ServerConfig) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut connection) = acceptor.accept(connection).await else {
                    return;
                };
                let _ = connection.read(&mut [0; 4096]).await;
                let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
                let _ = connection.write_all(answer).await;
                let _ = connection.shutdown().await;
            });
        }
    });
    port
}

fn builder(host: &str, port: u16) -> ClientBuilder {
    Client::builder(format!("https://{host}:{port}").parse().unwrap())
}

async fn is_live(builder: ClientBuilder) -> bool {
    builder.build().unwrap().live().await.unwrap() == Readiness::Ready
}

#[tokio::test]
async fn an_authority_of_ones_own_is_trusted() {
    let Certificates {
        authority_pem,
        server,
        ..
    } = certificates("localhost", false);
    let port = serve(server).await;
    assert!(is_live(builder("localhost", port).certificate_authorities(authority_pem)).await);
}

#[tokio::test]
async fn an_unknown_authority_is_refused_for_good() {
    let port = serve(certificates("localhost", false).server).await;
    let other = certificates("localhost", false).authority_pem;
    let client = builder("localhost", port)
        .certificate_authorities(other)
        .build()
        .unwrap();
    let error = client.live().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect);
    assert!(
        !error.is_transient() && !error.may_have_executed(),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_certificate_may_bear_another_name_if_told() {
    let Certificates {
        authority_pem,
        server,
        ..
    } = certificates("triton.example", false);
    let port = serve(server).await;
    let builder = builder("127.0.0.1", port).certificate_authorities(authority_pem);
    let error = builder.clone().build().unwrap().live().await.unwrap_err();
    assert_eq!(
        (error.kind(), error.is_transient()),
        (ErrorKind::Connect, false)
    );
    assert!(is_live(builder.tls_server_name("triton.example")).await);
}

#[tokio::test]
async fn a_client_certificate_is_shown() {
    let certificates = certificates("localhost", true);
    let port = serve(certificates.server).await;
    let builder = builder("localhost", port).certificate_authorities(certificates.authority_pem);
    let error = builder.clone().build().unwrap().live().await.unwrap_err();
    assert!(error.status().is_none(), "{error:?}");
    let certificate = (certificates.client_pem, certificates.client_key_pem);
    assert!(is_live(builder.client_certificate(certificate.0, certificate.1)).await);
}

#[test]
fn settings_that_cannot_work_are_refused_when_built() {
    let refused = |builder: ClientBuilder| {
        let error = builder.build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidRequest);
        error.message().to_owned()
    };
    let builder = || builder("localhost", 1);
    insta::assert_snapshot!(refused(builder().certificate_authorities("none")), @"expected certificate authorities as PEM");
    insta::assert_snapshot!(refused(builder().client_certificate("none", "none")), @"expected a client certificate and its private key as PEM");
    insta::assert_snapshot!(refused(builder().tls_server_name("127.0.0.1")), @"expected as TLS server name a DNS name such as 'triton.example'");
    insta::assert_snapshot!(refused(builder().proxy("::")), @"expected the http or https address of a proxy, such as 'http://proxy:3128'");
    let both = builder()
        .tls_server_name("triton.example")
        .proxy("http://proxy:3128");
    insta::assert_snapshot!(refused(both), @"a TLS server name cannot be set together with a proxy, which would be asked to connect to it");
}
