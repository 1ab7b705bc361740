//! One server as a function sees it: connections, their permits, the circuit breaker and the
//! health checks.
//!
//! Whatever is known of a server, and whatever limits what it is sent, is in this one value. Of several
//! servers behind one endpoint each has its own: see [`replicas`](crate::replicas).

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use metrics::Histogram;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use triton_client::{Client, Endpoint, ModelId};
use triton_options::TritonOptions;

use crate::circuit_breaker::{
    CircuitBreaker, CircuitBreakerSettings, CircuitState, Permit, Rejected,
};
use crate::health_monitor::{Health, HealthMonitor, TritonProbe};
use crate::permits::NoPermit;
use crate::shared_client::SharedClient;
use crate::{Error, ErrorKind};

/// A server, for as long as a function is open that calls it.
#[derive(Debug)]
pub(crate) struct Replica {
    client: Arc<SharedClient>,
    /// The longest time one request may take.
    timeout: Duration,
    breaker: Option<CircuitBreaker>,
    health_monitor: Mutex<Option<HealthMonitor>>,
    /// Whether those who ask it whether it is ready tell the breaker.
    is_told: bool,
}

/// A client for one request, and whether the time it has is much less than requests may take.
pub(crate) struct TimedClient {
    pub(crate) client: Client,
    pub(crate) is_cut_short: bool,
}

impl Replica {
    /// The server that `options` name, whose health is checked from now on if they say so.
    pub(crate) fn new(options: &TritonOptions, model: &ModelId) -> Result<Self, Error> {
        let client = SharedClient::get(options)?;
        let breaker = options.circuit_breaker_enabled.then(|| {
            let settings = CircuitBreakerSettings::from(&**options);
            CircuitBreaker::shared(options.endpoint.first(), model, settings)
        });
        let health_monitor = options.health_check_enabled.then(|| {
            let probe = TritonProbe::new(client.client.clone(), model.clone());
            let name = format!("{model} at {}", options.endpoint);
            HealthMonitor::start(probe, options.health_check_interval, breaker.clone(), name)
        });
        Ok(Self {
            client,
            timeout: options.timeout.get(),
            breaker,
            health_monitor: Mutex::new(health_monitor),
            is_told: false,
        })
    }

    /// One of several servers, whose health others look after; its breaker is that of the address that
    /// is called.
    pub(crate) fn of_several(
        client: Arc<SharedClient>,
        options: &TritonOptions,
        endpoint: &Endpoint,
        address: Option<SocketAddr>,
        model: &ModelId,
    ) -> Self {
        let breaker = options.circuit_breaker_enabled.then(|| {
            let settings = CircuitBreakerSettings::from(&**options);
            let called = address.map(|address| endpoint.at(address));
            CircuitBreaker::shared(called.as_ref().unwrap_or(endpoint), model, settings)
        });
        Self {
            client,
            timeout: options.timeout.get(),
            breaker,
            health_monitor: Mutex::new(None),
            is_told: options.health_check_enabled,
        }
    }

    /// Tells the breaker what was found, where the options say so.
    pub(crate) fn tell_breaker(&self, health: &Health) {
        if let Some(breaker) = self.breaker.as_ref().filter(|_| self.is_told) {
            match health {
                Health::Healthy => breaker.probed_healthy(),
                Health::Unhealthy(_) => breaker.probed_unhealthy(),
                Health::Unknown(_) => {}
            }
        }
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client.client
    }

    /// The client for a request that has so much time left, and `timeout` at most.
    pub(crate) fn client_for(&self, left: Duration) -> TimedClient {
        if left >= self.timeout {
            return TimedClient {
                client: self.client().clone(),
                is_cut_short: false,
            };
        }
        TimedClient {
            client: self.client().with_timeout(left),
            is_cut_short: left < self.timeout / 2,
        }
    }

    /// Waits for a connection until `end`; the time goes into `seconds`.
    pub(crate) async fn connection(
        &self,
        end: Option<Instant>,
        seconds: &Histogram,
    ) -> Result<OwnedSemaphorePermit, NoPermit> {
        self.client.connections.acquire(end, seconds).await
    }

    /// Whether the breaker rejects a call at this moment; it takes no trial.
    pub(crate) fn check(&self) -> Result<(), Rejected> {
        self.breaker.as_ref().map_or(Ok(()), CircuitBreaker::check)
    }

    /// Whether the breaker would reject a call at this moment, where nobody has asked for one yet.
    pub(crate) fn rejects(&self) -> bool {
        self.breaker.as_ref().is_some_and(CircuitBreaker::rejects)
    }

    /// Asks the breaker, if there is one, to admit a call that is sent at once.
    pub(crate) fn admit(&self) -> Result<Option<Permit>, Rejected> {
        self.breaker.as_ref().map(CircuitBreaker::admit).transpose()
    }

    pub(crate) fn breaker_state(&self) -> Option<CircuitState> {
        self.breaker.as_ref().map(CircuitBreaker::state)
    }

    /// Ends the health checks and waits until they have ended; doing it twice does nothing.
    pub(crate) async fn stop(&self) -> Result<(), Error> {
        let monitor = self
            .health_monitor
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some(mut monitor) = monitor else {
            return Ok(());
        };
        let stopped = monitor.stop().await;
        stopped.map_err(|error| Error::new(ErrorKind::Close, error.to_string()))
    }
}
