//! Parameters: named scalars that travel beside the tensors, in both directions.

use std::collections::BTreeMap;

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize};

/// The value of a parameter: the server knows scalars only
/// ([protocol](https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_parameters.md)).
///
/// ```
/// use triton_protocol::Parameter;
///
/// assert_eq!(Parameter::from("en"), Parameter::Text("en".to_owned()));
/// assert_eq!(Parameter::from(7), Parameter::Integer(7));
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Parameter {
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// A whole number beyond the range of `Integer`.
    Unsigned(u64),
    /// Any other number.
    Double(f64),
    /// A text.
    Text(String),
}

impl Parameter {
    /// Whether the two are one and the same value, NaN included.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Double(value), Self::Double(other)) => value.to_bits() == other.to_bits(),
            _ => self == other,
        }
    }
}

impl From<bool> for Parameter {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i32> for Parameter {
    fn from(value: i32) -> Self {
        Self::Integer(value.into())
    }
}

impl From<i64> for Parameter {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<u64> for Parameter {
    fn from(value: u64) -> Self {
        i64::try_from(value).map_or(Self::Unsigned(value), Self::Integer)
    }
}

impl From<f64> for Parameter {
    fn from(value: f64) -> Self {
        Self::Double(value)
    }
}

impl From<&str> for Parameter {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Parameter {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

/// What a server that is newer than the protocol, or another than Triton, sends as a parameter is no
/// reason to fail.
#[derive(Deserialize)]
#[serde(untagged)]
enum ReturnedParameter {
    Known(Parameter),
    Other(IgnoredAny),
}

/// The parameters that a server sends, without those that are no scalars.
pub(crate) fn parameters<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, Parameter>, D::Error> {
    let returned: Option<BTreeMap<String, ReturnedParameter>> = Option::deserialize(deserializer)?;
    let known = |(name, value)| match value {
        ReturnedParameter::Known(value) => Some((name, value)),
        ReturnedParameter::Other(_) => None,
    };
    Ok(returned.into_iter().flatten().filter_map(known).collect())
}

/// Those parameters.
#[derive(Deserialize, Default)]
#[serde(transparent)]
pub(crate) struct ReturnedParameters {
    #[serde(deserialize_with = "parameters")]
    pub(crate) known: BTreeMap<String, Parameter>,
}

/// Why a tensor may not bear a parameter of this name; `None` where it may.
pub(crate) fn tensor_name_fault(name: &str) -> Option<&'static str> {
    const OWN: &[&str] = &[
        "binary_data_size",
        "binary_data",
        "classification",
        "shared_memory_region",
        "shared_memory_offset",
        "shared_memory_byte_size",
    ];
    OWN.contains(&name)
        .then_some("says how the tensor travels, which is for the client to say")
}

/// Why a request may not bear a parameter of this name; `None` where it may.
pub(crate) fn name_fault(name: &str) -> Option<&'static str> {
    const OWN: &[&str] = &[
        "sequence_id",
        "sequence_start",
        "sequence_end",
        "priority",
        "timeout",
        "binary_data_output",
    ];
    if OWN.contains(&name) {
        Some("has a setter of its own")
    } else if name.starts_with("triton_") {
        Some("begins with 'triton_', which the server keeps for itself")
    } else {
        None
    }
}

/// Why the server would not take this value; `None` where it would.
pub(crate) fn value_fault(value: &Parameter) -> Option<&'static str> {
    match value {
        Parameter::Double(number) if !number.is_finite() => Some("is no finite number"),
        _ => None,
    }
}
