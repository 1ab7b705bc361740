//! Inference responses: JSON, then the tensors that came in binary form.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use bytes::{Bytes, BytesMut};
use serde::Deserialize;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::json_data::ElementReader;
use super::{json_tokens, unreadable};
use crate::{Datatype, InferResponse, Parameter, Tensor};

/// Why an answer is not what the protocol promises.
///
/// ```
/// let error = triton_protocol::InferResponse::decode("{}".into(), None).unwrap_err();
/// assert!(error.to_string().contains("missing field `outputs`"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DecodeError(String);

/// Reads a whole body.
pub(crate) fn response(
    body: Bytes,
    json_length: Option<usize>,
) -> Result<InferResponse, DecodeError> {
    let mut json = body;
    let length = json_length.unwrap_or(json.len());
    if length > json.len() {
        return Err(DecodeError(format!(
            "the answer says that {length} of its bytes are JSON, and has {} in all",
            json.len()
        )));
    }
    let mut binary = json.split_off(length);
    let text = json_tokens::quote(&json);
    let unreadable = |error| DecodeError(unreadable(&json, &error));
    // The type of the elements must be known before they are read, and nothing says that it
    // stands before them: so the description of the outputs is read first, then their data.
    let response: ResponseHead = serde_json::from_slice(&text).map_err(unreadable)?;
    let mut data = Vec::new();
    if response.outputs.iter().any(OutputHead::is_json) {
        let mut reader = serde_json::Deserializer::from_slice(&text);
        let outputs = OutputsReader(&response.outputs, &mut data);
        outputs.deserialize(&mut reader).map_err(unreadable)?;
    }
    let mut data = data.into_iter();
    let mut outputs = Vec::with_capacity(response.outputs.len());
    for head in response.outputs {
        let json_data = data.next().flatten();
        let elements = match (json_data, head.binary_size()) {
            (Some(elements), _) => elements.freeze(),
            (None, Some(size)) if size <= binary.len() => binary.split_to(size),
            (None, Some(size)) => {
                return Err(DecodeError(format!(
                    "output '{}' has {size} bytes of binary data, and the answer only {} more",
                    head.name,
                    binary.len()
                )));
            }
            (None, None) => return Err(DecodeError(format!("output '{}' has no data", head.name))),
        };
        let tensor = Tensor::from_raw(head.name, head.datatype, head.shape, elements);
        outputs.push(
            tensor
                .map_err(|error| DecodeError(format!("the answer contradicts itself: {error}")))?,
        );
    }
    if !binary.is_empty() {
        return Err(DecodeError(format!(
            "the answer has {} bytes more than its outputs",
            binary.len()
        )));
    }
    let names: BTreeSet<&str> = outputs.iter().map(Tensor::name).collect();
    if names.len() < outputs.len() {
        return Err(DecodeError("an output came twice".to_owned()));
    }
    Ok(InferResponse {
        model_name: response.model_name,
        model_version: response.model_version,
        id: response.id,
        parameters: response
            .parameters
            .into_iter()
            .filter_map(|(name, value)| match value {
                ReturnedParameter::Known(value) => Some((name, value)),
                ReturnedParameter::Other(_) => None,
            })
            .collect(),
        outputs,
    })
}

#[derive(Deserialize)]
struct ResponseHead {
    #[serde(default)]
    model_name: String,
    #[serde(default)]
    model_version: String,
    id: Option<String>,
    #[serde(default)]
    parameters: BTreeMap<String, ReturnedParameter>,
    outputs: Vec<OutputHead>,
}

/// What a server that is newer than the protocol sends as a parameter is no reason to fail.
#[derive(Deserialize)]
#[serde(untagged)]
enum ReturnedParameter {
    Known(Parameter),
    Other(IgnoredAny),
}

#[derive(Deserialize)]
struct OutputHead {
    name: String,
    datatype: Datatype,
    shape: Vec<usize>,
    parameters: Option<OutputParameters>,
}

#[derive(Deserialize)]
struct OutputParameters {
    binary_data_size: Option<usize>,
}

impl OutputHead {
    fn binary_size(&self) -> Option<usize> {
        self.parameters.as_ref()?.binary_data_size
    }

    fn is_json(&self) -> bool {
        self.binary_size().is_none()
    }
}

/// Reads only the `data` of each output of a response.
struct OutputsReader<'a>(&'a [OutputHead], &'a mut Vec<Option<BytesMut>>);

impl<'de> DeserializeSeed<'de> for OutputsReader<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for OutputsReader<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an inference response")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let Self(heads, data) = self;
        while let Some(name) = members.next_key::<String>()? {
            if name == "outputs" {
                members.next_value_seed(OutputsReader(heads, &mut *data))?;
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut outputs: A) -> Result<(), A::Error> {
        let Self(heads, data) = self;
        for head in heads {
            let Some(elements) = outputs.next_element_seed(OutputReader(head))? else {
                break;
            };
            data.push(elements);
        }
        while outputs.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }
}

/// Reads the `data` of one output.
struct OutputReader<'a>(&'a OutputHead);

impl<'de> DeserializeSeed<'de> for OutputReader<'_> {
    type Value = Option<BytesMut>;

    fn deserialize<D>(self, deserializer: D) -> Result<Self::Value, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for OutputReader<'_> {
    type Value = Option<BytesMut>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "the output '{}'", self.0.name)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut data = None;
        while let Some(name) = members.next_key::<String>()? {
            if name == "data" {
                let elements = data.insert(BytesMut::new());
                members.next_value_seed(ElementReader {
                    datatype: self.0.datatype,
                    data: elements,
                })?;
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(data)
    }
}
