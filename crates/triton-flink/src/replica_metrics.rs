//! What is counted of each of several replicas, which all functions of this library share.
//!
//! A replica that is found later is counted by tasks that belong to no function, so this is the
//! recorder of everything that is not a function's own.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use metrics::{
    Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit,
    set_global_recorder,
};

use crate::flink_metrics::{Kind, Shown, Slot, shown};

/// Names that come and go over months must not fill the memory: those beyond are not shown.
const MOST_REPLICAS: usize = 1000;

const fn attempts(name: &'static str, result: &'static str) -> Shown {
    shown(name, Kind::Counter, "triton_replica_attempts_total").with_label(("result", result))
}

/// Every metric that Flink shows of a replica.
pub(crate) static SHOWN: [Shown; 8] = [
    shown("state", Kind::Gauge, "triton_replica_state"),
    shown("requestsInFlight", Kind::Gauge, "triton_replica_in_flight"),
    attempts("answered", "answered"),
    attempts("refused", "refused"),
    attempts("failed", "failed"),
    attempts("notReached", "not_reached"),
    attempts("unknown", "unknown"),
    shown("latencyMs", Kind::Latency, "triton_replica_attempt_seconds"),
];

/// A model and a replica that serves it.
type Name = (String, String);

type Slots = Arc<[Slot; SHOWN.len()]>;

static REPLICAS: Mutex<BTreeMap<Name, Slots>> = Mutex::new(BTreeMap::new());

fn lock() -> MutexGuard<'static, BTreeMap<Name, Slots>> {
    REPLICAS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From here on replicas are counted that no function finds.
pub(crate) fn start() {
    // This library is the only one in its copy of `metrics`, so nobody was there before.
    let _ = set_global_recorder(ReplicaRecorder);
}

/// The replicas of a model, as metrics call them.
pub(crate) fn of_model(model: &str) -> Vec<String> {
    let replicas = lock();
    let of_model = replicas.keys().filter(|(of, _)| of == model);
    of_model.map(|(_, replica)| replica.clone()).collect()
}

/// The value of a counter or gauge of a replica, or how many values a histogram has had.
pub(crate) fn value(model: &str, replica: &str, index: usize) -> Option<f64> {
    let name = (model.to_owned(), replica.to_owned());
    let slots = Arc::clone(lock().get(&name)?);
    Some(slots.get(index)?.value(SHOWN[index].kind))
}

/// The latest values of a histogram of a replica, the smallest first.
pub(crate) fn latest(model: &str, replica: &str, index: usize) -> Vec<f64> {
    let name = (model.to_owned(), replica.to_owned());
    let slots = lock().get(&name).map(Arc::clone);
    let slots = slots.as_deref();
    let slot = slots.and_then(|slots| slots.get(index));
    slot.map_or_else(Vec::new, |slot| slot.latest(SHOWN[index].kind))
}

/// Counts what is known of replicas, and nothing else.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReplicaRecorder;

impl ReplicaRecorder {
    /// Does something with the slot of a metric of a replica.
    fn with_slot<T>(key: &Key, make: impl FnOnce(&Slot) -> T) -> Option<T> {
        if !key.name().starts_with("triton_replica_") {
            return None;
        }
        let index = SHOWN.iter().position(|shown| shown.is_of(key))?;
        let label = |name: &str| {
            let mut labels = key.labels();
            let label = labels.find(|label| label.key() == name)?;
            Some(label.value().to_owned())
        };
        let name = (label("model")?, label("replica")?);
        let mut replicas = lock();
        if replicas.len() >= MOST_REPLICAS && !replicas.contains_key(&name) {
            return None;
        }
        let slots = replicas.entry(name).or_default();
        Some(make(&slots[index]))
    }
}

impl Recorder for ReplicaRecorder {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Self::with_slot(key, Slot::counter).unwrap_or_else(Counter::noop)
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Self::with_slot(key, Slot::gauge).unwrap_or_else(Gauge::noop)
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Self::with_slot(key, Slot::histogram).unwrap_or_else(Histogram::noop)
    }
}

#[cfg(test)]
mod tests {
    use metrics::{counter, gauge, histogram, with_local_recorder};

    use super::*;
    use crate::flink_metrics::FunctionRecorder;

    #[test]
    fn each_replica_is_counted_by_itself_whoever_finds_it() {
        let labels = |replica: &str| {
            let replica = replica.to_owned();
            [("model", "counted".to_owned()), ("replica", replica)]
        };
        let count = |replica: &str, answers| {
            gauge!("triton_replica_state", &labels(replica)).set(1.0);
            let [model, replica] = labels(replica);
            let labels = [model, replica, ("result", "answered".to_owned())];
            counter!("triton_replica_attempts_total", &labels).increment(answers);
            histogram!("triton_replica_attempt_seconds", &labels[..2]).record(0.25);
        };
        FunctionRecorder::new().during(|| count("a:1", 3));
        with_local_recorder(&ReplicaRecorder, || {
            count("b:1", 5);
            counter!("triton_function_rows_total", "result" => "answered").increment(1);
        });
        assert_eq!(of_model("counted"), ["a:1", "b:1"]);
        assert!(of_model("another").is_empty());
        let index = |name: &str| SHOWN.iter().position(|it| it.name == name).unwrap();
        for (replica, answers) in [("a:1", 3.0), ("b:1", 5.0)] {
            let value = |name: &str| value("counted", replica, index(name)).unwrap();
            assert_eq!((value("state"), value("answered")), (1.0, answers));
            assert_eq!((value("failed"), value("latencyMs")), (0.0, 1.0));
            assert_eq!(latest("counted", replica, index("latencyMs")), [250.0]);
        }
        assert_eq!(value("counted", "c:1", 0), None);
        assert_eq!(value("counted", "a:1", SHOWN.len()), None);
    }
}
