//! A line of the log now and then, in place of one for each row.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The least time between two lines.
const PAUSE: Duration = Duration::from_secs(10);

/// Counts what is kept quiet.
#[derive(Debug, Default)]
pub(crate) struct LogLimit(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    last: Option<Instant>,
    kept_quiet: u64,
}

impl LogLimit {
    /// Whether something may be said now: if so, how much was kept quiet before it.
    pub(crate) fn pass(&self) -> Option<u64> {
        let now = Instant::now();
        let mut state = self.lock();
        let is_too_soon = |last: Instant| now.saturating_duration_since(last) < PAUSE;
        if state.last.is_some_and(is_too_soon) {
            state.kept_quiet += 1;
            return None;
        }
        state.last = Some(now);
        Some(std::mem::take(&mut state.kept_quiet))
    }

    /// How much was kept quiet since something was said last.
    pub(crate) fn take_rest(&self) -> u64 {
        std::mem::take(&mut self.lock().kept_quiet)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_line_stands_for_those_that_were_kept_quiet() {
        let limit = LogLimit::default();
        assert_eq!([(); 3].map(|()| limit.pass()), [Some(0), None, None]);
        tokio::time::advance(PAUSE).await;
        assert_eq!([(); 2].map(|()| limit.pass()), [Some(2), None]);
        assert_eq!([limit.take_rest(), limit.take_rest()], [1, 0]);
    }
}
