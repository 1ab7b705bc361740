//! Sends a logical call again after passing failures, within one deadline for all of it.
//!
//! An attempt has two phases. While it waits for what it needs to be sent (permits, say), nothing
//! has happened yet and nothing can be uncertain; once it has that, it is sent, and from then on
//! the server may execute it. So the two are two closures, and whoever gives an attempt up in the
//! first one cannot take it for one that was sent.
//!
//! By hand and not with a crate such as `backon`: the deadline over attempts and waits, the
//! number of the attempt and the account of why it ended would all have to be built around it,
//! and then nothing of it is left.

mod budget;
mod policy;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::future::ready;
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout_at};

pub(crate) use budget::{RetryBudget, Spent};
pub use policy::RetryPolicy;

/// What to do about a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The failure may pass and nothing speaks against sending the call again.
    Retry {
        /// How long the server asks to wait at least (`Retry-After`), if it does.
        after: Option<Duration>,
    },
    /// Sending the call again would not help, or would do harm.
    Stop,
}

/// Why no further attempt was made; `W` says why one could not be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StopReason<W = Infallible> {
    /// The last failure is one that is not retried.
    NotRetryable,
    /// The policy allows no further retry.
    AttemptsUsedUp,
    /// The calls of the function together have used up what they may spend on retries.
    BudgetUsedUp,
    /// The next attempt did not get what it needed to be sent. Nothing is in flight.
    NotReady(W),
    /// The deadline came, or would have come during the wait, before the next attempt. Nothing
    /// is in flight.
    DeadlineBeforeAttempt,
    /// The deadline came during the last attempt, which was given up: **the server may have
    /// executed it**, or still execute it.
    DeadlineDuringAttempt,
}

/// A logical call that was not answered.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failed<E, W = Infallible> {
    /// How the last attempt failed that came to an end by itself. `None` when there was none.
    pub error: Option<E>,
    /// How many attempts were begun.
    pub attempts: u32,
    /// The time from the beginning of the first attempt, waits included.
    pub elapsed: Duration,
    /// Why no further attempt was made.
    pub reason: StopReason<W>,
}

/// When a logical call has to come to its end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TimeLimit {
    /// The time for attempts and the pauses between them; waits to be sent are not counted.
    pub(crate) budget: Duration,
    /// The moment at which it ends in any case, waits included.
    pub(crate) deadline: Option<Instant>,
    /// How much later an attempt is cut off that does not end by itself.
    pub(crate) grace: Duration,
}

/// A hundred years: no clock can be set as far ahead as the largest options would add up to.
pub(crate) const LONGEST: Duration = Duration::from_secs(36_500 * 86_400);

/// A random number in `0.0..1.0` from the thread's generator, the source for ordinary use.
#[must_use]
pub fn thread_random() -> f64 {
    fastrand::f64()
}

/// Runs `attempt` until it succeeds, fails for good, or `deadline` comes.
///
/// `attempt` is given the number of the attempt, from 1. `classify` judges each failure. `random`
/// gives numbers in `0.0..1.0`, one for each wait. The deadline bounds attempts and waits
/// together: an attempt in flight is dropped when it comes, and a wait that would reach it is not
/// begun. So that an attempt is not cut off in silence, give each one a timeout within what is
/// left until the deadline.
///
/// Dropping the future drops the attempt in flight and stops everything: no task runs on.
///
/// # Errors
///
/// [`Failed`] with the last error, the number of attempts, the time they took, and why it ended.
///
/// ```
/// use std::time::Duration;
/// use tokio::time::Instant;
/// use triton_model_fn::retry::{self, RetryPolicy, Verdict};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let policy = RetryPolicy {
///     max_retries: 2,
///     initial_backoff: Duration::from_millis(1),
///     max_backoff: Duration::from_secs(1),
/// };
/// let answer = retry::run(
///     &policy,
///     Instant::now() + Duration::from_secs(30),
///     retry::thread_random,
///     |attempt| async move { if attempt < 3 { Err("busy") } else { Ok(attempt) } },
///     |_error| Verdict::Retry { after: None },
/// )
/// .await;
/// assert_eq!(answer, Ok(3));
/// # }
/// ```
pub async fn run<T, E, Fut>(
    policy: &RetryPolicy,
    deadline: Instant,
    random: impl FnMut() -> f64,
    mut attempt: impl FnMut(u32) -> Fut,
    classify: impl Fn(&E) -> Verdict,
) -> Result<T, Failed<E>>
where
    Fut: Future<Output = Result<T, E>>,
{
    let limit = TimeLimit {
        budget: LONGEST,
        deadline: Some(deadline),
        grace: Duration::ZERO,
    };
    let at_once = |_| ready(Ok(()));
    let attempt = |number, (), _| attempt(number);
    let stays = |error: &_| Some(classify(error));
    run_in_phases(policy, limit, random, at_once, attempt, stays, |_| true).await
}

