//! Which metrics Flink shows for an operator, and their values.
//!
//! [`triton_model_fn::metrics`] counts through the facade of the `metrics` crate, under the name
//! of model and subtask. Jobs may share both, so each open function has a recorder of its own,
//! which is set while its code runs.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use metrics::{
    Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit,
    with_local_recorder,
};

use crate::replica_metrics::ReplicaRecorder;

/// What Flink does with a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    Counter = 0,
    Gauge = 1,
    /// In milliseconds; the facade has seconds.
    Latency = 2,
    /// Numbers as they are.
    Histogram = 3,
}

/// A metric that Flink shows.
#[derive(Debug)]
pub(crate) struct Shown {
    /// Its name in Flink, below the operator's group `triton`.
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// Its name in the facade, and a label that it must have.
    source: &'static str,
    label: Option<(&'static str, &'static str)>,
}

pub(crate) const fn shown(name: &'static str, kind: Kind, source: &'static str) -> Shown {
    Shown {
        name,
        kind,
        source,
        label: None,
    }
}

impl Shown {
    pub(crate) const fn with_label(mut self, label: (&'static str, &'static str)) -> Self {
        self.label = Some(label);
        self
    }

    /// Whether it shows a metric of the facade.
    pub(crate) fn is_of(&self, key: &Key) -> bool {
        let has_label = |(name, value): (&str, &str)| {
            key.labels()
                .any(|label| label.key() == name && label.value() == value)
        };
        self.source == key.name() && self.label.is_none_or(has_label)
    }
}

const fn rows(name: &'static str, result: &'static str) -> Shown {
    shown(name, Kind::Counter, "triton_function_rows_total").with_label(("result", result))
}

const fn failed(name: &'static str, kind: &'static str) -> Shown {
    shown(name, Kind::Counter, "triton_function_failed_rows_total").with_label(("kind", kind))
}

const fn waits(name: &'static str, permit: &'static str) -> Shown {
    shown(name, Kind::Latency, "triton_function_permit_wait_seconds").with_label(("permit", permit))
}

const fn cached(name: &'static str, result: &'static str) -> Shown {
    shown(name, Kind::Counter, "triton_function_cache_rows_total").with_label(("result", result))
}

const fn sequences(name: &'static str, event: &'static str) -> Shown {
    shown(name, Kind::Counter, "triton_function_sequence_events_total").with_label(("event", event))
}

/// Every metric that Flink shows.
pub(crate) static SHOWN: &[Shown] = &[
    rows("successes", "answered"),
    rows("failures", "failed"),
    rows("defaults", "default"),
    failed("failedInput", "input"),
    failed("failedRefused", "refused"),
    failed("failedServer", "server"),
    failed("failedUnavailable", "unavailable"),
    failed("failedTimeout", "timeout"),
    failed("failedConnection", "connection"),
    failed("failedSequence", "sequence"),
    failed("failedOutput", "output"),
    failed("failedOther", "other"),
    shown("requests", Kind::Counter, "triton_function_calls_total"),
    shown("retries", Kind::Counter, "triton_function_retries_total"),
    shown(
        "retriesRefused",
        Kind::Counter,
        "triton_function_retries_refused_total",
    ),
    shown("requestsInFlight", Kind::Gauge, "triton_function_in_flight"),
    shown(
        "requestsInFlightLimit",
        Kind::Gauge,
        "triton_function_in_flight_limit",
    ),
    shown(
        "openSequences",
        Kind::Gauge,
        "triton_function_open_sequences",
    ),
    shown("heldPlaces", Kind::Gauge, "triton_function_held_places"),
    shown(
        "lostSequences",
        Kind::Gauge,
        "triton_function_lost_sequences",
    ),
    shown("queuedRows", Kind::Gauge, "triton_function_queued_rows"),
    shown(
        "oldestRowSeconds",
        Kind::Gauge,
        "triton_function_oldest_row_seconds",
    ),
    sequences("sequencesStarted", "started"),
    sequences("sequencesEnded", "ended"),
    sequences("sequencesExpired", "expired"),
    sequences("sequencesForgotten", "forgotten"),
    sequences("sequencesUncertain", "uncertain"),
    sequences("sequencesAbandoned", "abandoned"),
    sequences("sequencesMoved", "moved"),
    sequences("sequencesReplayed", "replayed"),
    shown(
        "replayedRows",
        Kind::Counter,
        "triton_function_replayed_rows_total",
    ),
    sequences("sequencesRestarted", "restarted"),
    sequences("sequencesFailed", "failed"),
    sequences("sequenceGaps", "gap"),
    shown(
        "circuitBreakerState",
        Kind::Gauge,
        "triton_function_breaker_state",
    ),
    shown("latencyMs", Kind::Latency, "triton_function_call_seconds"),
    waits("requestWaitMs", "request"),
    waits("connectionWaitMs", "connection"),
    shown("batchRows", Kind::Histogram, "triton_function_batch_rows"),
    cached("cacheHits", "hit"),
    cached("cacheCoalesced", "coalesced"),
    cached("cacheMisses", "missed"),
    shown("cacheBytes", Kind::Gauge, "triton_function_cache_bytes"),
    shown("openStreams", Kind::Gauge, "triton_function_open_streams"),
    shown(
        "streamAnswers",
        Kind::Counter,
        "triton_function_stream_answers_total",
    ),
];

