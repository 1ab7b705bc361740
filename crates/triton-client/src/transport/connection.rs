//! How connections are made: limits, TLS and an explicit proxy.

use std::fmt;
use std::time::Duration;

use http::HeaderValue;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Certificate, Identity, Proxy};
use triton_protocol::Endpoint;
use url::{Host, Url};

use super::Transport;
use crate::operation::Operation;
use crate::{Error, ErrorKind};

/// What the builder was told about connections; checked when a [`Transport`] is made of it.
#[derive(Clone)]
pub(crate) struct ConnectionSettings {
    pub(crate) connect_timeout: Duration,
    pub(crate) idle_timeout: Duration,
    pub(crate) idle_connections: usize,
    /// PEM, trusted instead of the system's.
    pub(crate) authorities: Option<Vec<u8>>,
    /// PEM of a certificate chain and of its key.
    pub(crate) identity: Option<(Vec<u8>, Vec<u8>)>,
    pub(crate) server_name: Option<String>,
    pub(crate) proxy: Option<String>,
}

impl fmt::Debug for ConnectionSettings {
    /// Without the proxy, whose address may hold credentials, and without the client's key.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ConnectionSettings")
            .field("connect_timeout", &self.connect_timeout)
            .field("idle_timeout", &self.idle_timeout)
            .field("idle_connections", &self.idle_connections)
            .field("authorities", &self.authorities.is_some())
            .field("identity", &self.identity.is_some())
            .field("server_name", &self.server_name)
            .field("proxy", &self.proxy.is_some())
            .finish()
    }
}

/// Why the settings make no client.
struct Invalid {
    message: &'static str,
    source: Option<reqwest::Error>,
}

impl From<&'static str> for Invalid {
    fn from(message: &'static str) -> Self {
        let source = None;
        Self { message, source }
    }
}

impl Invalid {
    fn because(message: &'static str) -> impl FnOnce(reqwest::Error) -> Self {
        move |source| Self {
            message,
            source: Some(source.without_url()),
        }
    }
}

impl Transport {
    /// Two pools of connections to `endpoint`, as yet empty.
    pub(crate) fn new(
        endpoint: Endpoint,
        settings: &ConnectionSettings,
        response_limit: usize,
    ) -> Result<Self, Error> {
        let made = settings.address(&endpoint).and_then(|(base, host)| {
            let data = settings.client(&endpoint)?;
            let control = settings.client(&endpoint)?;
            Ok((base, host, data, control))
        });
        match made {
            Ok((base, host, data, control)) => Ok(Self {
                endpoint,
                base,
                host,
                data,
                control,
                response_limit,
            }),
            Err(Invalid { message, source }) => {
                let operation = Operation::server("set_up", "set up", "");
                let error = Error::new(ErrorKind::InvalidRequest, &operation, &endpoint, message);
                Err(match source {
                    Some(source) => error.with_source(source),
                    None => error,
                })
            }
        }
    }
}

impl ConnectionSettings {
    /// The URL of all calls, and the `Host` to send where that is not the URL's.
    ///
    /// The HTTP library checks certificates against the host in the URL. Where they bear another
    /// name, that name takes the host's place, and [`EndpointResolver`] undoes it for the network.
    fn address(&self, endpoint: &Endpoint) -> Result<(Url, Option<HeaderValue>), Invalid> {
        let mut url = endpoint.url().clone();
        let Some(server_name) = &self.server_name else {
            return Ok((url, None));
        };
        const EXPECTED: &str = "expected as TLS server name a DNS name such as 'triton.example'";
        let host = url.host_str().unwrap_or_default();
        let host = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        let host = HeaderValue::try_from(host).map_err(|_| EXPECTED)?;
        url.set_host(Some(server_name)).map_err(|_| EXPECTED)?;
        match url.host() {
            Some(Host::Domain(_)) => Ok((url, Some(host))),
            _ => Err(EXPECTED.into()),
        }
    }

    fn client(&self, endpoint: &Endpoint) -> Result<reqwest::Client, Invalid> {
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("triton-client-rust/", env!("CARGO_PKG_VERSION")))
            .http1_only()
            // Whoever owns a request decides whether to send it again, and where to.
            .retry(reqwest::retry::never())
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .connect_timeout(self.connect_timeout)
            .pool_idle_timeout(self.idle_timeout)
            .pool_max_idle_per_host(self.idle_connections);
        if let Some(pem) = &self.authorities {
            const EXPECTED: &str = "expected certificate authorities as PEM";
            let authorities =
                Certificate::from_pem_bundle(pem).map_err(Invalid::because(EXPECTED))?;
            if authorities.is_empty() {
                return Err(EXPECTED.into());
            }
            builder = builder.tls_certs_only(authorities);
        }
        if let Some((certificate, key)) = &self.identity {
            let pem = [certificate.as_slice(), b"\n", key].concat();
            let identity = Identity::from_pem(&pem).map_err(Invalid::because(
                "expected a client certificate and its private key as PEM",
            ))?;
            builder = builder.identity(identity);
        }
        if let Some(proxy) = &self.proxy {
            if self.server_name.is_some() {
                return Err(
                    "a TLS server name cannot be set together with a proxy, which would \
                            be asked to connect to it"
                        .into(),
                );
            }
            // Without its cause, which repeats the address and the credentials in it.
            let proxy = Proxy::all(proxy).map_err(
                |_| "expected the http or https address of a proxy, such as 'http://proxy:3128'",
            )?;
            builder = builder.proxy(proxy);
        }
        if let Some(server_name) = &self.server_name {
            let host = endpoint.url().host_str().unwrap_or_default();
            builder = builder.dns_resolver(EndpointResolver {
                server_name: server_name.to_ascii_lowercase(),
                host: host.trim_matches(['[', ']']).to_owned(),
            });
        }
        builder
            .build()
            .map_err(Invalid::because("the HTTP client cannot be set up"))
    }
}

/// Finds the endpoint's host under the name that its certificate bears.
struct EndpointResolver {
    server_name: String,
    host: String,
}

impl Resolve for EndpointResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let host = match name.as_str() == self.server_name {
            true => self.host.clone(),
            false => name.as_str().to_owned(),
        };
        Box::pin(async move {
            let addresses = tokio::net::lookup_host((host, 0)).await?;
            let addresses: Addrs = Box::new(addresses.collect::<Vec<_>>().into_iter());
            Ok(addresses)
        })
    }
}
