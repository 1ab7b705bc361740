//! What travels beside the tensors: parameters, priority, time limits and headers.

use std::time::Duration;

use serde_json::{Value, json};
use triton_client::{ErrorKind, HeaderName, HeaderValue, InferRequest};

use super::cases;
use super::target::{Target, echo, only_bytes, probe};

cases!(
    parameters_of_every_scalar_reach_the_model,
    a_parameter_beyond_64_bits_signed_reaches_the_model,
    a_parameter_of_the_protocol_is_refused_before_sending,
    a_parameter_that_the_server_keeps_is_refused_before_sending,
    a_parameter_that_is_no_finite_number_is_refused_before_sending,
    a_parameter_that_is_set_twice_is_refused_before_sending,
    a_priority_is_taken,
    a_server_side_timeout_reaches_the_model_in_microseconds,
    a_header_can_be_sent_with_one_call,
    a_header_can_be_sent_with_every_call,
    a_deadline_of_nothing_ends_before_sending,
    a_longer_deadline_than_the_clients_is_kept,
);

async fn described(target: &Target, request: InferRequest) -> Value {
    let response = target.client.infer(&request).await.unwrap();
    serde_json::from_slice(only_bytes(&response, "result")).unwrap()
}

async fn parameters_of_every_scalar_reach_the_model(target: Target) {
    let request = probe("describe")
        .parameter("text", "é\"\n")
        .parameter("whole", -7)
        .parameter("flag", true)
        .parameter("fraction", 0.5);
    let found = described(&target, request).await;
    let expected = json!({ "text": "é\"\n", "whole": -7, "flag": true, "fraction": 0.5 });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(found["parameters"][name], *value, "{found}");
    }
}

async fn a_parameter_beyond_64_bits_signed_reaches_the_model(target: Target) {
    let request = probe("describe").parameter("large", u64::MAX);
    // What the server makes of it is its own affair: it must not refuse the request.
    described(&target, request).await;
}

async fn refused(target: &Target, request: InferRequest) {
    let error = target.client.infer(&request).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.status()),
        (ErrorKind::InvalidRequest, None)
    );
    assert!(!error.may_have_executed());
}

async fn a_parameter_of_the_protocol_is_refused_before_sending(target: Target) {
    for name in ["sequence_id", "timeout", "priority", "binary_data_output"] {
        refused(&target, probe("describe").parameter(name, 1)).await;
    }
}

async fn a_parameter_that_the_server_keeps_is_refused_before_sending(target: Target) {
    refused(&target, probe("describe").parameter("triton_enable", true)).await;
}

async fn a_parameter_that_is_no_finite_number_is_refused_before_sending(target: Target) {
    refused(&target, probe("describe").parameter("x", f64::NAN)).await;
}

async fn a_parameter_that_is_set_twice_is_refused_before_sending(target: Target) {
    let request = probe("describe").parameter("x", 1).parameter("x", 2);
    refused(&target, request).await;
}

async fn a_priority_is_taken(target: Target) {
    for priority in [0, 1, u64::MAX] {
        target
            .client
            .infer(&echo(&[1.0]).priority(priority))
            .await
            .unwrap();
    }
}

async fn a_server_side_timeout_reaches_the_model_in_microseconds(target: Target) {
    let request = probe("describe").server_timeout(Duration::from_millis(1500));
    assert_eq!(described(&target, request).await["timeout"], 1_500_000);
}

async fn a_header_can_be_sent_with_one_call(target: Target) {
    let name = HeaderName::from_static("x-one-call");
    let request = echo(&[1.0]).header(name, HeaderValue::from_static("value"));
    target.client.infer(&request).await.unwrap();
}

async fn a_header_can_be_sent_with_every_call(target: Target) {
    let name = HeaderName::from_static("x-every-call");
    let client = target
        .client
        .with_header(name, HeaderValue::from_static("value"));
    client.live().await.unwrap();
    client.infer(&echo(&[1.0])).await.unwrap();
}

async fn a_deadline_of_nothing_ends_before_sending(target: Target) {
    let error = target
        .client
        .infer(&echo(&[1.0]).timeout(Duration::ZERO))
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.is_transient()),
        (ErrorKind::Timeout, true)
    );
}

async fn a_longer_deadline_than_the_clients_is_kept(target: Target) {
    let client = target.client.with_timeout(Duration::ZERO);
    let request = echo(&[1.0]).timeout(Duration::from_secs(30));
    client.infer(&request).await.unwrap();
}
