//! Model metadata and configuration: which tensors a model takes and gives, and how it batches.
//!
//! [Protocol](https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md#model-metadata),
//! [configuration extension](https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_model_configuration.md)

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::parameter::parameters;
use crate::tensor::{MAX_DIMENSIONS, MAX_TENSORS};
use crate::tolerant::{null_as_default, number, text, texts, up_to};
use crate::{Datatype, Parameter};

/// The tensors of a model.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct ModelMetadata {
    /// The model's name.
    #[serde(deserialize_with = "text")]
    pub name: String,
    /// The versions that are loaded.
    #[serde(default, deserialize_with = "texts")]
    pub versions: Vec<String>,
    /// The framework or backend, for example `python` or `onnxruntime_onnx`.
    #[serde(default, deserialize_with = "text")]
    pub platform: String,
    /// The tensors a request must bring: 4,096 at most, more are refused.
    #[serde(default, deserialize_with = "inputs")]
    pub inputs: Vec<TensorMetadata>,
    /// The tensors a response can bring, in the order in which it does; as many at most.
    #[serde(default, deserialize_with = "outputs")]
    pub outputs: Vec<TensorMetadata>,
}

/// What a model says of one of its tensors.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct TensorMetadata {
    /// The tensor's name.
    #[serde(deserialize_with = "text")]
    pub name: String,
    /// The datatype of its elements.
    pub datatype: Datatype,
    /// The size of each dimension, -1 where it varies; the batch dimension, where the model has
    /// one, comes first and is -1. Empty where the server does not tell, and never longer than 100.
    #[serde(default, deserialize_with = "dimensions")]
    pub shape: Vec<i64>,
    /// What a server says beside that, for example MLServer's `content_type`.
    #[serde(default, deserialize_with = "parameters")]
    pub parameters: BTreeMap<String, Parameter>,
}

// What is planned for a model takes time and memory for each pair of these, so a server does not get
// to name any number of them.

fn inputs<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<TensorMetadata>, D::Error> {
    up_to(MAX_TENSORS, "inputs", from)
}

fn outputs<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<TensorMetadata>, D::Error> {
    up_to(MAX_TENSORS, "outputs", from)
}

fn dimensions<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<i64>, D::Error> {
    up_to(MAX_DIMENSIONS, "dimensions", from)
}

impl TensorMetadata {
    /// Whether a tensor of this shape fits: as many dimensions, each equal or variable.
    #[must_use]
    pub fn accepts_shape(&self, shape: &[usize]) -> bool {
        self.shape.len() == shape.len()
            && self
                .shape
                .iter()
                .zip(shape)
                .all(|(expected, found)| *expected < 0 || usize::try_from(*expected) == Ok(*found))
    }
}

/// The configuration of a model: typed as far as callers depend on it, and whole as JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ModelConfig {
    /// The model's name.
    pub name: String,
    /// The backend, for example `python`.
    pub backend: String,
    /// The largest batch; 0 means that tensors have no batch dimension.
    pub max_batch_size: u32,
    /// How sequences are scheduled; only stateful models have it.
    pub sequence_batching: Option<SequenceBatching>,
    /// Whether a request may have any number of responses: such a model cannot be called by
    /// a plain inference, only by a stream.
    pub is_decoupled: bool,
    /// The models that an ensemble runs, where they were asked for.
    pub steps: Vec<ModelConfig>,
    /// The inputs that the model does without.
    optional_inputs: BTreeSet<String>,
    document: serde_json::Value,
}

impl ModelConfig {
    /// What may be taken for the configuration of a stateless model of a server that keeps none:
    /// nothing but a name and the largest batch, and no document.
    ///
    /// ```
    /// use triton_protocol::ModelConfig;
    ///
    /// let assumed = ModelConfig::assumed("score", 8);
    /// assert_eq!(assumed.without_batch(&[-1, 3]), [3]);
    /// assert!(assumed.document().is_null() && assumed.sequence_batching.is_none());
    /// ```
    #[must_use]
    pub fn assumed(name: impl Into<String>, max_batch_size: u32) -> Self {
        Self {
            name: name.into(),
            backend: String::new(),
            max_batch_size,
            sequence_batching: None,
            is_decoupled: false,
            steps: Vec::new(),
            optional_inputs: BTreeSet::new(),
            document: serde_json::Value::Null,
        }
    }

    /// The whole configuration, a `ModelConfig` message as JSON
    /// ([definition](https://github.com/triton-inference-server/common/blob/main/protobuf/model_config.proto)).
    #[must_use]
    pub fn document(&self) -> &serde_json::Value {
        &self.document
    }

