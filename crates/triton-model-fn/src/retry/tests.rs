//! The driver in paused time: when attempts are made, and how it ends.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::*;

const POLICY: RetryPolicy = RetryPolicy {
    max_retries: 3,
    initial_backoff: Duration::from_millis(100),
    max_backoff: Duration::from_millis(300),
};

const RETRY: Verdict = Verdict::Retry { after: None };

fn seconds(seconds: u64) -> Instant {
    Instant::now() + Duration::from_secs(seconds)
}

// Holds F15.
#[tokio::test(start_paused = true)]
async fn attempts_follow_the_backoff_until_one_succeeds() {
    let start = Instant::now();
    let times = RefCell::new(Vec::new());
    let attempt = |number| {
        times.borrow_mut().push(start.elapsed().as_millis());
        async move { if number == 4 { Ok(number) } else { Err(number) } }
    };
    let answer = run(&POLICY, seconds(60), || 1.0, attempt, |_| RETRY).await;
    assert_eq!(answer, Ok(4));
    assert_eq!(*times.borrow(), [0, 100, 300, 600]);
}

#[tokio::test(start_paused = true)]
async fn the_last_error_comes_back_when_attempts_are_used_up() {
    let attempt = |number| async move { Err::<(), _>(number) };
    let failed = run(&POLICY, seconds(60), || 0.0, attempt, |_| RETRY).await;
    let expected = Failed {
        error: Some(4),
        attempts: 4,
        elapsed: Duration::from_millis(50 + 100 + 150),
        reason: StopReason::AttemptsUsedUp,
    };
    assert_eq!(failed, Err(expected));
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_is_not_retryable_ends_it() {
    let attempt = |number| async move { Err::<(), _>(number) };
    let classify = |error: &u32| if *error == 2 { Verdict::Stop } else { RETRY };
    let failed = run(&POLICY, seconds(60), || 1.0, attempt, classify).await;
    let failed = failed.unwrap_err();
    assert_eq!((failed.error, failed.attempts), (Some(2), 2));
    assert_eq!(failed.reason, StopReason::NotRetryable);
}

// Holds F15.
#[tokio::test(start_paused = true)]
async fn the_server_may_ask_for_a_longer_wait() {
    let start = Instant::now();
    let attempt = |number| async move { if number == 2 { Ok(()) } else { Err(()) } };
    let after = Some(Duration::from_secs(5));
    let classify = |_: &()| Verdict::Retry { after };
    assert_eq!(
        run(&POLICY, seconds(60), || 0.0, attempt, classify).await,
        Ok(())
    );
    assert_eq!(start.elapsed(), Duration::from_secs(5));
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_would_reach_the_deadline_is_not_begun() {
    let attempt = |number| async move { Err::<(), _>(number) };
    // The waits are 100, 200 and 300 ms; the second one would end exactly at the deadline.
    let deadline = Instant::now() + Duration::from_millis(300);
    let failed = run(&POLICY, deadline, || 1.0, attempt, |_| RETRY).await;
    let expected = Failed {
        error: Some(2),
        attempts: 2,
        elapsed: Duration::from_millis(100),
        reason: StopReason::DeadlineBeforeAttempt,
    };
    assert_eq!(failed, Err(expected));
}

#[tokio::test(start_paused = true)]
async fn an_endless_request_for_patience_does_not_overflow() {
    let attempt = |_| async { Err::<(), _>(()) };
    let after = Some(Duration::MAX);
    let classify = |_: &()| Verdict::Retry { after };
    let failed = run(&POLICY, seconds(60), || 1.0, attempt, classify).await;
    let failed = failed.unwrap_err();
    assert_eq!(failed.reason, StopReason::DeadlineBeforeAttempt);
}

#[tokio::test(start_paused = true)]
async fn the_deadline_cuts_an_attempt_and_keeps_the_error_before_it() {
    let attempt = |number| async move {
        if number == 2 {
            std::future::pending::<()>().await;
        }
        Err::<(), _>(number)
    };
    let failed = run(&POLICY, seconds(1), || 1.0, attempt, |_| RETRY).await;
    let expected = Failed {
        error: Some(1),
        attempts: 2,
        elapsed: Duration::from_secs(1),
        reason: StopReason::DeadlineDuringAttempt,
    };
    assert_eq!(failed, Err(expected));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_once_the_deadline_has_passed() {
    let attempt = |_| async { Ok::<_, ()>(()) };
    let failed = run(&POLICY, Instant::now(), || 1.0, attempt, |()| RETRY).await;
    let failed = failed.unwrap_err();
    assert_eq!((failed.error, failed.attempts), (None, 0));
    assert_eq!(failed.reason, StopReason::DeadlineBeforeAttempt);
}

#[tokio::test(start_paused = true)]
async fn dropping_it_drops_the_attempt_and_begins_no_other() {
    let begun = Cell::new(0);
    let guard = Rc::new(());
    let attempt = |_| {
        begun.set(begun.get() + 1);
        let guard = Rc::clone(&guard);
        async move {
            std::future::pending::<()>().await;
            drop(guard);
            Err::<(), _>(())
        }
    };
    let call = run(&POLICY, seconds(60), || 1.0, attempt, |()| RETRY);
    let cut = tokio::time::timeout(Duration::from_secs(1), call).await;
    assert!(cut.is_err());
    assert_eq!((begun.get(), Rc::strong_count(&guard)), (1, 1));
}

/// A model function's future has to travel between threads.
#[test]
fn the_future_is_send() {
    fn assert_send(_: &impl Send) {}
    let attempt = |_| async { Ok::<_, String>(()) };
    assert_send(&run(
        &POLICY,
        Instant::now(),
        thread_random,
        attempt,
        |_: &String| RETRY,
    ));
}
