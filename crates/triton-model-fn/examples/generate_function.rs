//! A model function of one's own: it calls `generate` for each text, and takes everything else
//! (retries, circuit breaker, health checks, limits, metrics) from the base.

use async_trait::async_trait;
use triton_client::{Client, GenerateRequest};
use triton_embedded::EmbeddedTriton;
use triton_model_fn::{
    Error, ErrorKind, FunctionBase, ModelFunction, Opened, Prediction, Subtask, Value,
};
use triton_options::TritonOptions;

/// Hands one number to a model's generate endpoint and returns the output as text.
struct GenerateFunction(FunctionBase<()>);

#[async_trait]
impl ModelFunction for GenerateFunction {
    async fn open(&self, subtask: Subtask) -> Result<(), Error> {
        self.0.begin(subtask)?.finish(())
    }

    async fn predict(&self, row: &[Value]) -> Result<Prediction, Error> {
        let opened = self.0.opened()?;
        let Opened { subtask: open, .. } = &*opened;
        let [Value::Double(number)] = row else {
            return Err(
                Error::new(ErrorKind::Input, "expected one DOUBLE").in_subtask(open.subtask)
            );
        };
        let request = &GenerateRequest::new(open.model.clone()).input("value", *number);
        let deadline = open.row_deadline();
        let _permit = open.request_permit(deadline).await?;
        let generate = |client: Client| async move { client.generate(request).await };
        let generated = open.call(None, deadline, generate).await;
        let generated = generated.map_err(|error| error.in_subtask(open.subtask))?;
        open.metrics().row_answered();
        let text = generated
            .output("echo")
            .map(ToString::to_string)
            .unwrap_or_default();
        Ok(Prediction::new(vec![Value::String(text)], None))
    }

    async fn close(&self) -> Result<(), Error> {
        self.0.close(|_, _| async { Ok(()) }).await
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
    let function = GenerateFunction(FunctionBase::new(options));
    function.open(Subtask::new(0, 1, 0)?).await?;
    println!("{:?}", function.predict(&[Value::Double(2.5)]).await?.row);
    function.close().await?;
    Ok(())
}
