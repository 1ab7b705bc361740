//! Parameters: named scalars that travel beside the tensors, in both directions.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// The value of a parameter: the server knows scalars only
/// ([protocol](https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_parameters.md)).
///
/// ```
/// use triton_protocol::Parameter;
///
/// assert_eq!(Parameter::from("en"), Parameter::Text("en".to_owned()));
/// assert_eq!(Parameter::from(7), Parameter::Integer(7));
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
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

    /// The scalar that a JSON value is; `None` where it is none.
    pub(crate) fn of_json(value: Value) -> Option<Self> {
        match value {
            Value::Bool(value) => Some(Self::Bool(value)),
            Value::String(text) => Some(Self::Text(text)),
            Value::Number(number) => {
                let whole = number.as_i64().map(Self::Integer);
                let whole = whole.or_else(|| number.as_u64().map(Self::Unsigned));
                whole.or_else(|| number.as_f64().map(Self::Double))
            }
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        }
    }
}

impl<'de> Deserialize<'de> for Parameter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ParameterVisitor)
    }
}

struct ParameterVisitor;

impl<'de> Visitor<'de> for ParameterVisitor {
    type Value = Parameter;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a truth value, a number or a text")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Parameter, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Parameter, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Parameter, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Parameter, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Parameter, E> {
        Ok(value.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Parameter, A::Error> {
        // Where any crate of a program has serde_json keep numbers as they are written, its
        // numbers look like maps to all but its own types.
        match Value::deserialize(MapAccessDeserializer::new(map))? {
            number @ Value::Number(_) => Parameter::of_json(number),
            _ => None,
        }
        .ok_or_else(|| A::Error::custom("expected a truth value, a number or a text, found a map"))
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

/// The parameters that a server sends, without those that are no scalars: what a server that is
/// newer than the protocol, or another than Triton, sends is no reason to fail.
pub(crate) fn parameters<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, Parameter>, D::Error> {
    let returned: Option<Returned> = Option::deserialize(deserializer)?;
    Ok(returned.unwrap_or_default().0)
}

/// Those parameters.
#[derive(Default)]
struct Returned(BTreeMap<String, Parameter>);

impl<'de> Deserialize<'de> for Returned {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ReturnedVisitor)
    }
}

struct ReturnedVisitor;

impl<'de> Visitor<'de> for ReturnedVisitor {
    type Value = Returned;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("parameters")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Returned, A::Error> {
        let mut returned = BTreeMap::new();
        while let Some((name, value)) = map.next_entry::<String, Value>()? {
            if !add_returned(&mut returned, name.clone(), Parameter::of_json(value)) {
                let text = format_args!("{ONE_VALUE}, found another one of '{name}'");
                return Err(A::Error::custom(text));
            }
        }
        Ok(Returned(scalars(returned)))
    }
}

/// What is expected of parameters that are returned.
pub(crate) const ONE_VALUE: &str = "expected one value of a parameter";

/// Adds a parameter, unless it is there with another value: which of the two holds is for nobody to
/// say. A real server says the place in a sequence once for each output of an ensemble.
pub(crate) fn add_returned(
    returned: &mut BTreeMap<String, Option<Parameter>>,
    name: String,
    value: Option<Parameter>,
) -> bool {
    match (returned.get(&name), &value) {
        (Some(Some(known)), Some(value)) => known.is_same(value),
        (Some(None), None) => true,
        (Some(_), _) => false,
        (None, _) => {
            returned.insert(name, value);
            true
        }
    }
}

/// Those values that are scalars.
pub(crate) fn scalars(
    returned: BTreeMap<String, Option<Parameter>>,
) -> BTreeMap<String, Parameter> {
    let known = returned.into_iter();
    known
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
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
