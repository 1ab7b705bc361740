//! Model metadata and configuration: which tensors a model takes and gives, and how it batches.
//!
//! [Protocol](https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md#model-metadata),
//! [configuration extension](https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_model_configuration.md)

use std::fmt;
use std::time::Duration;

use serde::Deserialize;

use crate::error::Operation;
use crate::{Client, Datatype, Error, ModelName, ModelVersion, wire};

/// Names a model and which version of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ModelId {
    name: ModelName,
    version: ModelVersion,
}

impl ModelId {
    /// The model in a given version.
    #[must_use]
    pub fn new(name: ModelName, version: ModelVersion) -> Self {
        Self { name, version }
    }

    /// The model in the version that its version policy on the server picks.
    #[must_use]
    pub fn latest(name: ModelName) -> Self {
        Self::new(name, ModelVersion::Latest)
    }

    /// The path of the model below the endpoint, then `suffix`.
    ///
    /// The server takes only digits as a version: the latest one has no segment of its own.
    pub(crate) fn path(&self, suffix: &str) -> String {
        match self.version {
            ModelVersion::Number(version) => {
                format!("v2/models/{}/versions/{version}{suffix}", self.name)
            }
            _ => format!("v2/models/{}{suffix}", self.name),
        }
    }

    pub(crate) fn operation(&self, verb: &str) -> Operation {
        format!("{verb} model {self}").into()
    }
}

impl fmt::Display for ModelId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "'{}'", self.name)?;
        match self.version {
            ModelVersion::Number(version) => write!(formatter, " version {version}"),
            _ => Ok(()),
        }
    }
}

/// The tensors of a model.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct ModelMetadata {
    /// The model's name.
    pub name: String,
    /// The versions that are loaded.
    #[serde(default)]
    pub versions: Vec<String>,
    /// The framework or backend, for example `python` or `onnxruntime_onnx`.
    #[serde(default)]
    pub platform: String,
    /// The tensors a request must bring.
    #[serde(default)]
    pub inputs: Vec<TensorMetadata>,
    /// The tensors a response can bring, in the order in which it does.
    #[serde(default)]
    pub outputs: Vec<TensorMetadata>,
}

/// What a model says of one of its tensors.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct TensorMetadata {
    /// The tensor's name.
    pub name: String,
    /// The datatype of its elements.
    pub datatype: Datatype,
    /// The size of each dimension, -1 where it varies; the batch dimension, where the model has
    /// one, comes first and is -1.
    pub shape: Vec<i64>,
}

/// The configuration of a model, as far as callers depend on it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct ModelConfig {
    /// The model's name.
    pub name: String,
    /// The largest batch; 0 means that tensors have no batch dimension.
    #[serde(default)]
    pub max_batch_size: u32,
    /// How sequences are scheduled; only stateful models have it.
    #[serde(default)]
    pub sequence_batching: Option<SequenceBatching>,
}

/// How the server schedules the sequences of a stateful model.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct SequenceBatching {
    /// How long a sequence may go without a request before the server forgets it, in µs.
    #[serde(default)]
    max_sequence_idle_microseconds: u64,
}

impl SequenceBatching {
    /// How long a sequence may go without a request before the server forgets it.
    #[must_use]
    pub fn max_sequence_idle(&self) -> Duration {
        Duration::from_micros(self.max_sequence_idle_microseconds)
    }
}

impl Client {
    /// Asks for the tensors of a model.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when the server does not know the
    /// model, and any failure of the call.
    pub async fn model_metadata(&self, model: &ModelId) -> Result<ModelMetadata, Error> {
        let operation = model.operation("read metadata of");
        let body = self
            .transport
            .call(&operation, &model.path(""), None)
            .await?;
        wire::json(&self.transport, &operation, &body)
    }

    /// Asks for the configuration of a model.
    ///
    /// # Errors
    ///
    /// As [`model_metadata`](Self::model_metadata).
    pub async fn model_config(&self, model: &ModelId) -> Result<ModelConfig, Error> {
        let operation = model.operation("read configuration of");
        let body = self
            .transport
            .call(&operation, &model.path("/config"), None)
            .await?;
        wire::json(&self.transport, &operation, &body)
    }
}
