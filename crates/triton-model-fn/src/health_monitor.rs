//! Asks the server at intervals whether it and the model are ready, and tells the circuit breaker.
//!
//! A breaker alone learns of a failure from rows that fail, and of the end of it from rows put on
//! trial. A health check notices both without a row.

use std::fmt;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use triton_client::{Client, Error, ErrorKind, ModelId, Readiness};
use triton_options::PositiveDuration;

use crate::circuit_breaker::CircuitBreaker;

/// The longest time one health check may take, where the interval is not shorter still.
pub const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// What a health check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// The server is alive and the model takes requests.
    Healthy,
    /// They are not, or do not answer; the text says which.
    Unhealthy(String),
    /// The check itself was refused, which says nothing about inference: the health API may be
    /// restricted. The breaker is told nothing.
    Unknown(String),
}

impl Health {
    fn is_like(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

/// Looks at the health of a server and a model once.
pub trait HealthProbe: Send + Sync + 'static {
    /// The health now. It may be dropped at any await, when the time is over or the monitor is
    /// stopped.
    fn probe(&self) -> impl Future<Output = Health> + Send;
}

/// Asks a Triton server: is it alive, and is the model ready?
///
/// Give it a client with a connection of its own where that is possible: a model that is being
/// loaded blocks the server's worker, and every connection that hangs on it.
#[derive(Debug, Clone)]
pub struct TritonProbe {
    client: Client,
    model: ModelId,
}

impl TritonProbe {
    /// A probe of `model` at the endpoint of `client`.
    #[must_use]
    pub fn new(client: Client, model: ModelId) -> Self {
        Self { client, model }
    }
}

impl HealthProbe for TritonProbe {
    async fn probe(&self) -> Health {
        match self.client.live().await {
            Ok(Readiness::Ready) => {}
            Ok(Readiness::NotReady) => return Health::Unhealthy("the server is not live".into()),
            Err(error) => return judge(&error),
        }
        match self.client.model_ready(&self.model).await {
            Ok(Readiness::Ready) => Health::Healthy,
            Ok(Readiness::NotReady) => {
                Health::Unhealthy(format!("model {} is not ready", self.model))
            }
            Err(error) => judge(&error),
        }
    }
}

/// What a check that failed says about the server.
fn judge(error: &Error) -> Health {
    match error.kind() {
        kind if kind.is_connection() => Health::Unhealthy(error.to_string()),
        // Not a model that is missing, but no server there at all.
        ErrorKind::NotFound
        | ErrorKind::Timeout
        | ErrorKind::Interrupted
        | ErrorKind::Protocol
        | ErrorKind::Unavailable
        | ErrorKind::Server => Health::Unhealthy(error.to_string()),
        _ => Health::Unknown(error.to_string()),
    }
}

/// A task that checks the health from now on, until it is stopped or dropped.
///
/// The first check is made at once, each further one an interval after the end of the one before.
/// After a check the [`CircuitBreaker`] is told, then [`health`](Self::health) changes, and then,
/// if the health is not what it was before, the log says so.
#[derive(Debug)]
pub struct HealthMonitor {
    task: Option<JoinHandle<()>>,
    health: watch::Receiver<Option<Health>>,
}

/// The health checks ended by a panic, some time before the monitor was stopped.
#[derive(Debug, thiserror::Error)]
#[error("the health monitor had panicked")]
pub struct HealthMonitorPanicked(#[source] tokio::task::JoinError);

impl HealthMonitor {
    /// Starts the checks. Without a `breaker` they are only logged.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    #[must_use = "dropping the monitor stops it"]
    pub fn start(
        probe: impl HealthProbe,
        interval: PositiveDuration,
        breaker: Option<CircuitBreaker>,
        name: impl fmt::Display,
    ) -> Self {
        let (sender, health) = watch::channel(None);
        let checks = Checks {
            probe,
            interval: interval.get(),
            breaker,
            name: name.to_string(),
            health: sender,
        };
        Self {
            task: Some(tokio::spawn(checks.run())),
            health,
        }
    }

    /// What the last check found, and a way to wait for a change; `None` until the first check
    /// is made.
    #[must_use]
    pub fn health(&self) -> watch::Receiver<Option<Health>> {
        self.health.clone()
    }

    /// Ends the checks, one that is in flight included, and waits until the task is gone.
    /// Stopping it again does nothing.
    ///
    /// Dropping the future leaves the task about to end; stopping it again then waits for it.
    ///
    /// # Errors
    ///
    /// [`HealthMonitorPanicked`] when the task had ended by a panic.
    pub async fn stop(&mut self) -> Result<(), HealthMonitorPanicked> {
        let Some(task) = &mut self.task else {
            return Ok(());
        };
        task.abort();
        let ended = task.await;
        self.task = None;
        match ended {
            Err(error) if error.is_panic() => Err(HealthMonitorPanicked(error)),
            _ => Ok(()),
        }
    }
}

impl Drop for HealthMonitor {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

/// What the task owns.
struct Checks<P> {
    probe: P,
    interval: Duration,
    breaker: Option<CircuitBreaker>,
    /// What is checked, as the log names it.
    name: String,
    health: watch::Sender<Option<Health>>,
}

impl<P: HealthProbe> Checks<P> {
    async fn run(self) {
        let limit = self.interval.min(PROBE_TIMEOUT);
        loop {
            let found = tokio::time::timeout(limit, self.probe.probe()).await;
            let found =
                found.unwrap_or_else(|_| Health::Unhealthy(format!("no answer within {limit:?}")));
            self.tell(found);
            tokio::time::sleep(self.interval).await;
        }
    }

    fn tell(&self, found: Health) {
        if let Some(breaker) = &self.breaker {
            match &found {
                Health::Healthy => breaker.probed_healthy(),
                Health::Unhealthy(_) => breaker.probed_unhealthy(),
                Health::Unknown(_) => {}
            }
        }
        let before = self.health.send_replace(Some(found.clone()));
        if before.as_ref().is_some_and(|before| before.is_like(&found)) {
            return;
        }
        let name = &self.name;
        match found {
            Health::Healthy if before.is_none() => tracing::debug!(name, "healthy"),
            Health::Healthy => tracing::info!(name, "healthy again"),
            Health::Unhealthy(reason) => tracing::warn!(name, reason, "unhealthy"),
            Health::Unknown(reason) => {
                tracing::warn!(name, reason, "the health cannot be checked");
            }
        }
    }
}

#[cfg(test)]
mod tests;
