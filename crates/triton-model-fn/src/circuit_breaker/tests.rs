//! The breaker step by step, what it logs, and who shares it.

use std::io;
use std::sync::{Arc, Mutex};

use tokio::time::{Instant, advance};
use triton_client::{Endpoint, ModelId};
use triton_options::TritonOptions;

use super::registry::Registry;
use super::*;

fn target(endpoint: &str) -> (Endpoint, ModelId, CircuitBreakerSettings) {
    let options = [("endpoint", endpoint), ("model-name", "m")];
    let options = TritonOptions::parse(options).unwrap();
    let model = ModelId::new(options.model_name.clone(), options.model_version.clone());
    let settings = CircuitBreakerSettings::from(&*options);
    (options.endpoint.first().clone(), model, settings)
}

/// Opens at 0.5, for a minute, and takes 3 trials, in tokio's time.
fn breaker() -> CircuitBreaker {
    let (endpoint, model, settings) = target("http://canary-user:canary-password@triton:8000");
    CircuitBreaker::with_clock(endpoint, model, settings, Box::new(Instant::now))
}

fn fail(breaker: &CircuitBreaker, times: u32) {
    for _ in 0..times {
        breaker.admit().unwrap().failure();
    }
}

fn succeed(breaker: &CircuitBreaker, times: u32) {
    for _ in 0..times {
        breaker.admit().unwrap().success();
    }
}

// Holds F20.
#[tokio::test(start_paused = true)]
async fn it_opens_with_the_tenth_call_and_says_for_how_long() {
    let breaker = breaker();
    fail(&breaker, 9);
    assert_eq!(breaker.state(), CircuitState::Closed);
    succeed(&breaker, 1);
    assert_eq!(breaker.state(), CircuitState::Open);
    advance(Duration::from_secs(48)).await;
    let rejected = breaker.admit().unwrap_err();
    assert_eq!(rejected.retry_in, Duration::from_secs(12));
    insta::assert_snapshot!(rejected, @"not sent, because the circuit breaker is open; trials begin in 12.0s");
    assert_eq!(breaker.snapshot().rejected, 1);
}

// Holds F22.
#[tokio::test(start_paused = true)]
async fn as_many_trials_as_allowed_close_it() {
    let breaker = breaker();
    fail(&breaker, 10);
    advance(Duration::from_secs(60)).await;
    let trials: Vec<Permit> = (0..3).map(|_| breaker.admit().unwrap()).collect();
    let rejected = breaker.admit().unwrap_err();
    insta::assert_snapshot!(rejected, @"not sent, because the circuit breaker is half-open and all its trials are in flight");
    for trial in trials {
        assert_eq!(breaker.state(), CircuitState::HalfOpen);
        trial.success();
    }
    assert_eq!(breaker.state(), CircuitState::Closed);
    assert_eq!(breaker.snapshot().recent_calls, 0);
}

// Holds F22.
#[tokio::test(start_paused = true)]
async fn a_trial_that_fails_opens_it_for_another_timeout() {
    let breaker = breaker();
    fail(&breaker, 10);
    advance(Duration::from_secs(60)).await;
    let other = breaker.admit().unwrap();
    fail(&breaker, 1);
    let rejected = breaker.admit().unwrap_err();
    assert_eq!(rejected.retry_in, Duration::from_secs(60));
    // What the other trial of that time comes to no longer counts, nor does its place.
    advance(Duration::from_secs(60)).await;
    let trials: Vec<Permit> = (0..3).map(|_| breaker.admit().unwrap()).collect();
    other.failure();
    assert_eq!(breaker.state(), CircuitState::HalfOpen);
    assert_eq!(breaker.snapshot().trials_in_flight, 3);
    drop(trials);
    assert_eq!(breaker.snapshot().trials_in_flight, 0);
    succeed(&breaker, 3);
    assert_eq!(breaker.state(), CircuitState::Closed);
}

// Holds F21.
#[tokio::test(start_paused = true)]
async fn a_server_that_refuses_requests_answers() {
    let breaker = breaker();
    fail(&breaker, 10);
    advance(Duration::from_secs(60)).await;
    for state in [
        CircuitState::HalfOpen,
        CircuitState::HalfOpen,
        CircuitState::Closed,
    ] {
        breaker.admit().unwrap().refused();
        assert_eq!(breaker.state(), state);
    }
    // Once it is closed they say nothing any more.
    fail(&breaker, 9);
    for _ in 0..20 {
        breaker.admit().unwrap().refused();
    }
    assert_eq!(breaker.snapshot().recent_calls, 9);
    fail(&breaker, 1);
    assert_eq!(breaker.state(), CircuitState::Open);
}

