//! `…/generate` and `…/generate_stream`: inference in flat JSON.

use crate::compression::Encoding;
use crate::error::ApiError;
use crate::http::{Reply, Request};
use crate::infer::{Queued, submit};
use crate::inference_answer::{check_size, wanted};
use crate::inference_request::{InferenceRequest, InputData, InputTensor, read_document};
use crate::json::Json;
use crate::json_tensor::{read_value_or_list, write_values};
use crate::metadata::VERSION;
use crate::model_config::{ModelConfig, TensorConfig};
use crate::scheduler::stopped;
use crate::server_state::Server;

/// Reads and queues a request.
pub(crate) fn enqueue(
    server: &Server,
    request: &Request,
    name: &str,
    version: Option<&str>,
) -> Result<Queued, ApiError> {
    let model = server.repository.find(name, version)?;
    let encoding = Encoding::of_request(request.header("content-encoding"));
    if encoding != Some(Encoding::Identity) {
        return Err(ApiError::bad_request(
            "Unsupported content-encoding, only 'identity' is supported.",
        ));
    }
    let inference = read(&model.config, &read_document(&request.body)?)?;
    submit(server, model, inference, Default::default())
}

/// Waits for the model's answer and renders it, as an event where the request asks for a stream.
pub(crate) async fn finish(
    server: &Server,
    queued: Queued,
    stream: bool,
) -> Result<Reply, ApiError> {
    let outcome = queued.answer.await.map_err(|_| stopped())?;
    server.guard(|| {
        let document = outcome.and_then(|tensors| {
            let mut members = Vec::new();
            for tensor in wanted(&queued.model.config, tensors) {
                check_size(&tensor)?;
                let values = match write_values(tensor.data)? {
                    Json::Array(mut values) if values.len() == 1 => values.remove(0),
                    values => values,
                };
                members.push((tensor.name.into_bytes(), values));
            }
            if !queued.asked.id.is_empty() {
                members.push((b"id".to_vec(), Json::text(&queued.asked.id)));
            }
            let model = Json::text(&queued.model.config.name);
            members.push((b"model_name".to_vec(), model));
            members.push((b"model_version".to_vec(), Json::text(VERSION.to_string())));
            // The real server gathers the members in a sorted map.
            members.sort_by(|(first, _), (second, _)| first.cmp(second));
            Ok(Json::Object(members))
        });
        // The real server has lost the kind of a model's error by the time it needs a status.
        let (status, document) = match document {
            Ok(document) => (200, document),
            Err(error) => (400, error.document()),
        };
        let mut reply = match stream {
            true => {
                let event = [b"data: ", &document.to_bytes()[..], b"\n\n"].concat();
                Reply::new(status, "text/event-stream; charset=utf-8", event)
            }
            false => Reply::new(status, "application/json", document.to_bytes()),
        };
        reply.chunked = true;
        Ok(reply)
    })
}

/// Keys that are inputs become tensors, every other one a parameter; those in `parameters` count
/// like the others.
fn read(config: &ModelConfig, document: &Json) -> Result<InferenceRequest, ApiError> {
    let mut request = InferenceRequest::default();
    request.read_id(document)?;
    read_members(config, document, &mut request, true)?;
    Ok(request)
}

fn read_members(
    config: &ModelConfig,
    document: &Json,
    request: &mut InferenceRequest,
    outermost: bool,
) -> Result<(), ApiError> {
    for (key, _) in document.as_object().map_err(ApiError::internal_from)? {
        // Of two equal keys the first is read twice, as the real server looks it up by name.
        let name = String::from_utf8_lossy(key);
        let Some(value) = document.get(&name) else {
            continue;
        };
        match config.inputs.iter().find(|input| input.name == name) {
            Some(input) => {
                let tensor = read_input(config, input, value)?;
                request.check_unique(key)?;
                request.inputs.push(tensor);
            }
            None if outermost && key == b"parameters" => {
                if value.as_object().is_err() {
                    return Err(ApiError::internal(
                        "Expected JSON object for keyword: 'parameters': attempt to access JSON \
                         non-object as object",
                    ));
                }
                let prefix = |error: ApiError| {
                    let text = b"Converting keyword: 'parameters': ";
                    ApiError::new(error.status, [text, &error.text[..]].concat())
                };
                read_members(config, value, request, false).map_err(prefix)?;
            }
            None => request.add_custom_parameter(key, value)?,
        }
    }
    Ok(())
}

fn read_input(
    config: &ModelConfig,
    input: &TensorConfig,
    value: &Json,
) -> Result<InputTensor, ApiError> {
    let count = value.as_array().map_or(1, <[Json]>::len);
    let shape = deduce_shape(&config.shape_of(input), count as u64).ok_or_else(|| {
        ApiError::bad_request(format!(
            "The schema can not convert input '{}' to tensor with proper shape",
            input.name
        ))
    })?;
    let values = read_value_or_list(input.name.as_bytes(), input.datatype, count, value)?;
    Ok(InputTensor {
        name: input.name.clone().into_bytes(),
        datatype: input.datatype,
        shape,
        data: InputData::Values(values),
    })
}

/// Gives the innermost dimension of variable size all that the fixed ones do not hold, and the
/// others 1.
fn deduce_shape(shape: &[i64], count: u64) -> Option<Vec<u64>> {
    let mut left = count;
    for size in shape.iter().filter_map(|size| u64::try_from(*size).ok()) {
        if left.checked_rem(size)? != 0 {
            return None;
        }
        left /= size;
    }
    let mut deduced: Vec<u64> = shape
        .iter()
        .rev()
        .map(|size| u64::try_from(*size).unwrap_or_else(|_| std::mem::replace(&mut left, 1)))
        .collect();
    deduced.reverse();
    (left == 1).then_some(deduced)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_variable_dimension_takes_what_is_left() {
        assert_eq!(deduce_shape(&[-1, -1], 3), Some(vec![1, 3]));
        assert_eq!(deduce_shape(&[-1, 2], 6), Some(vec![3, 2]));
        assert_eq!(deduce_shape(&[-1, 2], 3), None);
        assert_eq!(deduce_shape(&[2], 4), None);
        assert_eq!(deduce_shape(&[-1, -1], 0), Some(vec![1, 0]));
    }
}
