//! The health monitor against a server that starts well and then is gone.

use std::time::Duration;

use tokio::time::timeout;
use triton_client::{Client, ModelId};
use triton_embedded::EmbeddedTriton;
use triton_model_fn::circuit_breaker::{CircuitBreaker, CircuitBreakerSettings, CircuitState};
use triton_model_fn::health_monitor::{Health, HealthMonitor, TritonProbe};

use crate::options;

const LIMIT: Duration = Duration::from_secs(60);

// Holds F25.
#[tokio::test]
async fn a_server_that_goes_away_opens_the_circuit_before_any_row_fails() {
    let server = EmbeddedTriton::start().unwrap();
    let options = options(
        &server.endpoint(),
        "echo",
        &[("health-check-interval", "20 ms")],
    );
    let model = ModelId::new(options.model_name.clone(), options.model_version.clone());
    let settings = CircuitBreakerSettings::from(&*options);
    let breaker = CircuitBreaker::shared(options.endpoint.first(), &model, settings);
    let client = Client::new(options.endpoint.first().clone()).unwrap();
    let mut monitor = HealthMonitor::start(
        TritonProbe::new(client, model),
        options.health_check_interval,
        Some(breaker.clone()),
        "echo",
    );
    let mut health = monitor.health();
    let healthy = health.wait_for(|health| *health == Some(Health::Healthy));
    timeout(LIMIT, healthy).await.unwrap().unwrap();
    assert_eq!(breaker.state(), CircuitState::Closed);

    server.stop();
    let unhealthy = health.wait_for(|health| matches!(health, Some(Health::Unhealthy(_))));
    timeout(LIMIT, unhealthy).await.unwrap().unwrap();
    assert_eq!(breaker.state(), CircuitState::Open);
    assert!(breaker.admit().is_err());
    monitor.stop().await.unwrap();
}

#[tokio::test]
async fn a_model_that_the_server_lacks_is_unhealthy() {
    let server = EmbeddedTriton::start().unwrap();
    let options = options(&server.endpoint(), "missing", &[]);
    let model = ModelId::new(options.model_name.clone(), options.model_version.clone());
    let client = Client::new(options.endpoint.first().clone()).unwrap();
    let probe = TritonProbe::new(client, model);
    let monitor = HealthMonitor::start(probe, options.health_check_interval, None, "missing");
    let mut health = monitor.health();
    let first = timeout(LIMIT, health.wait_for(Option::is_some));
    let found = first.await.unwrap().unwrap().clone();
    let reason = "model 'missing' is not ready".to_owned();
    assert_eq!(found, Some(Health::Unhealthy(reason)));
}