// Holds F23.
#[tokio::test(start_paused = true)]
async fn a_question_takes_no_trial() {
    let breaker = breaker();
    fail(&breaker, 10);
    insta::assert_snapshot!(breaker.check().unwrap_err(), @"not sent, because the circuit breaker is open; trials begin in 60.0s");
    advance(Duration::from_secs(60)).await;
    for _ in 0..10 {
        breaker.check().unwrap();
    }
    assert_eq!(breaker.state(), CircuitState::Open);
    let trials: Vec<Permit> = (0..3).map(|_| breaker.admit().unwrap()).collect();
    assert_eq!(breaker.check(), Err(breaker.admit().unwrap_err()));
    drop(trials);
    breaker.check().unwrap();
    assert_eq!(breaker.snapshot().rejected, 3);
}

#[tokio::test(start_paused = true)]
async fn a_health_check_shortens_the_wait_only_if_one_had_failed() {
    let breaker = breaker();
    fail(&breaker, 10);
    breaker.probed_healthy();
    assert_eq!(breaker.state(), CircuitState::Open);
    breaker.probed_unhealthy();
    breaker.probed_healthy();
    assert_eq!(breaker.state(), CircuitState::HalfOpen);
    breaker.probed_unhealthy();
    assert_eq!(breaker.state(), CircuitState::Open);
    // A health check that keeps failing does not keep trials away.
    advance(Duration::from_secs(30)).await;
    breaker.probed_unhealthy();
    advance(Duration::from_secs(30)).await;
    succeed(&breaker, 3);
    assert_eq!(breaker.state(), CircuitState::Closed);
    assert_eq!(breaker.snapshot().opened, 2);
}

// Holds F24.
#[test]
fn one_breaker_is_shared_until_the_last_handle_goes() {
    let registry = Arc::new(Registry::default());
    let (endpoint, model, settings) = target("http://triton:8000");
    let (elsewhere, ..) = target("http://other:8000");
    let first = registry.breaker(&endpoint, &model, settings);
    let same = registry.breaker(&endpoint, &model, settings);
    let other_place = registry.breaker(&elsewhere, &model, settings);
    let other_settings = CircuitBreakerSettings {
        open_timeout: Duration::from_secs(7),
        ..settings
    };
    let otherwise = registry.breaker(&endpoint, &model, other_settings);
    fail(&first, 10);
    assert_eq!(same.state(), CircuitState::Open);
    assert_eq!(other_place.state(), CircuitState::Closed);
    assert_eq!(otherwise.state(), CircuitState::Closed);
    assert_eq!(registry.len(), 3);
    // A permit is a handle too: a call that is in flight still has its breaker.
    let permit = other_place.admit().unwrap();
    drop((first, other_place, otherwise));
    assert_eq!(registry.len(), 2);
    drop((permit, same));
    assert_eq!(registry.len(), 0);
    let again = registry.breaker(&endpoint, &model, settings);
    assert_eq!(again.state(), CircuitState::Closed);
}

#[test]
fn threads_that_come_and_go_leave_nothing_behind() {
    let registry = Arc::new(Registry::default());
    let (endpoint, model, settings) = target("http://triton:8000");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..2000 {
                    succeed(&registry.breaker(&endpoint, &model, settings), 1);
                }
            });
        }
    });
    assert_eq!(registry.len(), 0);
}

/// Keeps what is logged in a test.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

// Holds F35.
#[tokio::test(start_paused = true)]
async fn changes_are_logged_and_credentials_are_not() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(move || writer.clone())
        .without_time()
        .with_target(false)
        .with_ansi(false)
        .finish();
    let breaker = breaker();
    let guard = tracing::subscriber::set_default(subscriber);
    fail(&breaker, 10);
    advance(Duration::from_secs(60)).await;
    succeed(&breaker, 3);
    drop(guard);
    let permit = breaker.admit().unwrap();
    let shown = format!("{breaker:?} {permit:?} {:?}", breaker.snapshot());
    assert!(!shown.contains("canary"), "{shown}");
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    insta::assert_snapshot!(text, @"
     WARN the circuit breaker opened endpoint=http://triton:8000/ model='m' from=closed to=open cause=too many of the recent calls failed number=1 recent_calls=10 recent_failures=10
     INFO the circuit breaker changed its state endpoint=http://triton:8000/ model='m' from=open to=half-open cause=the timeout is over number=2
     INFO the circuit breaker changed its state endpoint=http://triton:8000/ model='m' from=half-open to=closed cause=the calls on trial succeeded number=3
    ");
}

// Holds F88.
#[test]
fn whoever_is_refused_at_an_address_opens_nobody_elses_breaker() {
    let registry = Arc::new(Registry::default());
    let at = |endpoint| {
        let (endpoint, model, settings) = target(endpoint);
        let endpoint = endpoint.at("10.0.0.1:8000".parse().unwrap());
        registry.breaker(&endpoint, &model, settings)
    };
    let (one, other) = (
        at("http://one:word@triton:8000"),
        at("http://two:word@triton:8000"),
    );
    let same = at("http://one:word@triton:8000");
    fail(&one, 10);
    assert_eq!(
        (same.state(), other.state()),
        (CircuitState::Open, CircuitState::Closed)
    );
}
