//! What a function counts, through the [`metrics`] facade; nothing is kept without a recorder.
//!
//! Every metric has the labels `model` and `subtask`, and is there from the moment of `open`, at 0.
//!
//! | Metric | Kind | What it counts |
//! | --- | --- | --- |
//! | `triton_function_rows_total` | counter | rows, by `result`: `answered`, `default`, `failed` |
//! | `triton_function_failed_rows_total` | counter | rows that failed or got the default, by `kind` of what was wrong: see below |
//! | `triton_function_calls_total` | counter | logical calls that were sent, attempts not counted apart |
//! | `triton_function_failures_total` | counter | logical calls that were sent and failed, by `kind`: `call`, `sequence_uncertain` |
//! | `triton_function_retries_total` | counter | attempts after the first |
//! | `triton_function_retries_refused_total` | counter | retries for which the budget (option `retry-budget`) had nothing left: not made, or, where rows can wait for the server, made after the longest pause |
//! | `triton_function_retry_budget` | gauge | retries that the budget has left |
//! | `triton_function_in_flight_limit` | gauge | requests that may be in flight at once (option `max-in-flight`), which changes with `auto` |
//! | `triton_function_in_flight` | gauge | logical calls that were sent and are not answered yet |
//! | `triton_function_call_seconds` | histogram | time of a logical call from the moment at which it was sent, with all attempts and the pauses between them |
//! | `triton_function_permit_wait_seconds` | histogram | time that a request waited to be sent, by `permit`: `request` (option `max-in-flight`), `connection` (option `connection-pool-max-total`) |
//! | `triton_function_batch_rows` | histogram | rows in a request of a stateless model |
//! | `triton_function_cache_rows_total` | counter | rows that were looked up (option `cache-max-bytes`), by `result`: `hit`, `coalesced` with an equal row in flight, `missed` |
//! | `triton_function_cache_bytes` | gauge | memory that the cache takes |
//! | `triton_function_open_streams` | gauge | rows whose answers are being read (option `decoupled` = `stream`): to the metrics of calls such a row ends with its first answer |
//! | `triton_function_stream_answers_total` | counter | answers to such rows that were given out |
//! | `triton_function_open_sequences` | gauge | sequences of keys that are open |
//! | `triton_function_held_places` | gauge | sequences that are over here and may be alive on the server, whose places are held |
//! | `triton_function_lost_sequences` | gauge | lost sequences that are remembered until their key has a row |
//! | `triton_function_queued_rows` | gauge | rows of keys that were not answered yet |
//! | `triton_function_oldest_row_seconds` | gauge | the age of the oldest of them |
//! | `triton_function_sequence_events_total` | counter | what happened to sequences of keys, by `event`: see below |
//! | `triton_function_replayed_rows_total` | counter | rows sent again to rebuild a sequence |
//! | `triton_function_breaker_state` | gauge | 0 closed, 1 half-open, 2 open |
//! | `triton_replica_attempts_total` | counter | attempts of calls at one of several servers, by `result`: `answered`, `refused` by the server, `failed` by its fault, `not_reached`, `unknown` |
//! | `triton_replica_in_flight` | gauge | such attempts that are not over yet; a stream is over with its last answer |
//! | `triton_replica_attempt_seconds` | histogram | how long such attempts took that were answered |
//! | `triton_replica_state` | gauge | 0 joining, 1 ready, 2 not ready, 3 ejected (left alone after failures), 4 draining, 5 gone, 6 on trial (the next call shows if it works again) |
//!
//! Metrics of replicas have the labels `model` and `replica`, the server's address without credentials, and
//! functions of one process that call the same model in the same way count together. Where functions call it with
//! other options they add up, too, but for the state, of which the last change is shown. What is gone keeps its
//! series, with state 5 and nothing in flight: no recorder takes a series back. A single server has none.
//!
//! The kinds of failed rows:
//!
//! | `kind` | What was wrong |
//! | --- | --- |
//! | `input` | the row does not fit the schema or the model; nothing was sent |
//! | `refused` | the server refused the request (4xx) |
//! | `server` | the server or the model failed (5xx), or a stream broke off with an error of the model |
//! | `unavailable` | the server was not able to answer (429, 502, 503, 504), was not reached or was away, or its circuit was open |
//! | `timeout` | no answer came in time, or the row's deadline was over |
//! | `connection` | the connection broke |
//! | `sequence` | the row's sequence was lost, or is uncertain |
//! | `output` | the answer cannot be read, or does not fit the schema |
//! | `other` | anything else, such as the end of the function |
//!
//! The events of sequences:
//!
//! | `event` | What happened |
//! | --- | --- |
//! | `started`, `ended` | the first row was answered; the last one was, with END |
//! | `expired` | the key had no row for so long that its next one starts a new sequence |
//! | `uncertain` | a request failed that the server may have executed |
//! | `forgotten` | the server does not know the sequence any more |
//! | `gap` | a row did not follow the last one of its key that was seen |
//! | `replayed` | the sequence was rebuilt under a new ID |
//! | `restarted` | the sequence went on under a new ID without its earlier rows |
//! | `failed` | a row failed because the sequence was lost |
//! | `abandoned` | the last row failed, so that the sequence has no end |
//! | `moved` | the sequence left its replica, which drains, is away or is gone |
//!
//! Bytes and single attempts are counted by [`triton_client`].

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use triton_options::ModelName;

