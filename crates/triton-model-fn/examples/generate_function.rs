//! A model function of one's own: it calls `generate` for each number, and takes everything else
//! (retries, circuit breaker, health checks, limits, metrics) from the base.

use triton_embedded::EmbeddedTriton;
use triton_model_fn::triton_client::{Client, GenerateRequest};
use triton_model_fn::{
    Error, ErrorKind, FunctionBase, ModelFunction, PredictionFuture, Subtask, TritonOptions, Value,
    async_trait,
};

/// Hands one number to a model's generate endpoint and returns the output as text.
pub(crate) struct GenerateFunction(FunctionBase<()>);

impl GenerateFunction {
    /// A function that is not open.
    pub(crate) fn new(options: TritonOptions) -> Result<Self, Error> {
        Ok(Self(FunctionBase::serving(
            "GenerateFunction",
            options,
            &[],
        )?))
    }
}

#[async_trait]
impl ModelFunction for GenerateFunction {
    async fn open(&self, subtask: Subtask) -> Result<(), Error> {
        self.0.open(subtask, |_, _| Ok(())).await
    }

    fn submit(&self, row: &[Value]) -> PredictionFuture {
        let number = match row {
            [Value::Double(number)] => Ok(*number),
            _ => Err(Error::new(ErrorKind::Input, "expected one DOUBLE")),
        };
        self.0.row(|call, _| async move {
            let request = GenerateRequest::new(call.context().model.clone());
            let request = &request.input("value", number?);
            let generate = |client: Client| async move { client.generate(request).await };
            let generated = call.call(generate).await?;
            let text = generated.output("echo").map(ToString::to_string);
            Ok(call.prediction(vec![text.into()]))
        })
    }

    async fn close(&self) -> Result<(), Error> {
        self.0.close().await
    }

    async fn abort(&self) {
        self.0.abort().await;
    }
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
    let function = GenerateFunction::new(options)?;
    function.open(Subtask::new(0, 1, 0)?).await?;
    println!("{:?}", function.predict(&[2.5.into()]).await?.row);
    function.close().await?;
    Ok(())
}
