//! What is counted of each of several replicas; a single server has no such counters.
//!
//! | Metric | Kind | What it counts |
//! | --- | --- | --- |
//! | `triton_replica_attempts_total` | counter | attempts of calls, by `result`: `answered`, `refused` by the server, `failed` by its fault, `not_reached`, `unknown` |
//! | `triton_replica_in_flight` | gauge | attempts that are not over yet |
//! | `triton_replica_attempt_seconds` | histogram | how long attempts took that were answered |
//! | `triton_replica_state` | gauge | 0 joining, 1 ready, 2 not ready, 3 ejected, 4 draining, 5 gone |
//!
//! Each has the labels `model` and `replica`: the replica's address, without credentials. Functions of
//! one process that call the same model in the same way count together.

use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use triton_client::ModelId;

use super::machine::{Ended, ReplicaState};
use crate::metrics::SharedGauge;

pub(super) struct ReplicaMetrics {
    answered: Counter,
    refused: Counter,
    failed: Counter,
    not_reached: Counter,
    unknown: Counter,
    in_flight: SharedGauge,
    seconds: Histogram,
    state: Gauge,
}

impl ReplicaMetrics {
    pub(super) fn new(model: &ModelId, replica: &str) -> Self {
        let labels = [
            ("model", model.name().to_string()),
            ("replica", replica.to_owned()),
        ];
        let attempts = |result: &'static str| {
            let [model, replica] = labels.clone();
            let labels = [model, replica, ("result", result.to_owned())];
            counter!("triton_replica_attempts_total", &labels)
        };
        Self {
            answered: attempts("answered"),
            refused: attempts("refused"),
            failed: attempts("failed"),
            not_reached: attempts("not_reached"),
            unknown: attempts("unknown"),
            in_flight: SharedGauge::new(gauge!("triton_replica_in_flight", &labels)),
            seconds: histogram!("triton_replica_attempt_seconds", &labels),
            state: gauge!("triton_replica_state", &labels),
        }
    }

    pub(super) fn in_flight(&self, count: u32) {
        self.in_flight.set(f64::from(count));
    }

    pub(super) fn ended(&self, ended: Ended, time: Duration) {
        let counter = match ended {
            Ended::Answered => {
                self.seconds.record(time.as_secs_f64());
                &self.answered
            }
            Ended::Refused | Ended::NotServed => &self.refused,
            Ended::Failed => &self.failed,
            Ended::NotReached => &self.not_reached,
            Ended::Unknown => &self.unknown,
        };
        counter.increment(1);
    }

    pub(super) fn state(&self, state: ReplicaState) {
        self.state.set(match state {
            ReplicaState::Joining => 0.0,
            ReplicaState::Ready => 1.0,
            ReplicaState::NotReady { .. } => 2.0,
            ReplicaState::Ejected { .. } => 3.0,
            ReplicaState::Draining { .. } => 4.0,
            ReplicaState::Gone => 5.0,
        });
    }
}
