//! Statistics: what models have done since they were loaded.
//!
//! [Protocol](https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_statistics.md)

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use crate::tolerant::{null_as_default, number, text};

/// How often something happened, and how long it took in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Tally {
    /// How often.
    #[serde(deserialize_with = "number")]
    pub count: u64,
    /// The sum of its durations, in nanoseconds.
    #[serde(deserialize_with = "number")]
    pub ns: u64,
}

impl Tally {
    /// How long it took on average; `None` when it never happened.
    ///
    /// ```
    /// assert_eq!(triton_protocol::Tally::default().mean(), None);
    /// ```
    #[must_use]
    pub fn mean(&self) -> Option<Duration> {
        self.ns.checked_div(self.count).map(Duration::from_nanos)
    }
}

/// What one version of a model has done.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct ModelStatistics {
    /// The model's name.
    #[serde(deserialize_with = "text")]
    pub name: String,
    /// The version.
    #[serde(default, deserialize_with = "text")]
    pub version: String,
    /// When the last request came, in milliseconds since 1970; 0 when there was none.
    #[serde(default, deserialize_with = "number")]
    pub last_inference: u64,
    /// The number of inferences, where a batch of 8 counts as 8.
    #[serde(default, deserialize_with = "number")]
    pub inference_count: u64,
    /// The number of executions, where a batch counts as 1.
    #[serde(default, deserialize_with = "number")]
    pub execution_count: u64,
    /// Requests by outcome and phase.
    #[serde(default, deserialize_with = "null_as_default")]
    pub inference_stats: InferenceStatistics,
    /// Of models with several responses to a request: by the response's index, as text.
    #[serde(default, deserialize_with = "null_as_default")]
    pub response_stats: BTreeMap<String, ResponseStatistics>,
    /// Executions by the size of their batch.
    #[serde(default, deserialize_with = "null_as_default")]
    pub batch_stats: Vec<BatchStatistics>,
    /// The memory that the model holds, where the backend tells.
    #[serde(default, deserialize_with = "null_as_default")]
    pub memory_usage: Vec<MemoryUsage>,
}

/// Requests by outcome and phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct InferenceStatistics {
    /// Requests that succeeded, from their arrival to their end.
    #[serde(deserialize_with = "null_as_default")]
    pub success: Tally,
    /// Requests that failed.
    #[serde(deserialize_with = "null_as_default")]
    pub fail: Tally,
    /// Waiting to be executed.
    #[serde(deserialize_with = "null_as_default")]
    pub queue: Tally,
    /// Preparing inputs.
    #[serde(deserialize_with = "null_as_default")]
    pub compute_input: Tally,
    /// Executing.
    #[serde(deserialize_with = "null_as_default")]
    pub compute_infer: Tally,
    /// Reading outputs.
    #[serde(deserialize_with = "null_as_default")]
    pub compute_output: Tally,
    /// Answers that the response cache had.
    #[serde(deserialize_with = "null_as_default")]
    pub cache_hit: Tally,
    /// Answers that the response cache did not have.
    #[serde(deserialize_with = "null_as_default")]
    pub cache_miss: Tally,
}

/// Responses of one index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ResponseStatistics {
    /// Computing the response.
    #[serde(deserialize_with = "null_as_default")]
    pub compute_infer: Tally,
    /// Reading its outputs.
    #[serde(deserialize_with = "null_as_default")]
    pub compute_output: Tally,
    /// Responses that succeeded.
    #[serde(deserialize_with = "null_as_default")]
    pub success: Tally,
    /// Responses that failed.
    #[serde(deserialize_with = "null_as_default")]
    pub fail: Tally,
    /// Responses without outputs.
    #[serde(deserialize_with = "null_as_default")]
    pub empty_response: Tally,
    /// Responses that were cancelled.
    #[serde(deserialize_with = "null_as_default")]
    pub cancel: Tally,
}

/// Executions with one size of batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct BatchStatistics {
    /// The size of the batch.
    #[serde(deserialize_with = "number")]
    pub batch_size: u64,
    /// Preparing inputs.
    #[serde(deserialize_with = "null_as_default")]
    pub compute_input: Tally,
    /// Executing.
    #[serde(deserialize_with = "null_as_default")]
    pub compute_infer: Tally,
    /// Reading outputs.
    #[serde(deserialize_with = "null_as_default")]
    pub compute_output: Tally,
}

/// Memory of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct MemoryUsage {
    /// The kind, for example `CPU` or `GPU`.
    #[serde(rename = "type", deserialize_with = "text")]
    pub kind: String,
    /// Which one of its kind.
    #[serde(deserialize_with = "number")]
    pub id: i64,
    /// How much, in bytes.
    #[serde(deserialize_with = "number")]
    pub byte_size: u64,
}
