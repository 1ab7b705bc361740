//! A sequence of requests to a model that adds them up, with what to do when one fails:
//! `cargo run --example sequence -p triton-client -- http://localhost:8000`.

use triton_client::{Client, ErrorKind, InferRequest, ModelId, Sequence, SequenceId, Tensor};

pub(crate) async fn run(endpoint: String) -> Result<(), Box<dyn std::error::Error>> {
    let client = Client::new(endpoint)?;
    let id = SequenceId::text("sensor-7")?;
    let values = [3, 4, 5];
    for (index, value) in values.iter().enumerate() {
        let request = InferRequest::new(ModelId::latest("accumulate".parse()?))
            .input(Tensor::from_slice("value", [1, 1], &[*value])?)
            .sequence(Sequence {
                id: id.clone(),
                start: index == 0,
                end: index + 1 == values.len(),
            });
        match client.infer(&request).await {
            Ok(response) => println!("{:?}", response.output("sum")?.values::<i32>()?),
            Err(error) if error.kind() == ErrorKind::SequenceNotStarted => {
                return Err("the server forgot the sequence: begin it again with START".into());
            }
            // The server may have counted this value: to send it again could count it twice.
            Err(error) if error.may_have_executed() => return Err(error.into()),
            Err(error) => return Err(format!("nothing was done, so send it again: {error}").into()),
        }
    }
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let endpoint = std::env::args().nth(1);
    run(endpoint.unwrap_or_else(|| "http://localhost:8000".to_owned())).await
}
