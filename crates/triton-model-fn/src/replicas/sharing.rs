//! Who shares a set of replicas: the functions of a process that call one model in the same way.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::runtime;
use triton_client::ModelId;
use triton_options::{EndpointDiscovery, SequenceMode, TritonOptions};

use super::key::Key;
use super::member::Name;
use super::resolver::{Resolver, SystemResolver};
use super::set::ReplicaSet;
use super::tasks;
use crate::circuit_breaker::CircuitBreakerSettings;
use crate::client_options::ClientSettings;
use crate::{Error, ErrorKind};

/// The sets in use, or lately in use: an entry outlives its set until the next look.
static SETS: Mutex<Vec<(Key, Weak<ReplicaSet>)>> = Mutex::new(Vec::new());

impl ReplicaSet {
    /// The set for `options`: the one that an open function has already, or a new one.
    pub(crate) fn get(
        options: &TritonOptions,
        model: &ModelId,
        resolver: Option<&Arc<dyn Resolver>>,
    ) -> Result<Arc<Self>, Error> {
        let runtime = runtime::Handle::try_current().map_err(|error| {
            let message = format!("a function must be opened within a tokio runtime: {error}");
            Error::new(ErrorKind::State, message)
        })?;
        let settings = ClientSettings::read(options)?;
        let key = Key {
            runtime: runtime.id(),
            settings,
            endpoint: options.endpoint.clone(),
            discovery: options.endpoint_discovery,
            model: model.clone(),
            breaker: options
                .circuit_breaker_enabled
                .then(|| CircuitBreakerSettings::from(&**options)),
            max_total: options.connection_pool_max_total.get(),
            has_sequences: matches!(
                options.sequence_mode(),
                SequenceMode::PerKey { .. } | SequenceMode::Static { .. }
            ),
            id_type: options.sequence_id_type,
            recovery: options.sequence_recovery,
            drain: options.endpoint_drain,
            refresh: options.endpoint_refresh.get(),
            is_told: options.health_check_enabled,
            pause: match options.health_check_enabled {
                true => options.health_check_interval.get(),
                false => options.endpoint_refresh.get(),
            },
            resolver: resolver.map(|resolver| Arc::as_ptr(resolver).cast::<()>() as usize),
        };
        let mut sets = SETS.lock().unwrap_or_else(PoisonError::into_inner);
        sets.retain(|(_, set)| set.strong_count() > 0);
        let found = sets.iter().find(|(other, _)| *other == key);
        if let Some(set) = found.and_then(|(_, set)| set.upgrade()) {
            return Ok(set);
        }
        let resolver = resolver.cloned().unwrap_or_else(SystemResolver::shared);
        let set = Self::new(key.clone(), options, model, resolver)?;
        if options.endpoint_discovery == EndpointDiscovery::Static {
            let given: Vec<Name> = options.endpoint.iter().cloned().map(Name::Given).collect();
            set.found(&given)?;
        }
        tasks::start(&set);
        sets.push((key, Arc::downgrade(&set)));
        Ok(set)
    }
}