/// As [`run`], with a phase before each attempt in which it waits for what it needs to be sent.
///
/// `wait` brings that, or says why it cannot be had; it sees to its own end. `attempt` is given it,
/// and the time within which the attempt is to have ended. The time that is waited is not taken from
/// that of attempts, but a row's deadline holds for both. `classify` gives no verdict where the
/// attempt is made at another place at once, which counts as none; it sees to its own end. `may_retry` is asked last, when nothing
/// else speaks against another attempt.
pub(crate) async fn run_in_phases<T, E, P, W, Wait, Fut>(
    policy: &RetryPolicy,
    limit: TimeLimit,
    mut random: impl FnMut() -> f64,
    mut wait: impl FnMut(u32) -> Wait,
    mut attempt: impl FnMut(u32, P, Duration) -> Fut,
    classify: impl Fn(&E) -> Option<Verdict>,
    may_retry: impl Fn(&E) -> bool,
) -> Result<T, Failed<E, W>>
where
    Wait: Future<Output = Result<P, W>>,
    Fut: Future<Output = Result<T, E>>,
{
    let start = Instant::now();
    let mut waited = Duration::ZERO;
    let mut last_error = None;
    let mut number = 1;
    let mut waits_from = start;
    let failed = |error, attempts, reason| Failed {
        error,
        attempts,
        elapsed: start.elapsed(),
        reason,
    };
    loop {
        // A timer polls what it limits before it looks at the clock, so without this a wait that
        // begins too late would end well if there is nothing to wait for.
        if limit
            .deadline
            .is_some_and(|deadline| waits_from >= deadline)
        {
            let reason = StopReason::DeadlineBeforeAttempt;
            return Err(failed(last_error, number - 1, reason));
        }
        let permits = match wait(number).await {
            Ok(permits) => permits,
            Err(reason) => {
                let reason = StopReason::NotReady(reason);
                return Err(failed(last_error, number - 1, reason));
            }
        };
        let now = Instant::now();
        waited = waited.saturating_add(now.saturating_duration_since(waits_from));
        let of_budget = limit.budget.saturating_add(waited).min(LONGEST);
        let ends = start + of_budget;
        let ends = limit.deadline.map_or(ends, |deadline| ends.min(deadline));
        // A process that was held up wakes late, and then there is no time left to be answered.
        if now >= ends {
            let reason = StopReason::DeadlineBeforeAttempt;
            return Err(failed(last_error, number - 1, reason));
        }
        let sent = timeout_at(ends + limit.grace, attempt(number, permits, ends - now)).await;
        let error = match sent {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => error,
            Err(_) => {
                let reason = StopReason::DeadlineDuringAttempt;
                return Err(failed(last_error, number, reason));
            }
        };
        let verdict = match classify(&error) {
            Some(verdict) => verdict,
            None => {
                last_error = Some(error);
                waits_from = Instant::now();
                continue;
            }
        };
        let Verdict::Retry { after } = verdict else {
            return Err(failed(Some(error), number, StopReason::NotRetryable));
        };
        let retries = number - 1;
        if retries >= policy.max_retries || number == u32::MAX {
            return Err(failed(Some(error), number, StopReason::AttemptsUsedUp));
        }
        let pause = policy.wait(number, after, random());
        let next = Instant::now().checked_add(pause);
        let Some(next) = next.filter(|next| *next < ends) else {
            let reason = StopReason::DeadlineBeforeAttempt;
            return Err(failed(Some(error), number, reason));
        };
        if !may_retry(&error) {
            return Err(failed(Some(error), number, StopReason::BudgetUsedUp));
        }
        tracing::debug!(
            attempt = number,
            wait = ?pause,
            "the attempt failed and is repeated"
        );
        sleep_until(next).await;
        last_error = Some(error);
        number += 1;
        waits_from = Instant::now();
    }
}