/// The values of one open function.
#[derive(Debug, Clone)]
pub(crate) struct FunctionRecorder(Arc<[Slot]>);

/// A value; which part of it is used depends on the kind.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    value: Arc<AtomicU64>,
    latest: Arc<Latest>,
}

impl Slot {
    pub(crate) fn counter(&self) -> Counter {
        Counter::from_arc(Arc::clone(&self.value))
    }

    pub(crate) fn gauge(&self) -> Gauge {
        Gauge::from_arc(Arc::clone(&self.value))
    }

    pub(crate) fn histogram(&self) -> Histogram {
        Histogram::from_arc(Arc::clone(&self.latest))
    }

    /// The value of a counter or gauge, or how many values a histogram has had.
    pub(crate) fn value(&self, kind: Kind) -> f64 {
        let bits = self.value.load(Ordering::Relaxed);
        match kind {
            // Exact up to 2^53 rows.
            Kind::Counter => bits as f64,
            Kind::Gauge => f64::from_bits(bits),
            Kind::Latency | Kind::Histogram => self.latest.count.load(Ordering::Relaxed) as f64,
        }
    }

    /// The latest values of a histogram as Flink shows them, the smallest first.
    pub(crate) fn latest(&self, kind: Kind) -> Vec<f64> {
        let factor = match kind {
            Kind::Latency => 1000.0,
            _ => 1.0,
        };
        let latest = self.latest.values.lock();
        let latest = latest.unwrap_or_else(PoisonError::into_inner);
        let mut values: Vec<_> = latest.iter().map(|value| value * factor).collect();
        drop(latest);
        values.sort_unstable_by(f64::total_cmp);
        values
    }
}

/// The latest values of a histogram, of which Flink computes quantiles, and how many there were.
#[derive(Debug, Default)]
struct Latest {
    values: Mutex<VecDeque<f64>>,
    count: AtomicU64,
}

/// Of how many values quantiles are told.
const WINDOW: usize = 1024;

impl FunctionRecorder {
    pub(crate) fn new() -> Self {
        Self(SHOWN.iter().map(|_| Slot::default()).collect())
    }

    /// Runs code that counts.
    pub(crate) fn during<T>(&self, code: impl FnOnce() -> T) -> T {
        with_local_recorder(self, code)
    }

    /// The value of a counter or gauge, or how many values a histogram has had.
    pub(crate) fn value(&self, index: usize) -> Option<f64> {
        Some(self.0.get(index)?.value(SHOWN[index].kind))
    }