use crate::permits::PermitKind;
use crate::sequences::Counts;
use crate::shared_gauge::SharedGauge;
use crate::{Error, ErrorKind, Subtask};

/// What happened to the sequence of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SequenceEvent {
    Started,
    Ended,
    Expired,
    Uncertain,
    Forgotten,
    Gap,
    Replayed,
    Restarted,
    Failed,
    Abandoned,
    Moved,
}

impl SequenceEvent {
    /// Every event, in the order of the enum.
    const ALL: [Self; 11] = [
        SequenceEvent::Started,
        SequenceEvent::Ended,
        SequenceEvent::Expired,
        SequenceEvent::Uncertain,
        SequenceEvent::Forgotten,
        SequenceEvent::Gap,
        SequenceEvent::Replayed,
        SequenceEvent::Restarted,
        SequenceEvent::Failed,
        SequenceEvent::Abandoned,
        SequenceEvent::Moved,
    ];

    fn name(self) -> &'static str {
        match self {
            SequenceEvent::Started => "started",
            SequenceEvent::Ended => "ended",
            SequenceEvent::Expired => "expired",
            SequenceEvent::Uncertain => "uncertain",
            SequenceEvent::Forgotten => "forgotten",
            SequenceEvent::Gap => "gap",
            SequenceEvent::Replayed => "replayed",
            SequenceEvent::Restarted => "restarted",
            SequenceEvent::Failed => "failed",
            SequenceEvent::Abandoned => "abandoned",
            SequenceEvent::Moved => "moved",
        }
    }
}

/// What was wrong with a row that failed, as few values as a label of a metric should have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RowFailure {
    Input,
    Refused,
    Server,
    Unavailable,
    Timeout,
    Connection,
    Sequence,
    Output,
    Other,
}

impl RowFailure {
    /// Every one, in the order of the enum.
    const ALL: [Self; 9] = [
        Self::Input,
        Self::Refused,
        Self::Server,
        Self::Unavailable,
        Self::Timeout,
        Self::Connection,
        Self::Sequence,
        Self::Output,
        Self::Other,
    ];

    fn of(error: &Error) -> Self {
        match error.kind() {
            ErrorKind::Input | ErrorKind::NullInput => Self::Input,
            ErrorKind::SequenceUncertain | ErrorKind::SequenceLost => Self::Sequence,
            ErrorKind::CircuitOpen | ErrorKind::ServerAway => Self::Unavailable,
            ErrorKind::Output => Self::Output,
            ErrorKind::Call => match error.client_error() {
                Some(error) => Self::of_call(error),
                // Nothing was sent, or nothing came back, for as long as the row had.
                None => Self::Timeout,
            },
            _ => Self::Other,
        }
    }

