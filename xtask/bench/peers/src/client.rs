//! This workspace's client.

use bench_rounds::{Case, Expected, Format, Peer};
use triton_client::{Client, InferRequest, ModelId, ModelName, Tensor, TensorFormat};

struct Ours {
    client: Client,
    model: ModelId,
    input: Tensor,
    expected: Expected<f32>,
}

pub(super) fn run(endpoint: &str, case: &Case) -> Result<(), String> {
    let connect = || {
        let client = Client::builder(endpoint).tensor_format(tensor_format(case.format));
        Ok(Ours {
            client: client.build().map_err(|error| error.to_string())?,
            model: model(case)?,
            input: input(case)?,
            expected: Expected::new(case.values()),
        })
    };
    bench_rounds::run(connect, case.in_flight)
}

impl Peer for Ours {
    async fn ask(&self) -> Result<(), String> {
        let request = request(self.model.clone(), self.input.clone());
        let response = self
            .client
            .infer(&request)
            .await
            .map_err(|error| error.to_string())?;
        let output = response.output("echo").map_err(|error| error.to_string())?;
        self.expected
            .check(&output.values::<f32>().map_err(|error| error.to_string())?)
    }
}

/// The bytes of a request, and how many of them are JSON where tensors follow.
pub(super) fn encoded(case: &Case) -> Result<(bytes::Bytes, Option<usize>), String> {
    let request = request(model(case)?, input(case)?);
    let encoded = request
        .encode(tensor_format(case.format))
        .map_err(|error| error.to_string())?;
    let json_length = encoded.json_length();
    Ok((encoded.into_bytes(), json_length))
}

fn request(model: ModelId, input: Tensor) -> InferRequest {
    InferRequest::new(model).input(input).output("echo")
}

fn model(case: &Case) -> Result<ModelId, String> {
    let name = case.model.parse::<ModelName>();
    Ok(ModelId::latest(name.map_err(|error| error.to_string())?))
}

fn input(case: &Case) -> Result<Tensor, String> {
    Tensor::from_vec("value", case.shape(), case.values()).map_err(|error| error.to_string())
}

fn tensor_format(format: Format) -> TensorFormat {
    match format {
        Format::Binary => TensorFormat::Binary,
        Format::Json => TensorFormat::Json,
    }
}
