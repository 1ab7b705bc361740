//! The control input by which a model has the ID of a sequence handed over: what it is sent as then
//! decides what the model sees.
//!
//! [Control inputs](https://docs.nvidia.com/deeplearning/triton-inference-server/user-guide/docs/user_guide/model_configuration.html#sequence-batcher)

use std::fmt;

use crate::ModelConfig;

/// An input of a model that the server fills with the ID of the request's sequence.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CorrelationIdControl {
    /// The model that has it: the one that was asked for, or a step of it.
    pub model: String,
    /// The name of the input.
    pub input: String,
    /// What the input is of.
    pub id_type: CorrelationIdType,
}

/// The type of a control input for the ID of a sequence.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CorrelationIdType {
    /// A number of 64 bits.
    Uint64,
    /// A number of 64 bits with a sign.
    Int64,
    /// A number of 32 bits: of a larger one the server hands over the last 32 bits.
    Uint32,
    /// A number of 32 bits with a sign: of a larger one the server hands over the last 32 bits.
    Int32,
    /// A text.
    Text,
    /// A type that no known server takes.
    Other(String),
}

impl CorrelationIdType {
    fn new(name: &str) -> Self {
        match name {
            "TYPE_UINT64" => Self::Uint64,
            "TYPE_INT64" => Self::Int64,
            "TYPE_UINT32" => Self::Uint32,
            "TYPE_INT32" => Self::Int32,
            "TYPE_STRING" => Self::Text,
            other => Self::Other(other.to_owned()),
        }
    }

    /// The name as a model's configuration has it.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Uint64 => "TYPE_UINT64",
            Self::Int64 => "TYPE_INT64",
            Self::Uint32 => "TYPE_UINT32",
            Self::Int32 => "TYPE_INT32",
            Self::Text => "TYPE_STRING",
            Self::Other(name) => name,
        }
    }

    /// The largest number that the model sees as it was sent; `None` where it sees no numbers.
    #[must_use]
    pub fn largest(&self) -> Option<u64> {
        match self {
            Self::Uint64 => Some(u64::MAX),
            Self::Int64 => Some(i64::MAX as u64),
            Self::Uint32 => Some(u32::MAX.into()),
            Self::Int32 => Some(i32::MAX as u64),
            Self::Text | Self::Other(_) => None,
        }
    }
}

impl fmt::Display for CorrelationIdType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl fmt::Display for CorrelationIdControl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            model,
            input,
            id_type,
        } = self;
        write!(
            formatter,
            "the control input '{input}' of model '{model}', which is {id_type}"
        )
    }
}

impl ModelConfig {
    /// The inputs that the server fills with the ID of the request's sequence: those of the model,
    /// then those of its [`steps`](Self::steps).
    ///
    /// ```
    /// use triton_protocol::{CorrelationIdType, ModelConfig};
    ///
    /// let config: ModelConfig = serde_json::from_str(r#"{
    ///     "name": "count",
    ///     "sequence_batching": {"control_input": [{
    ///         "name": "CORRID",
    ///         "control": [{"kind": "CONTROL_SEQUENCE_CORRID", "data_type": "TYPE_INT64"}]
    ///     }]}
    /// }"#)?;
    /// let controls = config.correlation_id_controls();
    /// assert_eq!(controls[0].input, "CORRID");
    /// assert_eq!(controls[0].id_type, CorrelationIdType::Int64);
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    #[must_use]
    pub fn correlation_id_controls(&self) -> Vec<CorrelationIdControl> {
        let models = std::iter::once(self).chain(&self.steps);
        models.flat_map(Self::own_controls).collect()
    }

    fn own_controls(&self) -> Vec<CorrelationIdControl> {
        let inputs = self.document()["sequence_batching"]["control_input"].as_array();
        let controls = inputs.into_iter().flatten().flat_map(|input| {
            let controls = input["control"].as_array();
            controls
                .into_iter()
                .flatten()
                .map(move |control| (input, control))
        });
        controls
            .filter(|(_, control)| control["kind"] == "CONTROL_SEQUENCE_CORRID")
            .map(|(input, control)| CorrelationIdControl {
                model: self.name.clone(),
                input: input["name"].as_str().unwrap_or_default().to_owned(),
                id_type: CorrelationIdType::new(control["data_type"].as_str().unwrap_or_default()),
            })
            .collect()
    }
}
