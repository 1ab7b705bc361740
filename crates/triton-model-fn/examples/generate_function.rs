//! A model function of your own: it calls `generate` for each number, and takes everything else
//! (retries, circuit breaker, health checks, limits, metrics) from the base.

use triton_embedded::EmbeddedTriton;
use triton_model_fn::triton_client::{Client, GenerateRequest};
use triton_model_fn::{
    Error, ErrorKind, FunctionBase, ModelFunction, Subtask, TritonOptions, Value,
};

/// Hands one number to a model's generate endpoint and returns the output as text.
pub(crate) fn generate_function(options: TritonOptions) -> Result<impl ModelFunction, Error> {
    let base = FunctionBase::serving("generate_function", options, &[])?;
    Ok(base.answering(
        |_, _| Ok(()),
        |call, _, row| async move {
            let [Value::Double(number)] = row[..] else {
                return Err(Error::new(ErrorKind::Input, "expected one DOUBLE"));
            };
            let request = GenerateRequest::new(call.context().model.clone());
            let request = &request.input("value", number);
            let generate = |client: Client| async move { client.generate(request).await };
            let generated = call.call(generate).await?;
            let text = generated.output("echo").map(ToString::to_string);
            Ok(call.prediction(vec![text.into()]))
        },
    ))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = EmbeddedTriton::start()?;
    let options = TritonOptions::parse([
        ("endpoint", server.endpoint().as_str()),
        ("model-name", "echo"),
        ("max-retries", "3"),
        ("circuit-breaker-enabled", "true"),
    ])?;
    let function = generate_function(options)?;
    function.open(Subtask::new(0, 1, 0)?).await?;
    println!("{:?}", function.predict(&[2.5.into()]).await?.row);
    function.close().await?;
    Ok(())
}
