//! The sequence rules of the protocol page, section 5, through the built-in models.

use std::time::Duration;

use triton_embedded::{
    CorrelationId, DataType, EmbeddedTriton, ManualClock, Model, ModelConfig, ModelError,
    ModelRequest, SequenceBatching, Tensor,
};

use crate::connection::{infer, receive, send};

/// A body for `accumulate`; the parameters without braces.
fn body(parameters: &str, value: i32) -> String {
    format!(
        r#"{{"parameters":{{{parameters}}},"inputs":[{{"name":"value","shape":[1,1],"datatype":"INT32","data":[{value}]}}]}}"#
    )
}

/// The sum and the correlation ID that the model answers, or the status.
fn add(server: &EmbeddedTriton, parameters: &str, value: i32) -> Result<(i64, String), u16> {
    let answer = infer(server, "accumulate", &body(parameters, value));
    if answer.status != 200 {
        return Err(answer.status);
    }
    let answer: serde_json::Value = serde_json::from_str(&answer.body).expect("JSON");
    let value = |output: usize| answer["outputs"][output]["data"][0].clone();
    let id = value(1).as_str().expect("text").to_owned();
    Ok((value(0).as_i64().expect("a sum"), id))
}

fn sum(of: i64, id: &str) -> Result<(i64, String), u16> {
    Ok((of, id.to_owned()))
}

