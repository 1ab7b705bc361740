//! What a server tells of itself and of its models: none of it may end the client, whatever numbers
//! and names are in it.

use serde::de::DeserializeOwned;
use triton_protocol::{
    CudaRegionStatus, LogSettings, ModelConfig, ModelMetadata, ModelStatistics, RepositoryEntry,
    ServerMetadata, SystemRegionStatus, TraceSettings,
};

/// An answer, read as each of those that a server describes something with.
pub(crate) fn description(input: &[u8]) {
    let metadata: Option<ModelMetadata> = read(input);
    let shapes = metadata.iter().flat_map(|model| {
        let tensors = model.inputs.iter().chain(&model.outputs);
        tensors.map(|tensor| tensor.shape.as_slice())
    });
    let config: Option<ModelConfig> = read(input);
    if let Some(config) = &config {
        let places = config.concurrent_sequences();
        let idle = config.longest_sequence_idle();
        // Only a model with sequences keeps any.
        assert_eq!(idle.is_some(), config.sequence_batching.is_some());
        assert!(places.is_none() || idle.is_some());
        for shape in shapes {
            assert!(shape.ends_with(config.without_batch(shape)));
        }
    }
    if let Some(statistics) = read::<ModelStatistics>(input) {
        let _ = statistics.inference_stats.success.mean();
    }
    let _ = read::<ServerMetadata>(input);
    let _ = read::<Vec<RepositoryEntry>>(input);
    let _ = read::<TraceSettings>(input);
    let _ = read::<LogSettings>(input);
    let _ = read::<Vec<SystemRegionStatus>>(input);
    let _ = read::<Vec<CudaRegionStatus>>(input);
}

fn read<T: DeserializeOwned>(input: &[u8]) -> Option<T> {
    serde_json::from_slice(input).ok()
}