    /// The latest values of a histogram as Flink shows them, the smallest first.
    pub(crate) fn latest(&self, index: usize) -> Vec<f64> {
        let slot = self.0.get(index);
        slot.map_or_else(Vec::new, |slot| slot.latest(SHOWN[index].kind))
    }

    /// The slot of a metric of the facade, if Flink shows it.
    fn slot(&self, key: &Key) -> Option<&Slot> {
        let index = SHOWN.iter().position(|shown| shown.is_of(key))?;
        self.0.get(index)
    }
}

impl Recorder for FunctionRecorder {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    // What is not the function's is that of a replica, or of nobody.

    fn register_counter(&self, key: &Key, metadata: &Metadata<'_>) -> Counter {
        let others = || ReplicaRecorder.register_counter(key, metadata);
        self.slot(key).map_or_else(others, Slot::counter)
    }

    fn register_gauge(&self, key: &Key, metadata: &Metadata<'_>) -> Gauge {
        let others = || ReplicaRecorder.register_gauge(key, metadata);
        self.slot(key).map_or_else(others, Slot::gauge)
    }

    fn register_histogram(&self, key: &Key, metadata: &Metadata<'_>) -> Histogram {
        let others = || ReplicaRecorder.register_histogram(key, metadata);
        self.slot(key).map_or_else(others, Slot::histogram)
    }
}

impl HistogramFn for Latest {
    fn record(&self, value: f64) {
        self.count.fetch_add(1, Ordering::Relaxed);
        let mut latest = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        if latest.len() == WINDOW {
            latest.pop_front();
        }
        latest.push_back(value);
    }
}

/// A future that counts with the recorder of its function.
#[derive(Debug)]
pub(crate) struct Recorded<F> {
    recorder: FunctionRecorder,
    future: Pin<Box<F>>,
}

impl<F: Future> Recorded<F> {
    pub(crate) fn new(recorder: FunctionRecorder, future: F) -> Self {
        Self {
            recorder,
            future: Box::pin(future),
        }
    }
}

impl<F: Future> Future for Recorded<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let Self { recorder, future } = &mut *self;
        recorder.during(|| future.as_mut().poll(context))
    }
}

#[cfg(test)]
mod tests {
    use metrics::{counter, gauge, histogram};

    use super::*;

    fn index(name: &str) -> usize {
        SHOWN.iter().position(|shown| shown.name == name).unwrap()
    }

    #[tokio::test]
    async fn a_function_counts_for_itself_alone() {
        let recorders = [FunctionRecorder::new(), FunctionRecorder::new()];
        for (rows, recorder) in [3, 5].into_iter().zip(&recorders) {
            let work = async move {
                counter!("triton_function_rows_total", "result" => "answered").increment(rows);
                counter!("triton_function_rows_total", "result" => "failed").increment(1);
                counter!("something_else").increment(1);
                tokio::task::yield_now().await;
                gauge!("triton_function_in_flight").set(2.0);
                for milliseconds in (1..=2000).rev() {
                    histogram!("triton_function_call_seconds")
                        .record(f64::from(milliseconds) / 1000.0);
                }
            };
            Recorded::new(recorder.clone(), work).await;
        }
        let [first, second] = recorders;
        assert_eq!(first.value(index("successes")), Some(3.0));
        assert_eq!(second.value(index("successes")), Some(5.0));
        assert_eq!(first.value(index("failures")), Some(1.0));
        assert_eq!(first.value(index("requestsInFlight")), Some(2.0));
        let latest = first.latest(index("latencyMs"));
        assert_eq!(
            (latest.len(), latest[0], latest[WINDOW - 1]),
            (WINDOW, 1.0, 1024.0)
        );
        // A count goes on where the window ends.
        assert_eq!(first.value(index("latencyMs")), Some(2000.0));
        assert_eq!(first.value(SHOWN.len()), None);
    }
}
