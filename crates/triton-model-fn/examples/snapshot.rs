//! A sequence that outlives its process: a function is stopped in the middle of a sequence, what it knows is
//! stored as bytes, and another function goes on from there.
//!
//! ```sh
//! cargo run -p triton-model-fn --example snapshot
//! ```

use triton_embedded::EmbeddedTriton;
use triton_model_fn::{
    DataType, InferenceFunction, ModelFunction as _, Schema, SequenceSnapshot, Subtask,
    TritonOptions, Value,
};

fn function(endpoint: &str) -> Result<InferenceFunction, Box<dyn std::error::Error>> {
    let options = TritonOptions::parse([
        ("endpoint", endpoint),
        ("model-name", "accumulate"),
        ("sequence-id", "plant-7"),
        ("sequence-id-auto-increment", "true"),
        ("sequence-key", "sensor"),
        // The rows of an open sequence are kept, and stored, so that it can be rebuilt.
        ("sequence-recovery", "replay"),
    ])?;
    let inputs = [("sensor", DataType::String), ("value", DataType::Integer)];
    let schema = Schema::new(inputs, [("sum", DataType::Integer)]);
    Ok(InferenceFunction::new(options, schema)?)
}

pub(crate) async fn run() -> Result<(), Box<dyn std::error::Error>> {
    let server = EmbeddedTriton::start()?;

    let first = function(&server.endpoint())?;
    first.open(Subtask::new(0, 1, 0)?).await?;
    for value in [3, 4] {
        first.predict(&["a".into(), value.into()]).await?;
    }
    // Every row was answered, so that the snapshot and what the source has read are the same.
    let stored: Vec<u8> = first.snapshot()?.to_bytes();
    first.close().await?;

    let second = function(&server.endpoint())?;
    second.open(Subtask::new(0, 1, 1)?).await?;
    second.restore(SequenceSnapshot::from_bytes(&stored)?)?;
    let prediction = second.predict(&["a".into(), 5.into()]).await?;
    // 3 and 4 were replayed under a new ID.
    assert_eq!(prediction.row, [Value::Integer(12)]);
    println!("{:?} of {:?}", prediction.row, prediction.sequence_id);
    second.close().await?;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    run().await
}
