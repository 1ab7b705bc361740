//! Queues: limits, time limits and candidate slots, on a clock that stands still.

use std::time::Duration;

use triton_embedded::models::Slow;
use triton_embedded::{
    DataType, DynamicBatching, EmbeddedTriton, ManualClock, Model, ModelConfig, ModelError,
    ModelRequest, QueuePolicy, SequenceBatching, SequenceStrategy, Tensor,
};

use crate::connection::{get, infer, receive, receive_after, send};

/// As long as the slow requests take.
const STEP: Duration = Duration::from_millis(50);

/// A body for `slow`.
fn slow(milliseconds: u32, parameters: &str) -> String {
    format!(
        r#"{{"parameters":{{{parameters}}},"inputs":[{{"name":"milliseconds","shape":[1,1],"datatype":"UINT32","data":[{milliseconds}]}}]}}"#
    )
}

fn slow_server(clock: &ManualClock, queue_policy: QueuePolicy) -> EmbeddedTriton {
    EmbeddedTriton::builder()
        .model(Slow::with_batching(DynamicBatching {
            queue_policy,
            ..DynamicBatching::default()
        }))
        .clock(clock.clone())
        .start()
        .expect("a server")
}

/// Waits until the model has begun with that many requests.
fn until_executing(server: &EmbeddedTriton, count: usize) {
    while server
        .requests()
        .iter()
        .filter(|request| request.executed)
        .count()
        < count
    {}
}

/// Waits until that many requests have arrived.
fn until_arrived(server: &EmbeddedTriton, count: usize) {
    while server.requests().len() < count {}
}

#[test]
fn a_full_queue_refuses_and_tells_so_in_the_metrics() {
    let clock = ManualClock::default();
    let policy = QueuePolicy {
        max_queue_size: 1,
        ..QueuePolicy::default()
    };
    let server = slow_server(&clock, policy);
    let path = "/v2/models/slow/infer";
    let first = send(&server, "POST", path, &slow(50, ""));
    until_executing(&server, 1);
    let second = send(&server, "POST", path, &slow(50, ""));
    until_arrived(&server, 2);
    assert_eq!(
        infer(&server, "slow", &slow(50, "")).error(),
        (
            503,
            "[request id: <id_unknown>] Exceeds maximum queue size".to_owned()
        )
    );
    receive_after(&clock, STEP, first).success();
    receive_after(&clock, STEP, second).success();
    let page = get(&server, "/metrics").success();
    for line in [
        r#"nv_inference_request_success{model="slow",version="1"} 2"#,
        r#"nv_inference_request_failure{model="slow",reason="REJECTED",version="1"} 1"#,
        r#"nv_inference_pending_request_count{model="slow",version="1"} 0"#,
    ] {
        assert!(page.lines().any(|candidate| candidate == line), "{page}");
    }
}

#[test]
fn a_request_that_waits_for_too_long_is_refused_when_its_turn_comes() {
    let clock = ManualClock::default();
    let policy = QueuePolicy {
        allow_timeout_override: true,
        ..QueuePolicy::default()
    };
    let server = slow_server(&clock, policy);
    let path = "/v2/models/slow/infer";
    let first = send(&server, "POST", path, &slow(50, ""));
    until_executing(&server, 1);
    let second = send(&server, "POST", path, &slow(0, r#""timeout":1000"#));
    until_arrived(&server, 2);
    // Its body arrives with its record, and is queued before the next request is looked at.
    get(&server, "/v2/health/live").success();
    receive_after(&clock, STEP, first).success();
    let refusal = receive(second).error();
    assert_eq!(refusal, (503, "Request timeout expired".to_owned()));
}

/// Counts the requests of a sequence, with one candidate slot.
struct OneSlot;

impl Model for OneSlot {
    type State = u32;

    fn config(&self) -> ModelConfig {
        ModelConfig::new("one-slot")
            .output("requests", DataType::Uint32, [1])
            .sequence_batching(SequenceBatching {
                max_sequence_idle: Duration::from_secs(60),
                strategy: SequenceStrategy::Oldest {
                    max_candidate_sequences: 1,
                },
            })
    }

    fn execute(&self, _: &ModelRequest, seen: &mut u32) -> Result<Vec<Tensor>, ModelError> {
        *seen += 1;
        Ok(vec![Tensor::new("requests", [1], vec![*seen])])
    }
}

#[test]
fn a_sequence_waits_for_a_slot_until_another_is_idle() {
    let clock = ManualClock::default();
    let server = EmbeddedTriton::builder()
        .model(OneSlot)
        .clock(clock.clone())
        .start()
        .expect("a server");
    let body = |id: u32, flags: &str| {
        format!(r#"{{"parameters":{{"sequence_id":{id}{flags}}},"inputs":[]}}"#)
    };
    let start = r#","sequence_start":true"#;
    infer(&server, "one-slot", &body(1, start)).success();
    clock.advance(Duration::from_secs(30));
    let path = "/v2/models/one-slot/infer";
    let waiting = send(&server, "POST", path, &body(2, start));
    until_arrived(&server, 2);
    assert!(!server.requests()[1].executed);
    clock.advance(Duration::from_secs(30));
    receive(waiting).success();
    assert_eq!(infer(&server, "one-slot", &body(1, "")).status, 400);
    infer(&server, "one-slot", &body(2, r#","sequence_end":true"#)).success();
}
