//! What the `metrics` facade gets of a call; nothing without the feature of that name.

use std::time::Duration;

pub(super) fn begun(operation: &'static str, request_bytes: usize) {
    #[cfg(feature = "metrics")]
    metrics::counter!("triton_client_request_bytes_total", "operation" => operation)
        .increment(request_bytes as u64);
    #[cfg(not(feature = "metrics"))]
    let _ = (operation, request_bytes);
}

pub(super) fn ended(
    operation: &'static str,
    outcome: &'static str,
    response_bytes: usize,
    duration: Duration,
) {
    #[cfg(feature = "metrics")]
    {
        metrics::counter!("triton_client_response_bytes_total", "operation" => operation)
            .increment(response_bytes as u64);
        metrics::counter!("triton_client_calls_total", "operation" => operation, "outcome" => outcome)
            .increment(1);
        metrics::histogram!("triton_client_call_duration_seconds", "operation" => operation, "outcome" => outcome)
            .record(duration);
    }
    #[cfg(not(feature = "metrics"))]
    let _ = (operation, outcome, response_bytes, duration);
}
