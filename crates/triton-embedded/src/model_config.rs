//! A model's configuration: the part of Triton's `config.pbtxt` that this server acts on.

use std::time::Duration;

use crate::tensor::DataType;

/// The name, tensors and batching of a model.
///
/// ```
/// use triton_embedded::{DataType, ModelConfig};
///
/// let config = ModelConfig::new("echo")
///     .max_batch_size(64)
///     .input("value", DataType::Fp32, [-1])
///     .output("echo", DataType::Fp32, [-1]);
/// assert_eq!(config.inputs[0].dims, [-1]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ModelConfig {
    /// The name in the model's URLs.
    pub name: String,
    /// The backend that a real server would run the model with; `python` unless changed.
    pub backend: String,
    /// The largest batch; 0 for a model without a batch dimension.
    pub max_batch_size: usize,
    /// The inputs.
    pub inputs: Vec<TensorConfig>,
    /// The outputs.
    pub outputs: Vec<TensorConfig>,
    /// Present for a model that keeps state between the requests of a sequence.
    pub sequence_batching: Option<SequenceBatching>,
}

/// The name, type and dimensions of an input or output.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TensorConfig {
    /// The tensor's name.
    pub name: String,
    /// The type of its values.
    pub datatype: DataType,
    /// Its dimensions without the batch dimension; −1 stands for any size.
    pub dims: Vec<i64>,
    /// Whether a request may leave this input out.
    pub optional: bool,
}

/// How the server treats the sequences of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SequenceBatching {
    /// How long a sequence stays open without a request.
    pub max_sequence_idle: Duration,
}

impl Default for SequenceBatching {
    /// Triton's default: one second.
    fn default() -> SequenceBatching {
        SequenceBatching {
            max_sequence_idle: Duration::from_secs(1),
        }
    }
}

impl ModelConfig {
    /// A model of that name, without tensors and without batching.
    pub fn new(name: impl Into<String>) -> ModelConfig {
        ModelConfig {
            name: name.into(),
            backend: "python".to_owned(),
            max_batch_size: 0,
            inputs: Vec::new(),
            outputs: Vec::new(),
            sequence_batching: None,
        }
    }

    /// Sets the backend that the metadata names.
    pub fn backend(mut self, backend: impl Into<String>) -> ModelConfig {
        self.backend = backend.into();
        self
    }

    /// Gives every tensor a leading batch dimension of at most that size; 0 takes it away.
    pub fn max_batch_size(mut self, size: usize) -> ModelConfig {
        self.max_batch_size = size;
        self
    }

    /// Adds an input that every request must have.
    pub fn input(
        mut self,
        name: impl Into<String>,
        datatype: DataType,
        dims: impl Into<Vec<i64>>,
    ) -> ModelConfig {
        self.inputs.push(TensorConfig::new(name, datatype, dims));
        self
    }

    /// Adds an input that a request may leave out.
    pub fn optional_input(
        mut self,
        name: impl Into<String>,
        datatype: DataType,
        dims: impl Into<Vec<i64>>,
    ) -> ModelConfig {
        let mut input = TensorConfig::new(name, datatype, dims);
        input.optional = true;
        self.inputs.push(input);
        self
    }

    /// Adds an output.
    pub fn output(
        mut self,
        name: impl Into<String>,
        datatype: DataType,
        dims: impl Into<Vec<i64>>,
    ) -> ModelConfig {
        self.outputs.push(TensorConfig::new(name, datatype, dims));
        self
    }

    /// Makes the model stateful: its requests must belong to sequences.
    pub fn sequence_batching(mut self, batching: SequenceBatching) -> ModelConfig {
        self.sequence_batching = Some(batching);
        self
    }

    /// The tensor's shape as the metadata tells it, with the batch dimension if there is one.
    pub(crate) fn shape_of(&self, tensor: &TensorConfig) -> Vec<i64> {
        let batch = (self.max_batch_size > 0).then_some(-1);
        batch
            .into_iter()
            .chain(tensor.dims.iter().copied())
            .collect()
    }
}

impl TensorConfig {
    fn new(name: impl Into<String>, datatype: DataType, dims: impl Into<Vec<i64>>) -> TensorConfig {
        TensorConfig {
            name: name.into(),
            datatype,
            dims: dims.into(),
            optional: false,
        }
    }
}
