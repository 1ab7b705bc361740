//! One request and its answer over HTTP: the only place that knows the HTTP library.

mod body;
mod compression;
mod connection;
mod context;
mod failure;
mod metrics;
mod observation;
mod provided;
mod receive;
mod refusal;
mod retry_after;

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode};
use tokio::time::Instant;
use tracing::Instrument as _;
use triton_protocol::Endpoint;

use crate::header_provider::HeaderProviders;
use crate::operation::Operation;
use crate::{Compression, Error, SequenceId};

pub(crate) use connection::ConnectionSettings;
pub(crate) use context::Context;
pub(crate) use observation::Observation;

pub(crate) use body::Payload;
use body::Progress;

/// The header that says how many bytes of a body are JSON, before any compression
/// ([protocol](https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md)).
const JSON_LENGTH: HeaderName = HeaderName::from_static("inference-header-content-length");

/// An answer read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    /// How many bytes of the body are JSON, where tensors in binary form follow.
    pub(crate) json_length: Option<usize>,
    /// The least wait before another attempt, where the answer names one.
    pub(crate) retry_after: Option<Duration>,
    /// Where the answer leads to, if it is a redirect.
    pub(crate) location: Option<String>,
    pub(crate) body: Bytes,
}

/// Which connections a call uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pool {
    /// Those of inference.
    Data,
    /// Those of calls that change or inspect the server: a model's load blocks a worker of the
    /// server, and with it every connection that this worker serves.
    Control,
}

/// What applies to every call of a client handle.
#[derive(Debug, Clone)]
pub(crate) struct CallSettings {
    pub(crate) timeout: Duration,
    /// Sent with every request; all values are marked as sensitive.
    pub(crate) headers: HeaderMap,
    /// Make headers anew for each request.
    pub(crate) providers: HeaderProviders,
}

/// One call that is to be made.
#[derive(Debug, Clone)]
pub(crate) struct Call<'a> {
    pub(crate) operation: Operation<'a>,
    pub(crate) pool: Pool,
    /// A call with a payload is a POST, one without is a GET.
    pub(crate) payload: Option<Payload>,
    /// The compression that the answer may have.
    pub(crate) accepted: Option<Compression>,
    pub(crate) sequence: Option<&'a SequenceId>,
    /// The request's `id`, if it was made for this call alone.
    pub(crate) id: Option<&'a str>,
    /// Instead of the client's own.
    pub(crate) timeout: Option<Duration>,
    /// When the time that the call may take began to run, if that was before it.
    pub(crate) began: Option<Instant>,
    pub(crate) headers: Option<&'a HeaderMap>,
}

impl<'a> Call<'a> {
    /// A question about the server's state.
    pub(crate) fn get(operation: Operation<'a>, pool: Pool) -> Self {
        Self {
            operation,
            pool,
            payload: None,
            accepted: None,
            sequence: None,
            id: None,
            timeout: None,
            began: None,
            headers: None,
        }
    }

    /// A request with a body.
    pub(crate) fn post(operation: Operation<'a>, pool: Pool, payload: Payload) -> Self {
        Self {
            payload: Some(payload),
            ..Self::get(operation, pool)
        }
    }
}

/// Sends requests to one server through its pools of connections.
pub(crate) struct Transport {
    pub(crate) endpoint: Endpoint,
    /// As the endpoint, with the name in place that TLS is to check.
    base: url::Url,
    /// Sent as `Host` where `base` names another one.
    host: Option<HeaderValue>,
    data: reqwest::Client,
    control: reqwest::Client,
    pub(crate) response_limit: usize,
}

impl fmt::Debug for Transport {
    /// Without what the HTTP library shows: its URLs hold credentials.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Transport")
            .field("endpoint", &self.endpoint)
            .field("response_limit", &self.response_limit)
            .finish_non_exhaustive()
    }
}

