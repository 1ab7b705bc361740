//! The answer to an inference request: JSON, with binary tensors behind it where they were asked
//! for.

use crate::binary_tensor;
use crate::error::ApiError;
use crate::http::Reply;
use crate::inference_request::{InferenceRequest, RequestedOutput};
use crate::json::Json;
use crate::json_tensor::{as_doubles, write_values};
use crate::metadata::VERSION;
use crate::model_config::ModelConfig;
use crate::tensor::{Tensor, TensorData};

/// What of a request its answer depends on.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    pub(crate) id: Vec<u8>,
    outputs: Vec<RequestedOutput>,
    binary_data_output: bool,
}

impl Asked {
    pub(crate) fn of(request: &InferenceRequest) -> Asked {
        Asked {
            id: request.id.clone(),
            outputs: request.outputs.clone(),
            binary_data_output: request.binary_data_output,
        }
    }

    /// How the output of that name is wanted, if it is.
    fn output(&self, name: &str) -> Option<RequestedOutput> {
        match self.outputs[..] {
            [] => Some(RequestedOutput {
                name: name.into(),
                binary: self.binary_data_output,
                classes: 0,
            }),
            _ => {
                let mut outputs = self.outputs.iter();
                outputs
                    .find(|output| output.name == name.as_bytes())
                    .cloned()
            }
        }
    }
}

/// Those of the model's outputs that were asked for, in the model's order.
pub(crate) fn render(
    config: &ModelConfig,
    asked: &Asked,
    tensors: Vec<Tensor>,
) -> Result<Reply, ApiError> {
    let mut outputs = Vec::new();
    let mut binary = Vec::new();
    for tensor in wanted(config, tensors) {
        let Some(output) = asked.output(&tensor.name) else {
            continue;
        };
        let tensor = match output.classes {
            0 => tensor,
            classes => classify(config, &tensor, classes)?,
        };
        outputs.push(write_output(tensor, output.binary, &mut binary)?);
    }
    let mut members = Vec::new();
    if !asked.id.is_empty() {
        members.push((b"id".to_vec(), Json::text(&asked.id)));
    }
    members.push((b"model_name".to_vec(), Json::text(&config.name)));
    members.push((b"model_version".to_vec(), Json::text(VERSION.to_string())));
    members.push((b"outputs".to_vec(), Json::Array(outputs)));
    let mut body = Json::Object(members).to_bytes();
    if binary.is_empty() {
        return Ok(Reply::new(200, "application/json", body));
    }
    let header_length = body.len().to_string();
    body.extend(binary);
    let reply = Reply::new(200, "application/octet-stream", body);
    Ok(reply.with_header("Inference-Header-Content-Length", header_length))
}

/// The tensors that the configuration names.
pub(crate) fn wanted(config: &ModelConfig, tensors: Vec<Tensor>) -> impl Iterator<Item = Tensor> {
    tensors.into_iter().filter(|tensor| {
        let mut outputs = config.outputs.iter();
        outputs.any(|output| output.name == tensor.name)
    })
}

fn write_output(tensor: Tensor, binary: bool, tail: &mut Vec<u8>) -> Result<Json, ApiError> {
    check_size(&tensor)?;
    let datatype = tensor.data.datatype();
    let name = Json::text(&tensor.name);
    let shape = Json::array(tensor.shape.iter().map(|size| *size as u64));
    let values = match binary {
        true => {
            let bytes = binary_tensor::to_bytes(&tensor.data);
            let size = Json::Unsigned(bytes.len() as u64);
            tail.extend(bytes);
            ("parameters", Json::object([("binary_data_size", size)]))
        }
        false => ("data", write_values(tensor.data)?),
    };
    Ok(Json::object([
        ("name", name),
        ("datatype", Json::text(datatype.protocol_name())),
        ("shape", shape),
        values,
    ]))
}

/// A model's mistake, which the real backends cannot make and Rust's types do not prevent.
pub(crate) fn check_size(tensor: &Tensor) -> Result<(), ApiError> {
    let values = tensor.data.len();
    let expected = tensor
        .shape
        .iter()
        .fold(1, |product: usize, size| product.saturating_mul(*size));
    match values == expected {
        true => Ok(()),
        false => Err(ApiError::internal(format!(
            "output '{}' of shape {:?} holds {values} values instead of {expected}",
            tensor.name, tensor.shape
        ))),
    }
}

/// The highest values of each entry of the batch, as `VALUE:INDEX`.
///
/// Where the real server is asked for classes of strings it crashes; this one says no.
fn classify(config: &ModelConfig, tensor: &Tensor, classes: u64) -> Result<Tensor, ApiError> {
    check_size(tensor)?;
    let Some(values) = as_doubles(&tensor.data) else {
        return Err(ApiError::bad_request(format!(
            "output '{}' of {} values cannot be classified",
            tensor.name,
            tensor.data.datatype()
        )));
    };
    let batch = match (config.max_batch_size, tensor.shape.first()) {
        (1.., Some(batch)) => Some(*batch),
        _ => None,
    };
    let per_entry = values.len() / batch.unwrap_or(1).max(1);
    let shown = usize::try_from(classes).map_or(per_entry, |classes| classes.min(per_entry));
    let mut texts = Vec::new();
    for entry in values.chunks(per_entry.max(1)) {
        let mut order: Vec<usize> = (0..entry.len()).collect();
        order.sort_by(|a, b| entry[*b].total_cmp(&entry[*a]));
        let is_integer = !matches!(tensor.data, TensorData::Fp32(_) | TensorData::Fp64(_));
        texts.extend(order.into_iter().take(shown).map(|index| match is_integer {
            true => format!("{}:{index}", entry[index]),
            false => format!("{:.6}:{index}", entry[index]),
        }));
    }
    let shape: Vec<usize> = batch.into_iter().chain([shown]).collect();
    Ok(Tensor::new(tensor.name.clone(), shape, texts))
}
