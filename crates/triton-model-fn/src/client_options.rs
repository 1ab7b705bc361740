//! From options to a client: the one place that knows which option is which setting of it.

mod pem_file;
mod unusable;

use std::net::SocketAddr;
use std::time::Duration;

use triton_client::{BearerTokenFile, Client, HeaderName, HeaderValue};
use triton_options::{
    AUTH_TOKEN, AUTH_TOKEN_FILE, BearerToken, CUSTOM_HEADERS, Compression, ConfigOption, DnsName,
    Endpoint, EndpointDiscovery, FilePath, Headers, ProxyAddress, Secret, TLS_CA_FILE,
    TLS_CERTIFICATE_FILE, TLS_KEY_FILE, TensorFormat, TritonOptions,
};

use self::pem_file::{CERTIFICATE, PRIVATE_KEY, PemFile};
use self::unusable::{unusable, unusable_path};
use crate::replicas::resolver::{self, SystemResolver};
use crate::{Error, ErrorKind};

/// A client as `options` describe it, for calls that are not a model function's.
///
/// Where `endpoint` names several servers, or a name that stands for several, it is a client of the
/// first one: see [`clients_from_options`].
///
/// The files that options name are read now; that of `auth-token-file` is read again later. What
/// bounds or repeats calls (`max-retries`, `max-in-flight`, `connection-pool-max-total`, the circuit
/// breaker), and what is said with a request (`priority`, `server-timeout`), is the model
/// function's own.
///
/// ```
/// use triton_options::TritonOptions;
///
/// let options = TritonOptions::parse([("endpoint", "triton:8000"), ("model-name", "echo")])?;
/// let client = triton_model_fn::client_from_options(&options)?;
/// assert_eq!(client.endpoint().to_string(), "http://triton:8000/");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`ErrorKind::Options`] when a file cannot be read or does not hold what it should, or when the
/// client cannot be set up.
pub fn client_from_options(options: &TritonOptions) -> Result<Client, Error> {
    ClientSettings::read(options)?.client()
}

/// A client for each of the servers behind `endpoint`, as [`client_from_options`] makes one: of each
/// address that is given, in their order, or of each one that the name stands for at the moment.
///
/// # Errors
///
/// As [`client_from_options`], and [`ErrorKind::Call`] when the name cannot be looked up.
pub async fn clients_from_options(options: &TritonOptions) -> Result<Vec<Client>, Error> {
    let settings = ClientSettings::read(options)?;
    if options.endpoint_discovery == EndpointDiscovery::Dns {
        let endpoint = options.endpoint.first();
        let found = resolver::look_up(&SystemResolver::default(), endpoint).await?;
        let each = found.into_iter();
        return each
            .map(|address| settings.at(endpoint, Some(address)).client())
            .collect();
    }
    let each = options.endpoint.iter();
    each.map(|endpoint| settings.at(endpoint, None).client())
        .collect()
}

/// Everything that distinguishes one client from another, with the files' contents.
///
/// It has no `Debug`, because of the client's key.
#[derive(Clone, PartialEq)]
pub(crate) struct ClientSettings {
    endpoint: Endpoint,
    /// Where the server is, where the endpoint's name is not to be looked up.
    connect_to: Option<SocketAddr>,
    timeout: Duration,
    connection_timeout: Duration,
    idle_connections: usize,
    idle_timeout: Duration,
    compression: Option<Compression>,
    tensor_format: TensorFormat,
    response_limit: usize,
    auth_token: Option<BearerToken>,
    auth_token_file: Option<FilePath>,
    custom_headers: Option<Headers>,
    authorities: Option<PemFile>,
    /// The client's certificate and its key.
    identity: Option<(PemFile, PemFile)>,
    server_name: Option<DnsName>,
    proxy: Option<ProxyAddress>,
}

impl ClientSettings {
    /// Takes what concerns the client out of the options, and reads the files that they name.
    pub(crate) fn read(options: &TritonOptions) -> Result<Self, Error> {
        let authorities = options.tls_ca_file.as_ref();
        let authorities = authorities.map(|path| PemFile::read(&TLS_CA_FILE, path, &CERTIFICATE));
        let certificate = options.tls_certificate_file.as_ref();
        let certificate =
            certificate.map(|path| PemFile::read(&TLS_CERTIFICATE_FILE, path, &CERTIFICATE));
        let key = options.tls_key_file.as_ref();
        let key = key.map(|path| PemFile::read(&TLS_KEY_FILE, path, &PRIVATE_KEY));
        Ok(Self {
            endpoint: options.endpoint.first().clone(),
            connect_to: None,
            timeout: options.timeout.get(),
            connection_timeout: options.connection_timeout.get(),
            idle_connections: match options.connection_reuse_enabled {
                true => options.connection_pool_max_idle as usize,
                false => 0,
            },
            idle_timeout: options.connection_pool_keep_alive.get(),
            compression: options.compression,
            tensor_format: options.tensor_format,
            response_limit: usize::try_from(options.response_limit.bytes()).unwrap_or(usize::MAX),
            auth_token: options.auth_token.clone(),
            auth_token_file: options.auth_token_file.clone(),
            custom_headers: options.custom_headers.clone(),
            authorities: authorities.transpose()?,
            // The options have checked that neither comes alone.
            identity: certificate.transpose()?.zip(key.transpose()?),
            server_name: options.tls_server_name.clone(),
            proxy: options.proxy.clone(),
        })
    }

