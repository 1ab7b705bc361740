//! Flat JSON in and out, once as a whole and once as it comes:
//! `cargo run --example generate -p triton-client -- http://localhost:8000`.
//!
//! A model of language answers `text_input` with `text_output`, piece by piece; `echo` has one answer.

use triton_client::{Client, GenerateRequest, ModelId};

pub(crate) async fn run(endpoint: String) -> Result<(), Box<dyn std::error::Error>> {
    let client = Client::new(endpoint)?;
    let request = GenerateRequest::new(ModelId::latest("echo".parse()?)).input("value", 2.5);

    let generated = client.generate(&request).await?;
    println!("{:?}", generated.output("echo").ok_or("no such output")?);

    let mut stream = client.generate_stream(&request).await?;
    while let Some(generated) = stream.next().await {
        // A failure of the model comes here as well, although the status was 200.
        println!("{:?}", generated?.output("echo"));
    }
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let endpoint = std::env::args().nth(1);
    run(endpoint.unwrap_or_else(|| "http://localhost:8000".to_owned())).await
}
