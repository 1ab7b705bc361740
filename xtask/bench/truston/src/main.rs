//! The crate `truston`, which speaks JSON only.

use std::process::ExitCode;

use bench_rounds::{Case, Expected, Format, Peer, values};
use truston::client::io::{DataType, InferInput};
use truston::client::triton_client::TritonRestClient;

struct Truston {
    client: TritonRestClient,
    case: &'static Case,
    values: Vec<f32>,
    expected: Expected<f32>,
}

impl Peer for Truston {
    async fn ask(&self) -> Result<(), String> {
        let input = InferInput::new(
            "value".to_owned(),
            self.case.shape().to_vec(),
            // It takes the values, so each request needs some of its own.
            DataType::F32(self.values.clone()),
        );
        let results = self.client.infer(vec![input], self.case.model).await;
        let results = results.map_err(|error| error.to_string())?;
        match &results.outputs[..] {
            [output] if output.name == "echo" => match &output.data {
                DataType::F32(found) => self.expected.check(found),
                other => Err(format!("expected FP32, found {}", other.get_type_str())),
            },
            other => Err(format!("expected the output 'echo', found {other:?}")),
        }
    }
}

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let outcome = match &arguments[..] {
        [endpoint, case] => match Case::named(case) {
            Some(case) if case.format == Format::Json => run(endpoint, case),
            _ => Err(format!("there is no case '{case}' for JSON")),
        },
        _ => Err("usage: bench-truston ENDPOINT CASE".to_owned()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run(endpoint: &str, case: &'static Case) -> Result<(), String> {
    let connect = || {
        Ok(Truston {
            client: TritonRestClient::new(endpoint),
            case,
            values: values(case.elements),
            expected: Expected::new(values(case.elements)),
        })
    };
    bench_rounds::run(connect, case.in_flight)
}
