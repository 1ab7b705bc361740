//! One inference: `cargo run --example infer -p triton-client -- http://localhost:8000`.

use triton_client::{Client, InferRequest, ModelId, Tensor};

pub(crate) async fn run(endpoint: String) -> Result<(), Box<dyn std::error::Error>> {
    let client = Client::new(endpoint)?;
    let request = InferRequest::new(ModelId::latest("echo".parse()?))
        .input(Tensor::from_vec("value", [1, 3], vec![0.5_f32, 1.5, 2.5])?)
        .output("echo");
    let response = client.infer(&request).await?;
    println!("{:?}", response.output("echo")?.values::<f32>()?);
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let endpoint = std::env::args().nth(1);
    run(endpoint.unwrap_or_else(|| "http://localhost:8000".to_owned())).await
}
