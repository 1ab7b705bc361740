//! What is counted of each of several replicas, as the table of [`metrics`](crate::metrics) says; a single server
//! has no such counters.

use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use triton_client::ModelId;

use super::machine::{Ended, ReplicaState};
use crate::shared_gauge::SharedGauge;

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
            ReplicaState::OnTrial => 6.0,
        });
    }
}
