//! Arrow record batches in and out; rows that cannot be answered are told apart.
//!
//! ```sh
//! cargo run -p triton-model-fn --features arrow --example record_batches
//! ```

use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::types::Float32Type;
use arrow_array::{ArrayRef, Float32Array, RecordBatch};
use triton_embedded::EmbeddedTriton;
use triton_model_fn::{
    DataType, InferenceFunction, ModelFunction as _, Schema, Subtask, TritonOptions,
};

pub(crate) async fn run() -> Result<(), Box<dyn std::error::Error>> {
    let server = EmbeddedTriton::start()?;
    let options = TritonOptions::parse([
        ("endpoint", server.endpoint().as_str()),
        ("model-name", "echo"),
        ("batch-size", "64"),
    ])?;
    let schema = Schema::new([("value", DataType::Float)], [("echo", DataType::Float)]);
    let function = InferenceFunction::new(options, schema)?;
    function.open(Subtask::new(0, 1, 0)?).await?;

    // No tensor holds NULL, so the second row fails, and it alone.
    let values: ArrayRef = Arc::new(Float32Array::from(vec![Some(1.5), None, Some(2.5)]));
    let batch = RecordBatch::try_from_iter([("value", values)])?;
    let prediction = function.predict_batch(&batch).await?;
    let echo = prediction.outputs.column(0).as_primitive::<Float32Type>();
    println!("{echo:?}");
    for failure in &prediction.failures {
        println!("{failure:?}");
    }
    assert_eq!(prediction.failures.len(), 1);
    function.close().await?;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    run().await
}
