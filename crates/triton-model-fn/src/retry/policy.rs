//! How often a call is sent again and how long it waits in between: pure arithmetic.

use std::time::Duration;

use triton_options::OptionValues;

/// Exponential backoff with equal jitter: half of each wait is fixed, half is random.
///
/// The random half keeps the subtasks of a pipeline from returning in step to a server that has
/// just come back; the fixed half keeps any of them from returning at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// How often a call may be sent again; 0 sends it once.
    pub max_retries: u32,
    /// The longest wait before the first retry; it doubles from one retry to the next.
    pub initial_backoff: Duration,
    /// The longest wait of all.
    pub max_backoff: Duration,
}

impl RetryPolicy {
    /// The wait before retry number `retry`, which counts from 1.
    ///
    /// `random` lies in `0.0..1.0`. Where the server said how long to wait (`after`), that is the
    /// least, even beyond `max_backoff`; the random half of the backoff is added to it, because
    /// the server says the same to everyone.
    #[must_use]
    pub fn wait(&self, retry: u32, after: Option<Duration>, random: f64) -> Duration {
        let half = self.backoff(retry) / 2;
        // `f64::clamp` lets NaN through, and with NaN the multiplication would panic.
        let random = if random.is_nan() { 0.0 } else { random };
        let jitter = half.mul_f64(random.clamp(0.0, 1.0));
        half.max(after.unwrap_or_default()).saturating_add(jitter)
    }

    fn backoff(&self, retry: u32) -> Duration {
        let doublings = retry.saturating_sub(1);
        let factor = 2_u32.checked_pow(doublings).unwrap_or(u32::MAX);
        self.initial_backoff
            .saturating_mul(factor)
            .min(self.max_backoff)
    }
}

impl From<&OptionValues> for RetryPolicy {
    /// The policy that `max-retries`, `retry-initial-backoff` and `retry-max-backoff` ask for.
    fn from(options: &OptionValues) -> Self {
        Self {
            max_retries: options.max_retries,
            initial_backoff: options.retry_initial_backoff.get(),
            max_backoff: options.retry_max_backoff.get(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use triton_options::TritonOptions;

    use super::*;

    const POLICY: RetryPolicy = RetryPolicy {
        max_retries: 9,
        initial_backoff: Duration::from_millis(100),
        max_backoff: Duration::from_secs(1),
    };

    // Holds F15.
    #[test]
    fn the_wait_doubles_up_to_the_limit_and_its_half_is_random() {
        let millis = |random| {
            let wait = |retry| POLICY.wait(retry, None, random).as_millis();
            (1..=6).map(wait).collect::<Vec<_>>()
        };
        assert_eq!(millis(0.0), [50, 100, 200, 400, 500, 500]);
        assert_eq!(millis(0.5), [75, 150, 300, 600, 750, 750]);
        assert_eq!(millis(1.0), [100, 200, 400, 800, 1000, 1000]);
    }

    // Holds F15.
    #[test]
    fn what_the_server_asks_for_is_the_least_wait() {
        let after = |millis| Some(Duration::from_millis(millis));
        assert_eq!(POLICY.wait(1, after(10), 0.0).as_millis(), 50);
        assert_eq!(POLICY.wait(1, after(5000), 0.0).as_millis(), 5000);
        assert_eq!(POLICY.wait(1, after(5000), 1.0).as_millis(), 5050);
    }

    #[test]
    fn the_options_make_the_policy() {
        let options = [
            ("endpoint", "http://localhost:8000"),
            ("model-name", "m"),
            ("max-retries", "9"),
            ("retry-initial-backoff", "100 ms"),
            ("retry-max-backoff", "1 s"),
        ];
        let options = TritonOptions::parse(options).unwrap();
        assert_eq!(RetryPolicy::from(&*options), POLICY);
    }

    proptest! {
        #[test]
        fn no_wait_panics_or_exceeds_its_bounds(
            initial in any::<Duration>(),
            max in any::<Duration>(),
            after in any::<Option<Duration>>(),
            retry in any::<u32>(),
            random in any::<f64>(),
        ) {
            let policy = RetryPolicy { max_retries: 1, initial_backoff: initial, max_backoff: max };
            let wait = policy.wait(retry, after, random);
            prop_assert!(wait >= after.unwrap_or_default());
            // Above 2^53 s a float no longer holds every second.
            let limit = max.max(Duration::from_secs(1)).mul_f64(0.500_000_1);
            prop_assert!(wait <= after.unwrap_or_default().max(max / 2).saturating_add(limit));
        }
    }
}
