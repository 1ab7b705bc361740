//! The stores that addresses lead to, as the environment says, and the threads that talk to them.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, mpsc};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::http::HttpBuilder;
use object_store::{ClientConfigKey, ClientOptions, ObjectStore, RetryConfig};
use tokio::runtime::{Builder, Runtime};

use super::address::{Address, Scheme};
use super::credentials;

/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a store may be silent that is to answer.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a request may take in all, with what it reads: an input is read as slowly as its rows are
/// answered, and goes on from its middle with a new request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60 * 60);

/// How often a request is sent at most, unless the variable of the AWS tools says otherwise.
const ATTEMPTS: usize = 10;
const ATTEMPTS_VARIABLE: &str = "AWS_MAX_ATTEMPTS";

/// After how long no request is sent once more.
const RETRY_TIMEOUT: Duration = Duration::from_secs(180);

/// How many threads talk to stores: what is sent is signed and encrypted there.
const THREADS: usize = 2;

type Stores = HashMap<(Scheme, String), Arc<dyn ObjectStore>>;

/// The store of an address. All objects of a bucket share one, with its connections.
pub(super) fn store_of(address: &Address) -> anyhow::Result<Arc<dyn ObjectStore>> {
    static STORES: OnceLock<Mutex<Stores>> = OnceLock::new();
    let key = match address.scheme {
        // What such an address has beside its path is part of the store.
        Scheme::Http => (address.scheme, address.url.clone()),
        _ => (address.scheme, address.bucket.clone()),
    };
    let mut stores = STORES
        .get_or_init(Mutex::default)
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    if let Some(store) = stores.get(&key) {
        return Ok(Arc::clone(store));
    }
    let store = opened(address)?;
    stores.insert(key, Arc::clone(&store));
    Ok(store)
}

fn opened(address: &Address) -> anyhow::Result<Arc<dyn ObjectStore>> {
    // The HTTP client has no provider of cryptography of its own. Where there is one already, it is
    // the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    credentials::check(address)?;
    let bucket = &address.bucket;
    let retry = RetryConfig {
        max_retries: attempts()?.saturating_sub(1),
        retry_timeout: RETRY_TIMEOUT,
        ..RetryConfig::default()
    };
    let timeouts = [
        (ClientConfigKey::ConnectTimeout, CONNECT_TIMEOUT),
        (ClientConfigKey::ReadTimeout, READ_TIMEOUT),
        (ClientConfigKey::Timeout, REQUEST_TIMEOUT),
    ];
    let timeouts = timeouts.map(|(key, value)| (key, format!("{}s", value.as_secs())));
    let store: object_store::Result<Arc<dyn ObjectStore>> = match address.scheme {
        Scheme::S3 => {
            let mut builder = AmazonS3Builder::from_env();
            for (key, value) in timeouts {
                builder = builder.with_config(AmazonS3ConfigKey::Client(key), value);
            }
            let builder = builder.with_bucket_name(bucket).with_retry(retry);
            builder.build().map(|store| Arc::new(store) as _)
        }
        Scheme::Gs => {
            let mut builder = GoogleCloudStorageBuilder::from_env();
            for (key, value) in timeouts {
                builder = builder.with_config(GoogleConfigKey::Client(key), value);
            }
            let builder = builder.with_bucket_name(bucket).with_retry(retry);
            builder.build().map(|store| Arc::new(store) as _)
        }
        Scheme::Az => {
            let mut builder = MicrosoftAzureBuilder::from_env();
            // Azure's own tools call the two so.
            for (variable, key) in [
                ("AZURE_STORAGE_ACCOUNT", AzureConfigKey::AccountName),
                ("AZURE_STORAGE_KEY", AzureConfigKey::AccessKey),
            ] {
                if let Ok(value) = std::env::var(variable) {
                    builder = builder.with_config(key, value);
                }
            }
            for (key, value) in timeouts {
                builder = builder.with_config(AzureConfigKey::Client(key), value);
            }
            let builder = builder.with_container_name(bucket).with_retry(retry);
            builder.build().map(|store| Arc::new(store) as _)
        }
        Scheme::Http => {
            let options = ClientOptions::new()
                .with_allow_http(true)
                .with_connect_timeout(CONNECT_TIMEOUT)
                .with_read_timeout(READ_TIMEOUT)
                .with_timeout(REQUEST_TIMEOUT);
            let (url, headers) = without_user(&address.url)?;
            let builder = HttpBuilder::new().with_url(url).with_retry(retry);
            let builder = builder.with_client_options(options.with_default_headers(headers));
            builder.build().map(|store| Arc::new(store) as _)
        }
    };
    store.map_err(|error| super::explained::of_settings(address, &error))
}