impl Transport {
    /// Sends one request, reads its answer whatever its status, and lets `read` make sense of it.
    ///
    /// The whole of it is one span and one observation of the metrics.
    pub(crate) async fn perform<T>(
        &self,
        settings: &CallSettings,
        call: Call<'_>,
        read: impl FnOnce(&Context<'_>, Answer) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let context =
            Context::new(call.operation, &self.endpoint).with_marks(call.id, call.sequence);
        let mut observation = Observation::begin(&call);
        let timeout = call.timeout.unwrap_or(settings.timeout);
        let elapsed = call.began.map_or(Duration::ZERO, |began| began.elapsed());
        let left = timeout.saturating_sub(elapsed);
        let progress = Progress::default();
        let exchange = async {
            if left.is_zero() {
                // The clock's tick would give even this a millisecond.
                return Err(context.timeout(timeout, false));
            }
            let mut response = self.send(settings, &context, call, &progress).await?;
            let limit = self.response_limit;
            receive::whole(&context, &mut response, limit, &progress).await
        };
        let span = observation.span().clone();
        let outcome = match tokio::time::timeout(left, exchange.instrument(span)).await {
            Ok(Ok(answer)) => {
                observation.answered(answer.status, answer.body.len());
                read(&context, answer)
            }
            Ok(Err(error)) => Err(error),
            Err(_) => Err(context.timeout(timeout, progress.is_sent())),
        };
        observation.end(outcome.as_ref().err());
        outcome
    }

    /// Sends one request and returns with the head of its answer, which must have the status
    /// 200; the body is still to come.
    pub(crate) async fn open(
        &self,
        settings: &CallSettings,
        call: Call<'_>,
    ) -> Result<(reqwest::Response, Observation), Error> {
        let context =
            Context::new(call.operation, &self.endpoint).with_marks(call.id, call.sequence);
        let mut observation = Observation::begin(&call);
        let timeout = call.timeout.unwrap_or(settings.timeout);
        let progress = Progress::default();
        let exchange = async {
            let mut response = self.send(settings, &context, call, &progress).await?;
            if response.status() == StatusCode::OK {
                return Ok(response);
            }
            let limit = self.response_limit;
            let answer = receive::whole(&context, &mut response, limit, &progress).await?;
            Err(context.refusal(&answer))
        };
        let span = observation.span().clone();
        let outcome = match tokio::time::timeout(timeout, exchange.instrument(span)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(context.timeout(timeout, progress.is_sent())),
        };
        match outcome {
            Ok(response) => {
                observation.answered(response.status(), 0);
                Ok((response, observation))
            }
            Err(error) => {
                observation.end(Some(&error));
                Err(error)
            }
        }
    }

    /// Sends one request, with `provided` among its headers, and returns with the head of its
    /// answer.
    async fn send_once(
        &self,
        settings: &CallSettings,
        provided: &HeaderMap,
        context: &Context<'_>,
        call: Call<'_>,
        progress: &Progress,
    ) -> Result<reqwest::Response, Error> {
        // The path is made of checked names, so that it always is a relative reference.
        let url = self
            .base
            .join(&call.operation.path())
            .map_err(|error| context.error(crate::ErrorKind::InvalidRequest, error.to_string()))?;
        let http = match call.pool {
            Pool::Data => &self.data,
            Pool::Control => &self.control,
        };
        let method = match call.payload {
            Some(_) => Method::POST,
            None => Method::GET,
        };
        let mut request = reqwest::Request::new(method, url);
        let headers = request.headers_mut();
        let extra = call.headers.into_iter();
        for more in [&settings.headers, provided].into_iter().chain(extra) {
            // Not `append`: the headers of one call take the place of the client's.
            for (name, value) in more {
                headers.insert(name.clone(), value.clone());
            }
        }
        if let Some(host) = &self.host {
            headers.insert(http::header::HOST, host.clone());
        }
        if let Some(accepted) = call.accepted {
            let name = HeaderValue::from_static(accepted.name());
            headers.insert(ACCEPT_ENCODING, name);
        }
        match call.payload {
            None => progress.sent(),
            Some(payload) => {
                let content_type = match payload.json_length {
                    Some(_) => "application/octet-stream",
                    None => "application/json",
                };
                headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
                if let Some(length) = payload.json_length {
                    headers.insert(JSON_LENGTH, HeaderValue::from(length));
                }
                if let Some(compression) = payload.compression {
                    let name = HeaderValue::from_static(compression.name());
                    headers.insert(CONTENT_ENCODING, name);
                }
                *request.body_mut() = Some(payload.into_body(progress));
            }
        }
        http.execute(request)
            .await
            .map_err(|error| context.failure(error, progress.is_sent()))
    }
}
