//! What faults look like to a client, and what the record says about them.

use std::io::Read;
use std::net::TcpStream;
use std::time::Duration;

use triton_embedded::{EmbeddedTriton, Fault, FaultScript, ManualClock};

use crate::connection::{get, infer, receive_after, send};

const BODY: &str = r#"{"inputs":[{"name":"value","shape":[1,1],"datatype":"FP32","data":[1]}]}"#;

fn server(fault: Fault) -> EmbeddedTriton {
    EmbeddedTriton::builder()
        .built_in_models()
        .faults(FaultScript::new(1).request(1, fault))
        .start()
        .expect("a server")
}

/// Everything the server says to an inference request; an error where it resets the connection.
fn raw(server: &EmbeddedTriton) -> std::io::Result<String> {
    let mut stream = send(server, "POST", "/v2/models/echo/infer", BODY);
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[test]
fn a_status_is_answered_without_executing() {
    let server = server(Fault::Status {
        status: 503,
        text: "later".to_owned(),
    });
    assert_eq!(
        infer(&server, "echo", BODY).error(),
        (503, "later".to_owned())
    );
    infer(&server, "echo", BODY).success();
    let executed: Vec<_> = server
        .requests()
        .iter()
        .map(|request| request.executed)
        .collect();
    assert_eq!(executed, [false, true]);
    assert!(server.requests()[0].fault.is_some());
}

#[test]
fn a_reset_comes_before_or_after_the_execution() {
    for (fault, executed) in [(Fault::ResetBefore, false), (Fault::ResetAfter, true)] {
        let server = server(fault);
        let error = raw(&server).expect_err("a reset");
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
        assert_eq!(server.requests()[0].executed, executed);
        assert_eq!(server.requests()[0].status, None);
        infer(&server, "echo", BODY).success();
    }
}

#[test]
fn answers_are_corrupted_on_the_wire() {
    let whole = raw(&EmbeddedTriton::start().expect("a server")).expect("an answer");
    let (head, body) = whole.split_once("\r\n\r\n").expect("a head");

    let truncated = raw(&server(Fault::Truncate { bytes: 40 })).expect("a part");
    assert_eq!(truncated, whole[..40]);

    let garbage = raw(&server(Fault::Garbage)).expect("an answer");
    assert!(garbage.ends_with("<garbage>"), "{garbage}");

    let off = raw(&server(Fault::WrongLength { off_by: 5 })).expect("an answer");
    assert!(off.contains(&format!("Content-Length: {}", body.len() + 5)));

    let twice = raw(&server(Fault::DuplicateHeaders)).expect("an answer");
    assert_eq!(twice.matches("Content-Length: ").count(), 2);

    let pause = Duration::ZERO;
    let slow = raw(&server(Fault::SlowBytes { pause })).expect("an answer");
    assert_eq!(slow, whole);
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"));
}

#[test]
fn a_delay_is_measured_with_the_servers_clock() {
    let clock = ManualClock::default();
    let time = Duration::from_secs(3600);
    let server = EmbeddedTriton::builder()
        .built_in_models()
        .clock(clock.clone())
        .faults(FaultScript::new(1).request(1, Fault::Delay { time }))
        .start()
        .expect("a server");
    let delayed = send(&server, "POST", "/v2/models/echo/infer", BODY);
    infer(&server, "echo", BODY).success();
    assert_eq!(server.requests()[0].status, None);
    receive_after(&clock, time, delayed).success();
}

#[test]
fn a_crash_resets_every_connection_and_loses_every_sequence() {
    let restart_after = Duration::ZERO;
    let server = EmbeddedTriton::builder()
        .built_in_models()
        .faults(FaultScript::new(1).model_request("echo", 1, Fault::Crash { restart_after }))
        .start()
        .expect("a server");
    let sequence = |flags: &str| {
        format!(
            r#"{{"parameters":{{"sequence_id":5{flags}}},"inputs":[{{"name":"value","shape":[1,1],"datatype":"INT32","data":[1]}}]}}"#
        )
    };
    infer(
        &server,
        "accumulate",
        &sequence(r#","sequence_start":true"#),
    )
    .success();
    let endpoint = server.endpoint();
    let address = endpoint.strip_prefix("http://").expect("a plain endpoint");
    let mut idle = TcpStream::connect(address).expect("a connection");
    // An answer proves that the server knows of the connection before.
    get(&server, "/v2/health/live").success();
    assert!(raw(&server).is_err());
    assert!(idle.read(&mut [0]).is_err());
    // The port is the same, once it is back.
    while TcpStream::connect(address).is_err() {}
    assert_eq!(infer(&server, "accumulate", &sequence("")).status, 400);
    infer(&server, "echo", BODY).success();
}

#[test]
fn refused_connections_are_served_again_later() {
    let clock = ManualClock::default();
    let time = Duration::from_secs(60);
    let server = EmbeddedTriton::builder()
        .built_in_models()
        .clock(clock.clone())
        .faults(FaultScript::new(1).request(1, Fault::Refuse { time }))
        .start()
        .expect("a server");
    infer(&server, "echo", BODY).success();
    let endpoint = server.endpoint();
    let address = endpoint.strip_prefix("http://").expect("a plain endpoint");
    // The listener closes right after the answer.
    while TcpStream::connect(address).is_ok() {}
    while TcpStream::connect(address).is_err() {
        clock.advance(time);
    }
    infer(&server, "echo", BODY).success();
}

#[test]
fn another_script_can_take_over() {
    let server = EmbeddedTriton::start().expect("a server");
    infer(&server, "echo", BODY).success();
    server.set_faults(FaultScript::new(1).rate(1.0, Fault::ResetBefore));
    assert!(raw(&server).is_err());
    server.set_faults(FaultScript::default());
    infer(&server, "echo", BODY).success();
}

#[test]
fn only_as_many_requests_are_kept_as_asked_for() {
    for limit in [0, 2] {
        let server = EmbeddedTriton::builder()
            .built_in_models()
            .recorded_requests(limit)
            .start()
            .expect("a server");
        for _ in 0..5 {
            infer(&server, "echo", BODY).success();
        }
        let orders: Vec<_> = server
            .requests()
            .iter()
            .map(|request| request.order)
            .collect();
        assert_eq!(orders, (5 - limit..5).collect::<Vec<_>>());
        assert!(server.requests().iter().all(|request| request.executed));
    }
}
