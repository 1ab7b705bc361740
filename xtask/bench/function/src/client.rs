//! The client, with the bytes that the function sends.

use bench_rounds::{Case, Expected, Format, Peer, values};
use triton_client::{Client, InferRequest, ModelId, ModelName, Tensor, TensorFormat};

struct Alone {
    client: Client,
    model: ModelId,
    input: Tensor,
    expected: Expected<f32>,
}

pub(super) fn run(endpoint: &str, case: &Case) -> Result<(), String> {
    let connect = || {
        let format = match case.format {
            Format::Binary => TensorFormat::Binary,
            Format::Json => TensorFormat::Json,
        };
        let client = Client::builder(endpoint).tensor_format(format);
        let name = case.model.parse::<ModelName>();
        let values = values(case.elements);
        Ok(Alone {
            client: client.build().map_err(|error| error.to_string())?,
            model: ModelId::latest(name.map_err(|error| error.to_string())?),
            input: Tensor::from_slice("value", case.shape(), &values)
                .map_err(|error| error.to_string())?,
            expected: Expected::new(values),
        })
    };
    bench_rounds::run(connect, case.in_flight)
}

impl Peer for Alone {
    async fn ask(&self) -> Result<(), String> {
        let request = InferRequest::new(self.model.clone())
            .input(self.input.clone())
            .output("echo");
        let response = self.client.infer(&request).await;
        let response = response.map_err(|error| error.to_string())?;
        let output = response.output("echo").map_err(|error| error.to_string())?;
        let values = output.values::<f32>().map_err(|error| error.to_string())?;
        self.expected.check(&values)
    }
}
