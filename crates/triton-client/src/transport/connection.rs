//! The way to a server, as the settings say, and the pools of connections on it.

use std::net::IpAddr;
use std::sync::Arc;

use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use triton_protocol::Endpoint;

use super::LONGEST;
use super::address::Address;
use super::connection_settings::{ConnectionSettings, Invalid};
use super::connector::{Connections, Connector, Route};
use super::own_service::OwnService;
use super::proxy::Proxy;
use super::tls::{self, Tls, TlsName};
use crate::http_service::HttpService;
use crate::operation::Operation;
use crate::{Error, ErrorKind};

impl ConnectionSettings {
    /// Two pools of connections to `endpoint`, as yet empty.
    pub(crate) fn service(&self, endpoint: &Endpoint) -> Result<Arc<dyn HttpService>, Error> {
        match self.route(endpoint) {
            Ok(route) => {
                let proxy_authorization = match (route.is_proxied(), &route.proxy) {
                    (true, Some(proxy)) => proxy.authorization(),
                    _ => None,
                };
                let connector = Connector::new(route);
                Ok(Arc::new(OwnService {
                    data: self.connections(connector.clone()),
                    control: self.connections(connector),
                    proxy_authorization,
                }))
            }
            Err(Invalid { message, source }) => {
                let operation = Operation::server("set_up", "set up", "");
                let error = Error::new(
                    ErrorKind::InvalidRequest,
                    &operation,
                    Some(endpoint),
                    message,
                );
                Err(match source {
                    Some(source) => error.with_source(source),
                    None => error,
                })
            }
        }
    }

    /// The way to `endpoint`.
    fn route(&self, endpoint: &Endpoint) -> Result<Route, Invalid> {
        let url = endpoint.url();
        let target = Address {
            host: url.host_str().unwrap_or_default().to_owned(),
            port: url.port_or_known_default().unwrap_or_default(),
        };
        let proxy = self.proxy.as_deref().map(Proxy::parse).transpose()?;
        if proxy.is_some() && self.connect_to.is_some() {
            let message =
                "expected no proxy where it is said what to connect to: it finds the server itself";
            return Err(message.into());
        }
        let tls_name = match (&self.server_name, url.scheme()) {
            (Some(name), scheme) => {
                let name = server_name(name)?;
                (scheme == "https").then_some(name)
            }
            (None, "https") => {
                let name = tls::name(target.bare_host());
                Some(name.ok_or("expected an endpoint whose host is a DNS name or an IP address")?)
            }
            (None, _) => None,
        };
        // Without need for it, neither the system's authorities are read nor missing ones a fault;
        // but what was set is checked.
        let is_set = self.authorities.is_some() || self.identity.is_some();
        let needs_tls = tls_name.is_some() || proxy.as_ref().is_some_and(Proxy::is_https);
        let tls = match needs_tls || is_set {
            true => Some(Tls::new(self)?),
            false => None,
        };
        Ok(Route {
            target,
            tls_name,
            tls,
            proxy,
            connect_to: self.connect_to,
            connect_timeout: self.connect_timeout,
        })
    }

    fn connections(&self, connector: Connector) -> Connections {
        HttpClient::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(self.idle_timeout.min(LONGEST))
            .pool_max_idle_per_host(self.idle_connections)
            .build(connector)
    }
}

/// A DNS name, and no IP address: nobody asks TLS for those.
fn server_name(name: &str) -> Result<TlsName, Invalid> {
    let is_address = name.parse::<IpAddr>().is_ok();
    let name = tls::name(name).filter(|_| !is_address);
    name.ok_or_else(|| "expected as TLS server name a DNS name such as 'triton.example'".into())
}