/// How often a request is sent at most.
fn attempts() -> anyhow::Result<usize> {
    let Ok(text) = std::env::var(ATTEMPTS_VARIABLE) else {
        return Ok(ATTEMPTS);
    };
    let attempts = text.trim().parse().ok().filter(|attempts| *attempts > 0);
    attempts.ok_or_else(|| {
        anyhow::anyhow!("{ATTEMPTS_VARIABLE}: expected a whole number from 1 on, found '{text}'")
    })
}

/// The address of a web server without a user and a password, and these as a header.
fn without_user(url: &str) -> anyhow::Result<(String, HeaderMap)> {
    let mut headers = HeaderMap::new();
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let Some((user, host)) = rest[..end].rsplit_once('@') else {
        return Ok((url.to_owned(), headers));
    };
    let encoded = BASE64_STANDARD.encode(percent_decoded(user));
    let mut value = HeaderValue::from_str(&format!("Basic {encoded}"))?;
    value.set_sensitive(true);
    headers.insert(AUTHORIZATION, value);
    Ok((format!("{scheme}://{host}{}", &rest[end..]), headers))
}

/// A text with `%40` and its like as what they stand for.
fn percent_decoded(text: &str) -> Vec<u8> {
    let mut decoded = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let code = behind.get(..2).filter(|_| *first == b'%');
        let code = code.and_then(|code| u8::from_str_radix(str::from_utf8(code).ok()?, 16).ok());
        decoded.push(code.unwrap_or(*first));
        rest = if code.is_some() { &behind[2..] } else { behind };
    }
    decoded
}

/// Begins work on the threads that talk to stores, whatever thread this is.
pub(super) fn begin<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> io::Result<Pending<T>> {
    static RUNTIME: OnceLock<io::Result<Runtime>> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| {
        Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("objects")
            .enable_all()
            .build()
    });
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return Err(io::Error::new(error.kind(), error.to_string())),
    };
    let (done, result) = mpsc::sync_channel(1);
    runtime.spawn(async move {
        // Whoever began it may have given it up.
        let _ = done.send(work.await);
    });
    Ok(Pending(result))
}

/// Does work on the threads that talk to stores, and waits for it.
pub(super) fn wait_for<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> io::Result<T> {
    begin(work)?.wait()
}

/// Work that was begun.
#[derive(Debug)]
pub(super) struct Pending<T>(mpsc::Receiver<T>);

impl<T> Pending<T> {
    /// Waits for it. That ends, because each request to a store does.
    pub(super) fn wait(self) -> io::Result<T> {
        self.0.recv().map_err(|_| failed())
    }

    /// Waits for it, and not longer than that.
    pub(super) fn wait_at_most(self, time: Duration) -> io::Result<T> {
        self.0.recv_timeout(time).map_err(|error| match error {
            mpsc::RecvTimeoutError::Timeout => {
                io::Error::new(io::ErrorKind::TimedOut, "the store does not answer")
            }
            mpsc::RecvTimeoutError::Disconnected => failed(),
        })
    }
}

fn failed() -> io::Error {
    io::Error::other("the thread that talks to the store has failed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_and_a_password_are_sent_as_a_header() {
        let (url, headers) = without_user("https://u%40v:p@h:1/a@b?c@d").unwrap();
        assert_eq!(url, "https://h:1/a@b?c@d");
        let expected = format!("Basic {}", BASE64_STANDARD.encode("u@v:p"));
        assert_eq!(headers[AUTHORIZATION], expected);
        let (url, headers) = without_user("http://h?a@b").unwrap();
        assert_eq!((&*url, headers.len()), ("http://h?a@b", 0));
    }
}
