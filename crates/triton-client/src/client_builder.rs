//! The settings of a client: setters that cannot fail, and one build that checks them all.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};
use triton_protocol::{Endpoint, InvalidValue, UserInfo};

use crate::client::InferenceSettings;
use crate::extensions::Extensions;
use crate::header_provider::{HeaderProvider, HeaderProviders};
use crate::http_service::HttpService;
use crate::operation::Operation;
use crate::transport::{
    CallSettings, ConnectionSettings, NO_COMPRESSION, Secrets, Transport, headers,
};
use crate::{Client, Compression, Error, ErrorKind, TensorFormat};

/// The settings of a [`Client`] to be.
///
/// ```
/// use std::time::Duration;
/// use triton_client::Client;
///
/// let client = Client::builder("https://triton.example")
///     .timeout(Duration::from_secs(5))
///     .connect_timeout(Duration::from_secs(1))
///     .response_limit(64 << 20)
///     .build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct ClientBuilder {
    /// An address that is none is told when the client is built.
    endpoint: Result<Endpoint, InvalidValue>,
    calls: CallSettings,
    connections: ConnectionSettings,
    inference: InferenceSettings,
    response_limit: usize,
    service: Option<Arc<dyn HttpService>>,
}

impl ClientBuilder {
    pub(crate) fn new<E>(endpoint: E) -> Self
    where
        E: TryInto<Endpoint>,
        E::Error: Into<InvalidValue>,
    {
        Self {
            endpoint: endpoint.try_into().map_err(Into::into),
            calls: CallSettings {
                timeout: Duration::from_secs(30),
                questions: None,
                headers: HeaderMap::new(),
                providers: HeaderProviders::default(),
            },
            connections: ConnectionSettings {
                connect_timeout: Duration::from_secs(10),
                idle_timeout: Duration::from_secs(90),
                idle_connections: usize::MAX,
                authorities: None,
                identity: None,
                server_name: None,
                proxy: None,
                connect_to: None,
            },
            inference: InferenceSettings::default(),
            response_limit: 256 << 20,
            service: None,
        }
    }

