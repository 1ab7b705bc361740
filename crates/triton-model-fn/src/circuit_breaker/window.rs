//! The outcomes of the most recent calls, one bit each.

/// How many calls the window holds, the size that other breakers have as well (Resilience4j).
pub const WINDOW_CALLS: u32 = 100;

/// How many calls there must be before their share of failures says anything.
pub const MINIMUM_CALLS: u32 = 10;

const MASK: u128 = (1 << WINDOW_CALLS) - 1;

/// A sliding window: the newest outcome pushes out the oldest.
#[derive(Debug, Clone, Default)]
pub(super) struct Window {
    /// The newest call is the lowest bit; a failure is a 1.
    failed: u128,
    calls: u32,
}

impl Window {
    pub(super) fn push(&mut self, failed: bool) {
        self.failed = (self.failed << 1 | u128::from(failed)) & MASK;
        self.calls = WINDOW_CALLS.min(self.calls + 1);
    }

    pub(super) fn calls(&self) -> u32 {
        self.calls
    }

    pub(super) fn failures(&self) -> u32 {
        self.failed.count_ones()
    }

    /// Whether there are enough calls and the share of failures is at least `threshold`.
    pub(super) fn reaches(&self, threshold: f64) -> bool {
        // The quotient is rounded the way the threshold was when it was read, so that 7 of 10
        // reach 0.7; a product would not be.
        self.calls >= MINIMUM_CALLS
            && f64::from(self.failures()) / f64::from(self.calls) >= threshold
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Holds F20.
    #[test]
    fn the_newest_call_pushes_out_the_oldest() {
        let mut window = Window::default();
        window.push(true);
        for _ in 1..WINDOW_CALLS {
            window.push(false);
        }
        assert_eq!((window.calls(), window.failures()), (WINDOW_CALLS, 1));
        window.push(false);
        assert_eq!((window.calls(), window.failures()), (WINDOW_CALLS, 0));
    }

    #[test]
    fn a_share_in_decimals_is_reached_exactly() {
        for hundredths in 1..=100_u32 {
            let threshold: f64 = format!("{}.{:02}", hundredths / 100, hundredths % 100)
                .parse()
                .unwrap();
            let mut window = Window::default();
            for call in 0..100 {
                window.push(call >= 100 - hundredths);
            }
            assert!(window.reaches(threshold), "{threshold}");
        }
    }

    // Holds F20.
    #[test]
    fn few_calls_say_nothing() {
        let mut window = Window::default();
        for _ in 1..MINIMUM_CALLS {
            window.push(true);
            assert!(!window.reaches(0.1));
        }
        window.push(true);
        assert!(window.reaches(1.0));
    }
}
