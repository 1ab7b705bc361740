//! The circuit breaker as a pure state machine: no lock, no clock, no logging.
//!
//! Every change of state begins a new era. Calls carry the era in which they were admitted, and
//! what comes of them counts in that era only: a call that was sent while the circuit was closed
//! says nothing about the server that is on trial now.

use std::time::Duration;

use tokio::time::Instant;

use super::window::Window;
use super::{CircuitBreakerSettings, CircuitState, Rejected, Transition, TransitionCause};

/// The circuit breaker of one model at one endpoint.
#[derive(Debug)]
pub(super) struct Machine {
    settings: CircuitBreakerSettings,
    era: u64,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    Closed(Window),
    Open {
        since: Instant,
        /// Whether a health check has failed since: then one that succeeds is news.
        found_unhealthy: bool,
    },
    HalfOpen {
        in_flight: u32,
        succeeded: u32,
    },
}

/// What came of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Success,
    Failure,
    /// The server answered and refused the request, for whatever was wrong with it.
    Refused,
    /// Neither: the call was cancelled, or failed by the client's own fault.
    Neutral,
}

/// What the health checker found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ProbeResult {
    Healthy,
    Unhealthy,
}

/// The numbers behind the state, for metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) recent_calls: u32,
    pub(super) recent_failures: u32,
    pub(super) trials_in_flight: u32,
}

impl Machine {
    pub(super) fn new(settings: CircuitBreakerSettings) -> Self {
        Self {
            settings,
            era: 0,
            phase: Phase::Closed(Window::default()),
        }
    }

    /// Admits a call, and says the era to give back with its outcome.
    pub(super) fn admit(&mut self, now: Instant) -> (Result<u64, Rejected>, Option<Transition>) {
        if let Err(rejected) = self.check(now) {
            return (Err(rejected), None);
        }
        let is_open = matches!(self.phase, Phase::Open { .. });
        let transition = is_open.then(|| self.half_open(TransitionCause::TimeoutElapsed));
        if let Phase::HalfOpen { in_flight, .. } = &mut self.phase {
            *in_flight += 1;
        }
        (Ok(self.era), transition)
    }

    /// Whether a call would be admitted; no trial is taken and nothing changes.
    pub(super) fn check(&self, now: Instant) -> Result<(), Rejected> {
        let (state, retry_in) = match self.phase {
            Phase::Open { since, .. } if !self.open_for(since, now).is_zero() => {
                (CircuitState::Open, self.open_for(since, now))
            }
            Phase::HalfOpen { in_flight, .. }
                if in_flight >= self.settings.half_open_requests.get() =>
            {
                (CircuitState::HalfOpen, Duration::ZERO)
            }
            _ => return Ok(()),
        };
        Err(Rejected { state, retry_in })
    }

    /// Counts what came of a call that was admitted in `era`.
    pub(super) fn finish(
        &mut self,
        era: u64,
        outcome: Outcome,
        now: Instant,
    ) -> Option<Transition> {
        if era != self.era {
            return None;
        }
        match &mut self.phase {
            Phase::Closed(window) => {
                match outcome {
                    Outcome::Success => window.push(false),
                    Outcome::Failure => window.push(true),
                    Outcome::Refused | Outcome::Neutral => return None,
                }
                let threshold = self.settings.failure_threshold.get();
                // Also a success can be the call with which there are enough to judge.
                window
                    .reaches(threshold)
                    .then(|| self.open(TransitionCause::FailureRate, now))
            }
            Phase::HalfOpen {
                in_flight,
                succeeded,
            } => {
                *in_flight -= 1;
                match outcome {
                    Outcome::Neutral => None,
                    Outcome::Failure => Some(self.open(TransitionCause::TrialFailed, now)),
                    Outcome::Success | Outcome::Refused => {
                        *succeeded += 1;
                        (*succeeded >= self.settings.half_open_requests.get())
                            .then(|| self.close(TransitionCause::TrialsSucceeded))
                    }
                }
            }
            // Nothing is admitted while the circuit is open, so no call carries its era.
            Phase::Open { .. } => None,
        }
    }

    /// Takes in what the health checker found.
    pub(super) fn probed(&mut self, result: ProbeResult, now: Instant) -> Option<Transition> {
        match (result, &mut self.phase) {
            (ProbeResult::Unhealthy, Phase::Closed(_) | Phase::HalfOpen { .. }) => {
                Some(self.open(TransitionCause::ProbeUnhealthy, now))
            }
            (
                ProbeResult::Unhealthy,
                Phase::Open {
                    found_unhealthy, ..
                },
            ) => {
                *found_unhealthy = true;
                None
            }
            (
                ProbeResult::Healthy,
                Phase::Open {
                    found_unhealthy: true,
                    ..
                },
            ) => Some(self.half_open(TransitionCause::ProbeHealthy)),
            (ProbeResult::Healthy, _) => None,
        }
    }

    pub(super) fn state(&self) -> CircuitState {
        match self.phase {
            Phase::Closed(_) => CircuitState::Closed,
            Phase::Open { .. } => CircuitState::Open,
            Phase::HalfOpen { .. } => CircuitState::HalfOpen,
        }
    }

    pub(super) fn counts(&self) -> Counts {
        match &self.phase {
            Phase::Closed(window) => Counts {
                recent_calls: window.calls(),
                recent_failures: window.failures(),
                trials_in_flight: 0,
            },
            Phase::HalfOpen { in_flight, .. } => Counts {
                trials_in_flight: *in_flight,
                ..Counts::default()
            },
            Phase::Open { .. } => Counts::default(),
        }
    }

    /// How much longer the circuit stays open; zero when a trial may begin.
    fn open_for(&self, since: Instant, now: Instant) -> Duration {
        let elapsed = now.saturating_duration_since(since);
        self.settings.open_timeout.saturating_sub(elapsed)
    }

    fn open(&mut self, cause: TransitionCause, now: Instant) -> Transition {
        self.enter(
            Phase::Open {
                since: now,
                found_unhealthy: cause == TransitionCause::ProbeUnhealthy,
            },
            cause,
        )
    }

    fn half_open(&mut self, cause: TransitionCause) -> Transition {
        self.enter(
            Phase::HalfOpen {
                in_flight: 0,
                succeeded: 0,
            },
            cause,
        )
    }

    fn close(&mut self, cause: TransitionCause) -> Transition {
        self.enter(Phase::Closed(Window::default()), cause)
    }

    fn enter(&mut self, phase: Phase, cause: TransitionCause) -> Transition {
        let from = self.state();
        let counts = self.counts();
        self.phase = phase;
        self.era += 1;
        Transition {
            from,
            to: self.state(),
            cause,
            number: self.era,
            recent_calls: counts.recent_calls,
            recent_failures: counts.recent_failures,
        }
    }
}