    fn of_call(error: &triton_client::Error) -> Self {
        use triton_client::ErrorKind as Kind;
        match error.kind() {
            kind if kind.is_connection() => Self::Unavailable,
            Kind::Unavailable => Self::Unavailable,
            Kind::Timeout => Self::Timeout,
            Kind::Interrupted => Self::Connection,
            Kind::Server | Kind::Unsupported => Self::Server,
            Kind::Protocol | Kind::ResponseTooLarge => Self::Output,
            Kind::InvalidRequest => Self::Input,
            Kind::Rejected
            | Kind::RequestTooLarge
            | Kind::Denied
            | Kind::NotFound
            | Kind::SequenceNotStarted => Self::Refused,
            _ => Self::Other,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Refused => "refused",
            Self::Server => "server",
            Self::Unavailable => "unavailable",
            Self::Timeout => "timeout",
            Self::Connection => "connection",
            Self::Sequence => "sequence",
            Self::Output => "output",
            Self::Other => "other",
        }
    }
}

/// The counters of the sequences of keys.
pub(crate) struct SequenceMetrics {
    open: Gauge,
    held: Gauge,
    lost: Gauge,
    queued: Gauge,
    oldest: Gauge,
    /// In the order of [`SequenceEvent::ALL`].
    events: [Counter; SequenceEvent::ALL.len()],
    pub(crate) replayed_rows: Counter,
}

impl SequenceMetrics {
    /// Shows what has changed: functions that have their labels in common add up.
    pub(crate) fn counts(&self, before: &Counts, counts: &Counts) {
        for (gauge, before, now) in [
            (&self.open, before.open, counts.open),
            (&self.held, before.held, counts.held),
            (&self.lost, before.lost, counts.lost),
            (&self.queued, before.rows, counts.rows),
        ] {
            if now != before {
                gauge.increment(now as f64 - before as f64);
            }
        }
        self.oldest.set(counts.oldest.as_secs_f64());
    }

    pub(crate) fn event(&self, event: SequenceEvent) {
        self.events[event as usize].increment(1);
    }
}

impl fmt::Debug for SequenceMetrics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SequenceMetrics")
            .finish_non_exhaustive()
    }
}

/// The counters of a cache of answers.
pub(crate) struct CacheMetrics {
    hits: Counter,
    coalesced: Counter,
    missed: Counter,
    bytes: SharedGauge,
}

impl CacheMetrics {
    #[cfg(test)]
    pub(crate) fn none() -> Self {
        Self {
            hits: Counter::noop(),
            coalesced: Counter::noop(),
            missed: Counter::noop(),
            bytes: SharedGauge::new(Gauge::noop()),
        }
    }

    /// A row was answered with what is kept.
    pub(crate) fn hit(&self) {
        self.hits.increment(1);
    }

    /// A row was answered with what an equal one in flight was answered with.
    pub(crate) fn coalesced(&self) {
        self.coalesced.increment(1);
    }

    /// A row was not found.
    pub(crate) fn missed(&self) {
        self.missed.increment(1);
    }

    /// The cache takes so many bytes.
    pub(crate) fn bytes(&self, bytes: usize) {
        self.bytes.set(bytes as f64);
    }
}

impl fmt::Debug for CacheMetrics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("CacheMetrics")
            .finish_non_exhaustive()
    }
}

/// The counters of rows that have any number of answers.
pub(crate) struct StreamMetrics {
    open: Gauge,
    answers: Counter,
}

impl StreamMetrics {
    /// A stream begins; it is open until what comes back is dropped.
    pub(crate) fn begins(&self) -> OpenStream {
        self.open.increment(1.0);
        OpenStream(self.open.clone())
    }

    /// An answer was given out.
    pub(crate) fn answer(&self) {
        self.answers.increment(1);
    }
}

impl fmt::Debug for StreamMetrics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("StreamMetrics")
            .finish_non_exhaustive()
    }
}

/// A stream that is counted as open.
pub(crate) struct OpenStream(Gauge);

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

/// The counters of one function in one subtask.
pub struct FunctionMetrics {
    model: String,
    subtask: String,
    answered: Counter,
    defaults: Counter,
    failed: Counter,
    /// In the order of [`RowFailure::ALL`].
    failed_rows: [Counter; RowFailure::ALL.len()],
    calls: Counter,
    /// Calls that failed, and those that left their sequence uncertain.
    failures: [Counter; 2],
    retries: Counter,
    retries_refused: Counter,
    retry_budget: SharedGauge,
    in_flight_limit: Arc<SharedGauge>,
    in_flight: Gauge,
    seconds: Histogram,
    /// Waits for permits: of requests, and of connections.
    permit_waits: [Histogram; 2],
    batch_rows: Histogram,
    breaker_state: Gauge,
}

