//! Who shares a circuit breaker: all subtasks of a process that call one model in one way.

use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};

use tokio::time::Instant;
use triton_client::{Endpoint, ModelId};

use super::handle::Inner;
use super::{CircuitBreaker, CircuitBreakerSettings};

/// The breakers that someone has a handle on. A list, because a process has few of them.
#[derive(Default)]
pub(super) struct Registry {
    entries: Mutex<Vec<Entry>>,
}

/// The key stands beside the reference, so that looking for a breaker makes no handle on others:
/// dropping such a handle could be the end of that breaker, which asks for the lock.
struct Entry {
    endpoint: Endpoint,
    model: ModelId,
    settings: CircuitBreakerSettings,
    breaker: Weak<Inner>,
}

impl Registry {
    pub(super) fn of_the_process() -> &'static Arc<Self> {
        static REGISTRY: LazyLock<Arc<Registry>> = LazyLock::new(Arc::default);
        &REGISTRY
    }

    /// The breaker for these, which is made if there is none.
    pub(super) fn breaker(
        self: &Arc<Self>,
        endpoint: &Endpoint,
        model: &ModelId,
        settings: CircuitBreakerSettings,
    ) -> CircuitBreaker {
        let mut entries = self.lock();
        let found = entries.iter().find_map(|entry| {
            let same =
                entry.endpoint == *endpoint && entry.model == *model && entry.settings == settings;
            same.then(|| CircuitBreaker::upgrade(&entry.breaker))?
        });
        if let Some(breaker) = found {
            return breaker;
        }
        let breaker = CircuitBreaker::listed_in(
            Arc::downgrade(self),
            endpoint.clone(),
            model.clone(),
            settings,
            Box::new(Instant::now),
        );
        entries.push(Entry {
            endpoint: endpoint.clone(),
            model: model.clone(),
            settings,
            breaker: breaker.downgrade(),
        });
        breaker
    }

    /// Drops the entries of breakers that no one has a handle on any more. Each breaker calls it
    /// as it ends; without that, the last one of each key would keep its memory.
    pub(super) fn forget_closed(&self) {
        self.lock().retain(|entry| entry.breaker.strong_count() > 0);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }
}
