//! Clients that functions share: one for all whose transport settings are equal.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::runtime;
use triton_client::Client;
use triton_options::TritonOptions;

use crate::client_options::ClientSettings;
use crate::permits::{PermitKind, Permits};
use crate::{Error, ErrorKind};

/// A client, and the permits for its connections.
#[derive(Debug)]
pub(crate) struct SharedClient {
    pub(crate) client: Client,
    pub(crate) connections: Permits,
}

/// What functions that share a client have in common.
#[derive(PartialEq)]
struct Key {
    /// Connections belong to the runtime that opened them, and die with it.
    runtime: runtime::Id,
    settings: ClientSettings,
    max_total: u32,
}

/// The clients in use, or lately in use: an entry outlives its client until the next look.
static CLIENTS: Mutex<Vec<(Key, Weak<SharedClient>)>> = Mutex::new(Vec::new());

impl SharedClient {
    /// The client for `options`: the one that an open function has already, or a new one.
    pub(crate) fn get(options: &TritonOptions) -> Result<Arc<Self>, Error> {
        Self::of(ClientSettings::read(options)?, options)
    }

    /// The client of these settings, which may be those of one of several servers.
    pub(crate) fn of(
        settings: ClientSettings,
        options: &TritonOptions,
    ) -> Result<Arc<Self>, Error> {
        let runtime = runtime::Handle::try_current().map_err(|error| {
            let message = format!("a function must be opened within a tokio runtime: {error}");
            Error::new(ErrorKind::State, message)
        })?;
        let key = Key {
            runtime: runtime.id(),
            settings,
            max_total: options.connection_pool_max_total.get(),
        };
        let mut clients = CLIENTS.lock().unwrap_or_else(PoisonError::into_inner);
        clients.retain(|(_, client)| client.strong_count() > 0);
        let found = clients.iter().find(|(other, _)| *other == key);
        if let Some(client) = found.and_then(|(_, client)| client.upgrade()) {
            return Ok(client);
        }
        let client = Arc::new(Self {
            client: key.settings.client()?,
            connections: Permits::new(PermitKind::Connection, key.max_total),
        });
        clients.push((key, Arc::downgrade(&client)));
        Ok(client)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(extra: &[(&str, &str)]) -> TritonOptions {
        let common = [("endpoint", "http://localhost:8000"), ("model-name", "m")];
        TritonOptions::parse(common.iter().chain(extra).copied()).unwrap()
    }

    // Holds F34.
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
