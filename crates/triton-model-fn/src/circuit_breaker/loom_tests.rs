//! Every interleaving of threads on one handle, checked with loom.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use loom::thread;
use tokio::time::Instant;
use triton_options::OptionValue as _;

use super::*;
use crate::sync::check_interleavings;

/// An open breaker whose timeout of a second is over when the clock is set to 1.
fn open_breaker(trials: u32) -> (CircuitBreaker, Arc<AtomicU64>) {
    let seconds = Arc::new(AtomicU64::new(0));
    let (start, clock) = (Instant::now(), Arc::clone(&seconds));
    let settings = CircuitBreakerSettings {
        failure_threshold: Fraction::parse("0.5").unwrap(),
        open_timeout: Duration::from_secs(1),
        half_open_requests: NonZeroU32::new(trials).unwrap(),
    };
    let breaker = CircuitBreaker::with_clock(
        "http://localhost:8000".parse().unwrap(),
        triton_client::ModelId::latest("m".parse().unwrap()),
        settings,
        Box::new(move || start + Duration::from_secs(clock.load(Ordering::Relaxed))),
    );
    breaker.probed_unhealthy();
    (breaker, seconds)
}

/// Whatever happened before, calls pass once the timeout is over, and close the circuit.
fn assert_not_wedged(breaker: &CircuitBreaker, seconds: &AtomicU64, trials: u32) {
    seconds.fetch_add(1, Ordering::Relaxed);
    for _ in 0..trials {
        breaker.admit().expect("not wedged").success();
    }
    assert_eq!(breaker.state(), CircuitState::Closed);
}

#[test]
fn loom_trials_never_exceed_their_number_and_cancelled_ones_never_wedge() {
    check_interleavings("cancelled trials", || {
        let (breaker, seconds) = open_breaker(1);
        seconds.store(1, Ordering::Relaxed);
        let in_flight = Arc::new(AtomicUsize::new(0));
        let call = |breaker: CircuitBreaker, in_flight: Arc<AtomicUsize>| {
            if let Ok(permit) = breaker.admit() {
                assert_eq!(in_flight.fetch_add(1, Ordering::Relaxed), 0);
                thread::yield_now();
                in_flight.fetch_sub(1, Ordering::Relaxed);
                drop(permit);
            }
        };
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let (breaker, in_flight) = (breaker.clone(), Arc::clone(&in_flight));
                thread::spawn(move || call(breaker, in_flight))
            })
            .collect();
        call(breaker.clone(), in_flight);
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(breaker.state(), CircuitState::HalfOpen);
        assert_not_wedged(&breaker, &seconds, 1);
    });
}

#[test]
fn loom_a_success_and_a_failure_on_trial_end_open() {
    check_interleavings("success against failure", || {
        let (breaker, seconds) = open_breaker(2);
        seconds.store(1, Ordering::Relaxed);
        let (good, bad) = (breaker.admit().unwrap(), breaker.admit().unwrap());
        let third = breaker.clone();
        let threads = [
            thread::spawn(move || good.success()),
            thread::spawn(move || bad.failure()),
            thread::spawn(move || drop(third.admit())),
        ];
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(breaker.state(), CircuitState::Open);
        assert_eq!(breaker.snapshot().opened, 2);
        assert_not_wedged(&breaker, &seconds, 2);
    });
}

#[test]
fn loom_a_permit_of_an_earlier_era_never_counts() {
    check_interleavings("late permits", || {
        let (breaker, seconds) = open_breaker(1);
        seconds.store(1, Ordering::Relaxed);
        let late = breaker.admit().unwrap();
        // A failing health check ends the era of that trial; the next one begins a second later.
        breaker.probed_unhealthy();
        seconds.store(2, Ordering::Relaxed);
        let other = breaker.clone();
        let ended = thread::spawn(move || late.failure());
        let trial = thread::spawn(move || other.admit().expect("one trial is free").success());
        ended.join().unwrap();
        trial.join().unwrap();
        assert_eq!(breaker.state(), CircuitState::Closed);
        assert_eq!(breaker.snapshot().recent_failures, 0);
        assert_not_wedged(&breaker, &seconds, 1);
    });
}

#[test]
fn loom_answers_that_refuse_close_it_and_questions_hold_nothing() {
    check_interleavings("refusals against questions", || {
        let (breaker, seconds) = open_breaker(2);
        seconds.store(1, Ordering::Relaxed);
        let (first, second) = (breaker.admit().unwrap(), breaker.admit().unwrap());
        let asking = breaker.clone();
        let threads = [
            thread::spawn(move || first.refused()),
            thread::spawn(move || second.refused()),
            thread::spawn(move || {
                let _ = asking.check();
            }),
        ];
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(breaker.state(), CircuitState::Closed);
        assert_eq!(breaker.snapshot().recent_calls, 0);
        assert_not_wedged(&breaker, &seconds, 2);
    });
}

#[test]
fn loom_health_checks_and_calls_leave_it_usable() {
    check_interleavings("health checks against calls", || {
        let (breaker, seconds) = open_breaker(1);
        let (calling, checking) = (breaker.clone(), breaker.clone());
        let threads = [
            thread::spawn(move || {
                if let Ok(permit) = calling.admit() {
                    permit.success();
                }
            }),
            thread::spawn(move || {
                checking.probed_healthy();
                checking.probed_unhealthy();
            }),
        ];
        if let Ok(permit) = breaker.admit() {
            permit.failure();
        }
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(breaker.state(), CircuitState::Open);
        assert_not_wedged(&breaker, &seconds, 1);
    });
}
