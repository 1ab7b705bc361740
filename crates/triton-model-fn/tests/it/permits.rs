//! What a wait for a permit of your own costs, and what it never does.

use std::pin::{Pin, pin};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, sleep, timeout};
use triton_client::{Client, Sequence, SequenceId};
use triton_model_fn::circuit_breaker::{CircuitBreaker, CircuitBreakerSettings, CircuitState};
use triton_model_fn::{Error, ErrorKind, FunctionBase, Subtask};
use triton_options::TritonOptions;

/// Options whose client and breaker no other test shares. There is no such host, and nothing is
/// sent: the operations of these tests are made up.
fn unshared(host: &str, extra: &[(&str, &str)]) -> TritonOptions {
    let common = [
        ("endpoint", host),
        ("model-name", "m"),
        ("timeout", "1 s"),
        ("circuit-breaker-enabled", "true"),
    ];
    TritonOptions::parse(common.iter().chain(extra).copied()).unwrap()
}

fn breaker(options: &TritonOptions) -> CircuitBreaker {
    let model = triton_client::ModelId::latest(options.model_name.clone());
    let settings = CircuitBreakerSettings::from(&**options);
    CircuitBreaker::shared(options.endpoint.first(), &model, settings)
}

fn in_the_middle(number: u64) -> Sequence {
    Sequence {
        id: SequenceId::text(format!("s-{number}")).unwrap(),
        start: false,
        end: false,
    }
}

type Answer = Pin<Box<dyn Future<Output = Result<(), triton_client::Error>> + Send>>;

/// A request that the server takes so long to answer.
fn answered_after(time: Duration) -> impl Fn(Client) -> Answer {
    move |_| {
        Box::pin(async move {
            sleep(time).await;
            Ok(())
        })
    }
}

/// The only connection, taken for as long as this is not dropped.
async fn take_the_connection<'a>(
    opening: &'a triton_model_fn::Opening<'_, ()>,
) -> Pin<Box<dyn Future<Output = Result<(), Error>> + 'a>> {
    let endless = answered_after(Duration::from_secs(3600));
    let mut call: Pin<Box<dyn Future<Output = _>>> =
        Box::pin(async move { opening.subtask().call(None, None, endless).await });
    assert!(timeout(Duration::ZERO, &mut call).await.is_err());
    call
}

// Holds F7, F10, F34.
#[tokio::test(start_paused = true)]
async fn a_wait_for_a_connection_permit_is_no_request() {
    let host = "a-wait-is-no-request";
    let options = unshared(host, &[("connection-pool-max-total", "1")]);
    // Its breaker is its own, so that the call that never ends counts nowhere here.
    let other = unshared(
        host,
        &[
            ("connection-pool-max-total", "1"),
            ("circuit-breaker-timeout", "7 s"),
            ("max-retries", "10000"),
        ],
    );
    let (base, other) = (FunctionBase::new(options.clone()), FunctionBase::new(other));
    let subtask = Subtask::new(0, 1, 0).unwrap();
    let (opening, other) = (
        FunctionBase::<()>::begin(&base, subtask).unwrap(),
        FunctionBase::<()>::begin(&other, subtask).unwrap(),
    );
    let _taken = take_the_connection(&other).await;
    let calls = (0..10).map(|number| {
        let open = opening.subtask();
        async move {
            let sequence = in_the_middle(number);
            let at_once = answered_after(Duration::ZERO);
            open.call(Some(&sequence), None, at_once).await.unwrap_err()
        }
    });
    for error in join_all(calls).await {
        assert_eq!(error.kind(), ErrorKind::Call);
        insta::allow_duplicates! {
            insta::assert_snapshot!(error, @"nothing was sent: waited 1.0s for a connection permit ('connection-pool-max-total' = 1)");
        }
    }
    let seen = breaker(&options).snapshot();
    assert_eq!((seen.state, seen.recent_calls), (CircuitState::Closed, 0));
}

