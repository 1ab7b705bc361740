//! The best classes of an output, with their scores, in place of all its elements:
//! `cargo run --example classify -p triton-client -- http://localhost:8000`.

use std::num::NonZeroU32;

use triton_client::{Client, InferRequest, ModelId, RequestedOutput, Tensor};

pub(crate) async fn run(endpoint: String) -> Result<(), Box<dyn std::error::Error>> {
    let client = Client::new(endpoint)?;
    let two = NonZeroU32::MIN.saturating_add(1);
    let request = InferRequest::new(ModelId::latest("echo".parse()?))
        .input(Tensor::from_slice(
            "value",
            [1, 3],
            &[0.125_f32, 0.75, 0.5],
        )?)
        .output(RequestedOutput::classification("echo", two));
    let response = client.infer(&request).await?;
    for class in response.output("echo")?.classes()? {
        // Labels come from the model's configuration; `echo` has none.
        let label = class
            .label
            .unwrap_or_else(|| format!("class {}", class.index));
        println!("{label}: {}", class.score);
    }
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let endpoint = std::env::args().nth(1);
    run(endpoint.unwrap_or_else(|| "http://localhost:8000".to_owned())).await
}
