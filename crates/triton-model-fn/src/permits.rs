//! Limits on what may be in flight at once, and the waits that they cost.
//!
//! Whoever waits for a permit has sent nothing: however such a wait ends, no request is uncertain
//! and no server is to blame.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use metrics::Histogram;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};
use triton_options::{CONNECTION_POOL_MAX_TOTAL, MAX_IN_FLIGHT};

/// What a permit is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PermitKind {
    /// A request of this function.
    Request,
    /// A connection of the client, which functions share.
    Connection,
}

impl PermitKind {
    /// The kind as metrics and errors name it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            PermitKind::Request => "request",
            PermitKind::Connection => "connection",
        }
    }

    /// The option that says how many there are.
    fn option(self) -> &'static str {
        match self {
            PermitKind::Request => MAX_IN_FLIGHT.key(),
            PermitKind::Connection => CONNECTION_POOL_MAX_TOTAL.key(),
        }
    }
}

/// As many permits as a limit allows; whoever came first gets the next one.
#[derive(Debug)]
pub(crate) struct Permits {
    semaphore: Arc<Semaphore>,
    kind: PermitKind,
    /// How many there are at present.
    limit: AtomicU32,
}

/// A permit that was not to be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoPermit {
    /// Others held them all until the wait had to end.
    Waited {
        kind: PermitKind,
        limit: u32,
        waited: Duration,
    },
    /// None is given any more.
    Closed,
}

impl fmt::Display for NoPermit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoPermit::Waited {
                kind,
                limit,
                waited,
            } => write!(
                formatter,
                "waited {waited:.1?} for a {} permit ('{}' = {limit})",
                kind.name(),
                kind.option()
            ),
            NoPermit::Closed => formatter.write_str("the function was closed"),
        }
    }
}

impl Permits {
    pub(crate) fn new(kind: PermitKind, limit: u32) -> Self {
        Self {
            semaphore: Arc::new(Semaphore::new(limit as usize)),
            kind,
            limit: AtomicU32::new(limit),
        }
    }

    /// How many there are.
    pub(crate) fn limit(&self) -> u32 {
        self.limit.load(Ordering::Relaxed)
    }

    /// Errors name so many from now on.
    pub(crate) fn note_limit(&self, limit: u32) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    /// Gives further ones.
    pub(crate) fn add(&self, more: u32) {
        self.semaphore.add_permits(more as usize);
    }

    /// Takes away as many of `fewer` as nobody has, and says how many those are.
    pub(crate) fn forget(&self, fewer: u32) -> u32 {
        // It forgets no more than it is told.
        self.semaphore.forget_permits(fewer as usize) as u32
    }

    /// Takes a permit, for which it waits until `end` at most; the time goes into `seconds`.
    ///
    /// Dropping the future gives its turn up.
    pub(crate) async fn acquire(
        &self,
        end: Option<Instant>,
        seconds: &Histogram,
    ) -> Result<OwnedSemaphorePermit, NoPermit> {
        // One that is released goes to whoever waits, so this overtakes nobody.
        if let Ok(permit) = Arc::clone(&self.semaphore).try_acquire_owned() {
            seconds.record(0.0);
            return Ok(permit);
        }
        let begun = Instant::now();
        let permit = Arc::clone(&self.semaphore).acquire_owned();
        let permit = match end {
            Some(end) => timeout_at(end, permit).await,
            None => Ok(permit.await),
        };
        let waited = begun.elapsed();
        seconds.record(waited.as_secs_f64());
        match permit {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) => Err(NoPermit::Closed),
            Err(_) => Err(NoPermit::Waited {
                kind: self.kind,
                limit: self.limit(),
                waited,
            }),
        }
    }

    /// Waits until all of so many permits are back; whether they were, before `end`.
    pub(crate) async fn all_back(&self, limit: u32, end: Instant) -> bool {
        let all = self.semaphore.acquire_many(limit);
        timeout_at(end, all).await.is_ok()
    }

    /// Gives no permit from now on, nor to those that wait for one.
    pub(crate) fn close(&self) {
        self.semaphore.close();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use futures_util::future::join_all;

    use super::*;

    // Holds F9.
    #[tokio::test]
    async fn permits_are_given_in_the_order_in_which_they_were_asked_for() {
        let permits = Permits::new(PermitKind::Request, 1);
        let seconds = Histogram::noop();
        let given = Mutex::new(Vec::new());
        let taken = permits.acquire(None, &seconds).await.unwrap();
        let waiting = (0..20).map(async |number| {
            let permit = permits.acquire(None, &seconds).await.unwrap();
            given.lock().unwrap().push(number);
            // Whoever asks next does not overtake those that wait.
            tokio::task::yield_now().await;
            drop(permit);
        });
        let release = async { drop(taken) };
        tokio::join!(join_all(waiting), release);
        assert_eq!(given.into_inner().unwrap(), (0..20).collect::<Vec<_>>());
    }
}
