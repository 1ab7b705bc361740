//! How many requests of a function may be in flight: a fixed number, or one that follows the server.

mod limiter;
#[cfg(all(test, triton_loom))]
mod loom_tests;
#[cfg(test)]
mod simulation_tests;

use std::fmt;
use std::sync::{Arc, PoisonError};

use metrics::Histogram;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use tracing::debug;
use triton_client::{ErrorKind as ClientErrorKind, ModelId};
use triton_options::MaxInFlight;

use self::limiter::{Limiter, Signal};
use crate::Subtask;
use crate::permits::{NoPermit, PermitKind, Permits};
use crate::shared_gauge::SharedGauge;
use crate::sync::{Mutex, MutexGuard, before_unseen_step};

/// What the server says when a queue is full, with a 400 where it is older than 2.44.
const QUEUE_IS_FULL: &str = "maximum queue size";

/// The request permits of an open function.
#[derive(Debug)]
pub(crate) struct RequestLimit {
    permits: Arc<Permits>,
    /// `None` where the number is fixed.
    adaptive: Option<Arc<Adaptive>>,
    most: u32,
}

/// A limit that follows the server.
struct Adaptive {
    state: Mutex<State>,
    permits: Arc<Permits>,
    /// The moment from which the limiter counts time.
    epoch: Instant,
    model: ModelId,
    subtask: Subtask,
    gauge: Arc<SharedGauge>,
}

#[derive(Debug)]
struct State {
    limiter: Limiter,
    /// How many permits there are to be.
    limit: u32,
    /// How many there are beyond that: they were taken when the limit fell, and go when they come
    /// back.
    excess: u32,
    /// The limit does not change any more.
    is_settled: bool,
}

/// The right to have one request in flight. Dropping it gives it back, or away where the limit has
/// fallen meanwhile.
#[derive(Debug)]
pub(crate) struct LimitedPermit {
    permit: Option<OwnedSemaphorePermit>,
    adaptive: Option<Arc<Adaptive>>,
}

/// An attempt that is in flight.
pub(crate) struct Watched<'a> {
    adaptive: Option<(&'a Adaptive, Instant)>,
}

impl RequestLimit {
    pub(crate) fn new(
        max_in_flight: MaxInFlight,
        model: &ModelId,
        subtask: Subtask,
        gauge: &Arc<SharedGauge>,
    ) -> Self {
        let most = max_in_flight.most().get();
        let limiter = (max_in_flight == MaxInFlight::Auto).then(|| Limiter::new(most));
        let limit = limiter.as_ref().map_or(most, Limiter::limit);
        gauge.set(f64::from(limit));
        let permits = Arc::new(Permits::new(PermitKind::Request, limit));
        let adaptive = limiter.map(|limiter| {
            Arc::new(Adaptive {
                state: Mutex::new(State {
                    limiter,
                    limit,
                    excess: 0,
                    is_settled: false,
                }),
                permits: Arc::clone(&permits),
                epoch: Instant::now(),
                model: model.clone(),
                subtask,
                gauge: Arc::clone(gauge),
            })
        });
        Self {
            permits,
            adaptive,
            most,
        }
    }

    /// The most requests that are ever in flight.
    pub(crate) fn most(&self) -> u32 {
        self.most
    }

    /// Takes a permit, for which it waits until `end` at most; the time goes into `seconds`.
    pub(crate) async fn acquire(
        &self,
        end: Option<Instant>,
        seconds: &Histogram,
    ) -> Result<LimitedPermit, NoPermit> {
        let permit = self.permits.acquire(end, seconds).await?;
        Ok(LimitedPermit {
            permit: Some(permit),
            adaptive: self.adaptive.clone(),
        })
    }

    /// Waits until all permits are back; whether they were, before `end`. The limit stays as it is
    /// from then on.
    pub(crate) async fn all_back(&self, end: Instant) -> bool {
        let limit = match &self.adaptive {
            Some(adaptive) => {
                let mut state = adaptive.lock();
                state.is_settled = true;
                state.limit
            }
            None => self.most,
        };
        self.permits.all_back(limit, end).await
    }

    /// Gives no permit from now on, nor to those that wait for one.
    pub(crate) fn close(&self) {
        self.permits.close();
    }

    /// An attempt is sent; what comes back is told how it ends.
    pub(crate) fn sent(&self) -> Watched<'_> {
        let adaptive = self.adaptive.as_deref().map(|adaptive| {
            let now = Instant::now();
            adaptive.lock().limiter.sent();
            (adaptive, now)
        });
        Watched { adaptive }
    }
}

/// The value of the option, as errors name it.
impl fmt::Display for RequestLimit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.permits.limit().fmt(formatter)
    }
}

impl Adaptive {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ended(&self, since: Instant, signal: Signal) {
        let since = since.saturating_duration_since(self.epoch);
        let now = self.epoch.elapsed();
        let (before, limit) = {
            let mut state = self.lock();
            state.limiter.ended(since, now, signal);
            let (before, limit) = (state.limit, state.limiter.limit());
            if before == limit || state.is_settled {
                return;
            }
            state.change(limit, &self.permits);
            self.gauge.set(f64::from(limit));
            (before, limit)
        };
        debug!(
            model = %self.model,
            subtask = self.subtask.index(),
            before,
            limit,
            ?signal,
            "the limit of requests in flight has changed"
        );
    }
}

impl State {
    fn change(&mut self, limit: u32, permits: &Permits) {
        let before = self.limit;
        self.limit = limit;
        if let Some(more) = limit.checked_sub(before) {
            let kept = more.min(self.excess);
            self.excess -= kept;
            permits.add(more - kept);
        } else {
            let fewer = before - limit;
            self.excess += fewer - permits.forget(fewer);
        }
        permits.note_limit(limit);
    }
}

impl Drop for LimitedPermit {
    fn drop(&mut self) {
        let (Some(permit), Some(adaptive)) = (self.permit.take(), &self.adaptive) else {
            return;
        };
        let mut state = adaptive.lock();
        if state.excess > 0 {
            state.excess -= 1;
            permit.forget();
        } else {
            // Before anybody else can lower the limit: a permit that is on its way back would be missed
            // there, and given to one request too many.
            before_unseen_step();
            drop(permit);
        }
    }
}

impl Watched<'_> {
    /// The attempt was answered, or failed; `is_cut_short` says that it had less time than `timeout`.
    pub(crate) fn ends(mut self, result: Result<(), &triton_client::Error>, is_cut_short: bool) {
        if let Some((adaptive, since)) = self.adaptive.take() {
            let signal = match signal(result) {
                // The server is not to blame for a row that was sent late.
                Signal::TimedOut if is_cut_short => Signal::Unknown,
                signal => signal,
            };
            adaptive.ended(since, signal);
        }
    }
}

/// One that is given up says nothing of the server.
impl Drop for Watched<'_> {
    fn drop(&mut self) {
        if let Some((adaptive, since)) = self.adaptive.take() {
            adaptive.ended(since, Signal::Unknown);
        }
    }
}

impl fmt::Debug for Adaptive {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Adaptive")
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

/// What an attempt tells of the server's load.
fn signal(result: Result<(), &triton_client::Error>) -> Signal {
    let Err(error) = result else {
        return Signal::Answered;
    };
    match (error.kind(), error.status()) {
        (ClientErrorKind::Timeout, _) | (_, Some(504)) => Signal::TimedOut,
        (_, Some(429 | 503)) => Signal::Refused,
        (_, Some(400)) if error.message().contains(QUEUE_IS_FULL) => Signal::Refused,
        _ => Signal::Unknown,
    }
}
