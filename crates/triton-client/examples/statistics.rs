//! How much the models of a server have done, and how long it took:
//! `cargo run --example statistics -p triton-client -- http://localhost:8000`.

use triton_client::Client;

pub(crate) async fn run(endpoint: String) -> Result<(), Box<dyn std::error::Error>> {
    let client = Client::new(endpoint)?;
    for model in client.statistics(None).await? {
        let phases = &model.inference_stats;
        println!(
            "{} {}: {} inferences in {} executions; on average {:?} in the queue, {:?} computing",
            model.name,
            model.version,
            model.inference_count,
            model.execution_count,
            phases.queue.mean().unwrap_or_default(),
            phases.compute_infer.mean().unwrap_or_default(),
        );
    }
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let endpoint = std::env::args().nth(1);
    run(endpoint.unwrap_or_else(|| "http://localhost:8000".to_owned())).await
}
