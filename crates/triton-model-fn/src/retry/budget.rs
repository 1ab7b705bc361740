//! What a function may spend on retries: a token bucket that answers fill again.
//!
//! Retries of single calls are bounded by `max-retries`, but where a server fails everything each
//! row brings its own, and a server that is hardly able to come back gets several times the load. So
//! a function has a budget for all of its calls: while most are answered it is always full, and where
//! none is, rows fail after their first attempt. The proportions are those of the AWS SDKs.

use triton_options::OptionValues;

use crate::sync::atomic::{AtomicU64, Ordering};

/// What a retry takes.
const RETRY: u64 = 5;
/// What a retry takes after a timeout: the server has probably worked for nobody.
const RETRY_AFTER_TIMEOUT: u64 = 10;
/// What a call gives back that was answered at once.
const ANSWER: u64 = 1;
/// The least budget that is chosen where the option says nothing, in retries.
const LEAST: u64 = 100;

/// The budget of one opened function.
#[derive(Debug)]
pub(crate) struct RetryBudget {
    /// `None` where there is no limit.
    capacity: Option<u64>,
    tokens: AtomicU64,
}

/// What a retry took, to be given back by an answer; nothing for a first attempt.
#[derive(Debug, Default)]
pub(crate) struct Spent(AtomicU64);

impl RetryBudget {
    pub(crate) fn new(options: &OptionValues) -> Self {
        let retries = match options.retry_budget {
            Some(0) => None,
            Some(retries) => Some(u64::from(retries)),
            None => {
                let in_flight = u64::from(options.max_in_flight.most().get());
                let all = in_flight.saturating_mul(u64::from(options.max_retries));
                Some(all.max(LEAST))
            }
        };
        let capacity = retries.map(|retries| retries.saturating_mul(RETRY));
        Self {
            capacity,
            tokens: AtomicU64::new(capacity.unwrap_or_default()),
        }
    }

    /// Takes what a retry costs; false, and takes nothing, where that is not left.
    pub(crate) fn take(&self, after_timeout: bool, spent: &Spent) -> bool {
        if self.capacity.is_none() {
            return true;
        }
        let cost = match after_timeout {
            true => RETRY_AFTER_TIMEOUT,
            false => RETRY,
        };
        let left = |tokens: u64| tokens.checked_sub(cost);
        let taken = self
            .tokens
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, left)
            .is_ok();
        if taken {
            spent.0.store(cost, Ordering::Relaxed);
        }
        taken
    }

    /// A call was answered whose last retry took so much.
    pub(crate) fn answered(&self, spent: &Spent) {
        let Some(capacity) = self.capacity else {
            return;
        };
        let back = spent.0.load(Ordering::Relaxed).max(ANSWER);
        let filled = |tokens: u64| {
            let filled = tokens.saturating_add(back).min(capacity);
            (filled != tokens).then_some(filled)
        };
        // It is full already where nothing is written.
        let _ = self
            .tokens
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, filled);
    }

    /// How many retries it holds when it is full; `None` where there is no limit.
    pub(crate) fn retries(&self) -> Option<u64> {
        self.capacity.map(|capacity| capacity / RETRY)
    }

    /// How many retries are left; `None` where there is no limit.
    pub(crate) fn left(&self) -> Option<f64> {
        self.capacity?;
        Some(self.tokens.load(Ordering::Relaxed) as f64 / RETRY as f64)
    }
}

#[cfg(all(test, triton_loom))]
mod loom_tests {
    use std::sync::Arc;

    use loom::thread;

    use super::*;
    use crate::sync::check_interleavings;

    #[test]
    fn loom_no_more_is_spent_than_there_is_and_no_more_given_back() {
        check_interleavings("retries against answers", || {
            let budget = Arc::new(RetryBudget {
                capacity: Some(2 * RETRY),
                tokens: AtomicU64::new(2 * RETRY),
            });
            let call = |budget: &RetryBudget, after_timeout| {
                let spent = Spent::default();
                let is_taken = budget.take(after_timeout, &spent);
                let left = budget.tokens.load(Ordering::Relaxed);
                assert!(left <= 2 * RETRY, "{left}");
                if is_taken {
                    budget.answered(&spent);
                }
                is_taken
            };
            let threads = [false, true].map(|after_timeout| {
                let budget = Arc::clone(&budget);
                thread::spawn(move || call(&budget, after_timeout))
            });
            call(&budget, false);
            for thread in threads {
                thread.join().unwrap();
            }
            // What was taken was given back, or answers have filled it.
            assert_eq!(budget.tokens.load(Ordering::Relaxed), 2 * RETRY);
        });
    }
}

#[cfg(test)]
mod tests {
    use triton_options::TritonOptions;

    use super::*;

    fn budget(extra: &[(&str, &str)]) -> RetryBudget {
        let common = [("endpoint", "http://localhost:8000"), ("model-name", "m")];
        let options = TritonOptions::parse(common.iter().chain(extra).copied()).unwrap();
        RetryBudget::new(&options)
    }

    // Holds F60.
    #[test]
    fn it_lets_the_calls_in_flight_use_up_their_retries() {
        let retries = |extra: &[(&str, &str)]| budget(extra).retries();
        assert_eq!(retries(&[("max-retries", "3")]), Some(100));
        assert_eq!(retries(&[("max-retries", "10")]), Some(320));
        assert_eq!(retries(&[("retry-budget", "7")]), Some(7));
        assert_eq!(retries(&[("retry-budget", "0")]), None);
    }

    // Holds F60.
    #[test]
    fn timeouts_cost_twice_and_answers_give_back() {
        let budget = budget(&[("retry-budget", "3")]);
        let (first, second) = (Spent::default(), Spent::default());
        assert!(budget.take(true, &first) && budget.take(false, &second));
        assert!(!budget.take(false, &Spent::default()));
        // Five that are answered at once pay one retry.
        for answers in 1..=5 {
            budget.answered(&Spent::default());
            assert_eq!(budget.left(), Some(f64::from(answers) / 5.0));
        }
        budget.answered(&first);
        assert_eq!(budget.left(), Some(3.0));
        budget.answered(&second);
        assert_eq!(budget.left(), Some(3.0));
    }
}
