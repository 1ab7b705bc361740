//! Sends a logical call again after passing failures, within one deadline for all of it.
//!
//! By hand and not with a crate such as `backon`: the deadline over attempts and waits, the
//! number of the attempt and the account of why it ended would all have to be built around it,
//! and then nothing of it is left.

mod policy;
#[cfg(test)]
mod tests;

use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout_at};

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

/// Why no further attempt was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StopReason {
    /// The last failure is one that is not retried.
    NotRetryable,
    /// The policy allows no further retry.
    AttemptsUsedUp,
    /// The deadline came, or would have come during the wait, before the next attempt. Nothing
    /// is under way.
    DeadlineBeforeAttempt,
    /// The deadline came during the last attempt, which was given up: **the server may have
    /// executed it**, or still execute it.
    DeadlineDuringAttempt,
}

/// A logical call that was not answered.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failed<E> {
    /// How the last attempt failed that came to an end by itself. `None` when there was none.
    pub error: Option<E>,
    /// How many attempts were begun.
    pub attempts: u32,
    /// The time from the beginning of the first attempt, waits included.
    pub elapsed: Duration,
    /// Why no further attempt was made.
    pub reason: StopReason,
}

/// A random number in `0.0..1.0` from the thread's generator, the source for ordinary use.
#[must_use]
pub fn thread_random() -> f64 {
    fastrand::f64()
}

/// Runs `attempt` until it succeeds, fails for good, or `deadline` comes.
///
/// `attempt` is given the number of the attempt, from 1. `classify` judges each failure. `random`
/// gives numbers in `0.0..1.0`, one for each wait. The deadline bounds attempts and waits
/// together: an attempt under way is dropped when it comes, and a wait that would reach it is not
/// begun. So that an attempt is not cut off in silence, give each one a timeout within what is
/// left until the deadline.
///
/// Dropping the future drops the attempt under way and stops everything: no task runs on.
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
    mut random: impl FnMut() -> f64,
    mut attempt: impl FnMut(u32) -> Fut,
    classify: impl Fn(&E) -> Verdict,
) -> Result<T, Failed<E>>
where
    Fut: Future<Output = Result<T, E>>,
{
    let start = Instant::now();
    let failed = |error, attempts, reason| Failed {
        error,
        attempts,
        elapsed: start.elapsed(),
        reason,
    };
    // A timer polls the attempt before it looks at the clock, so without this an attempt that
    // comes too late would be sent all the same.
    if start >= deadline {
        return Err(failed(None, 0, StopReason::DeadlineBeforeAttempt));
    }
    let mut last_error = None;
    let mut number = 1;
    loop {
        let error = match timeout_at(deadline, attempt(number)).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => error,
            Err(_) => {
                let reason = StopReason::DeadlineDuringAttempt;
                return Err(failed(last_error, number, reason));
            }
        };
        let Verdict::Retry { after } = classify(&error) else {
            return Err(failed(Some(error), number, StopReason::NotRetryable));
        };
        let retries = number - 1;
        if retries >= policy.max_retries || number == u32::MAX {
            return Err(failed(Some(error), number, StopReason::AttemptsUsedUp));
        }
        let wait = policy.wait(number, after, random());
        let next = Instant::now().checked_add(wait);
        let Some(next) = next.filter(|next| *next < deadline) else {
            let reason = StopReason::DeadlineBeforeAttempt;
            return Err(failed(Some(error), number, reason));
        };
        tracing::debug!(
            attempt = number,
            ?wait,
            "the attempt failed and is repeated"
        );
        sleep_until(next).await;
        // A process that was held up wakes late, and then there is no time left to be answered.
        if Instant::now() >= deadline {
            let reason = StopReason::DeadlineBeforeAttempt;
            return Err(failed(Some(error), number, reason));
        }
        last_error = Some(error);
        number += 1;
    }
}
