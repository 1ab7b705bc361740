//! The way of an inference request: recorded, read, validated, executed, answered.

use axum::body::{Body, to_bytes};
use axum::http::header::CONTENT_ENCODING;
use axum::http::request;

use crate::error::{ApiError, ContentType};
use crate::inference_request::InferenceRequest;
use crate::json::Json;
use crate::json_tensor::write_tensor;
use crate::metadata::VERSION;
use crate::model_config::ModelConfig;
use crate::model_instance::{Answer, ModelInstance};
use crate::recorded::{Record, RecordedRequest};
use crate::router::{Server, Success};
use crate::tensor::Tensor;

/// Answers a request to an `…/infer` path; `allowed` says whether its method is.
///
/// Dropping the future, as happens when the client disconnects, does not take back an execution
/// once the whole body has arrived.
pub(crate) async fn infer(
    server: &Server,
    parts: &request::Parts,
    body: Body,
    name: &str,
    version: Option<&str>,
    allowed: Result<(), ApiError>,
) -> Result<Success, ApiError> {
    let body = to_bytes(body, usize::MAX)
        .await
        .map_err(|_| ApiError::bad_request("the body did not arrive"))?;
    // Between here and the queue nothing awaits, so the record has the order of execution.
    let mut recorded = describe(parts, name, version);
    recorded.body = body.clone();
    let record = server.recorder.arrived(recorded);
    let queued = server.guard(|| {
        allowed?;
        let model = server
            .model(name, version)
            .map_err(|error| error.with_content_type(ContentType::Plain))?;
        check_headers(parts)?;
        enqueue(server, model, &record, &body)
    });
    let outcome = match queued {
        Ok(queued) => finish(server, queued).await,
        Err(error) => Err(error),
    };
    let status = outcome.as_ref().map_or_else(|error| error.status, |_| 200);
    server
        .recorder
        .update(&record, |request| request.status = Some(status));
    outcome
}

/// What is left to do once the model has answered.
struct Queued<'server> {
    answer: Answer,
    config: &'server ModelConfig,
    id: Vec<u8>,
    outputs: Vec<Vec<u8>>,
}

fn enqueue<'server>(
    server: &Server,
    model: &'server ModelInstance,
    record: &Record,
    body: &[u8],
) -> Result<Queued<'server>, ApiError> {
    let mut request = InferenceRequest::default();
    let read = request.read(body);
    server.recorder.update(record, |recorded| {
        recorded.sequence_id = request.sequence_id.clone();
        recorded.sequence_start = request.sequence_start;
        recorded.sequence_end = request.sequence_end;
    });
    read?;
    let batch_size = crate::validation::validate(&model.config, &request)?;
    let id = request.id.clone();
    let outputs = std::mem::take(&mut request.outputs);
    let answer = model.enqueue(
        request.into_model_request(),
        batch_size,
        server.clock.now(),
        record.executed.clone(),
    )?;
    Ok(Queued {
        answer,
        config: &model.config,
        id,
        outputs,
    })
}

async fn finish(server: &Server, queued: Queued<'_>) -> Result<Success, ApiError> {
    let Queued {
        answer,
        config,
        id,
        outputs,
    } = queued;
    let tensors = answer
        .await
        .map_err(|_| ApiError::new(503, "the server is stopping"))??;
    server.guard(|| render(config, &id, &outputs, tensors))
}

/// The answer in JSON: those of the model's outputs that were asked for, in the model's order.
fn render(
    config: &ModelConfig,
    id: &[u8],
    asked: &[Vec<u8>],
    tensors: Vec<Tensor>,
) -> Result<Success, ApiError> {
    let mut outputs = Vec::new();
    for tensor in tensors {
        let known = config
            .outputs
            .iter()
            .any(|output| output.name == tensor.name);
        let wanted = asked.is_empty() || asked.iter().any(|name| name == tensor.name.as_bytes());
        if known && wanted {
            check_size(&tensor)?;
            outputs.push(write_tensor(tensor)?);
        }
    }
    let mut members = Vec::new();
    if !id.is_empty() {
        members.push((b"id".to_vec(), Json::text(id)));
    }
    members.push((b"model_name".to_vec(), Json::text(&config.name)));
    members.push((b"model_version".to_vec(), Json::text(VERSION.to_string())));
    members.push((b"outputs".to_vec(), Json::Array(outputs)));
    Ok(Success {
        body: Json::Object(members).to_bytes(),
        content_type: ContentType::Json,
    })
}

/// A model's mistake, which the real backends cannot make and Rust's types do not prevent.
fn check_size(tensor: &Tensor) -> Result<(), ApiError> {
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

fn check_headers(parts: &request::Parts) -> Result<(), ApiError> {
    if let Some(encoding) = parts.headers.get(CONTENT_ENCODING) {
        match encoding.as_bytes() {
            b"" | b"identity" => {}
            b"gzip" | b"deflate" => return Err(ApiError::not_built("compression")),
            _ => {
                return Err(ApiError::new(501, "Unsupported compression type")
                    .with_content_type(ContentType::Plain));
            }
        }
    }
    match parts
        .headers
        .contains_key("inference-header-content-length")
    {
        true => Err(ApiError::not_built("binary tensors")),
        false => Ok(()),
    }
}

fn describe(parts: &request::Parts, name: &str, version: Option<&str>) -> RecordedRequest {
    let path = parts.uri.path_and_query();
    let headers = parts.headers.iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes());
        (name.as_str().to_owned(), value.into_owned())
    });
    RecordedRequest {
        order: 0,
        method: parts.method.to_string(),
        path: path.map(ToString::to_string).unwrap_or_default(),
        model: name.to_owned(),
        version: version.map(str::to_owned),
        headers: headers.collect(),
        body: bytes::Bytes::new(),
        sequence_id: None,
        sequence_start: false,
        sequence_end: false,
        status: None,
        executed: false,
    }
}
