//! The shared handle on a circuit breaker: a lock, a clock and the log around the state machine.

use std::fmt;
use std::sync::{Arc, PoisonError, Weak};

use tokio::time::Instant;
use triton_client::{Endpoint, ModelId};

use super::machine::{Machine, Outcome, ProbeResult};
use super::registry::Registry;
use super::{CircuitBreakerSettings, CircuitSnapshot, CircuitState, Rejected, Transition};
use crate::sync::{Mutex, MutexGuard};

/// Tells a circuit breaker the time.
pub type Clock = Box<dyn Fn() -> Instant + Send + Sync>;

/// The circuit breaker of one model at one endpoint; clones are handles on the same one.
///
/// ```
/// use triton_client::ModelId;
/// use triton_model_fn::circuit_breaker::{CircuitBreaker, CircuitBreakerSettings, CircuitState};
/// use triton_options::TritonOptions;
///
/// let options = TritonOptions::parse([
///     ("endpoint", "http://localhost:8000"),
///     ("model-name", "echo"),
/// ])?;
/// let model = ModelId::new(options.model_name.clone(), options.model_version.clone());
/// let settings = CircuitBreakerSettings::from(&*options);
/// let breaker = CircuitBreaker::shared(options.endpoint.first(), &model, settings);
/// for _ in 0..10 {
///     breaker.admit()?.failure();
/// }
/// assert_eq!(breaker.state(), CircuitState::Open);
/// assert!(breaker.admit().is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct CircuitBreaker {
    inner: Arc<Inner>,
}

pub(super) struct Inner {
    state: Mutex<Guarded>,
    clock: Clock,
    endpoint: Endpoint,
    model: ModelId,
    /// Where it is listed, if it is shared.
    registry: Weak<Registry>,
}

/// What the lock guards.
struct Guarded {
    machine: Machine,
    rejected: u64,
    opened: u64,
}

impl CircuitBreaker {
    /// The breaker that everyone in this process shares who calls `model` at `endpoint` with
    /// these settings. It exists, and remembers, as long as someone has a handle on it.
    ///
    /// Endpoints that differ in their credentials have breakers of their own.
    #[must_use]
    pub fn shared(endpoint: &Endpoint, model: &ModelId, settings: CircuitBreakerSettings) -> Self {
        Registry::of_the_process().breaker(endpoint, model, settings)
    }

    /// A breaker that is closed and shared with no one else, with a clock of its own.
    ///
    /// `clock` is asked while a lock is held: it must not call the breaker.
    #[must_use]
    pub fn with_clock(
        endpoint: Endpoint,
        model: ModelId,
        settings: CircuitBreakerSettings,
        clock: Clock,
    ) -> Self {
        Self::listed_in(Weak::new(), endpoint, model, settings, clock)
    }

    pub(super) fn listed_in(
        registry: Weak<Registry>,
        endpoint: Endpoint,
        model: ModelId,
        settings: CircuitBreakerSettings,
        clock: Clock,
    ) -> Self {
        let state = Mutex::new(Guarded {
            machine: Machine::new(settings),
            rejected: 0,
            opened: 0,
        });
        Self {
            inner: Arc::new(Inner {
                state,
                clock,
                endpoint,
                model,
                registry,
            }),
        }
    }

    pub(super) fn downgrade(&self) -> Weak<Inner> {
        Arc::downgrade(&self.inner)
    }

    pub(super) fn upgrade(inner: &Weak<Inner>) -> Option<Self> {
        inner.upgrade().map(|inner| Self { inner })
    }

    /// Asks to send one logical call, with all its retries.
    ///
    /// # Errors
    ///
    /// [`Rejected`] while the circuit is open, and while it is half-open and all trials are
    /// in flight. Do not wait and ask again for the same row without a limit.
    pub fn admit(&self) -> Result<Permit, Rejected> {
        let era = self.change(|guarded, now| {
            let (admitted, transition) = guarded.machine.admit(now);
            guarded.rejected += u64::from(admitted.is_err());
            (admitted, transition)
        })?;
        Ok(Permit {
            breaker: self.clone(),
            era: Some(era),
        })
    }

    /// Asks whether a call would be admitted now, before it waits for anything else that it needs.
    ///
    /// It takes no trial, and says nothing of a moment later: [`admit`](Self::admit) does.
    ///
    /// # Errors
    ///
    /// As [`admit`](Self::admit).
    pub fn check(&self) -> Result<(), Rejected> {
        self.change(|guarded, now| {
            let checked = guarded.machine.check(now);
            guarded.rejected += u64::from(checked.is_err());
            (checked, None)
        })
    }

    /// Whether a call would be rejected now, for whoever can call another server: it is not counted.
    pub(crate) fn rejects(&self) -> bool {
        let guarded = self.lock();
        guarded.machine.check((self.inner.clock)()).is_err()
    }

