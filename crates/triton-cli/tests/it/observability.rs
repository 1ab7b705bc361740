//! `--log-format` and `--metrics-listen`, which every command takes.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};

use triton_test_support::EmbeddedTriton;

use crate::{Files, triton, triton_in};

#[test]
fn a_log_for_programs_has_an_object_a_line() {
    let environment = [("RUST_LOG", "debug")];
    let arguments = ["health", "-O", "endpoint=embedded", "--log-format", "json"];
    let run = triton_in(&environment, &arguments);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let lines: Vec<serde_json::Value> = run
        .stderr
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}")))
        .collect();
    assert!(lines.len() > 1, "{}", run.stderr);
    assert!(lines.iter().all(|line| line["level"].is_string()));
}

/// The command names each such row itself, with its place.
#[test]
fn rows_that_are_written_as_failed_are_told_once() {
    let files = Files::new();
    let input = files.write("in.csv", "value\n[1]\n[]\n\"[1, null]\"\n");
    let said = |environment: &[(&str, &str)], action: &str| {
        let arguments = ["predict", "--model", "echo", "-e", "embedded", &input];
        let run = triton_in(
            environment,
            &[&arguments[..], &["--on-error", action]].concat(),
        );
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        let lines = run
            .stderr
            .lines()
            .map(|line| line.split(" rows/s").next().unwrap());
        let lines = lines.map(|line| line.rsplit_once("; ").map_or(line, |(counts, _)| counts));
        lines.collect::<Vec<_>>().join("\n")
    };
    insta::assert_snapshot!(said(&[], "column"), @"
    row 3 (line 4): column 'value': expected FLOAT, found NULL
    3 rows: 2 answered, 1 failed, 0 rejected
    ");
    insta::assert_snapshot!(said(&[], "default"), @"3 rows: 2 answered, 1 defaulted, 0 rejected");
    let asked = said(&[("RUST_LOG", "warn")], "default");
    assert!(asked.contains("a row got the default value"), "{asked}");
}

#[test]
fn metrics_are_served_while_a_command_runs() {
    let server = EmbeddedTriton::start().unwrap();
    // A port that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let address = format!("127.0.0.1:{port}");
    let option = format!("endpoint={}", server.endpoint());
    let mut watching = Command::new(env!("CARGO_BIN_EXE_triton"))
        .args(["stats", "echo", "--watch", "10ms", "-O", &option])
        .args(["--metrics-listen", &address])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // Its first lines come after its first calls.
    let mut first = [0; 64];
    watching
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut first)
        .unwrap();
    let mut connection = TcpStream::connect(&address).unwrap();
    let request = "GET /metrics HTTP/1.1\r\nHost: triton\r\nConnection: close\r\n\r\n";
    connection.write_all(request.as_bytes()).unwrap();
    let mut page = String::new();
    connection.read_to_string(&mut page).unwrap();
    watching.kill().unwrap();
    watching.wait().unwrap();
    for metric in [
        "# TYPE triton_client_calls_total counter",
        "triton_client_calls_total{operation=\"statistics\",outcome=\"ok\"} ",
        "triton_client_call_duration_seconds_bucket{operation=\"statistics\",outcome=\"ok\",le=\"0.001\"} ",
    ] {
        assert!(page.contains(metric), "{metric}: {page}");
    }
}

#[test]
fn an_address_that_is_taken() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let run = triton(&[
        "health",
        "-O",
        "endpoint=embedded",
        "--metrics-listen",
        &address,
    ]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""));
    insta::assert_snapshot!(run.stderr.replace(&address, "ADDRESS"), @"error: --metrics-listen ADDRESS: Address already in use (os error 98); is the port free, and the address one of this machine?");
    let run = triton(&[
        "health",
        "-O",
        "endpoint=embedded",
        "--metrics-listen",
        "9000",
    ]);
    insta::assert_snapshot!(run.stderr, @"
    error: invalid value '9000' for '--metrics-listen <ADDRESS>': invalid socket address syntax

    For more information, try '--help'.
    ");
}
