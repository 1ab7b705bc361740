//! The inference function through its public API, against the embedded server and a real Triton.

#![expect(
    clippy::unwrap_used,
    reason = "a test ends where something unexpected comes"
)]

#[cfg(feature = "arrow")]
mod arrow;
mod batch_order;
mod batching;
mod cache;
mod cache_waiting;
mod carried_inputs;
mod codec;
mod errors;
mod examples;
mod failures;
mod health_monitor;
mod keyed;
mod life;
mod model_versions;
mod monitoring;
mod other_servers;
#[cfg(feature = "arrow")]
mod outcomes;
mod own_functions;
mod permits;
mod predict;
mod predict_stream;
#[cfg(feature = "arrow")]
mod record_batches;
mod regressions;
mod rejected_rows;
mod replicas;
mod replicas_attacked;
mod replicas_live;
mod request_limit;
mod requests;
mod retry_budget;
mod row_positions;
mod sequence_numbers;
mod sequence_recovery;
mod sequences;
mod server_wait;
mod shapes;
mod side_by_side;
mod sinks;
mod sinks_of_many;
mod static_sequences;
mod streams;
mod through_the_trait;
mod types;
mod unknown_keys;

use triton_model_fn::{Column, DataType, InferenceFunction, ModelFunction as _, Schema, Subtask};
use triton_options::{OptionMap, TritonOptions};

/// What makes every request a sequence of its own.
const AUTO_INCREMENT: [(&str, &str); 2] = [
    ("sequence-id", "flink-job-123"),
    ("sequence-id-auto-increment", "true"),
];

fn options(endpoint: &str, model: &str, extra: &[(&str, &str)]) -> TritonOptions {
    let common = OptionMap::new()
        .with("endpoint", endpoint)
        .with("model-name", model);
    let mut map = extra
        .iter()
        .fold(common, |map, (key, value)| map.with(*key, *value));
    // A machine that is busy with other tests may be slow.
    map.set("timeout", "1 min");
    map.parse().unwrap()
}

fn schema(inputs: &[(&str, DataType)], outputs: &[(&str, DataType)]) -> Schema {
    let columns = |columns: &[(&str, DataType)]| {
        let column = |(name, data_type): &(&str, DataType)| Column::new(*name, data_type.clone());
        columns.iter().map(column).collect()
    };
    Schema {
        inputs: columns(inputs),
        outputs: columns(outputs),
    }
}

fn array(element: DataType) -> DataType {
    DataType::Array(Box::new(element))
}

fn echo_schema() -> Schema {
    schema(&[("value", DataType::Float)], &[("echo", DataType::Float)])
}

fn accumulate_schema() -> Schema {
    schema(
        &[("value", DataType::Integer)],
        &[
            ("sum", DataType::Integer),
            ("correlation_id", DataType::String),
        ],
    )
}

/// A function that is open in subtask `index` of `parallelism`.
async fn open(
    options: TritonOptions,
    schema: Schema,
    index: u32,
    parallelism: u32,
) -> InferenceFunction {
    let function = InferenceFunction::new(options, schema).unwrap();
    function
        .open(Subtask::new(index, parallelism, 0).unwrap())
        .await
        .unwrap();
    function
}