// Holds F7, F8.
#[tokio::test(start_paused = true)]
async fn a_slow_server_and_a_pool_that_is_too_small_fail_no_row() {
    let options = unshared("a-pool-that-is-too-small", &[]);
    let bases: Vec<_> = (0..4)
        .map(|_| FunctionBase::<()>::new(options.clone()))
        .collect();
    let begin = |(index, base)| {
        let subtask = Subtask::new(index, 4, 0).unwrap();
        FunctionBase::begin(base, subtask).unwrap()
    };
    let openings: Vec<_> = (0..).zip(&bases).map(begin).collect();
    // 32 in flight in each of four subtasks share the default pool of 100 connections.
    let calls = openings.iter().flat_map(|opening| {
        (0..320).map(move |number| async move {
            let open = opening.subtask();
            let _permit = open.request_permit(None).await?;
            let slow = answered_after(Duration::from_millis(600));
            open.call(Some(&in_the_middle(number)), None, slow).await
        })
    });
    let failures: Vec<Error> = join_all(calls)
        .await
        .into_iter()
        .filter_map(Result::err)
        .collect();
    assert!(failures.is_empty(), "{failures:?}");
    assert_eq!(breaker(&options).state(), CircuitState::Closed);
}

// Holds F10, F11.
#[tokio::test(start_paused = true)]
async fn the_rows_deadline_bounds_waits_and_requests() {
    let options = unshared("the-rows-deadline", &[("connection-pool-max-total", "1")]);
    let base = FunctionBase::<()>::new(options.clone());
    let opening = base.begin(Subtask::new(0, 1, 0).unwrap()).unwrap();
    let taken = take_the_connection(&opening).await;
    let open = opening.subtask();
    let sequence = in_the_middle(0);
    let deadline = Instant::now() + Duration::from_millis(300);
    let at_once = || answered_after(Duration::ZERO);
    let error = open.call(Some(&sequence), Some(deadline), at_once()).await;
    let error = error.unwrap_err();
    assert_eq!((error.kind(), Instant::now()), (ErrorKind::Call, deadline));
    insta::assert_snapshot!(error, @"nothing was sent: waited 300.0ms for a connection permit ('connection-pool-max-total' = 1)");
    // Now that it is over, nothing is sent even if nothing has to be waited for.
    drop(taken);
    let error = open.call(Some(&sequence), Some(deadline), at_once()).await;
    insta::assert_snapshot!(error.unwrap_err(), @"nothing was sent: the row's deadline ('row-deadline') was over before it could be");
    // What was sent is cut off where its client does not see to that, and may have executed; that
    // it had so little time is not the server's fault.
    let begun = Instant::now();
    let deadline = begun + Duration::from_millis(300);
    let endless = answered_after(Duration::from_secs(3600));
    let error = open.call(Some(&sequence), Some(deadline), endless).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::SequenceUncertain);
    assert_eq!(begun.elapsed(), Duration::from_millis(400));
    assert_eq!(breaker(&options).snapshot().recent_calls, 0);
}

// Holds F7, F23, F35.
#[tokio::test(start_paused = true)]
async fn what_waits_takes_no_trial_and_what_is_rejected_does_not_wait() {
    let options = unshared("no-trial", &[("connection-pool-max-total", "1")]);
    let base = FunctionBase::<()>::new(options.clone());
    let opening = base.begin(Subtask::new(0, 1, 0).unwrap()).unwrap();
    let breaker = breaker(&options);
    let _taken = take_the_connection(&opening).await;
    breaker.probed_unhealthy();
    let open = opening.subtask();
    let begun = Instant::now();
    let at_once = answered_after(Duration::ZERO);
    let error = open.call(None, None, &at_once).await.unwrap_err();
    assert_eq!(
        (error.kind(), begun.elapsed()),
        (ErrorKind::CircuitOpen, Duration::ZERO)
    );
    insta::assert_snapshot!(error, @"the row was not sent, because the circuit breaker is open; trials begin in 60.0s (model 'm' at http://no-trial/)");
    breaker.probed_healthy();
    assert_eq!(breaker.state(), CircuitState::HalfOpen);
    let mut waiting = pin!(open.call(None, None, &at_once));
    assert!(
        timeout(Duration::from_millis(500), &mut waiting)
            .await
            .is_err()
    );
    assert_eq!(breaker.snapshot().trials_in_flight, 0);
    assert_eq!(waiting.await.unwrap_err().kind(), ErrorKind::Call);
    assert_eq!(breaker.state(), CircuitState::HalfOpen);
}
