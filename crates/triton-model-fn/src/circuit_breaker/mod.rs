//! Stops sending to a server that is failing, and finds out by a few trials when it has recovered.
//!
//! By hand, because the options fix its semantics and the permits are the point: every call that
//! is admitted holds a [`Permit`], and dropping it unused counts as nothing and gives its place
//! back. So a call that is cancelled, or fails by its own fault, can never keep the circuit from
//! closing again.
//!
//! * **Closed**: calls pass. When at least [`MINIMUM_CALLS`] of the last [`WINDOW_CALLS`] are
//!   known and the share of failures among them reaches the threshold, it opens.
//! * **Open**: calls are rejected until the timeout is over.
//! * **Half-open**: as many calls as `circuit-breaker-half-open-requests` may be in flight on
//!   trial. As many answers in all close it; one failure opens it again.
//!
//! Count logical calls, not attempts: take one permit around all retries of a row. What the
//! client or the row itself got wrong (an answer that cannot be parsed, a request that was never
//! sent) is neither a success nor a failure: drop the permit. A request that the server refuses
//! (a 4xx) says nothing of how well it works, so a closed circuit does not count it; but it shows
//! that the server answers, which is what a trial is to find out: see [`Permit::refused`]. Ask to
//! be admitted when the call can be sent, and not before a wait, which would hold a trial for
//! nothing.
//!
//! A [`HealthMonitor`](crate::health_monitor::HealthMonitor) can open it sooner and shorten the
//! wait; see [`CircuitBreaker::probed_unhealthy`] and [`CircuitBreaker::probed_healthy`].

mod handle;
mod machine;
mod registry;
mod window;

#[cfg(test)]
#[cfg(triton_loom)]
mod loom_tests;
#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod tests;

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use triton_options::{Fraction, OptionValues};

pub use handle::{CircuitBreaker, Clock, Permit};
pub use window::{MINIMUM_CALLS, WINDOW_CALLS};

/// When a circuit breaker opens and how it closes again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CircuitBreakerSettings {
    /// The share of failures among the recent calls at which it opens.
    pub failure_threshold: Fraction,
    /// How long it stays open before calls are let through on trial.
    pub open_timeout: Duration,
    /// How many trials may be in flight at once, and how many must succeed.
    pub half_open_requests: NonZeroU32,
}

impl From<&OptionValues> for CircuitBreakerSettings {
    /// The settings that the `circuit-breaker-*` options ask for.
    fn from(options: &OptionValues) -> Self {
        Self {
            failure_threshold: options.circuit_breaker_failure_threshold,
            open_timeout: options.circuit_breaker_timeout.get(),
            half_open_requests: options.circuit_breaker_half_open_requests,
        }
    }
}

/// Whether calls pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CircuitState {
    /// They do.
    Closed,
    /// None does. It stays so after the timeout until a call asks to be admitted.
    Open,
    /// A few do, on trial.
    HalfOpen,
}

impl CircuitState {
    /// The state in one word, as logs and metrics show it: `closed`, `open` or `half-open`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
        }
    }
}

impl fmt::Display for CircuitState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A call that was not admitted; nothing was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rejected {
    /// [`CircuitState::Open`], or [`CircuitState::HalfOpen`] when all trials are taken.
    pub state: CircuitState,
    /// The time until a call may be admitted on trial. Zero where it depends on when the trials
    /// in flight come to an end.
    pub retry_in: Duration,
}

impl fmt::Display for Rejected {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { state, retry_in } = self;
        write!(
            formatter,
            "not sent, because the circuit breaker is {state}"
        )?;
        if retry_in.is_zero() {
            formatter.write_str(" and all its trials are in flight")
        } else {
            write!(formatter, "; trials begin in {retry_in:.1?}")
        }
    }
}

impl std::error::Error for Rejected {}

/// What a circuit breaker shows of itself at one moment, for metrics and logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct CircuitSnapshot {
    /// Whether calls pass.
    pub state: CircuitState,
    /// How many outcomes the window holds; 0 unless the circuit is closed.
    pub recent_calls: u32,
    /// How many of these are failures.
    pub recent_failures: u32,
    /// How many trials are in flight; 0 unless the circuit is half-open.
    pub trials_in_flight: u32,
    /// How many calls were rejected so far.
    pub rejected: u64,
    /// How often the circuit opened so far.
    pub opened: u64,
}

/// A change of state, as the log tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Transition {
    from: CircuitState,
    to: CircuitState,
    cause: TransitionCause,
    /// Counts the changes of one breaker: threads may log two of them in the wrong order.
    number: u64,
    recent_calls: u32,
    recent_failures: u32,
}

/// Why the state changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TransitionCause {
    FailureRate,
    TrialFailed,
    TrialsSucceeded,
    TimeoutElapsed,
    ProbeUnhealthy,
    ProbeHealthy,
}

impl fmt::Display for TransitionCause {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::FailureRate => "too many of the recent calls failed",
            Self::TrialFailed => "a call on trial failed",
            Self::TrialsSucceeded => "the calls on trial succeeded",
            Self::TimeoutElapsed => "the timeout is over",
            Self::ProbeUnhealthy => "a health check failed",
            Self::ProbeHealthy => "a health check succeeded again",
        })
    }
}
