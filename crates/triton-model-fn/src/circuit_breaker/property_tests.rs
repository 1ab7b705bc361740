//! Random interleavings of calls, health checks and time, against a model that keeps everything.
//!
//! The model has no window, no counters and no eras: it keeps the whole history of what was
//! admitted and finished, and works out every answer from that. `PROPTEST_CASES=20000` in the
//! environment tries more cases than the usual 256.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;
use tokio::time::Instant;
use triton_client::{Endpoint, ModelId};
use triton_options::OptionValue as _;

use super::*;

const TIMEOUT_MS: u64 = 1000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Success,
    Failure,
    Refused,
    Dropped,
}

#[derive(Debug, Clone)]
enum Step {
    /// Ask to be admitted, and keep the permit.
    Admit,
    /// Finish one of the permits that are kept, whichever this comes to.
    Finish(prop::sample::Index, Outcome),
    /// So many calls, one after the other, each from its beginning to its end.
    Calls(u32, Outcome),
    /// Time passes.
    Advance(u64),
    Healthy,
    Unhealthy,
}

/// A call in the history: when the circuit was last changed before it, and what came of it.
struct Call {
    epoch: usize,
    outcome: Option<Outcome>,
}

struct Model {
    threshold: f64,
    trials: usize,
    now: u64,
    calls: Vec<Call>,
    /// Calls in the order in which they ended.
    ended: Vec<usize>,
    /// Every state so far, with the time of its beginning.
    epochs: Vec<(CircuitState, u64)>,
    /// In which epochs a health check failed.
    found_unhealthy: Vec<usize>,
}

impl Model {
    fn epoch(&self) -> usize {
        self.epochs.len() - 1
    }

    fn state(&self) -> CircuitState {
        self.epochs[self.epoch()].0
    }

    fn enter(&mut self, state: CircuitState) {
        self.epochs.push((state, self.now));
    }

    fn of_this_epoch(&self) -> impl Iterator<Item = &Call> {
        let epoch = self.epoch();
        self.calls.iter().filter(move |call| call.epoch == epoch)
    }

    fn in_flight(&self) -> usize {
        self.of_this_epoch()
            .filter(|call| call.outcome.is_none())
            .count()
    }

    fn admit(&mut self) -> Result<usize, u64> {
        if self.state() == CircuitState::Open {
            let ends = self.epochs[self.epoch()].1 + TIMEOUT_MS;
            if self.now < ends {
                return Err(ends - self.now);
            }
            self.enter(CircuitState::HalfOpen);
        }
        if self.state() == CircuitState::HalfOpen && self.in_flight() >= self.trials {
            return Err(0);
        }
        self.calls.push(Call {
            epoch: self.epoch(),
            outcome: None,
        });
        Ok(self.calls.len() - 1)
    }

    fn finish(&mut self, call: usize, outcome: Outcome) {
        self.calls[call].outcome = Some(outcome);
        self.ended.push(call);
        if self.calls[call].epoch != self.epoch() || outcome == Outcome::Dropped {
            return;
        }
        // The newest comes first.
        let ended = self.ended.iter().rev().map(|call| &self.calls[*call]);
        let counted: Vec<Outcome> = ended
            .filter(|call| call.epoch == self.epoch())
            .filter_map(|call| call.outcome)
            .filter(|outcome| match outcome {
                Outcome::Dropped => false,
                // On trial it shows that the server answers; otherwise it shows nothing.
                Outcome::Refused => self.state() == CircuitState::HalfOpen,
                Outcome::Success | Outcome::Failure => true,
            })
            .take(100)
            .collect();
        match self.state() {
            CircuitState::Closed if outcome == Outcome::Refused => {}
            CircuitState::Closed => {
                let failures = counted.iter().filter(|o| **o == Outcome::Failure).count();
                let share = failures as f64 / counted.len() as f64;
                if counted.len() >= 10 && share >= self.threshold {
                    self.enter(CircuitState::Open);
                }
            }
            CircuitState::HalfOpen if outcome == Outcome::Failure => {
                self.enter(CircuitState::Open);
            }
            CircuitState::HalfOpen if counted.len() >= self.trials => {
                self.enter(CircuitState::Closed);
            }
            _ => {}
        }
    }

    fn healthy(&mut self) {
        if self.state() == CircuitState::Open && self.found_unhealthy.contains(&self.epoch()) {
            self.enter(CircuitState::HalfOpen);
        }
    }

    fn unhealthy(&mut self) {
        if self.state() != CircuitState::Open {
            self.enter(CircuitState::Open);
        }
        self.found_unhealthy.push(self.epoch());
    }
}

/// The breaker, the model, and the permits that both have given out.
struct Pair {
    breaker: CircuitBreaker,
    milliseconds: Arc<AtomicU64>,
    model: Model,
    permits: Vec<(Permit, usize)>,
}

impl Pair {
    fn new(threshold: &str, trials: u32) -> Self {
        let milliseconds = Arc::new(AtomicU64::new(0));
        let (start, clock) = (Instant::now(), Arc::clone(&milliseconds));
        let settings = CircuitBreakerSettings {
            failure_threshold: Fraction::parse(threshold).unwrap(),
            open_timeout: Duration::from_millis(TIMEOUT_MS),
            half_open_requests: NonZeroU32::new(trials).unwrap(),
        };
        let endpoint: Endpoint = "http://localhost:8000".parse().unwrap();
        let model = ModelId::latest("m".parse().unwrap());
        let now = move || start + Duration::from_millis(clock.load(Ordering::Relaxed));
        Self {
            breaker: CircuitBreaker::with_clock(endpoint, model, settings, Box::new(now)),
            milliseconds,
            model: Model {
                threshold: settings.failure_threshold.get(),
                trials: trials as usize,
                now: 0,
                calls: Vec::new(),
                ended: Vec::new(),
                epochs: vec![(CircuitState::Closed, 0)],
                found_unhealthy: Vec::new(),
            },
            permits: Vec::new(),
        }
    }

