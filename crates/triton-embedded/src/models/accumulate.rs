//! A running sum for each sequence: the smallest model whose answers depend on order.

use std::time::Duration;

use crate::{
    DataType, Model, ModelConfig, ModelError, ModelRequest, SequenceBatching, SequenceStrategy,
    Tensor,
};

/// `accumulate`: adds up the INT32 input `value` of a sequence as the output `sum`, and tells as
/// `correlation_id` which sequence the server took the request for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Accumulate;

impl Model for Accumulate {
    /// Wider than the output, so that a sum can leave its range and come back.
    type State = i64;

    fn config(&self) -> ModelConfig {
        ModelConfig::new("accumulate")
            .max_batch_size(8)
            .input("value", DataType::Int32, [1])
            .output("sum", DataType::Int32, [1])
            .output("correlation_id", DataType::Bytes, [1])
            .sequence_batching(SequenceBatching {
                max_sequence_idle: Duration::from_secs(5),
                strategy: SequenceStrategy::Oldest {
                    max_candidate_sequences: 256,
                },
            })
    }

    fn execute(&self, request: &ModelRequest, sum: &mut i64) -> Result<Vec<Tensor>, ModelError> {
        let sequence = request
            .sequence
            .as_ref()
            .ok_or_else(|| ModelError::new("the request belongs to no sequence"))?;
        *sum += request
            .values::<i32>("value")?
            .iter()
            .copied()
            .map(i64::from)
            .sum::<i64>();
        // NumPy wraps a sum that INT32 cannot hold, and so the Python model does.
        let shown = *sum as i32;
        Ok(vec![
            Tensor::new("sum", [1, 1], vec![shown]),
            Tensor::new("correlation_id", [1, 1], vec![sequence.id.to_string()]),
        ])
    }
}