impl FunctionMetrics {
    pub(crate) fn new(model: &ModelName, subtask: Subtask) -> Self {
        let model = model.to_string();
        let subtask = subtask.index().to_string();
        let labels = [("model", model.clone()), ("subtask", subtask.clone())];
        let rows = |result: &'static str| {
            let labels = [
                ("model", model.clone()),
                ("subtask", subtask.clone()),
                ("result", result.to_owned()),
            ];
            counter!("triton_function_rows_total", &labels)
        };
        let failures = |kind: ErrorKind| {
            let labels = [
                ("model", model.clone()),
                ("subtask", subtask.clone()),
                ("kind", kind.name().to_owned()),
            ];
            counter!("triton_function_failures_total", &labels)
        };
        let failed_rows = |failure: RowFailure| {
            let labels = [
                ("model", model.clone()),
                ("subtask", subtask.clone()),
                ("kind", failure.name().to_owned()),
            ];
            counter!("triton_function_failed_rows_total", &labels)
        };
        let permit_waits = |kind: PermitKind| {
            let labels = [
                ("model", model.clone()),
                ("subtask", subtask.clone()),
                ("permit", kind.name().to_owned()),
            ];
            histogram!("triton_function_permit_wait_seconds", &labels)
        };
        Self {
            answered: rows("answered"),
            defaults: rows("default"),
            failed: rows("failed"),
            failed_rows: RowFailure::ALL.map(failed_rows),
            calls: counter!("triton_function_calls_total", &labels),
            failures: [ErrorKind::Call, ErrorKind::SequenceUncertain].map(failures),
            retries: counter!("triton_function_retries_total", &labels),
            retries_refused: counter!("triton_function_retries_refused_total", &labels),
            retry_budget: SharedGauge::new(gauge!("triton_function_retry_budget", &labels)),
            in_flight_limit: Arc::new(SharedGauge::new(gauge!(
                "triton_function_in_flight_limit",
                &labels
            ))),
            in_flight: gauge!("triton_function_in_flight", &labels),
            seconds: histogram!("triton_function_call_seconds", &labels),
            permit_waits: [PermitKind::Request, PermitKind::Connection].map(permit_waits),
            batch_rows: histogram!("triton_function_batch_rows", &labels),
            breaker_state: gauge!("triton_function_breaker_state", &labels),
            model,
            subtask,
        }
    }

    /// A row was answered by the model.
    pub fn row_answered(&self) {
        self.rows_answered(1);
    }

    pub(crate) fn rows_answered(&self, rows: usize) {
        self.answered.increment(rows as u64);
    }

    /// A row got the default in place of an answer, because of the error.
    pub fn row_defaulted(&self, error: &Error) {
        self.defaults.increment(1);
        self.failed_by(error);
    }

    /// A row was not answered, because of the error.
    pub fn row_failed(&self, error: &Error) {
        self.failed.increment(1);
        self.failed_by(error);
    }

    fn failed_by(&self, error: &Error) {
        self.failed_rows[RowFailure::of(error) as usize].increment(1);
    }

    /// A row that can wait for the server is sent once more, by a call of its own.
    pub(crate) fn sent_again(&self) {
        self.retries.increment(1);
    }

    pub(crate) fn batch(&self, rows: usize) {
        self.batch_rows.record(rows as f64);
    }

    /// What is left of the budget for retries, where there is one, and whether one was refused.
    pub(crate) fn retry_budget(&self, left: Option<f64>, refused: bool) {
        if let Some(left) = left {
            self.retry_budget.set(left);
        }
        if refused {
            self.retries_refused.increment(1);
        }
    }

    /// Where the number of requests goes that may be in flight.
    pub(crate) fn in_flight_limit(&self) -> &Arc<SharedGauge> {
        &self.in_flight_limit
    }

    pub(crate) fn breaker_state(&self, state: f64) {
        self.breaker_state.set(state);
    }

    /// The counters of the sequences of keys, which only a function with keys has.
    pub(crate) fn of_sequences(&self) -> SequenceMetrics {
        let labels = [
            ("model", self.model.clone()),
            ("subtask", self.subtask.clone()),
        ];
        let events = SequenceEvent::ALL.map(|event| {
            let labels = [
                ("model", self.model.clone()),
                ("subtask", self.subtask.clone()),
                ("event", event.name().to_owned()),
            ];
            counter!("triton_function_sequence_events_total", &labels)
        });
        SequenceMetrics {
            open: gauge!("triton_function_open_sequences", &labels),
            held: gauge!("triton_function_held_places", &labels),
            lost: gauge!("triton_function_lost_sequences", &labels),
            queued: gauge!("triton_function_queued_rows", &labels),
            oldest: gauge!("triton_function_oldest_row_seconds", &labels),
            events,
            replayed_rows: counter!("triton_function_replayed_rows_total", &labels),
        }
    }

    /// The counters of the cache, which only a function with one has.
    pub(crate) fn of_cache(&self) -> CacheMetrics {
        let labels = [
            ("model", self.model.clone()),
            ("subtask", self.subtask.clone()),
        ];
        let rows = |result: &'static str| {
            let [model, subtask] = labels.clone();
            let labels = [model, subtask, ("result", result.to_owned())];
            counter!("triton_function_cache_rows_total", &labels)
        };
        CacheMetrics {
            hits: rows("hit"),
            coalesced: rows("coalesced"),
            missed: rows("missed"),
            bytes: SharedGauge::new(gauge!("triton_function_cache_bytes", &labels)),
        }
    }

    /// The counters of streams, which only a function has whose rows may have several answers.
    pub(crate) fn of_streams(&self) -> StreamMetrics {
        let labels = [
            ("model", self.model.clone()),
            ("subtask", self.subtask.clone()),
        ];
        StreamMetrics {
            open: gauge!("triton_function_open_streams", &labels),
            answers: counter!("triton_function_stream_answers_total", &labels),
        }
    }

    /// Where the waits for permits of a kind go.
    pub(crate) fn permit_wait(&self, kind: PermitKind) -> &Histogram {
        let [request, connection] = &self.permit_waits;
        match kind {
            PermitKind::Request => request,
            PermitKind::Connection => connection,
        }
    }

    /// A logical call is sent; what it returns counts its end, however it comes about.
    pub(crate) fn call_begins(&self) -> CallInFlight<'_> {
        self.calls.increment(1);
        self.in_flight.increment(1.0);
        CallInFlight(self)
    }
}

