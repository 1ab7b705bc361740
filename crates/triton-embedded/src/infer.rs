//! The way of an inference request: recorded, read, validated, executed, answered.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::compression::{Encoding, decompress};
use crate::error::{ApiError, ContentType};
use crate::http::{Reply, Request};
use crate::inference_answer::{Asked, render};
use crate::inference_request::{InferenceRequest, read_document};
use crate::model_instance::ModelInstance;
use crate::raw_request::raw_request;
use crate::recorded::Record;
use crate::scheduler::{Job, Outcome, stopped};
use crate::server_state::Server;
use crate::validation;

/// What is left to do once the model has answered.
pub(crate) struct Queued {
    pub(crate) answer: oneshot::Receiver<Outcome>,
    pub(crate) model: Arc<ModelInstance>,
    pub(crate) asked: Asked,
}

/// Reads and queues a request to an `…/infer` path. Nothing here waits, so requests are queued in
/// the order in which they are recorded.
pub(crate) fn enqueue(
    server: &Server,
    request: &Request,
    record: &Record,
    name: &str,
    version: Option<&str>,
) -> Result<Queued, ApiError> {
    let model = server
        .repository
        .find(name, version)
        .map_err(|error| error.with_content_type(ContentType::Plain))?;
    let (body, header_length) =
        body_of(request).map_err(|error| error.with_content_type(ContentType::Plain))?;
    let mut inference = InferenceRequest::default();
    let read = match header_length {
        0 => raw_request(&model.config, body).map(|raw| inference = raw),
        length => inference.read(name, body, length),
    };
    server.recorder.update(record, |recorded| {
        recorded.sequence_id = inference.sequence_id.clone();
        recorded.sequence_start = inference.sequence_start;
        recorded.sequence_end = inference.sequence_end;
    });
    read?;
    submit(server, model, inference, record.executed.clone())
}

/// Validates a request that has been read, and queues it.
pub(crate) fn submit(
    server: &Server,
    model: Arc<ModelInstance>,
    request: InferenceRequest,
    executed: Arc<AtomicBool>,
) -> Result<Queued, ApiError> {
    let batch_size = validation::validate(&model.config, &request)?;
    let asked = Asked::of(&request);
    let (sender, answer) = oneshot::channel();
    model.enqueue(Job {
        timeout: request.timeout,
        priority: request.priority,
        request: request.into_model_request(),
        batch_size,
        enqueued: server.clock.now(),
        executed,
        answer: sender,
    })?;
    Ok(Queued {
        answer,
        model,
        asked,
    })
}

/// Waits for the model's answer and renders it.
pub(crate) async fn finish(
    server: &Server,
    request: &Request,
    queued: Queued,
) -> Result<Reply, ApiError> {
    let Queued {
        answer,
        model,
        asked,
    } = queued;
    let tensors = answer.await.map_err(|_| stopped())??;
    server.guard(|| {
        let mut reply = render(&model.config, &asked, tensors)?;
        let encoding = Encoding::of_answer(request.header("accept-encoding"));
        if let Some(name) = encoding.name() {
            reply = reply.with_header("Content-Encoding", name);
        }
        reply.body = encoding.compress(reply.body);
        Ok(reply)
    })
}

/// The body without compression, and how much of it is JSON; 0 where none of it is.
fn body_of(request: &Request) -> Result<(Bytes, usize), ApiError> {
    let body = match Encoding::of_request(request.header("content-encoding")) {
        Some(Encoding::Identity) => request.body.clone(),
        Some(_) if request.body.is_empty() => {
            return Err(ApiError::bad_request("nothing to be decompressed"));
        }
        Some(_) => decompress(&request.body).into(),
        None => return Err(ApiError::new(501, "Unsupported compression type")),
    };
    let Some(header) = request.header("inference-header-content-length") else {
        let length = body.len();
        return Ok((body, length));
    };
    match usize::try_from(leading_integer(header)) {
        Ok(length) if length <= body.len() => Ok((body, length)),
        _ => Err(ApiError::bad_request(format!(
            "inference header size should be in range (0, {}), got: {header}",
            body.len()
        ))),
    }
}

/// The request's own `id`; empty where it has none, or cannot be read.
pub(crate) fn id_of(request: &Request) -> String {
    let Ok((body, header_length)) = body_of(request) else {
        return String::new();
    };
    let mut inference = InferenceRequest::default();
    let document = read_document(&body[..header_length]);
    // A fault of the document is the request's, which the script answers otherwise.
    let _ = document.and_then(|document| inference.read_id(&document));
    String::from_utf8_lossy(&inference.id).into_owned()
}

/// What C's `atoi` reads: the digits in front, 0 where there are none.
fn leading_integer(text: &str) -> i64 {
    let text = text.trim_start();
    let sign = usize::from(text.starts_with(['-', '+']));
    let digits = text[sign..].bytes().take_while(u8::is_ascii_digit).count();
    text[..sign + digits].parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_read_as_c_does() {
        let cases = [("80", 80), (" 80abc", 80), ("abc", 0), ("-1", -1), ("", 0)];
        for (text, length) in cases {
            assert_eq!(leading_integer(text), length, "{text}");
        }
    }
}
