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
    /// Present for a model that is told the ID of a sequence as a tensor.
    pub correlation_id_control: Option<CorrelationIdControl>,
    /// Present for a model without state whose waiting requests are executed together.
    pub dynamic_batching: Option<DynamicBatching>,
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
///
/// ```
/// use std::time::Duration;
/// use triton_embedded::{SequenceBatching, SequenceStrategy};
///
/// let batching = SequenceBatching {
///     max_sequence_idle: Duration::from_secs(5),
///     strategy: SequenceStrategy::Oldest { max_candidate_sequences: 256 },
/// };
/// # drop(batching);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SequenceBatching {
    /// How long a sequence stays open without a request.
    pub max_sequence_idle: Duration,
    /// How many sequences may be open at once.
    pub strategy: SequenceStrategy,
}

/// The input by which the server tells a model the ID of a sequence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CorrelationIdControl {
    /// The input's name.
    pub name: String,
    /// The type of its value; one of those that [`ModelConfig::correlation_id_control`] names.
    pub datatype: DataType,
}

/// Triton's strategies of sequence batching, which here differ in the number of candidate slots.
/// A sequence that starts while all are taken waits, without limit, until another one ends or
/// has been idle for too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SequenceStrategy {
    /// One slot for each request that a batch can hold.
    Direct,
    /// As many slots as it says.
    Oldest {
        /// The number of slots.
        max_candidate_sequences: usize,
    },
}

impl Default for SequenceBatching {
    /// Triton's defaults: one second, and `Direct`.
    fn default() -> SequenceBatching {
        SequenceBatching {
            max_sequence_idle: Duration::from_secs(1),
            strategy: SequenceStrategy::Direct,
        }
    }
}

/// How the server treats the waiting requests of a model without state.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DynamicBatching {
    /// How long a request may wait for others to be executed with.
    pub max_queue_delay: Duration,
    /// How many priorities there are, 1 being the highest; 0 for none.
    pub priority_levels: u64,
    /// The priority of a request that names none or one that does not exist.
    pub default_priority_level: u64,
    /// What the queue takes, and for how long.
    pub queue_policy: QueuePolicy,
}

/// The limits of a queue; none by default.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct QueuePolicy {
    /// How many requests may wait; 0 for any number.
    pub max_queue_size: usize,
    /// How long a request may wait; zero for ever. Checked when its turn comes.
    pub default_timeout: Duration,
    /// Whether a request may shorten that time, with its parameter `timeout`.
    pub allow_timeout_override: bool,
    /// What happens to a request whose time is over.
    pub timeout_action: TimeoutAction,
}

/// What happens to a request that has waited for too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TimeoutAction {
    /// It is answered with status 503.
    #[default]
    Reject,
    /// It executes once nothing else waits.
    Delay,
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
            correlation_id_control: None,
            dynamic_batching: None,
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

    /// Tells the model the ID of each request's sequence as an input of that name, as a control
    /// `CONTROL_SEQUENCE_CORRID` does. Triton has such controls of UINT64, INT64, UINT32, INT32
    /// and BYTES, and fills each of them by copying bytes: what a model sees of an ID that does
    /// not fit is on the page of this server.
    ///
    /// ```
    /// use triton_embedded::{DataType, ModelConfig, SequenceBatching};
    ///
    /// let config = ModelConfig::new("tracker")
    ///     .sequence_batching(SequenceBatching::default())
    ///     .correlation_id_control("CORRID", DataType::Uint64);
    /// # drop(config);
    /// ```
    pub fn correlation_id_control(
        mut self,
        name: impl Into<String>,
        datatype: DataType,
    ) -> ModelConfig {
        self.correlation_id_control = Some(CorrelationIdControl {
            name: name.into(),
            datatype,
        });
        self
    }

    /// Executes waiting requests of a stateless model together, up to the largest batch.
    pub fn dynamic_batching(mut self, batching: DynamicBatching) -> ModelConfig {
        self.dynamic_batching = Some(batching);
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
    pub(crate) fn new(
        name: impl Into<String>,
        datatype: DataType,
        dims: impl Into<Vec<i64>>,
    ) -> TensorConfig {
        TensorConfig {
            name: name.into(),
            datatype,
            dims: dims.into(),
            optional: false,
        }
    }
}
