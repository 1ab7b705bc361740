//! Lists the models of a server, loads one again and shows its state; the server must run with
//! `--model-control-mode=explicit`:
//! `cargo run --example repository -p triton-client -- http://localhost:8000 echo`.

use std::time::Duration;

use triton_client::{Client, IndexFilter, LoadModel, ModelId, ModelName};

pub(crate) async fn run(endpoint: String, model: &str) -> Result<(), Box<dyn std::error::Error>> {
    let model: ModelName = model.parse()?;
    let client = Client::new(endpoint)?;
    for entry in client.repository_index(IndexFilter::All).await? {
        println!(
            "{} {} {:?} {}",
            entry.name, entry.version, entry.state, entry.reason
        );
    }
    // A model may take minutes to load, and inference goes on meanwhile.
    let patient = client.with_timeout(Duration::from_secs(600));
    patient.load_model(&model, &LoadModel::new()).await?;
    println!(
        "{model}: {:?}",
        client.model_ready(&ModelId::latest(model.clone())).await?
    );
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let endpoint = arguments.next();
    let endpoint = endpoint.unwrap_or_else(|| "http://localhost:8000".to_owned());
    let model = arguments.next().unwrap_or_else(|| "echo".to_owned());
    run(endpoint, &model).await
}
