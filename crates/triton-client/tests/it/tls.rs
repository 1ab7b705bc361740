//! TLS: who trusts whom, by which name, and what is said when they do not.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{ALL_VERSIONS, RootCertStore, ServerConfig, SupportedProtocolVersion};
use triton_client::{Client, ClientBuilder, ErrorKind, Readiness};

/// An authority, a server's certificate of a name, and a client's; all made for one test.
struct Certificates {
    authority_pem: String,
    client_pem: String,
    client_key_pem: String,
    server: ServerConfig,
}

fn certificates(server_name: &str, wants_client_certificate: bool) -> Certificates {
    certificates_with(server_name, wants_client_certificate, ALL_VERSIONS, |_| {})
}

fn certificates_with(
    server_name: &str,
    wants_client_certificate: bool,
    versions: &[&'static SupportedProtocolVersion],
    change: impl FnOnce(&mut CertificateParams),
) -> Certificates {
    let mut change = Some(change);
    let authority_key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_certificate = authority.self_signed(&authority_key).unwrap();
    let issuer = Issuer::new(authority, authority_key);
    let mut issue = |name: &str| {
        let key = KeyPair::generate().unwrap();
        let mut parameters = CertificateParams::new(vec![name.to_owned()]).unwrap();
        // With the authority's own, OpenSSL would take it for self-signed.
        parameters.distinguished_name.push(DnType::CommonName, name);
        // The first is the server's.
        if let Some(change) = change.take() {
            change(&mut parameters);
        }
        (parameters.signed_by(&key, &issuer).unwrap(), key)
    };
    let (server, server_key) = issue(server_name);
    let (client, client_key) = issue("client");
    let mut roots = RootCertStore::empty();
    roots.add(authority_certificate.der().clone()).unwrap();
    let builder = ServerConfig::builder_with_protocol_versions(versions);
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
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    serve_with(config, answer.to_owned()).await
}

async fn serve_with(config: ServerConfig, answer: String) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            let (acceptor, answer) = (acceptor.clone(), answer.clone());
            tokio::spawn(async move {
                let Ok(mut connection) = acceptor.accept(connection).await else {
                    return;
                };
                let _ = connection.read(&mut [0; 4096]).await;
                let _ = connection.write_all(answer.as_bytes()).await;
                let _ = connection.shutdown().await;
            });
        }
    });
    port
}

