//! `triton serve`: the embedded server as a process of its own.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use triton_client::{Client, InferRequest, ModelId, Tensor};

use crate::{Files, triton};

/// A running `triton serve`, which ends with the test.
struct Serving {
    process: Child,
    endpoint: String,
}

impl Serving {
    fn start(arguments: &[&str]) -> Self {
        Self::start_with("", arguments)
    }

    fn start_with(log: &str, arguments: &[&str]) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_triton"))
            .args(["serve", "--port", "0"])
            .args(arguments)
            .env("RUST_LOG", log)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let endpoint = line.trim().strip_prefix("triton-embedded is ready at ");
        let endpoint = endpoint.unwrap_or_else(|| panic!("{line}")).to_owned();
        Self { process, endpoint }
    }

    /// The status of each of `count` inferences with `echo`.
    async fn statuses(&self, count: usize) -> Vec<Option<u16>> {
        let client = Client::new(&self.endpoint).unwrap();
        let request = InferRequest::new(ModelId::latest("echo".parse().unwrap()))
            .input(Tensor::from_slice("value", [1, 1], &[1.0_f32]).unwrap());
        let mut statuses = Vec::new();
        for _ in 0..count {
            let answer = client.infer(&request).await;
            statuses.push(answer.err().map(|error| error.status().unwrap()));
        }
        statuses
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test]
async fn it_answers_and_goes_wrong_where_the_script_says() {
    let files = Files::new();
    let script = files.write(
        "faults.json",
        r#"{"seed": 7, "faults": [{"fault": "status", "status": 503, "request": 2}]}"#,
    );
    let serving = Serving::start(&["--faults", &script]);
    assert_eq!(serving.statuses(3).await, [None, Some(503), None]);
}

#[tokio::test]
async fn it_serves_only_the_models_that_are_named() {
    let serving = Serving::start(&["--models", "slow,accumulate"]);
    assert_eq!(serving.statuses(1).await, [Some(404)]);
}

// Holds C21.
#[tokio::test]
async fn every_request_is_logged_and_answered_later_where_that_is_asked_for() {
    let mut serving = Serving::start_with(
        "triton=debug",
        &["--latency", "300ms", "--host", "127.0.0.2"],
    );
    assert!(
        serving.endpoint.starts_with("http://127.0.0.2:"),
        "{}",
        serving.endpoint
    );
    let begin = Instant::now();
    // Two at once take no longer than one.
    let (first, second) = tokio::join!(serving.statuses(1), serving.statuses(1));
    assert_eq!((first, second), (vec![None], vec![None]));
    assert!(begin.elapsed() >= Duration::from_millis(300));
    serving.process.kill().unwrap();
    let mut said = String::new();
    let mut stderr = serving.process.stderr.take().unwrap();
    stderr.read_to_string(&mut said).unwrap();
    let line = said.lines().find(|line| line.contains("POST")).unwrap();
    for part in [
        "DEBUG",
        "POST /v2/models/echo/infer: 200, ",
        " bytes in, ",
        " ms",
    ] {
        assert!(line.contains(part), "{part}: {line}");
    }
}

#[test]
fn faults_are_explained_in_the_help() {
    let help = triton(&["serve", "--help"]).stdout;
    for fault in [
        "delay",
        "status",
        "status-after",
        "reset-before",
        "reset-after",
        "truncate",
        "garbage",
        "wrong-length",
        "slow-bytes",
        "duplicate-headers",
        "refuse",
        "crash",
    ] {
        assert!(
            help.contains(&format!("\n  {fault:<18} ")),
            "{fault}: {help}"
        );
    }
    assert!(
        !triton(&["serve", "-h"])
            .stdout
            .contains("duplicate-headers")
    );
}

#[test]
fn it_serves_until_a_signal_comes() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let mut serving = Serving::start(&[]);
        kill_process(Pid::from_child(&serving.process), signal).unwrap();
        assert_eq!(serving.process.wait().unwrap().code(), Some(code));
    }
}

#[test]
fn it_says_that_its_server_has_ended() {
    let files = Files::new();
    let script = files.write(
        "faults.json",
        r#"{"faults": [{"fault": "crash", "milliseconds": 500, "request": 1}]}"#,
    );
    let mut serving = Serving::start(&["--faults", &script]);
    let address = serving.endpoint.strip_prefix("http://").unwrap().to_owned();
    let body =
        r#"{"inputs": [{"name": "value", "datatype": "FP32", "shape": [1, 1], "data": [1]}]}"#;
    let length = body.len();
    let request = format!(
        "POST /v2/models/echo/infer HTTP/1.1\r\nHost: triton\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    let mut connection = TcpStream::connect(&address).unwrap();
    connection.write_all(request.as_bytes()).unwrap();
    // The server is gone for a while, in which another program takes its port.
    let _ = connection.read(&mut [0; 1]);
    let taken = loop {
        if let Ok(listener) = TcpListener::bind(&address) {
            break listener;
        }
    };
    let status = serving.process.wait().unwrap();
    drop(taken);
    assert_eq!(status.code(), Some(3));
    let mut said = String::new();
    let mut stderr = serving.process.stderr.take().unwrap();
    stderr.read_to_string(&mut said).unwrap();
    insta::assert_snapshot!(said.replace(&address, "ADDRESS"), @"error: the server at http://ADDRESS has ended by itself: the server: Address already in use (os error 98)");
}

#[test]
fn what_it_cannot_serve_is_named() {
    let files = Files::new();
    insta::assert_snapshot!(triton(&["serve", "--models", "gpt"]).stderr, @"error: there is no built-in model 'gpt'; choose among echo, accumulate, anomaly, slow, fails");
    let script = files.write(
        "faults.json",
        r#"{"faults": [{"fault": "flood", "request": 1}]}"#,
    );
    let run = triton(&["serve", "--faults", &script]);
    assert_eq!(run.code, Some(2));
    insta::assert_snapshot!(files.relative(&run.stderr), @"
    error: faults.json cannot be used
      caused by: faults[0]: there is no fault 'flood'; use delay, status, status-after, reset-before, reset-after, truncate, garbage, wrong-length, slow-bytes, duplicate-headers, refuse or crash
    ");
    // The port of a server that runs is taken.
    let serving = Serving::start(&[]);
    let port = serving.endpoint.rsplit(':').next().unwrap();
    let run = triton(&["serve", "--port", port]);
    assert_eq!(run.code, Some(2));
    insta::assert_snapshot!(run.stderr.replace(port, "PORT"), @"
    error: cannot listen at 127.0.0.1:PORT; choose another --port or --host
      caused by: Address already in use (os error 98)
    ");
}