    /// Takes in that a health check found the server or the model not ready.
    ///
    /// A closed or half-open circuit opens at once. An open one stays as it is, and its timeout
    /// runs on: where the health check is wrong and inference works, trials still begin.
    pub fn probed_unhealthy(&self) {
        self.change(|guarded, now| ((), guarded.machine.probed(ProbeResult::Unhealthy, now)));
    }

    /// Takes in that a health check found the server and the model ready.
    ///
    /// An open circuit becomes half-open without waiting for its timeout if a health check had
    /// opened it, or failed since. Otherwise nothing changes: a server that was ready all along
    /// while its calls failed is no better for being ready still.
    pub fn probed_healthy(&self) {
        self.change(|guarded, now| ((), guarded.machine.probed(ProbeResult::Healthy, now)));
    }

    /// Whether calls pass.
    #[must_use]
    pub fn state(&self) -> CircuitState {
        self.lock().machine.state()
    }

    /// The state and the numbers behind it, all of the same moment.
    #[must_use]
    pub fn snapshot(&self) -> CircuitSnapshot {
        let guarded = self.lock();
        let counts = guarded.machine.counts();
        CircuitSnapshot {
            state: guarded.machine.state(),
            recent_calls: counts.recent_calls,
            recent_failures: counts.recent_failures,
            trials_in_flight: counts.trials_in_flight,
            rejected: guarded.rejected,
            opened: guarded.opened,
        }
    }

    fn finish(&self, era: u64, outcome: Outcome) {
        self.change(|guarded, now| ((), guarded.machine.finish(era, outcome, now)));
    }

    fn change<T>(&self, apply: impl FnOnce(&mut Guarded, Instant) -> (T, Option<Transition>)) -> T {
        let mut guarded = self.lock();
        // Asked under the lock, so that the machine never sees time run backwards.
        let now = (self.inner.clock)();
        let (result, transition) = apply(&mut guarded, now);
        if transition.is_some_and(|transition| transition.to == CircuitState::Open) {
            guarded.opened += 1;
        }
        drop(guarded);
        // A subscriber is anyone's code and may take its time, so it is told without the lock.
        if let Some(transition) = transition {
            self.log(transition);
        }
        result
    }

    /// Nothing that runs under the lock leaves the machine half changed, so that a panic of
    /// another thread (in a clock, say) is no reason to refuse calls.
    fn lock(&self) -> MutexGuard<'_, Guarded> {
        let locked = self.inner.state.lock();
        locked.unwrap_or_else(PoisonError::into_inner)
    }

    fn log(&self, transition: Transition) {
        let Inner {
            endpoint, model, ..
        } = &*self.inner;
        let Transition {
            from,
            to,
            cause,
            number,
            recent_calls,
            recent_failures,
        } = transition;
        if to == CircuitState::Open {
            tracing::warn!(
                %endpoint, %model, %from, %to, %cause, number, recent_calls, recent_failures,
                "the circuit breaker opened"
            );
        } else {
            tracing::info!(
                %endpoint, %model, %from, %to, %cause, number,
                "the circuit breaker changed its state"
            );
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(registry) = self.registry.upgrade() {
            registry.forget_closed();
        }
    }
}

/// Shows no credentials: those of the endpoint are hidden by its own type.
impl fmt::Debug for CircuitBreaker {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("CircuitBreaker")
            .field("endpoint", &self.inner.endpoint)
            .field("model", &self.inner.model)
            .finish_non_exhaustive()
    }
}

/// Leave to send one logical call.
///
/// Say what came of it with [`success`](Self::success), [`refused`](Self::refused) or
/// [`failure`](Self::failure). Dropping it counts as nothing and gives its trial to another call, so a call that is
/// cancelled needs no care. Once the circuit has changed its state since the call was admitted,
/// nothing that comes of it counts.
#[must_use = "dropping the permit counts the call as neither success nor failure"]
#[derive(Debug)]
pub struct Permit {
    breaker: CircuitBreaker,
    /// The era in which the call was admitted, until its outcome is known.
    era: Option<u64>,
}

impl Permit {
    /// The server answered the call.
    pub fn success(mut self) {
        self.finish(Outcome::Success);
    }

    /// The server answered that it refuses the request: it is there, and the request is at fault.
    ///
    /// A success of a trial; a closed circuit counts nothing.
    pub fn refused(mut self) {
        self.finish(Outcome::Refused);
    }

    /// The server failed, after all retries.
    pub fn failure(mut self) {
        self.finish(Outcome::Failure);
    }

    fn finish(&mut self, outcome: Outcome) {
        if let Some(era) = self.era.take() {
            self.breaker.finish(era, outcome);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.finish(Outcome::Neutral);
    }
}
