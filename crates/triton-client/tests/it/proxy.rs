//! Proxies: only the one that was set, and only if one was; and what they refuse.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use triton_client::{Client, ErrorKind, Readiness};

use crate::raw_server::RawServer;

#[tokio::test]
async fn calls_go_through_the_proxy_that_was_set() {
    let proxy = RawServer::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    // No such host: only a proxy could know it.
    let endpoint = "http://triton.invalid:8000";
    let builder = Client::builder(endpoint);
    let client = builder.clone().proxy(&proxy.endpoint).build().unwrap();
    assert_eq!(client.live().await.unwrap(), Readiness::Ready);
    assert_eq!(proxy.requests(), 1);
    builder.build().unwrap().live().await.unwrap_err();
    assert_eq!(proxy.requests(), 1);
}

#[tokio::test]
async fn a_proxy_sees_credentials_and_a_host_name_in_ascii() {
    let proxy = RawServer::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let address = proxy
        .endpoint
        .replace("http://", "http://user:pass%20word@");
    let endpoint = "http://b\u{fc}cher.invalid:8000";
    let client = Client::builder(endpoint).proxy(address).build().unwrap();
    assert_eq!(client.live().await.unwrap(), Readiness::Ready);
    let seen = proxy
        .last_request()
        .replace(env!("CARGO_PKG_VERSION"), "VERSION");
    insta::assert_snapshot!(seen, @"
    GET http://xn--bcher-kva.invalid:8000/v2/health/live HTTP/1.1
    user-agent: triton-client-rust/VERSION
    accept: */*
    proxy-authorization: Basic dXNlcjpwYXNzIHdvcmQ=
    host: xn--bcher-kva.invalid:8000
    ");
}

#[cfg(any(feature = "rustls", feature = "native-tls"))]
/// What a call says whose proxy answers so; `PROXY` stands for its address.
async fn refusal(scheme: &str, answer: &'static str) -> (ErrorKind, bool, String) {
    let proxy = RawServer::answering(answer);
    let endpoint = format!("{scheme}://triton.invalid:8000");
    let client = Client::builder(endpoint).proxy(&proxy.endpoint).build();
    let error = client.unwrap().live().await.unwrap_err();
    assert!(!error.may_have_executed(), "{error:?}");
    (error.kind(), error.is_transient(), error.to_string())
}

#[cfg(any(feature = "rustls", feature = "native-tls"))]
const DENIED: &str = "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n";

#[cfg(any(feature = "rustls", feature = "native-tls"))]
#[tokio::test]
async fn a_proxy_that_wants_credentials_is_told_by_either_way() {
    for scheme in ["http", "https"] {
        let (kind, transient, words) = refusal(scheme, DENIED).await;
        assert_eq!((kind, transient), (ErrorKind::ProxyDenied, false));
        let words = words.replace(scheme, "SCHEME");
        insta::allow_duplicates! {
            insta::assert_snapshot!(words.replace("'SCHEME:", "'http:"), @"check liveness at SCHEME://triton.invalid:8000/: status 407: the proxy wants credentials, or others: set the proxy to an address with them, such as 'http://user:password@proxy:3128'");
        }
    }
}

#[cfg(any(feature = "rustls", feature = "native-tls"))]
#[tokio::test]
async fn a_proxy_that_leads_nowhere_is_told() {
    let forbidden = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n";
    let (kind, transient, words) = refusal("https", forbidden).await;
    assert_eq!((kind, transient), (ErrorKind::Proxy, false));
    insta::assert_snapshot!(words, @"check liveness at https://triton.invalid:8000/: the proxy answered with status 403 when asked for a connection to the server: does it know the server, and may it connect there?");
    let away = "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n";
    let (kind, transient, _) = refusal("https", away).await;
    assert_eq!((kind, transient), (ErrorKind::Proxy, true));
    let (kind, transient, words) = refusal("https", "").await;
    assert_eq!((kind, transient), (ErrorKind::Proxy, true));
    insta::assert_snapshot!(words, @"check liveness at https://triton.invalid:8000/: the proxy closed the connection before it led to the server");
    let (kind, transient, words) = refusal("https", "SSH-2.0-OpenSSH_9.6\r\n\r\n").await;
    assert_eq!((kind, transient), (ErrorKind::Proxy, false));
    insta::assert_snapshot!(words, @"check liveness at https://triton.invalid:8000/: what answers at the proxy's address is no HTTP proxy: set the proxy to the address of one, with the scheme that it speaks");
}

#[cfg(any(feature = "rustls", feature = "native-tls"))]
#[tokio::test]
async fn a_proxy_that_is_away_is_told() {
    for proxy in [
        "http://127.0.0.1:1",
        "https://127.0.0.1:1",
        "socks5h://127.0.0.1:1",
    ] {
        let endpoint = "http://triton.invalid:8000";
        let client = Client::builder(endpoint).proxy(proxy).build().unwrap();
        let error = client.live().await.unwrap_err();
        assert_eq!(
            (
                error.kind(),
                error.is_transient(),
                error.may_have_executed()
            ),
            (ErrorKind::Proxy, true, false)
        );
        insta::allow_duplicates! {
            insta::assert_snapshot!(error, @"check liveness at http://triton.invalid:8000/: no connection to the proxy could be made; is it running where the setting 'proxy' says?");
        }
    }
}

/// Answers as a SOCKS 5 proxy, and then as the server behind it; `reply` is the proxy's verdict.
fn socks_proxy(credentials: bool, reply: u8) -> (String, std::sync::mpsc::Receiver<String>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (seen, wait) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        while let Ok((connection, _)) = listener.accept() {
            let _ = serve_socks(connection, credentials, reply, &seen);
        }
    });
    (address, wait)
}

fn serve_socks(
    mut connection: TcpStream,
    credentials: bool,
    reply: u8,
    seen: &std::sync::mpsc::Sender<String>,
) -> std::io::Result<()> {
    let mut bytes = [0; 1024];
    let _ = connection.read(&mut bytes)?;
    connection.write_all(&[5, if credentials { 2 } else { 0 }])?;
    if credentials {
        let count = connection.read(&mut bytes)?;
        let _ = seen.send(
            String::from_utf8_lossy(&bytes[..count])
                .escape_debug()
                .to_string(),
        );
        connection.write_all(&[1, 0])?;
    }
    let count = connection.read(&mut bytes)?;
    let _ = seen.send(
        String::from_utf8_lossy(&bytes[..count])
            .escape_debug()
            .to_string(),
    );
    connection.write_all(&[5, reply, 0, 1, 127, 0, 0, 1, 0, 80])?;
    if reply == 0 {
        let count = connection.read(&mut bytes)?;
        let request = String::from_utf8_lossy(&bytes[..count]).into_owned();
        let _ = seen.send(request.lines().take(1).collect());
        connection.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?;
    }
    Ok(())
}

#[tokio::test]
async fn a_socks_proxy_leads_to_the_server() {
    for (scheme, user) in [
        ("socks5h://", ""),
        ("socks5h://", "user:word@"),
        ("socks5://", ""),
    ] {
        let (address, seen) = socks_proxy(!user.is_empty(), 0);
        let host = if scheme == "socks5://" {
            "localhost"
        } else {
            "triton.invalid"
        };
        let client = Client::builder(format!("http://{host}:8000"))
            .proxy(format!("{scheme}{user}{address}"))
            .build()
            .unwrap();
        assert_eq!(client.live().await.unwrap(), Readiness::Ready);
        let seen: Vec<_> = seen.try_iter().collect();
        let [.., asked, request] = &seen[..] else {
            panic!("{seen:?}");
        };
        assert_eq!(request, "GET /v2/health/live HTTP/1.1");
        assert_eq!(
            asked.contains("triton.invalid"),
            host == "triton.invalid",
            "{asked}"
        );
        if !user.is_empty() {
            assert_eq!(seen[0], "\\u{1}\\u{4}user\\u{4}word");
        }
    }
}

#[tokio::test]
async fn a_socks_proxy_that_refuses_is_told() {
    let (address, _) = socks_proxy(false, 5);
    let endpoint = "http://triton.invalid:8000";
    let proxy = format!("socks5h://{address}");
    let client = Client::builder(endpoint).proxy(proxy).build().unwrap();
    let error = client.live().await.unwrap_err();
    assert_eq!(
        (error.kind(), error.may_have_executed()),
        (ErrorKind::Proxy, false)
    );
    insta::assert_snapshot!(error, @"check liveness at http://triton.invalid:8000/: the proxy did not make a connection to the server (SOCKS error: connection refused): does it speak SOCKS 5, and may it connect there?");
}

#[test]
fn other_proxies_are_refused_when_built() {
    for address in ["socks4://canary:1", "ftp://canary", "http://", "::"] {
        let endpoint = "http://triton.invalid:8000";
        let error = Client::builder(endpoint)
            .proxy(address)
            .build()
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidRequest);
        insta::allow_duplicates! {
            insta::assert_snapshot!(error, @"set up at http://triton.invalid:8000/: expected the http, https, socks5 or socks5h address of a proxy, such as 'http://proxy:3128'");
        }
    }
}
