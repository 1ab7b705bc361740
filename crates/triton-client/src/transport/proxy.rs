//! Proxies: their address, and how each kind is asked for a way to the server.

use std::future::{Ready, ready};
use std::io;
use std::task::{Context, Poll};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, Uri};
use hyper_util::client::legacy::connect::proxy::SocksV5;
use hyper_util::rt::TokioIo;
use percent_encoding::percent_decode_str;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tower_service::Service;
use url::Url;

use super::address::Address;
use super::connect_failure::ConnectFailure;
use super::connection_settings::Invalid;
use super::stream::Layer;

/// The longest head of a proxy's answer; longer ones are no proxy's.
const LONGEST_HEAD: usize = 16 << 10;

/// A proxy and what it is told.
#[derive(Debug, Clone)]
pub(super) struct Proxy {
    pub(super) address: Address,
    pub(super) kind: ProxyKind,
    credentials: Option<(String, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ProxyKind {
    Http,
    /// HTTP within TLS.
    Https,
    /// SOCKS 5, with host names looked up here (`socks5`).
    Socks,
    /// SOCKS 5, with host names looked up by the proxy (`socks5h`).
    SocksWithNames,
}

impl Proxy {
    /// The messages repeat nothing of the address, which may hold credentials.
    pub(super) fn parse(text: &str) -> Result<Self, Invalid> {
        const EXPECTED: &str = "expected the http, https, socks5 or socks5h address of a proxy, \
                                such as 'http://proxy:3128'";
        let text = text.trim();
        let url = match text.contains("://") {
            true => Url::parse(text),
            false => Url::parse(&format!("http://{text}")),
        };
        let url = url.map_err(|_| EXPECTED)?;
        let (kind, default_port) = match url.scheme() {
            "http" => (ProxyKind::Http, 80),
            "https" => (ProxyKind::Https, 443),
            "socks5" => (ProxyKind::Socks, 1080),
            "socks5h" => (ProxyKind::SocksWithNames, 1080),
            _ => return Err(EXPECTED.into()),
        };
        let host = url.host_str().filter(|host| !host.is_empty());
        let host = host.ok_or(EXPECTED)?;
        let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let password = url.password().map(decode).unwrap_or_default();
        let name = decode(url.username());
        let is_socks = matches!(kind, ProxyKind::Socks | ProxyKind::SocksWithNames);
        if is_socks && (name.len() > 255 || password.len() > 255) {
            return Err(
                "expected a user name and a password of at most 255 bytes for the proxy".into(),
            );
        }
        Ok(Self {
            address: Address {
                host: host.to_owned(),
                port: url.port().unwrap_or(default_port),
            },
            kind,
            credentials: (!name.is_empty() || !password.is_empty()).then_some((name, password)),
        })
    }

    /// Whether the proxy itself is reached by TLS.
    pub(super) fn is_https(&self) -> bool {
        self.kind == ProxyKind::Https
    }

    pub(super) fn is_socks(&self) -> bool {
        matches!(self.kind, ProxyKind::Socks | ProxyKind::SocksWithNames)
    }

    /// `Proxy-Authorization`, for requests that the proxy reads.
    pub(super) fn authorization(&self) -> Option<HeaderValue> {
        let (name, password) = self.credentials.as_ref()?;
        let credentials = STANDARD.encode(format!("{name}:{password}"));
        let mut value = HeaderValue::try_from(format!("Basic {credentials}")).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// Asks an HTTP proxy for a tunnel to `target` by `CONNECT`.
    pub(super) async fn tunnel(
        &self,
        mut io: Box<dyn Layer>,
        target: &Address,
    ) -> Result<Box<dyn Layer>, ConnectFailure> {
        let broken = |source| ConnectFailure::ProxyBroke { source };
        let mut request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n").into_bytes();
        if let Some(authorization) = self.authorization() {
            request.extend_from_slice(b"Proxy-Authorization: ");
            request.extend_from_slice(authorization.as_bytes());
            request.extend_from_slice(b"\r\n");
        }
        request.extend_from_slice(b"\r\n");
        io.write_all(&request).await.map_err(broken)?;
        io.flush().await.map_err(broken)?;
        let mut head = Vec::new();
        let mut piece = [0; 1024];
        // The server says nothing before it is asked, so what follows the head is the proxy's.
        while memchr::memmem::find(&head, b"\r\n\r\n").is_none() {
            if head.len() > LONGEST_HEAD {
                return Err(ConnectFailure::NoProxy);
            }
            match io.read(&mut piece).await.map_err(broken)? {
                0 => return Err(broken(io::ErrorKind::UnexpectedEof.into())),
                count => head.extend_from_slice(&piece[..count]),
            }
        }
        match status(&head) {
            None => Err(ConnectFailure::NoProxy),
            Some(200..=299) => Ok(io),
            Some(status) => Err(ConnectFailure::ProxyRefused { status }),
        }
    }

    /// Asks a SOCKS proxy for a way to `target`.
    pub(super) async fn socks(
        &self,
        io: Box<dyn Layer>,
        target: &Address,
    ) -> Result<Box<dyn Layer>, ConnectFailure> {
        let target = match self.kind {
            ProxyKind::SocksWithNames => target.clone(),
            _ => target.resolved().await?,
        };
        // Only its kind counts: the connection is there already.
        let proxy = Uri::from_static("socks5://proxy");
        let mut handshake = SocksV5::new(proxy, Made(Some(TokioIo::new(io))));
        if let Some((name, password)) = &self.credentials {
            handshake = handshake.with_auth(name.clone(), password.clone());
        }
        let uri = Uri::try_from(format!("socks5://{target}"));
        let uri = uri.map_err(|error| ConnectFailure::Socks(error.to_string()))?;
        let io = handshake.call(uri).await;
        match io {
            Ok(io) => Ok(io.into_inner()),
            Err(error) => {
                let text = error.to_string();
                Err(
                    match text.contains("credentials") || text.contains("authentication") {
                        true => ConnectFailure::ProxyRefused { status: 407 },
                        false => ConnectFailure::Socks(text),
                    },
                )
            }
        }
    }
}

/// The status of an answer's first line.
fn status(head: &[u8]) -> Option<u16> {
    let line = head.split(|byte| *byte == b'\r').next()?;
    let line = std::str::from_utf8(line).ok()?;
    let mut words = line.split(' ');
    words.next()?.strip_prefix("HTTP/1.")?;
    words.next()?.parse().ok()
}

/// The connection that is there already, as the library's way to make one.
struct Made(Option<TokioIo<Box<dyn Layer>>>);

impl Service<Uri> for Made {
    type Response = TokioIo<Box<dyn Layer>>;
    type Error = io::Error;
    type Future = Ready<io::Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        ready(
            self.0
                .take()
                .ok_or_else(|| io::ErrorKind::NotConnected.into()),
        )
    }
}
