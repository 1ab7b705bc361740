//! Makes connections: a socket, then the proxy's consent, then TLS, each with failures of its own.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use tower_service::Service;

use super::address::Address;
use super::body::RequestBody;
use super::connect_failure::ConnectFailure;
use super::proxy::Proxy;
use super::stream::{Connection, ConnectionHandle, Layer, Socket};
use super::tls::{self, Tls, TlsFailure, TlsName};

/// Connects to one server, perhaps through a proxy.
#[derive(Debug, Clone)]
pub(super) struct Connector(Arc<Route>);

/// A pool of connections to one server.
pub(super) type Connections = HttpClient<Connector, RequestBody>;

/// The way to the server.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) target: Address,
    /// The name that the server's certificate must bear, where there is TLS to the server.
    pub(super) tls_name: Option<TlsName>,
    /// There where either the server or the proxy is reached by it.
    pub(super) tls: Option<Tls>,
    pub(super) proxy: Option<Proxy>,
    /// Where the server is, where its name is not to be looked up.
    pub(super) connect_to: Option<SocketAddr>,
    pub(super) connect_timeout: Duration,
}

impl Connector {
    pub(super) fn new(route: Route) -> Self {
        Self(Arc::new(route))
    }
}

impl Service<Uri> for Connector {
    type Response = Connection;
    type Error = ConnectFailure;
    type Future = Pin<Box<dyn Future<Output = Result<Connection, ConnectFailure>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectFailure>> {
        Poll::Ready(Ok(()))
    }

    /// A client has one server, so the address is known.
    fn call(&mut self, _: Uri) -> Self::Future {
        let route = Arc::clone(&self.0);
        Box::pin(async move {
            let limit = route.connect_timeout;
            match tokio::time::timeout(limit, route.connect()).await {
                Ok(made) => made,
                Err(_) => Err(ConnectFailure::TooSlow(limit, route.proxy.is_some())),
            }
        })
    }
}

impl Route {
    /// Whether a proxy reads the requests, which are then not hidden from it by TLS.
    pub(super) fn is_proxied(&self) -> bool {
        let reads = |proxy: &Proxy| !proxy.is_socks();
        self.tls_name.is_none() && self.proxy.as_ref().is_some_and(reads)
    }

    async fn connect(&self) -> Result<Connection, ConnectFailure> {
        let handle = ConnectionHandle::default();
        let mut io = self.socket(&handle).await?;
        if let Some(proxy) = &self.proxy {
            if proxy.is_https() {
                let name = tls::name(proxy.address.bare_host()).ok_or(ConnectFailure::NoProxy)?;
                io = self.encrypted(name, io, true).await?;
            }
            if proxy.is_socks() {
                io = proxy.socks(io, &self.target).await?;
            } else if self.tls_name.is_some() {
                io = proxy.tunnel(io, &self.target).await?;
            }
        }
        if let Some(name) = &self.tls_name {
            io = self.encrypted(name.clone(), io, false).await?;
        }
        Ok(Connection::new(io, handle, self.is_proxied()))
    }

    async fn socket(&self, handle: &ConnectionHandle) -> Result<Box<dyn Layer>, ConnectFailure> {
        let proxy = self.proxy.as_ref();
        let address = proxy.map_or(&self.target, |proxy| &proxy.address);
        let unreachable = |source: Box<dyn std::error::Error + Send + Sync>| {
            let proxy = self.proxy.is_some();
            ConnectFailure::Unreachable { proxy, source }
        };
        let uri = Uri::try_from(match self.connect_to {
            Some(address) => format!("http://{address}"),
            None => format!("http://{address}"),
        });
        let uri = uri.map_err(|error| unreachable(error.into()))?;
        let mut http = HttpConnector::new();
        http.set_nodelay(true);
        http.set_connect_timeout(Some(self.connect_timeout));
        // A peer that is gone without a word is noticed within a minute.
        http.set_keepalive(Some(Duration::from_secs(15)));
        http.set_keepalive_interval(Some(Duration::from_secs(15)));
        http.set_keepalive_retries(Some(3));
        #[cfg(target_os = "linux")]
        http.set_tcp_user_timeout(Some(Duration::from_secs(30)));
        let tcp = http.call(uri).await;
        let tcp = tcp.map_err(|error| unreachable(error.into()))?;
        Ok(Box::new(Socket::new(tcp.into_inner(), handle.clone())))
    }

    async fn encrypted(
        &self,
        name: TlsName,
        io: Box<dyn Layer>,
        proxy: bool,
    ) -> Result<Box<dyn Layer>, ConnectFailure> {
        let Some(tls) = &self.tls else {
            // Whoever set a name has set TLS up, too.
            return Ok(io);
        };
        tls.connect(name, io).await.map_err(|failure| {
            let TlsFailure {
                lacks_certificate,
                source,
            } = failure;
            ConnectFailure::Tls {
                proxy,
                lacks_certificate,
                source,
            }
        })
    }
}
