//! Clients that functions share: one for all whose transport settings are equal.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::runtime;
use tokio::sync::{Semaphore, SemaphorePermit};
use triton_client::{Client, HeaderName, HeaderValue};
use triton_options::{
    AUTH_TOKEN, CUSTOM_HEADERS, Compression, Endpoint, Headers, Secret, TritonOptions,
};

use crate::{Error, ErrorKind};

/// A client with the transport settings of `options`, for calls that are not a function's.
///
/// # Errors
///
/// [`ErrorKind::Call`] when the client cannot be set up, and [`ErrorKind::State`] outside of a
/// tokio runtime.
pub fn client(options: &TritonOptions) -> Result<Client, Error> {
    Settings::new(options)?.client()
}

/// A client, and the places for calls under way.
#[derive(Debug)]
pub(crate) struct SharedClient {
    pub(crate) client: Client,
    places: Semaphore,
}

/// Everything that distinguishes one client from another.
#[derive(Debug, PartialEq)]
struct Settings {
    /// Connections belong to the runtime that opened them, and die with it.
    runtime: runtime::Id,
    endpoint: Endpoint,
    timeout: Duration,
    connection_timeout: Duration,
    idle_connections: usize,
    idle_timeout: Duration,
    max_total: usize,
    compression: Option<Compression>,
    auth_token: Option<Secret>,
    custom_headers: Option<Headers>,
}

/// The clients in use, or lately in use: an entry outlives its client until the next look.
static CLIENTS: Mutex<Vec<(Settings, Weak<SharedClient>)>> = Mutex::new(Vec::new());

impl SharedClient {
    /// The client for `options`: the one that an open function has already, or a new one.
    pub(crate) fn get(options: &TritonOptions) -> Result<Arc<Self>, Error> {
        let settings = Settings::new(options)?;
        let mut clients = CLIENTS.lock().unwrap_or_else(PoisonError::into_inner);
        clients.retain(|(_, client)| client.strong_count() > 0);
        let found = clients.iter().find(|(other, _)| *other == settings);
        if let Some(client) = found.and_then(|(_, client)| client.upgrade()) {
            return Ok(client);
        }
        let client = Arc::new(Self {
            client: settings.client()?,
            places: Semaphore::new(settings.max_total),
        });
        clients.push((settings, Arc::downgrade(&client)));
        Ok(client)
    }

    /// Waits until fewer calls are under way than connections are allowed.
    pub(crate) async fn place(&self) -> Option<SemaphorePermit<'_>> {
        self.places.acquire().await.ok()
    }
}

impl Settings {
    fn new(options: &TritonOptions) -> Result<Self, Error> {
        let runtime = runtime::Handle::try_current().map_err(|error| {
            let message = format!("a function must be opened within a tokio runtime: {error}");
            Error::new(ErrorKind::State, message)
        })?;
        let reuse = options.connection_reuse_enabled;
        Ok(Self {
            runtime: runtime.id(),
            endpoint: options.endpoint.clone(),
            timeout: options.timeout.get(),
            connection_timeout: options.connection_timeout.get(),
            idle_connections: if reuse {
                options.connection_pool_max_idle as usize
            } else {
                0
            },
            idle_timeout: options.connection_pool_keep_alive.get(),
            max_total: options.connection_pool_max_total.get() as usize,
            compression: options.compression,
            auth_token: options.auth_token.clone(),
            custom_headers: options.custom_headers.clone(),
        })
    }

    fn client(&self) -> Result<Client, Error> {
        let mut builder = Client::builder(self.endpoint.clone())
            .timeout(self.timeout)
            .connect_timeout(self.connection_timeout)
            .idle_connections(self.idle_connections)
            .idle_timeout(self.idle_timeout);
        if let Some(compression) = self.compression {
            builder = builder.request_compression(compression);
        }
        if let Some(token) = &self.auth_token {
            let value = header_value(AUTH_TOKEN.key(), &format!("Bearer {}", token.expose()))?;
            builder = builder.header(HeaderName::from_static("authorization"), value);
        }
        for (name, value) in self.custom_headers.iter().flat_map(Headers::iter) {
            let value = header_value(CUSTOM_HEADERS.key(), value.expose())?;
            let name = name
                .parse::<HeaderName>()
                .map_err(|_| not_sendable(CUSTOM_HEADERS.key()))?;
            builder = builder.header(name, value);
        }
        builder
            .build()
            .map_err(|error| Error::call("the client cannot be set up", error))
    }
}

fn header_value(key: &str, text: &str) -> Result<HeaderValue, Error> {
    HeaderValue::from_str(text).map_err(|_| not_sendable(key))
}

/// The options have checked their values, so this is hardly ever seen.
fn not_sendable(key: &str) -> Error {
    let message = format!("the value of option '{key}' cannot be sent as an HTTP header");
    Error::new(ErrorKind::State, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(extra: &[(&str, &str)]) -> TritonOptions {
        let common = [("endpoint", "http://localhost:8000"), ("model-name", "m")];
        TritonOptions::parse(common.iter().chain(extra).copied()).unwrap()
    }

    #[tokio::test]
    async fn equal_settings_share_a_client_until_the_last_user_is_gone() {
        // A token of its own keeps other tests of this process out.
        let token = ("auth-token", "shared-client-test");
        let first = SharedClient::get(&options(&[token])).unwrap();
        // Another model, but the same transport.
        let second = SharedClient::get(&options(&[token, ("max-retries", "3")])).unwrap();
        assert!(Arc::ptr_eq(&first, &second));
        let other = SharedClient::get(&options(&[token, ("timeout", "1 s")])).unwrap();
        assert!(!Arc::ptr_eq(&first, &other));
        let weak = Arc::downgrade(&first);
        drop((first, second));
        assert!(weak.upgrade().is_none());
    }

    #[test]
    fn another_runtime_gets_a_client_of_its_own() {
        let get = || {
            let runtime = runtime::Builder::new_current_thread().build().unwrap();
            let options = options(&[("auth-token", "another-runtime-test")]);
            (
                runtime.block_on(async { SharedClient::get(&options).unwrap() }),
                runtime,
            )
        };
        let (first, second) = (get(), get());
        assert!(!Arc::ptr_eq(&first.0, &second.0));
    }
}
