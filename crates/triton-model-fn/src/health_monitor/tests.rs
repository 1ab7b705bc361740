//! The monitor in paused time, with a probe that answers by the clock.

use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use tokio::time::{Instant, sleep, sleep_until};
use triton_options::{OptionValue as _, TritonOptions};

use super::*;
use crate::circuit_breaker::{CircuitBreakerSettings, CircuitState};

/// Healthy but from 50 s to 150 s after it was made; it never answers from 200 s on.
struct Scripted {
    start: Instant,
    probes: Arc<AtomicU32>,
}

impl HealthProbe for Scripted {
    async fn probe(&self) -> Health {
        self.probes.fetch_add(1, Ordering::Relaxed);
        match self.start.elapsed().as_secs() {
            50..150 => Health::Unhealthy("out of order".into()),
            0..200 => Health::Healthy,
            _ => std::future::pending().await,
        }
    }
}

struct Refused;

impl HealthProbe for Refused {
    async fn probe(&self) -> Health {
        Health::Unknown("restricted".into())
    }
}

struct Panics;

impl HealthProbe for Panics {
    async fn probe(&self) -> Health {
        panic!("a fault in the probe")
    }
}

fn every(text: &str) -> PositiveDuration {
    PositiveDuration::parse(text).unwrap()
}

fn breaker() -> CircuitBreaker {
    let options = [
        ("endpoint", "http://localhost:8000"),
        ("model-name", "m"),
        ("circuit-breaker-timeout", "1 h"),
    ];
    let options = TritonOptions::parse(options).unwrap();
    CircuitBreaker::with_clock(
        options.endpoint.first().clone(),
        ModelId::new(options.model_name.clone(), options.model_version.clone()),
        CircuitBreakerSettings::from(&*options),
        Box::new(Instant::now),
    )
}

fn scripted() -> (Scripted, Instant, Arc<AtomicU32>) {
    let start = Instant::now();
    let probes = Arc::new(AtomicU32::new(0));
    let probe = Scripted {
        start,
        probes: Arc::clone(&probes),
    };
    (probe, start, probes)
}

#[tokio::test(start_paused = true)]
async fn the_breaker_follows_the_health() {
    let (probe, start, _) = scripted();
    let breaker = breaker();
    let mut monitor = HealthMonitor::start(probe, every("30 s"), Some(breaker.clone()), "m");
    let mut states = Vec::new();
    for seconds in [1, 45, 61, 149, 151, 190, 212] {
        sleep_until(start + Duration::from_secs(seconds)).await;
        states.push(breaker.state());
    }
    use CircuitState::{Closed, HalfOpen, Open};
    // The probe of 210 s does not answer, and is given up at 215 s.
    assert_eq!(
        states,
        [Closed, Closed, Open, Open, HalfOpen, HalfOpen, HalfOpen]
    );
    sleep_until(start + Duration::from_secs(216)).await;
    assert_eq!(breaker.state(), Open);
    let health = monitor.health().borrow().clone();
    assert_eq!(
        health,
        Some(Health::Unhealthy("no answer within 5s".into()))
    );
    monitor.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_short_interval_bounds_the_probe() {
    let (probe, start, _) = scripted();
    let late = Scripted {
        start: start - Duration::from_secs(300),
        ..probe
    };
    let monitor = HealthMonitor::start(late, every("200 ms"), None, "m");
    let mut health = monitor.health();
    health.changed().await.unwrap();
    assert_eq!(start.elapsed(), Duration::from_millis(200));
}

#[tokio::test(start_paused = true)]
async fn a_check_that_is_refused_tells_the_breaker_nothing() {
    let breaker = breaker();
    let monitor = HealthMonitor::start(Refused, every("1 s"), Some(breaker.clone()), "m");
    sleep(Duration::from_secs(10)).await;
    assert_eq!(breaker.state(), CircuitState::Closed);
    assert!(matches!(
        &*monitor.health().borrow(),
        Some(Health::Unknown(_))
    ));
}

#[tokio::test(start_paused = true)]
async fn stopping_ends_the_task_also_in_the_middle_of_a_probe() {
    let (probe, start, probes) = scripted();
    let mut monitor = HealthMonitor::start(probe, every("30 s"), None, "m");
    sleep_until(start + Duration::from_secs(212)).await;
    let alive = || {
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks()
    };
    assert_eq!(alive(), 1);
    monitor.stop().await.unwrap();
    assert_eq!(alive(), 0);
    let made = probes.load(Ordering::Relaxed);
    monitor.stop().await.unwrap();
    sleep(Duration::from_secs(600)).await;
    assert_eq!((made, probes.load(Ordering::Relaxed)), (8, 8));
}

#[tokio::test(start_paused = true)]
async fn dropping_ends_the_task() {
    let (probe, _, probes) = scripted();
    let monitor = HealthMonitor::start(probe, every("30 s"), None, "m");
    sleep(Duration::from_secs(1)).await;
    drop(monitor);
    sleep(Duration::from_secs(600)).await;
    assert_eq!(probes.load(Ordering::Relaxed), 1);
    let alive = tokio::runtime::Handle::current()
        .metrics()
        .num_alive_tasks();
    assert_eq!(alive, 0);
}

#[tokio::test(start_paused = true)]
async fn a_panic_comes_to_light_when_it_is_stopped() {
    let mut monitor = HealthMonitor::start(Panics, every("30 s"), None, "m");
    sleep(Duration::from_secs(1)).await;
    assert!(monitor.stop().await.is_err());
    assert!(monitor.stop().await.is_ok());
}

/// Keeps what is logged in this test.
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

#[tokio::test(start_paused = true)]
async fn each_change_is_logged_once() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(move || writer.clone())
        .without_time()
        .with_target(false)
        .with_ansi(false)
        .finish();
    let guard = tracing::subscriber::set_default(subscriber);
    let (probe, start, _) = scripted();
    let monitor = HealthMonitor::start(probe, every("3 s"), None, "model 'm'");
    sleep_until(start + Duration::from_secs(190)).await;
    drop((monitor, guard));
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    insta::assert_snapshot!(text, @r#"
     WARN unhealthy name="model 'm'" reason="out of order"
     INFO healthy again name="model 'm'"
    "#);
}
