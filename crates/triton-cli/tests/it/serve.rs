//! `triton serve`: the embedded server as a process of its own.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use triton_client::{Client, InferRequest, ModelId, Tensor};

use crate::{Files, triton};

/// A running `triton serve`, which ends with the test.
struct Serving {
    process: Child,
    endpoint: String,
}

impl Serving {
    fn start(arguments: &[&str]) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_triton"))
            .args(["serve", "--port", "0"])
            .args(arguments)
            .stdout(Stdio::piped())
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
        let client = Client::builder(self.endpoint.parse().unwrap())
            .build()
            .unwrap();
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
      caused by: faults[0]: there is no fault 'flood'; use delay, status, reset-before, reset-after, truncate, garbage, wrong-length, slow-bytes, duplicate-headers, refuse or crash
    ");
    // The port of a server that runs is taken.
    let serving = Serving::start(&[]);
    let port = serving.endpoint.rsplit(':').next().unwrap();
    let run = triton(&["serve", "--port", port]);
    assert_eq!(run.code, Some(3));
    insta::assert_snapshot!(run.stderr.replace(port, "PORT"), @"
    error: cannot listen at 127.0.0.1:PORT; choose another --port
      caused by: Address already in use (os error 98)
    ");
}
