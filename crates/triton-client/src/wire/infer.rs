//! Inference requests and responses as JSON.

use std::collections::BTreeSet;
use std::fmt;

use bytes::{Bytes, BytesMut};
use serde::Deserialize;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::json;

use super::json_data::{self, ElementReader};
use super::{json_tokens, malformed};
use crate::api::infer::{InferRequest, InferResponse, SequenceId};
use crate::error::{Error, ErrorKind, Operation};
use crate::transport::Transport;
use crate::{Datatype, Tensor};

/// The body of `request`.
pub(crate) fn encode(
    transport: &Transport,
    operation: &Operation,
    request: &InferRequest,
) -> Result<Bytes, Error> {
    let mut body = Vec::with_capacity(512);
    body.push(b'{');
    if let Some(id) = &request.id {
        member(&mut body, "id", &json!(id));
    }
    if let Some(sequence) = &request.sequence {
        let id = match &sequence.id {
            SequenceId::Number(number) => json!(number),
            // A string even where it is all digits: the server keeps `5` and `"5"` apart.
            SequenceId::Text(_) => json!(sequence.id.to_string()),
        };
        let parameters = json!({
            "sequence_id": id,
            "sequence_start": sequence.start,
            "sequence_end": sequence.end,
        });
        member(&mut body, "parameters", &parameters);
    }
    body.extend_from_slice(b"\"inputs\":[");
    for (index, tensor) in request.inputs.iter().enumerate() {
        if index > 0 {
            body.push(b',');
        }
        body.push(b'{');
        member(&mut body, "name", &json!(tensor.name()));
        member(&mut body, "shape", &json!(tensor.shape()));
        member(&mut body, "datatype", &json!(tensor.datatype().name()));
        body.extend_from_slice(b"\"data\":");
        json_data::write(&mut body, tensor).map_err(|error| {
            let message = format!("input '{}' cannot be sent: {error}", tensor.name());
            Error::new(
                ErrorKind::InvalidRequest,
                operation,
                &transport.endpoint,
                message,
            )
        })?;
        body.push(b'}');
    }
    body.push(b']');
    if !request.outputs.is_empty() {
        let outputs: Vec<_> = request
            .outputs
            .iter()
            .map(|name| json!({ "name": name }))
            .collect();
        body.extend_from_slice(b",\"outputs\":");
        body.extend_from_slice(json!(outputs).to_string().as_bytes());
    }
    body.push(b'}');
    Ok(body.into())
}

/// Writes `"name":value,`.
fn member(body: &mut Vec<u8>, name: &str, value: &serde_json::Value) {
    body.extend_from_slice(format!("\"{name}\":{value},").as_bytes());
}

/// Reads the answer to `request`.
pub(crate) fn decode(
    transport: &Transport,
    operation: &Operation,
    request: &InferRequest,
    body: &Bytes,
) -> Result<InferResponse, Error> {
    let text = json_tokens::quote(body);
    let unreadable = |error| malformed(transport, operation, body, error);
    // The type of the elements must be known before they are read, and nothing says that it
    // stands before them: so the description of the outputs is read first, then their data.
    let response: ResponseHead = serde_json::from_slice(&text).map_err(unreadable)?;
    let mut data = Vec::new();
    let mut reader = serde_json::Deserializer::from_slice(&text);
    let outputs = OutputsReader(&response.outputs, &mut data);
    outputs.deserialize(&mut reader).map_err(unreadable)?;

    let mut outputs = Vec::with_capacity(data.len());
    for (head, data) in response.outputs.into_iter().zip(data) {
        let data = data.ok_or_else(|| {
            let message = format!("output '{}' has no data", head.name);
            transport.protocol_error(operation, message)
        })?;
        let tensor = Tensor::from_raw(head.name, head.datatype, head.shape, data.freeze());
        outputs.push(tensor.map_err(|error| {
            let message = format!("the answer contradicts itself: {error}");
            transport
                .protocol_error(operation, message)
                .with_source(error)
        })?);
    }
    let present: BTreeSet<&str> = outputs.iter().map(Tensor::name).collect();
    if present.len() < outputs.len() {
        return Err(transport.protocol_error(operation, "an output came twice"));
    }
    if let Some(missing) = request
        .outputs
        .iter()
        .find(|name| !present.contains(name.as_str()))
    {
        let message = format!(
            "the model left out the output '{missing}' that was asked for; it returned: {}",
            present.into_iter().collect::<Vec<_>>().join(", ")
        );
        return Err(transport.protocol_error(operation, message));
    }
    Ok(InferResponse {
        model_name: response.model_name,
        model_version: response.model_version,
        id: response.id,
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
    outputs: Vec<OutputHead>,
}

#[derive(Deserialize)]
struct OutputHead {
    name: String,
    datatype: Datatype,
    shape: Vec<usize>,
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
