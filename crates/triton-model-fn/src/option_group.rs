//! Options that only some functions serve, and what is said to those who set others.

use triton_options::{
    BATCH_SIZE, BATCH_TIMEOUT, CACHE_MAX_BYTES, DECOUPLED, DEFAULT_VALUE, FLATTEN_BATCH_DIM,
    INPUT_NAMES, MODEL_MAX_BATCH_SIZE, ON_ERROR, OUTPUT_NAMES, OnError, OptionDefinition, PRIORITY,
    SEQUENCE_END, SEQUENCE_ID, SEQUENCE_ID_AUTO_INCREMENT, SEQUENCE_ID_COUNTER_INIT_STRATEGY,
    SEQUENCE_ID_SCOPE, SEQUENCE_ID_TYPE, SEQUENCE_START, SERVER_TIMEOUT, TENSOR_FORMAT,
    TritonOptions,
};

use crate::{Error, ErrorKind};

/// Options that a function may serve, or not.
///
/// All other options are served by [`FunctionBase`](crate::FunctionBase) itself, for every function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OptionGroup {
    /// Which tensors columns are: `input-names`, `output-names`, `flatten-batch-dim` and
    /// `model-max-batch-size`. [`TensorCodec`](crate::TensorCodec) serves them.
    Columns,
    /// What goes with each request for inference: `priority`, `server-timeout` and `tensor-format`.
    /// [`RowCall::infer`](crate::RowCall::infer) serves them.
    Inference,
    /// Sequence IDs: `sequence-id`, those that begin with `sequence-id-`, `sequence-start` and
    /// `sequence-end`. [`RowCall::infer`](crate::RowCall::infer) serves them; who makes calls of its own
    /// sends [`RowCall::sequence`](crate::RowCall::sequence).
    Sequences,
    /// A sequence for each key: `sequence-key`, and all others that begin with `sequence-`.
    SequenceKeys,
    /// Several rows in a request: `batch-size` and `batch-timeout`.
    Batching,
    /// What stands in for an answer that could not be had: `default-value` and `on-error`.
    Failures,
    /// Answers that are kept: `cache-max-bytes`.
    Cache,
    /// Rows with any number of answers: `decoupled`.
    Streams,
}

impl OptionGroup {
    /// Every group.
    pub const ALL: &'static [OptionGroup] = &[
        OptionGroup::Columns,
        OptionGroup::Inference,
        OptionGroup::Sequences,
        OptionGroup::SequenceKeys,
        OptionGroup::Batching,
        OptionGroup::Failures,
        OptionGroup::Cache,
        OptionGroup::Streams,
    ];

    /// The group of an option; `None` for one that every function serves.
    ///
    /// ```
    /// use triton_model_fn::OptionGroup;
    /// use triton_model_fn::triton_options::{BATCH_SIZE, MAX_RETRIES};
    ///
    /// assert_eq!(OptionGroup::of(BATCH_SIZE.definition()), Some(OptionGroup::Batching));
    /// assert_eq!(OptionGroup::of(MAX_RETRIES.definition()), None);
    /// ```
    #[must_use]
    pub fn of(option: &OptionDefinition) -> Option<Self> {
        const COLUMNS: [&str; 4] = [
            FLATTEN_BATCH_DIM.key(),
            INPUT_NAMES.key(),
            OUTPUT_NAMES.key(),
            MODEL_MAX_BATCH_SIZE.key(),
        ];
        const INFERENCE: [&str; 3] = [PRIORITY.key(), SERVER_TIMEOUT.key(), TENSOR_FORMAT.key()];
        const SEQUENCES: [&str; 7] = [
            SEQUENCE_ID.key(),
            SEQUENCE_ID_AUTO_INCREMENT.key(),
            SEQUENCE_ID_COUNTER_INIT_STRATEGY.key(),
            SEQUENCE_ID_SCOPE.key(),
            SEQUENCE_ID_TYPE.key(),
            SEQUENCE_START.key(),
            SEQUENCE_END.key(),
        ];
        const BATCHING: [&str; 2] = [BATCH_SIZE.key(), BATCH_TIMEOUT.key()];
        const FAILURES: [&str; 2] = [DEFAULT_VALUE.key(), ON_ERROR.key()];
        let key = option.key;
        match key {
            _ if COLUMNS.contains(&key) => Some(OptionGroup::Columns),
            _ if INFERENCE.contains(&key) => Some(OptionGroup::Inference),
            _ if SEQUENCES.contains(&key) => Some(OptionGroup::Sequences),
            _ if key.starts_with("sequence-") => Some(OptionGroup::SequenceKeys),
            _ if BATCHING.contains(&key) => Some(OptionGroup::Batching),
            _ if FAILURES.contains(&key) => Some(OptionGroup::Failures),
            _ if key == CACHE_MAX_BYTES.key() => Some(OptionGroup::Cache),
            _ if key == DECOUPLED.key() => Some(OptionGroup::Streams),
            _ => None,
        }
    }

    /// Refuses options of groups that are not `served` and say something else than their default.
    pub(crate) fn check(
        function: &str,
        options: &TritonOptions,
        served: &[OptionGroup],
    ) -> Result<(), Error> {
        let is_served =
            |definition| Self::of(definition).is_none_or(|group| served.contains(&group));
        let has_key = options.sequence_key.is_some();
        let set = options.entries().filter(|(definition, value)| {
            let default = definition.default_value(has_key);
            let default = default.and_then(|text| definition.canonical(text).ok());
            // A default value alone sets it, and is named itself.
            let is_implied =
                definition.key == ON_ERROR.key() && options.on_error == OnError::Default;
            !is_served(definition) && *value != default && !is_implied
        });
        let refused = |(definition, value): (&OptionDefinition, Option<String>)| {
            format!("'{}' = '{}'", definition.key, value.unwrap_or_default())
        };
        let refused: Vec<String> = set.map(refused).collect();
        if refused.is_empty() {
            return Ok(());
        }
        let (options, them) = match refused.len() {
            1 => ("the option", "it"),
            _ => ("the options", "them"),
        };
        let message = format!(
            "{function} does not serve {options} {}, and would ignore {them}: leave {them} out, or \
             use a function that serves {them}, as InferenceFunction does",
            refused.join(", ")
        );
        Err(Error::new(ErrorKind::Options, message))
    }
}
