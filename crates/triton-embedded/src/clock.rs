//! The time that sequences, queues and slow models are measured with, so that no test has to wait
//! for it.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Where the server takes the time from.
pub trait Clock: Send + Sync + 'static {
    /// The present; never earlier than what an earlier call returned.
    fn now(&self) -> Instant;
}

/// The real time.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        Instant::now()
    }
}

/// A time that stands still until it is told to advance. Clones share it.
///
/// ```
/// use std::time::Duration;
/// use triton_embedded::{Clock, ManualClock};
///
/// let clock = ManualClock::default();
/// let before = clock.now();
/// clock.advance(Duration::from_secs(5));
/// assert_eq!(clock.now() - before, Duration::from_secs(5));
/// ```
#[derive(Debug, Clone)]
pub struct ManualClock {
    start: Instant,
    elapsed_nanoseconds: Arc<AtomicU64>,
}

impl ManualClock {
    /// Moves the time forward.
    pub fn advance(&self, step: Duration) {
        let step = u64::try_from(step.as_nanos()).unwrap_or(u64::MAX);
        self.elapsed_nanoseconds.fetch_add(step, Ordering::Relaxed);
    }
}

impl Default for ManualClock {
    fn default() -> ManualClock {
        ManualClock {
            start: Instant::now(),
            elapsed_nanoseconds: Arc::default(),
        }
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Instant {
        self.start + Duration::from_nanos(self.elapsed_nanoseconds.load(Ordering::Relaxed))
    }
}

/// Lets a model wait on the clock of the server it runs in.
#[derive(Clone)]
pub(crate) struct Timekeeper {
    clock: Arc<dyn Clock>,
    stopping: Arc<AtomicBool>,
}

/// How often the clock is read during a wait: one that stands still does not tell when it is
/// advanced.
pub(crate) const CLOCK_READING: Duration = Duration::from_millis(5);

impl Timekeeper {
    pub(crate) fn new(clock: Arc<dyn Clock>, stopping: Arc<AtomicBool>) -> Timekeeper {
        Timekeeper { clock, stopping }
    }

    pub(crate) fn now(&self) -> Instant {
        self.clock.now()
    }

    /// Waits; false when the server stops meanwhile.
    pub(crate) fn wait(&self, time: Duration) -> bool {
        let end = self.now() + time;
        let (never, pause) = (Mutex::new(()), Condvar::new());
        loop {
            if self.stopping.load(Ordering::Relaxed) {
                return false;
            }
            let left = end.saturating_duration_since(self.now());
            if left.is_zero() {
                return true;
            }
            let guard = never.lock().unwrap_or_else(PoisonError::into_inner);
            drop(pause.wait_timeout(guard, left.min(CLOCK_READING)));
        }
    }

    /// As [`Timekeeper::wait`], without holding up a thread. Dropping the future ends the wait.
    pub(crate) async fn sleep(&self, time: Duration) {
        let end = self.now() + time;
        loop {
            let left = end.saturating_duration_since(self.now());
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left.min(CLOCK_READING)).await;
        }
    }
}

impl Default for Timekeeper {
    fn default() -> Timekeeper {
        Timekeeper::new(Arc::new(SystemClock), Arc::default())
    }
}

impl fmt::Debug for Timekeeper {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Timekeeper").finish_non_exhaustive()
    }
}

/// A request is the same whichever clock it is executed by.
impl PartialEq for Timekeeper {
    fn eq(&self, _: &Timekeeper) -> bool {
        true
    }
}