/// A logical call that is counted as in flight until this is dropped.
pub(crate) struct CallInFlight<'a>(&'a FunctionMetrics);

impl CallInFlight<'_> {
    /// The call was answered, or not, after so much time and so many attempts.
    pub(crate) fn ends(self, failure: Option<ErrorKind>, time: Duration, attempts: u32) {
        let metrics = self.0;
        metrics.seconds.record(time.as_secs_f64());
        metrics
            .retries
            .increment(u64::from(attempts.saturating_sub(1)));
        if let Some(kind) = failure {
            let [failed, uncertain] = &metrics.failures;
            match kind {
                ErrorKind::SequenceUncertain => uncertain.increment(1),
                _ => failed.increment(1),
            }
        }
    }
}

impl Drop for CallInFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.decrement(1.0);
    }
}

impl fmt::Debug for FunctionMetrics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("FunctionMetrics")
            .field("model", &self.model)
            .field("subtask", &self.subtask)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use metrics_util::debugging::{DebugValue, DebuggingRecorder};

    use super::*;

    #[test]
    fn a_shared_gauge_comes_back_to_nothing() {
        let recorder = DebuggingRecorder::new();
        let snapshots = recorder.snapshotter();
        metrics::with_local_recorder(&recorder, || {
            let one = SharedGauge::new(gauge!("budget"));
            let other = SharedGauge::new(gauge!("budget"));
            for fifth in 0..100 {
                one.set(f64::from(fifth) / 5.0);
                other.set(f64::from(fifth) / 3.0);
            }
        });
        let all = snapshots.snapshot().into_vec();
        let shown: Vec<_> = all.iter().map(|(_, _, _, value)| value).collect();
        assert_eq!(shown, [&DebugValue::Gauge(0.0.into())]);
    }
}