    /// The longest time a call may take, from connecting until its whole answer is read
    /// (30 s unless set). For a stream it limits the wait for each event.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.calls.timeout = timeout;
        self
    }

    /// The longest time that making a connection may take, TLS included (10 s unless set).
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connections.connect_timeout = timeout;
        self
    }

    /// How long a connection is kept for a next call (90 s unless set).
    #[must_use]
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.connections.idle_timeout = timeout;
        self
    }

    /// How many connections without a call are kept (any number unless set). It does not limit
    /// how many calls run at once: a call that finds none opens one.
    #[must_use]
    pub fn idle_connections(mut self, count: usize) -> Self {
        self.connections.idle_connections = count;
        self
    }

    /// The most bytes an answer's body may have, after decompression (256 MiB unless set).
    ///
    /// A compressed answer takes up to twice as much memory while it is decompressed. Outputs that
    /// come as JSON take up to five times the bytes of their text, which it is read from included: a
    /// number has two bytes there at least, and eight as an element. What a generation answers takes
    /// no more than this limit beside its text, or 4 MiB where the limit is lower; an answer that
    /// would is [`ErrorKind::ResponseTooLarge`](crate::ErrorKind::ResponseTooLarge), too.
    ///
    /// Descriptions (metadata, configurations, statistics, indexes, settings) have a limit of their
    /// own: 16 MiB, or this one where it is lower.
    #[must_use]
    pub fn response_limit(mut self, bytes: usize) -> Self {
        self.response_limit = bytes;
        self
    }

    /// The form in which tensors travel unless a request says otherwise
    /// ([`TensorFormat::Auto`] unless set).
    #[must_use]
    pub fn tensor_format(mut self, format: TensorFormat) -> Self {
        self.inference.format = format;
        self
    }

    /// Compresses the bodies of inference requests (they are not unless set).
    #[must_use]
    pub fn request_compression(mut self, compression: Compression) -> Self {
        self.inference.request_compression = Some(compression);
        self
    }

    /// Asks for compressed answers to inference requests (they are not unless set).
    #[must_use]
    pub fn response_compression(mut self, compression: Compression) -> Self {
        self.inference.response_compression = Some(compression);
        self
    }

    /// Sends a header with every call, for example `Authorization`, or the `Host` by which a gateway
    /// finds the server; neither a log nor `Debug` shows its value.
    ///
    /// Headers by which client and server agree on a request's bytes, such as `Content-Length`, are
    /// refused when the client is built.
    ///
    /// ```
    /// use triton_client::{Client, HeaderName, HeaderValue};
    ///
    /// let client = Client::builder("https://triton.example")
    ///     .header(HeaderName::from_static("authorization"), HeaderValue::from_static("Bearer canary"));
    /// assert!(!format!("{client:?}").contains("canary"));
    /// # Ok::<(), triton_client::InvalidValue>(())
    /// ```
    #[must_use]
    pub fn header(mut self, name: HeaderName, mut value: HeaderValue) -> Self {
        value.set_sensitive(true);
        self.calls.headers.insert(name, value);
        self
    }

    /// Asks `provider` for headers right before each request is sent: for a token that expires, or
    /// for the trace that the request belongs to. May be called several times.
    ///
    /// They take the place of the client's own headers of the same names, and those of a request of
    /// theirs. After a 401 the request is sent once more if the provider says that it has something
    /// newer: see [`HeaderProvider::has_newer`].
    #[must_use]
    pub fn header_provider(mut self, provider: impl HeaderProvider + 'static) -> Self {
        self.calls.providers.add(provider);
        self
    }

    /// Trusts these certificate authorities, and not those of the system.
    ///
    /// `pem` holds one or more certificates as PEM.
    #[must_use]
    pub fn certificate_authorities(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.connections.authorities = Some(pem.into());
        self
    }

    /// Shows the server a certificate: a chain and its private key, both as PEM.
    #[must_use]
    pub fn client_certificate(
        mut self,
        certificate_pem: impl Into<Vec<u8>>,
        key_pem: impl Into<Vec<u8>>,
    ) -> Self {
        self.connections.identity = Some((certificate_pem.into(), key_pem.into()));
        self
    }

    /// The DNS name that TLS asks for and that the server's certificate must bear, where it is
    /// not the endpoint's host. The `Host` header remains the endpoint's.
    #[must_use]
    pub fn tls_server_name(mut self, name: impl Into<String>) -> Self {
        self.connections.server_name = Some(name.into());
        self
    }

    /// Connects through a proxy, for example `http://user:password@proxy:3128`; `https` endpoints
    /// are reached by `CONNECT`.
    ///
    /// The proxy speaks HTTP, perhaps within TLS (`https://`), or SOCKS 5: with `socks5://` the
    /// client looks the server's address up, with `socks5h://` the proxy does.
    ///
    /// The environment (`HTTP_PROXY` and the like) is never consulted.
    #[must_use]
    pub fn proxy(mut self, address: impl Into<String>) -> Self {
        self.connections.proxy = Some(address.into());
        self
    }

    /// Connects to this address, and does not look up the endpoint's host: for one of several servers
    /// that a name stands for. Requests and TLS name the endpoint's host all the same. Not together with
    /// a [`proxy`](Self::proxy), which connects by itself.
    ///
    /// ```
    /// use triton_client::Client;
    ///
    /// let client = Client::builder("http://triton:8000")
    ///     .connect_to(([10, 0, 0, 3], 8000).into())
    ///     .build()?;
    /// assert_eq!(client.endpoint().to_string(), "http://triton:8000/");
    /// assert_eq!(client.replica().map(|address| address.to_string()).as_deref(), Some("10.0.0.3:8000"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn connect_to(mut self, address: SocketAddr) -> Self {
        self.connections.connect_to = Some(address);
        self
    }

    /// Makes every exchange of HTTP by `service`, and not over connections of the client's own; what is
    /// set here of connections, TLS and a proxy is then not used.
    ///
    /// For middleware around those see [`own_http_service`](Self::own_http_service).
    #[must_use]
    pub fn http_service(mut self, service: Arc<dyn HttpService>) -> Self {
        self.service = Some(service);
        self
    }

    /// The service that a client of these settings would have, to be wrapped in another one.
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use triton_client::http_service::{HttpFuture, HttpService, RequestBody};
    /// use triton_client::{Client, http};
    ///
    /// #[derive(Debug)]
    /// struct Shown(Arc<dyn HttpService>);
    ///
    /// impl HttpService for Shown {
    ///     fn call(&self, request: http::Request<RequestBody>) -> HttpFuture<'_> {
    ///         println!("{} {}", request.method(), request.uri());
    ///         self.0.call(request)
    ///     }
    /// }
    ///
    /// let builder = Client::builder("http://localhost:8000");
    /// let own = builder.own_http_service()?;
    /// let client = builder.http_service(Arc::new(Shown(own))).build()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build), for what is set of connections, TLS and a proxy.
    pub fn own_http_service(&self) -> Result<Arc<dyn HttpService>, Error> {
        self.connections.service(checked(&self.endpoint)?)
    }

    /// Makes the client; no connection is opened yet.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidRequest`](crate::ErrorKind::InvalidRequest) when the endpoint is no
    /// address, when a certificate, a key,
    /// the TLS server name or the proxy's address cannot be read, when a header is set that
    /// belongs to the client itself, such as `Content-Length`, or when something is set that needs a
    /// feature of this crate which was left out.
    pub fn build(mut self) -> Result<Client, Error> {
        let endpoint = checked(&self.endpoint)?.clone();
        // Not in the URL, which HTTP libraries write to their logs.
        if let Some(credentials) = endpoint.user_info().and_then(basic_authentication) {
            self.calls
                .headers
                .entry(AUTHORIZATION)
                .or_insert(credentials);
        }
        let inference = &self.inference;
        let compression = inference
            .request_compression
            .or(inference.response_compression);
        let checked = match compression {
            Some(_) if !cfg!(feature = "compression") => Err(NO_COMPRESSION.to_owned()),
            _ => headers::check(&self.calls.headers),
        };
        if let Err(message) = checked {
            let operation = Operation::server("set_up", "set up", "");
            return Err(Error::new(
                ErrorKind::InvalidRequest,
                &operation,
                Some(&endpoint),
                message,
            ));
        }
        let service = match self.service {
            Some(service) => service,
            None => self.connections.service(&endpoint)?,
        };
        let secrets = Secrets::of_addresses(&endpoint, self.connections.proxy.as_deref());
        let replica = self.connections.connect_to;
        let transport = Transport::new(endpoint, replica, service, secrets, self.response_limit);
        Ok(Client {
            transport: Arc::new(transport),
            settings: Arc::new(self.calls),
            inference: self.inference,
            extensions: Arc::new(Extensions::default()),
            request_ids: Arc::default(),
        })
    }
}

/// The endpoint, if the client was given one that can be.
fn checked(endpoint: &Result<Endpoint, InvalidValue>) -> Result<&Endpoint, Error> {
    endpoint.as_ref().map_err(|invalid| {
        let operation = Operation::server("set_up", "set up", "");
        Error::new(
            ErrorKind::InvalidRequest,
            &operation,
            None,
            format!("the endpoint is no address of a server: {invalid}"),
        )
    })
}

/// User info as HTTP basic authentication (RFC 7617); base64 always makes a header's value.
fn basic_authentication(user_info: &UserInfo) -> Option<HeaderValue> {
    let UserInfo { name, password, .. } = user_info;
    let credentials = STANDARD.encode(format!("{}:{}", name.expose(), password.expose()));
    let mut value = HeaderValue::try_from(format!("Basic {credentials}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}