    fn admit(&mut self) -> Result<bool, TestCaseError> {
        let before = self.breaker.snapshot();
        let checked = self.breaker.check();
        let (state, trials) = (before.state, before.trials_in_flight);
        let after = self.breaker.snapshot();
        prop_assert_eq!((after.state, after.trials_in_flight), (state, trials));
        let expected = self.model.admit();
        prop_assert_eq!(checked.is_ok(), expected.is_ok());
        let admitted = match self.breaker.admit() {
            Ok(permit) => {
                let call = expected.map_err(|_| TestCaseError::fail("admitted"))?;
                self.permits.push((permit, call));
                return Ok(true);
            }
            Err(rejected) => Err(u64::try_from(rejected.retry_in.as_millis()).unwrap()),
        };
        prop_assert_eq!(admitted, expected.map(|_| ()));
        Ok(false)
    }

    fn finish(&mut self, index: usize, outcome: Outcome) {
        let (permit, call) = self.permits.swap_remove(index);
        self.model.finish(call, outcome);
        match outcome {
            Outcome::Success => permit.success(),
            Outcome::Failure => permit.failure(),
            Outcome::Refused => permit.refused(),
            Outcome::Dropped => drop(permit),
        }
    }

    fn advance(&mut self, milliseconds: u64) {
        self.model.now += milliseconds;
        self.milliseconds.store(self.model.now, Ordering::Relaxed);
    }

    fn step(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match step {
            Step::Admit => drop(self.admit()?),
            Step::Finish(index, outcome) => {
                if !self.permits.is_empty() {
                    self.finish(index.index(self.permits.len()), *outcome);
                }
            }
            Step::Calls(times, outcome) => {
                for _ in 0..*times {
                    if self.admit()? {
                        self.finish(self.permits.len() - 1, *outcome);
                    }
                }
            }
            Step::Advance(milliseconds) => self.advance(*milliseconds),
            Step::Healthy => {
                self.breaker.probed_healthy();
                self.model.healthy();
            }
            Step::Unhealthy => {
                self.breaker.probed_unhealthy();
                self.model.unhealthy();
            }
        }
        self.compare()
    }

    fn compare(&self) -> Result<(), TestCaseError> {
        let snapshot = self.breaker.snapshot();
        prop_assert_eq!(snapshot.state, self.model.state());
        if snapshot.state == CircuitState::HalfOpen {
            let in_flight = snapshot.trials_in_flight as usize;
            prop_assert_eq!(in_flight, self.model.in_flight());
            prop_assert!(in_flight <= self.model.trials);
        }
        Ok(())
    }
}

/// Outcomes of which `bad` in 10 are failures, and some are refused or dropped.
fn outcome(bad: u32) -> impl Strategy<Value = Outcome> {
    prop_oneof![
        10 - bad => Just(Outcome::Success),
        bad => Just(Outcome::Failure),
        2 => Just(Outcome::Refused),
        2 => Just(Outcome::Dropped),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    (1..10_u32, 0..2_u32).prop_flat_map(|(bad, probes)| {
        let step = prop_oneof![
            12 => Just(Step::Admit),
            8 => (any::<prop::sample::Index>(), outcome(bad))
                .prop_map(|(index, outcome)| Step::Finish(index, outcome)),
            20 => outcome(bad).prop_map(|outcome| Step::Calls(1, outcome)),
            // Enough to push old calls out of the window.
            2 => (10..100_u32, outcome(bad)).prop_map(|(times, outcome)| Step::Calls(times, outcome)),
            4 => (0..1200_u64).prop_map(Step::Advance),
            probes => Just(Step::Healthy),
            probes => Just(Step::Unhealthy),
        ];
        prop::collection::vec(step, 0..300)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    // Holds F20, F22.
    #[test]
    fn it_does_what_the_model_does_and_never_wedges(
        threshold in prop::sample::select(vec!["0.05", "0.3", "0.5", "0.7", "1.0"]),
        trials in 1..5_u32,
        steps in steps(),
        answer in prop::sample::select(vec![Outcome::Success, Outcome::Refused]),
    ) {
        let mut pair = Pair::new(threshold, trials);
        for step in &steps {
            pair.step(step)?;
        }
        // Whatever happened: once all calls have ended and the timeout is over, calls pass, and
        // as many answers as there are trials close the circuit, whatever they say.
        while !pair.permits.is_empty() {
            pair.finish(0, Outcome::Dropped);
        }
        pair.compare()?;
        pair.advance(TIMEOUT_MS);
        if pair.breaker.state() == CircuitState::Closed {
            prop_assert!(pair.admit()?);
        } else {
            for _ in 0..trials {
                prop_assert!(pair.admit()?);
                pair.finish(0, answer);
                pair.compare()?;
            }
            prop_assert_eq!(pair.breaker.state(), CircuitState::Closed);
        }
    }
}