    /// The same for another server.
    pub(crate) fn at(&self, endpoint: &Endpoint, connect_to: Option<SocketAddr>) -> Self {
        Self {
            endpoint: endpoint.clone(),
            connect_to,
            ..self.clone()
        }
    }

    pub(crate) fn client(&self) -> Result<Client, Error> {
        // Taken apart, so that none of them can be forgotten here.
        let Self {
            endpoint,
            connect_to,
            timeout,
            connection_timeout,
            idle_connections,
            idle_timeout,
            compression,
            tensor_format,
            response_limit,
            auth_token,
            auth_token_file,
            custom_headers,
            authorities,
            identity,
            server_name,
            proxy,
        } = self;
        let mut builder = Client::builder(endpoint.clone())
            .timeout(*timeout)
            .connect_timeout(*connection_timeout)
            .idle_connections(*idle_connections)
            .idle_timeout(*idle_timeout)
            .tensor_format(*tensor_format)
            .response_limit(*response_limit);
        if let Some(address) = connect_to {
            builder = builder.connect_to(*address);
        }
        if let Some(compression) = compression {
            builder = builder.request_compression(*compression);
        }
        if let Some(token) = auth_token {
            let value = header_value(&AUTH_TOKEN, &token.header_value())?;
            builder = builder.header(HeaderName::from_static("authorization"), value);
        }
        if let Some(path) = auth_token_file {
            let file = BearerTokenFile::open(path.as_path())
                .map_err(|error| unusable(&AUTH_TOKEN_FILE, path.as_path(), &error))?;
            builder = builder.header_provider(file);
        }
        for (name, value) in custom_headers.iter().flat_map(Headers::iter) {
            let value = header_value(&CUSTOM_HEADERS, value)?;
            let name = name
                .parse::<HeaderName>()
                .map_err(|_| not_sendable(&CUSTOM_HEADERS))?;
            builder = builder.header(name, value);
        }
        if let Some(pem) = authorities {
            builder = builder.certificate_authorities(pem.content.clone());
        }
        if let Some((certificate, key)) = identity {
            builder = builder.client_certificate(certificate.content.clone(), key.content.clone());
        }
        if let Some(name) = server_name {
            builder = builder.tls_server_name(name.as_str());
        }
        if let Some(proxy) = proxy {
            builder = builder.proxy(proxy.address().expose());
        }
        #[cfg(feature = "opentelemetry")]
        {
            builder = builder.header_provider(triton_client::TraceContext);
        }
        builder
            .build()
            .map_err(|error| self.unusable_file().unwrap_or_else(|| not_set_up(error)))
    }

    /// What is wrong with the files of TLS, where a client cannot be set up because of them: a client
    /// that has nothing else tells which.
    fn unusable_file(&self) -> Option<Error> {
        let builder = || Client::builder("https://localhost");
        if let Some(file) = &self.authorities {
            let client = builder().certificate_authorities(file.content.clone());
            if let Err(error) = client.build() {
                let fault = "a certificate in it cannot be read";
                let key = TLS_CA_FILE.key();
                return Some(unusable_path(key, &file.path, &fault).with_source(error));
            }
        }
        let (certificate, key) = self.identity.as_ref()?;
        let client = builder().client_certificate(certificate.content.clone(), key.content.clone());
        let error = client.build().err()?;
        let message = format!(
            "options '{}' and '{}' name '{}' and '{}', which cannot be used together: expected a \
             certificate and the private key that belongs to it",
            TLS_CERTIFICATE_FILE.key(),
            TLS_KEY_FILE.key(),
            certificate.path.display(),
            key.path.display()
        );
        Some(Error::new(ErrorKind::Options, message).with_source(error))
    }
}

fn not_set_up(error: triton_client::Error) -> Error {
    Error::new(ErrorKind::Options, "the client cannot be set up").with_source(error)
}

fn header_value<T>(option: &ConfigOption<T>, value: &Secret) -> Result<HeaderValue, Error> {
    HeaderValue::from_str(value.expose()).map_err(|_| not_sendable(option))
}

/// The options have checked their values, so this is hardly ever seen.
fn not_sendable<T>(option: &ConfigOption<T>) -> Error {
    let message = format!(
        "the value of option '{}' cannot be sent as an HTTP header",
        option.key()
    );
    Error::new(ErrorKind::Options, message)
}

#[cfg(test)]
mod tests;
