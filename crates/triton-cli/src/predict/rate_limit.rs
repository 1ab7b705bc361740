//! Holds rows back so that no more than so many begin in a second.

use std::time::Duration;

use tokio::time::Instant;

/// Timers are about this late; rows that were held back for it may follow at once.
const LEEWAY: Duration = Duration::from_millis(10);

/// When the next row may begin.
#[derive(Debug)]
pub(super) struct RateLimit {
    /// The time between two rows; `None` is no limit.
    interval: Option<Duration>,
    next: Instant,
}

impl RateLimit {
    pub(super) fn new(rows_per_second: Option<f64>) -> Self {
        let interval = rows_per_second.map(|rate| {
            // A rate so low that no clock can wait for it is as good as one row in a century.
            let longest = Duration::from_secs(36_500 * 86_400);
            Duration::try_from_secs_f64(rate.recip()).map_or(longest, |time| time.min(longest))
        });
        Self {
            interval,
            next: Instant::now(),
        }
    }

    /// Waits until a row may begin.
    pub(super) async fn wait(&self) {
        if self.interval.is_some() && self.next > Instant::now() {
            tokio::time::sleep_until(self.next).await;
        }
    }

    /// Whether a row may begin now.
    pub(super) fn is_open(&self) -> bool {
        self.interval.is_none() || self.next <= Instant::now()
    }

    /// How many rows may begin together, so that they come no less evenly than timers let them.
    pub(super) fn most_together(rows_per_second: Option<f64>) -> usize {
        let rows = rows_per_second.map(|rate| rate * LEEWAY.as_secs_f64());
        rows.map_or(usize::MAX, |rows| (rows as usize).max(1))
    }

    /// Rows begin.
    pub(super) fn begin(&mut self, rows: usize) {
        if let Some(interval) = self.interval {
            let now = Instant::now();
            let earliest = now.checked_sub(LEEWAY).unwrap_or(now);
            let rows = u32::try_from(rows).unwrap_or(u32::MAX);
            self.next = self.next.max(earliest) + interval.saturating_mul(rows);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn rows_begin_no_faster_than_they_may() {
        let begun = Instant::now();
        let mut limit = RateLimit::new(Some(5000.0));
        for _ in 0..10_000 {
            limit.wait().await;
            limit.begin(1);
        }
        let elapsed = begun.elapsed().as_secs_f64();
        assert!((1.98..2.02).contains(&elapsed), "{elapsed}");
    }

    #[tokio::test(start_paused = true)]
    async fn time_without_rows_is_not_made_up_for() {
        let mut limit = RateLimit::new(Some(10.0));
        tokio::time::advance(Duration::from_secs(100)).await;
        let begun = Instant::now();
        for _ in 0..11 {
            limit.wait().await;
            limit.begin(1);
        }
        assert!(begun.elapsed() > Duration::from_millis(980));
    }
}
