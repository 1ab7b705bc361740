//! A sequence for every sensor on four subtasks: the rows of a sensor go to the subtask that a hash of its name
//! picks, so that each subtask sees all of them, in their order.
//!
//! ```sh
//! cargo run -p triton-model-fn --example keyed_subtasks
//! ```

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use triton_embedded::EmbeddedTriton;
use triton_model_fn::{
    DataType, InferenceFunction, ModelFunction as _, Schema, Subtask, TritonOptions, Value,
};

const SUBTASKS: u32 = 4;

/// The subtask of a sensor; the same one for all its rows.
fn subtask_of(sensor: &str) -> usize {
    let mut hasher = DefaultHasher::new();
    sensor.hash(&mut hasher);
    (hasher.finish() % u64::from(SUBTASKS)) as usize
}

pub(crate) async fn run() -> Result<(), Box<dyn std::error::Error>> {
    let server = EmbeddedTriton::start()?;
    let options = TritonOptions::parse([
        ("endpoint", server.endpoint().as_str()),
        ("model-name", "accumulate"),
        ("sequence-id", "plant-7"),
        ("sequence-id-auto-increment", "true"),
        ("sequence-key", "sensor"),
    ])?;
    let inputs = [("sensor", DataType::String), ("value", DataType::Integer)];
    let schema = Schema::new(inputs, [("sum", DataType::Integer)]);
    let mut subtasks = Vec::new();
    for index in 0..SUBTASKS {
        let function = InferenceFunction::new(options.clone(), schema.clone())?;
        function.open(Subtask::new(index, SUBTASKS, 0)?).await?;
        subtasks.push(function);
    }

    let mut expected = std::collections::HashMap::new();
    for value in 1..=10 {
        for sensor in ["a", "b", "c", "d", "e"] {
            let function = &subtasks[subtask_of(sensor)];
            let prediction = function.predict(&[sensor.into(), value.into()]).await?;
            let sum: &mut i32 = expected.entry(sensor).or_default();
            *sum += value;
            assert_eq!(prediction.row, [Value::Integer(*sum)]);
            if value == 10 {
                println!("{sensor}: {sum} in {:?}", prediction.sequence_id);
            }
        }
    }
    for function in subtasks {
        function.close().await?;
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    run().await
}
