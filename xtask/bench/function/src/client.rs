//! The client, with the bytes that the function sends.

use std::sync::atomic::{AtomicUsize, Ordering};

use bench_rounds::{Case, Expected, Format, Lane, Peer};
use triton_client::{
    Client, InferRequest, ModelId, ModelName, Sequence, SequenceId, Tensor, TensorFormat,
};

/// As long as what the function's IDs name their run by, so that both send as many bytes.
const RUN: &str = "06f9k2h8b3t1d7m4q5s0n2v8ce";

struct Alone {
    client: Client,
    model: ModelId,
    input: Tensor,
    expected: Expected<f32>,
    /// The sequences that take turns, by their IDs.
    sequences: Vec<SequenceId>,
    asked: AtomicUsize,
}

pub(super) fn run(endpoint: &str, case: &Case) -> Result<(), String> {
    let connect = || {
        let format = match case.format {
            Format::Binary => TensorFormat::Binary,
            Format::Json => TensorFormat::Json,
        };
        let client = Client::builder(endpoint).tensor_format(format);
        let name = case.model.parse::<ModelName>();
        let values = case.values();
        let sequences = match case.lane {
            Lane::Keyed(keys) => (0..keys)
                .map(|key| SequenceId::text(format!("bench-{RUN}-0-{key}")))
                .collect(),
            Lane::Alone | Lane::Batched(_) => Ok(Vec::new()),
        };
        Ok(Alone {
            client: client.build().map_err(|error| error.to_string())?,
            model: ModelId::latest(name.map_err(|error| error.to_string())?),
            input: Tensor::from_slice("value", case.shape(), &values)
                .map_err(|error| error.to_string())?,
            expected: Expected::new(values),
            sequences: sequences.map_err(|error| error.to_string())?,
            asked: AtomicUsize::new(0),
        })
    };
    bench_rounds::run(connect, case.in_flight)
}

impl Peer for Alone {
    async fn ask(&self) -> Result<(), String> {
        let request = InferRequest::new(self.model.clone())
            .input(self.input.clone())
            .output("echo");
        let asked = self.asked.fetch_add(1, Ordering::Relaxed);
        let request = match asked.checked_rem(self.sequences.len()) {
            Some(key) => request.sequence(Sequence {
                id: self.sequences[key].clone(),
                start: asked == key,
                end: false,
            }),
            None => request,
        };
        let response = self.client.infer(&request).await;
        let response = response.map_err(|error| error.to_string())?;
        let output = response.output("echo").map_err(|error| error.to_string())?;
        let values = output.values::<f32>().map_err(|error| error.to_string())?;
        self.expected.check(&values)
    }
}