    /// How many sequences a stateful model can keep at once; the server holds further ones back,
    /// without any limit or error.
    ///
    /// With the strategy `oldest` it is `max_candidate_sequences`. With `direct` it is the number
    /// of slots: the batch size times the number of instances
    /// ([sequence batcher](https://docs.nvidia.com/deeplearning/triton-inference-server/user-guide/docs/user_guide/batcher.html#sequence-batcher)).
    /// `None` for a stateless model. An ensemble whose steps are known keeps as many as that step
    /// which can keep the fewest.
    #[must_use]
    pub fn concurrent_sequences(&self) -> Option<u64> {
        self.sequence_batching.as_ref()?;
        let steps = self.steps.iter();
        if let Some(fewest) = steps.filter_map(Self::concurrent_sequences).min() {
            return Some(fewest);
        }
        let oldest = &self.document["sequence_batching"]["oldest"];
        if oldest.is_object() {
            return oldest["max_candidate_sequences"].as_u64();
        }
        let groups = self.document["instance_group"].as_array();
        let instances = groups.into_iter().flatten().map(|group| {
            let devices = group["gpus"].as_array().map_or(0, Vec::len).max(1);
            let count = group["count"].as_u64().unwrap_or(1);
            count.saturating_mul(devices as u64)
        });
        let instances = instances.fold(0, u64::saturating_add).max(1);
        Some(instances.saturating_mul(u64::from(self.max_batch_size.max(1))))
    }

    /// How long the server may keep a sequence without a request: that of the step which forgets
    /// last, where the steps of an ensemble are known. `None` for a stateless model.
    ///
    /// ```
    /// use triton_protocol::ModelConfig;
    ///
    /// let config: ModelConfig = serde_json::from_str(r#"{
    ///     "name": "count",
    ///     "sequence_batching": {"max_sequence_idle_microseconds": 5000000}
    /// }"#)?;
    /// assert_eq!(config.longest_sequence_idle().unwrap().as_secs(), 5);
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    #[must_use]
    pub fn longest_sequence_idle(&self) -> Option<Duration> {
        let steps = self.steps.iter().filter_map(Self::longest_sequence_idle);
        let own = self.sequence_batching.as_ref();
        own.map(SequenceBatching::max_sequence_idle)
            .into_iter()
            .chain(steps)
            .max()
    }

    /// Whether the model does without this input.
    #[must_use]
    pub fn is_optional(&self, input: &str) -> bool {
        self.optional_inputs.contains(input)
    }

    /// The dimensions of a tensor of the model without the batch dimension.
    #[must_use]
    pub fn without_batch<'a>(&self, shape: &'a [i64]) -> &'a [i64] {
        &shape[usize::from(self.max_batch_size > 0).min(shape.len())..]
    }
}

impl<'de> Deserialize<'de> for ModelConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Known {
            #[serde(deserialize_with = "text")]
            name: String,
            #[serde(default, deserialize_with = "text")]
            backend: String,
            #[serde(default, deserialize_with = "number")]
            max_batch_size: u32,
            sequence_batching: Option<SequenceBatching>,
            #[serde(default, deserialize_with = "null_as_default")]
            model_transaction_policy: TransactionPolicy,
        }

        #[derive(Deserialize, Default)]
        struct TransactionPolicy {
            #[serde(default, deserialize_with = "null_as_default")]
            decoupled: bool,
        }

        let document = serde_json::Value::deserialize(deserializer)?;
        let known = Known::deserialize(&document).map_err(D::Error::custom)?;
        let mut optional = BTreeMap::new();
        for side in ["input", "output"] {
            let tensors = document[side].as_array().map_or(&[][..], Vec::as_slice);
            if tensors.len() > MAX_TENSORS {
                return Err(D::Error::custom(format!(
                    "expected at most {MAX_TENSORS} {side}s, found {}",
                    tensors.len()
                )));
            }
            for tensor in tensors.iter().filter(|_| side == "input") {
                if let Some(name) = tensor["name"].as_str() {
                    // Of two with one name the first one counts.
                    optional.entry(name).or_insert(tensor["optional"] == true);
                }
            }
        }
        let optional = optional.into_iter().filter(|(_, is_optional)| *is_optional);
        let optional_inputs = optional.map(|(name, _)| name.to_owned()).collect();
        Ok(Self {
            name: known.name,
            backend: known.backend,
            max_batch_size: known.max_batch_size,
            sequence_batching: known.sequence_batching,
            is_decoupled: known.model_transaction_policy.decoupled,
            steps: Vec::new(),
            optional_inputs,
            document,
        })
    }
}

/// How the server schedules the sequences of a stateful model.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct SequenceBatching {
    /// How long a sequence may go without a request before the server forgets it, in µs.
    #[serde(default, deserialize_with = "number")]
    max_sequence_idle_microseconds: u64,
}

impl SequenceBatching {
    /// How long a sequence may go without a request before the server forgets it.
    #[must_use]
    pub fn max_sequence_idle(&self) -> Duration {
        Duration::from_micros(self.max_sequence_idle_microseconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instances_without_a_sum_are_as_many_as_a_number_holds() {
        for groups in [
            r#"[{"count": 18446744073709551615, "gpus": [0, 1]}]"#,
            r#"[{"count": 18446744073709551615}, {"count": 1}]"#,
            r#"[{"count": 18446744073709551615}]"#,
        ] {
            let config = format!(
                r#"{{"name": "m", "max_batch_size": 8, "sequence_batching": {{}}, "instance_group": {groups}}}"#
            );
            let config: ModelConfig = serde_json::from_str(&config).expect("it is a configuration");
            assert_eq!(config.concurrent_sequences(), Some(u64::MAX), "{groups}");
        }
    }
}