fn builder(host: &str, port: u16) -> ClientBuilder {
    Client::builder(format!("https://{host}:{port}"))
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

/// What is said of a client that trusts `authority_pem`, the port left out.
async fn refusal(builder: ClientBuilder, port: u16) -> (ErrorKind, String) {
    let error = builder.build().unwrap().live().await.unwrap_err();
    assert!(
        !error.is_transient() && !error.may_have_executed(),
        "{error:?}"
    );
    let words = error.to_string().replace(&port.to_string(), "PORT");
    (error.kind(), words)
}

#[tokio::test]
async fn an_unknown_authority_is_refused_for_good() {
    let port = serve(certificates("localhost", false).server).await;
    let other = certificates("localhost", false).authority_pem;
    let builder = builder("localhost", port).certificate_authorities(other);
    let (kind, words) = refusal(builder, port).await;
    assert_eq!(kind, ErrorKind::CertificateUntrusted);
    insta::assert_snapshot!(words, @"check liveness at https://localhost:PORT/: the server's certificate is of an authority that is not trusted: set the certificate authorities to the one that issued it");
}

#[tokio::test]
async fn a_certificate_that_is_its_own_authority_is_refused() {
    let key = KeyPair::generate().unwrap();
    let parameters = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = parameters.self_signed(&key).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let server = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let port = serve(server).await;
    let other = certificates("localhost", false).authority_pem;
    // Neither the system's authorities nor one's own have issued it.
    for builder in [
        builder("localhost", port),
        builder("localhost", port).certificate_authorities(other),
    ] {
        let (kind, words) = refusal(builder, port).await;
        assert_eq!(kind, ErrorKind::CertificateUntrusted, "{words}");
    }
}

#[tokio::test]
async fn a_redirect_to_plain_http_sends_nothing_there() {
    let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = plain.local_addr().unwrap();
    for status in [301, 302, 307, 308] {
        let made = certificates("localhost", false);
        let answer = format!(
            "HTTP/1.1 {status} Moved\r\nLocation: http://{to}/v2/health/live\r\n\
             Content-Length: 0\r\nConnection: close\r\n\r\n"
        );
        let port = serve_with(made.server, answer).await;
        let client = Client::builder(format!("https://user:canary@localhost:{port}"))
            .certificate_authorities(made.authority_pem)
            .build()
            .unwrap();
        let error = client.live().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
        assert!(!error.to_string().contains("canary"), "{error}");
    }
    let comes = tokio::time::timeout(std::time::Duration::from_millis(50), plain.accept());
    assert!(comes.await.is_err(), "something was sent without TLS");
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
    let (kind, words) = refusal(builder.clone(), port).await;
    assert_eq!(kind, ErrorKind::CertificateName);
    #[cfg(feature = "rustls")]
    insta::assert_snapshot!(words, @"check liveness at https://127.0.0.1:PORT/: expected a certificate for 127.0.0.1, found one for triton.example: set the TLS server name to a name that the certificate bears");
    #[cfg(not(feature = "rustls"))]
    insta::assert_snapshot!(words, @"check liveness at https://127.0.0.1:PORT/: the server's certificate is for another host: set the TLS server name to a name that the certificate bears");
    assert!(is_live(builder.tls_server_name("triton.example")).await);
}

#[tokio::test]
async fn a_certificate_that_is_not_valid_now_is_told() {
    let years = |from: i32, to: i32| {
        move |parameters: &mut CertificateParams| {
            parameters.not_before = rcgen::date_time_ymd(from, 1, 1);
            parameters.not_after = rcgen::date_time_ymd(to, 1, 1);
        }
    };
    let kind_and_words = async |from, to| {
        let made = certificates_with("localhost", false, ALL_VERSIONS, years(from, to));
        let port = serve(made.server).await;
        let builder = builder("localhost", port).certificate_authorities(made.authority_pem);
        let (kind, words) = refusal(builder, port).await;
        assert_eq!(kind, ErrorKind::CertificateExpired);
        words
    };
    let (expired, early) = (
        kind_and_words(2000, 2001).await,
        kind_and_words(4000, 4001).await,
    );
    #[cfg(not(feature = "rustls"))]
    {
        insta::assert_snapshot!(expired, @"check liveness at https://localhost:PORT/: the server's certificate has expired: renew it, or set this machine's clock right");
        insta::assert_snapshot!(early, @"check liveness at https://localhost:PORT/: the server's certificate is not valid: wait, or set this machine's clock right");
    }
    #[cfg(feature = "rustls")]
    {
        insta::assert_snapshot!(expired, @"check liveness at https://localhost:PORT/: the server's certificate has expired on Mon, 01 Jan 2001 00:00:00 GMT: renew it, or set this machine's clock right");
        insta::assert_snapshot!(early, @"check liveness at https://localhost:PORT/: the server's certificate is not valid before Sat, 01 Jan 4000 00:00:00 GMT: wait, or set this machine's clock right");
    }
}

#[tokio::test]
async fn a_certificate_for_another_purpose_is_told_in_the_librarys_words() {
    let made = certificates_with("localhost", false, ALL_VERSIONS, |parameters| {
        parameters.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    });
    let port = serve(made.server).await;
    let builder = builder("localhost", port).certificate_authorities(made.authority_pem);
    let (kind, words) = refusal(builder, port).await;
    assert_eq!(kind, ErrorKind::Tls);
    #[cfg(not(feature = "rustls"))]
    assert!(words.contains("certificate verify failed"), "{words}");
    #[cfg(feature = "rustls")]
    insta::assert_snapshot!(words, @"check liveness at https://localhost:PORT/: no TLS connection could be made: the server's certificate is refused: certificate does not allow extended key usage for server authentication, allows client authentication");
}

// On several threads, where the end of a connection may be noticed before its request begins.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_is_shown() {
    for version in [&TLS12, &TLS13] {
        let made = certificates_with("localhost", true, &[version], |_| {});
        let port = serve(made.server).await;
        let builder = builder("localhost", port).certificate_authorities(made.authority_pem);
        // Whether the refusal or the request is first is a matter of luck.
        for _ in 0..20 {
            let (kind, words) = refusal(builder.clone(), port).await;
            assert_eq!(kind, ErrorKind::ClientCertificate);
            insta::allow_duplicates! {
                insta::assert_snapshot!(words, @"check liveness at https://localhost:PORT/: the server wants a client certificate, and none is set: set the certificate and its private key");
            }
        }
        let other = certificates("localhost", true);
        let strange = builder
            .clone()
            .client_certificate(other.client_pem, other.client_key_pem);
        let (kind, words) = refusal(strange, port).await;
        assert_eq!(kind, ErrorKind::ClientCertificate);
        insta::allow_duplicates! {
            insta::assert_snapshot!(words, @"check liveness at https://localhost:PORT/: the server refuses the client's certificate (wrong signature): set a client certificate, with its private key, of an authority that the server trusts");
        }
        let shown = builder.client_certificate(made.client_pem, made.client_key_pem);
        assert!(is_live(shown).await);
    }
}

#[tokio::test]
async fn a_port_that_speaks_no_tls_is_told() {
    let plain = plain_answers().await;
    let authority = certificates("localhost", false).authority_pem;
    let builder = |port| builder("localhost", port).certificate_authorities(authority.clone());
    let (kind, words) = refusal(builder(plain), plain).await;
    assert_eq!(kind, ErrorKind::Tls);
    insta::assert_snapshot!(words, @"check liveness at https://localhost:PORT/: the port answers, but does not speak TLS; does it speak plain HTTP, so that http:// is right?");
}

/// Answers whatever comes with an answer of HTTP without TLS.
async fn plain_answers() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            let _ = connection.read(&mut [0; 4096]).await;
            let answer = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
            let _ = connection.write_all(answer).await;
        }
    });
    port
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
    #[cfg(not(feature = "rustls"))]
    insta::assert_snapshot!(refused(builder().client_certificate("none", "none")), @"expected a client certificate and its private key (PKCS #8) as PEM");
    #[cfg(feature = "rustls")]
    insta::assert_snapshot!(refused(builder().client_certificate("none", "none")), @"expected a client certificate and its private key as PEM");
    insta::assert_snapshot!(refused(builder().tls_server_name("127.0.0.1")), @"expected as TLS server name a DNS name such as 'triton.example'");
    insta::assert_snapshot!(refused(builder().proxy("::")), @"expected the http, https, socks5 or socks5h address of a proxy, such as 'http://proxy:3128'");
    let certificates = certificates("localhost", false);
    let other_key = KeyPair::generate().unwrap().serialize_pem();
    insta::assert_snapshot!(refused(builder().client_certificate(certificates.client_pem, other_key)), @"expected a client certificate and the private key that belongs to it");
}