#[test]
fn sums_run_from_start_to_end() {
    let server = EmbeddedTriton::start().expect("a server");
    let start = r#""sequence_id":11,"sequence_start":true"#;
    assert_eq!(add(&server, r#""sequence_id":11"#, 1), Err(400));
    assert_eq!(add(&server, start, 10), sum(10, "11"));
    assert_eq!(add(&server, r#""sequence_id":11"#, 5), sum(15, "11"));
    // Sent again in the middle of a sequence, a value counts twice.
    assert_eq!(add(&server, r#""sequence_id":11"#, 5), sum(20, "11"));
    assert_eq!(add(&server, start, 3), sum(3, "11"));
    let end = r#""sequence_id":11,"sequence_end":true"#;
    assert_eq!(add(&server, end, 4), sum(7, "11"));
    assert_eq!(add(&server, end, 4), Err(400));
    let both = r#""sequence_id":11,"sequence_start":true,"sequence_end":true"#;
    assert_eq!(add(&server, both, 2), sum(2, "11"));
    assert_eq!(add(&server, r#""sequence_id":11"#, 1), Err(400));

    let recorded = server.requests();
    let executed: Vec<_> = recorded.iter().map(|request| request.executed).collect();
    let expected = [false, true, true, true, true, true, false, true, false];
    assert_eq!(executed, expected);
    assert_eq!(recorded[5].sequence_id, Some(CorrelationId::Number(11)));
    assert!(recorded[5].sequence_end && !recorded[5].sequence_start);
    assert!(recorded[1].sequence_start && !recorded[1].sequence_end);
}

#[test]
fn numbers_and_texts_are_different_ids() {
    let server = EmbeddedTriton::start().expect("a server");
    let start = |id: &str| format!(r#""sequence_id":{id},"sequence_start":true"#);
    assert_eq!(add(&server, &start("5"), 1), sum(1, "5"));
    assert_eq!(add(&server, r#""sequence_id":"5""#, 1), Err(400));
    assert_eq!(add(&server, &start("\"5\""), 10), sum(10, "5"));
    assert_eq!(add(&server, r#""sequence_id":5"#, 1), sum(2, "5"));
    let largest = u64::MAX.to_string();
    assert_eq!(add(&server, &start(&largest), 1), sum(1, &largest));
    // A text ends at NUL, so these two collide.
    assert_eq!(add(&server, &start(r#""a\u0000b""#), 1), sum(1, "a"));
    assert_eq!(add(&server, r#""sequence_id":"a\u0000c""#, 1), sum(2, "a"));
    // 128 bytes, not characters.
    assert_eq!(
        add(&server, &start(&format!("\"{}\"", "é".repeat(64))), 1).map(|it| it.0),
        Ok(1)
    );
    assert_eq!(
        add(&server, &start(&format!("\"{}\"", "x".repeat(129))), 1),
        Err(501)
    );
    for wrong in ["-1", "1.0", "true", "null"] {
        assert_eq!(add(&server, &start(wrong), 1), Err(500), "{wrong}");
    }
}

#[test]
fn refusals_have_the_texts_of_the_real_server_and_change_nothing() {
    let server = EmbeddedTriton::start().expect("a server");
    add(&server, r#""sequence_id":22,"sequence_start":true"#, 1).expect("START");
    let no_id = "inference request to model 'accumulate' must specify a non-zero or non-empty \
                 correlation ID";
    let two = "inference request to model 'accumulate' must specify batch-size 1 due to \
               requirements of sequence batcher";
    let not_bool = "Unable to parse 'sequence_end': attempt to access JSON non-boolean as boolean";
    let ending = r#""sequence_id":22,"sequence_end":true"#;
    let cases = [
        (body("", 1).replacen('{', r#"{"id":"r1","#, 1), 400, no_id),
        (body(r#""sequence_id":0"#, 1), 400, no_id),
        (body(r#""sequence_id":"""#, 1), 400, no_id),
        (
            body(ending, 1)
                .replace("[1,1]", "[2,1]")
                .replace("[1]", "[1,2]"),
            400,
            two,
        ),
        (
            body(r#""sequence_id":22,"sequence_end":1"#, 1),
            500,
            not_bool,
        ),
        (
            body(r#""sequence_id":"abc""#, 1),
            400,
            "inference request for sequence abc to model 'accumulate' must specify the START flag \
             on the first request of the sequence",
        ),
    ];
    for (body, status, text) in cases {
        let answer = infer(&server, "accumulate", &body);
        assert_eq!(answer.error(), (status, text.to_owned()), "{body}");
    }
    assert_eq!(add(&server, r#""sequence_id":22"#, 1), sum(2, "22"));
}

#[test]
fn an_idle_sequence_is_closed_without_waiting() {
    let clock = ManualClock::default();
    let server = EmbeddedTriton::builder()
        .built_in_models()
        .clock(clock.clone())
        .start()
        .expect("a server");
    add(&server, r#""sequence_id":1,"sequence_start":true"#, 1).expect("START");
    clock.advance(Duration::from_millis(4_999));
    assert_eq!(add(&server, r#""sequence_id":1"#, 1), sum(2, "1"));
    clock.advance(Duration::from_secs(5));
    assert_eq!(add(&server, r#""sequence_id":1"#, 1), Err(400));
}

#[test]
fn anomaly_scores_each_reading_against_those_before() {
    let server = EmbeddedTriton::start().expect("a server");
    let readings = |flags: &str, data: &str, count: usize| {
        format!(
            r#"{{"parameters":{{"sequence_id":"pump"{flags}}},"inputs":[{{"name":"reading","shape":[1,{count}],"datatype":"FP32","data":{data}}}]}}"#
        )
    };
    let first = readings(r#","sequence_start":true"#, "[1,2,3]", 3);
    assert!(infer(&server, "anomaly", &first).success().ends_with(
        r#"{"name":"z_score","datatype":"FP32","shape":[1,3],"data":[0.0,0.0,2.1213202476501465]},{"name":"anomaly","datatype":"BOOL","shape":[1,3],"data":[false,false,false]}]}"#
    ));
    let second = readings(r#","sequence_end":true"#, "[9]", 1);
    assert!(infer(&server, "anomaly", &second).success().ends_with(
        r#""data":[7.0]},{"name":"anomaly","datatype":"BOOL","shape":[1,1],"data":[true]}]}"#
    ));
}

#[test]
fn a_sum_wraps_where_int32_ends() {
    let server = EmbeddedTriton::start().expect("a server");
    let start = r#""sequence_id":1,"sequence_start":true"#;
    let largest = i64::from(i32::MAX);
    assert_eq!(add(&server, start, i32::MAX), sum(largest, "1"));
    assert_eq!(
        add(&server, r#""sequence_id":1"#, 1),
        sum(-largest - 1, "1")
    );
    assert_eq!(add(&server, r#""sequence_id":1"#, -1), sum(largest, "1"));
}

/// Counts the requests of a sequence, refusing each after having counted it.
struct Refusing;

impl Model for Refusing {
    type State = u32;

    fn config(&self) -> ModelConfig {
        ModelConfig::new("refusing")
            .output("never", DataType::Uint32, [1])
            .sequence_batching(SequenceBatching::default())
    }

    fn execute(&self, _: &ModelRequest, count: &mut u32) -> Result<Vec<Tensor>, ModelError> {
        *count += 1;
        Err(ModelError::new(format!("refused {count}")))
    }
}

#[test]
fn a_models_error_keeps_the_sequence_open_unless_it_ends() {
    let server = EmbeddedTriton::builder()
        .model(Refusing)
        .start()
        .expect("a server");
    let send = |flags: &str| {
        let body = format!(r#"{{"parameters":{{"sequence_id":21{flags}}},"inputs":[]}}"#);
        infer(&server, "refusing", &body).error()
    };
    assert_eq!(
        send(r#","sequence_start":true"#),
        (500, "refused 1".to_owned())
    );
    assert_eq!(send(""), (500, "refused 2".to_owned()));
    assert_eq!(
        send(r#","sequence_end":true"#),
        (500, "refused 3".to_owned())
    );
    assert_eq!(send("").0, 400);
}

#[test]
fn concurrent_requests_of_one_sequence_execute_in_the_order_of_arrival() {
    let server = EmbeddedTriton::start().expect("a server");
    add(&server, r#""sequence_id":30,"sequence_start":true"#, 0).expect("START");
    let path = "/v2/models/accumulate/infer";
    let streams: Vec<_> = (1..=30)
        .map(|value| send(&server, "POST", path, &body(r#""sequence_id":30"#, value)))
        .collect();
    let mut sums: Vec<i64> = streams
        .into_iter()
        .map(|stream| {
            let answer = receive(stream).success();
            let answer: serde_json::Value = serde_json::from_str(&answer).expect("JSON");
            answer["outputs"][0]["data"][0].as_i64().expect("a sum")
        })
        .collect();
    sums.sort_unstable();
    let mut expected = Vec::new();
    for request in &server.requests()[1..] {
        let value = request.json().expect("JSON")["inputs"][0]["data"][0].clone();
        let before = expected.last().copied().unwrap_or(0);
        expected.push(before + value.as_i64().expect("a value"));
    }
    assert_eq!(sums, expected);
}
