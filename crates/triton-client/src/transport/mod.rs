//! One request and its answer over HTTP: the only place that knows the HTTP library.

mod address;
mod answer;
mod answer_limit;
mod body;
mod causes;
#[cfg(feature = "compression")]
mod compression;
#[cfg(not(feature = "compression"))]
#[path = "no_compression.rs"]
mod compression;
mod connect_failure;
mod connection;
mod connection_settings;
mod connector;
mod context;
mod failure;
pub(crate) mod headers;
mod metrics;
mod observation;
mod off_the_executor;
mod own_service;
mod provided;
mod proxy;
mod receive;
mod refusal;
mod retry_after;
mod secrets;
mod stream;
mod tls;
mod unescaped;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::header::{
    ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, USER_AGENT,
};
use http::{HeaderMap, Method, StatusCode, Uri};
use tokio::time::Instant;
use tracing::Instrument as _;
use triton_protocol::Endpoint;

use crate::header_provider::HeaderProviders;
use crate::http_service::HttpService;
use crate::operation::Operation;
use crate::{Compression, Error, ErrorKind, SequenceId};

pub(crate) use answer::Answer;
use answer::JSON_LENGTH;
pub(crate) use answer_limit::{AnswerLimit, Wanted};
pub(crate) use connection_settings::ConnectionSettings;
pub(crate) use context::Context;
pub(crate) use observation::Observation;
pub(crate) use receive::Response;
pub(crate) use refusal::{is_page, server_message};
pub(crate) use secrets::{Provided, Secrets};

pub(crate) use body::Payload;
use body::Progress;
pub use body::RequestBody;

/// Why no body can be compressed, where the feature for it was left out.
pub(crate) const NO_COMPRESSION: &str = "triton-client was built without compression: build it with its feature 'compression', or set \
     none";

const USER_AGENT_VALUE: &str = concat!("triton-client-rust/", env!("CARGO_PKG_VERSION"));

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
    /// What the calls have in common, where they are the questions of one.
    pub(crate) questions: Option<Questions>,
    /// Sent with every request; all values are marked as sensitive.
    pub(crate) headers: HeaderMap,
    /// Make headers for each request.
    pub(crate) providers: HeaderProviders,
}

/// What the questions have in common that make up one call.
#[derive(Debug, Clone)]
pub(crate) struct Questions {
    /// When the time that they may take together began to run.
    began: Instant,
    /// What went out with one of them is secret in what is said of all.
    provided: Provided,
}

impl Questions {
    /// All of them may take so many times what one may.
    const TIMES: u32 = 10;

    pub(crate) fn begin() -> Self {
        Self {
            began: Instant::now(),
            provided: Provided::default(),
        }
    }
}

impl CallSettings {
    /// Where the headers are kept that are made for the requests of a call.
    fn provided(&self) -> Provided {
        let questions = self.questions.as_ref();
        questions.map_or_else(Provided::default, |all| all.provided.clone())
    }
}

/// One call that is to be made.
#[derive(Debug, Clone)]
pub(crate) struct Call<'a> {
    pub(crate) operation: Operation<'a>,
    pub(crate) pool: Pool,
    pub(crate) wanted: Wanted,
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
            wanted: Wanted::Description,
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

/// The longest time that anything is waited for; sums with longer ones may not exist.
pub(crate) const LONGEST: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);

/// The time when `wait` is over.
pub(crate) fn after(wait: Duration) -> Instant {
    Instant::now() + wait.min(LONGEST)
}

/// Sends requests to one server through its pools of connections.
pub(crate) struct Transport {
    pub(crate) endpoint: Endpoint,
    /// The server behind the endpoint's name that is called.
    pub(crate) replica: Option<SocketAddr>,
    service: Arc<dyn HttpService>,
    /// What no error may repeat, beside headers.
    pub(crate) secrets: Secrets,
    pub(crate) response_limit: usize,
    /// The most bytes that the body of a request may have, as far as a server has said.
    request_limit: AtomicUsize,
}

impl fmt::Debug for Transport {
    /// Without what the HTTP library shows: its URLs hold credentials.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Transport")
            .field("endpoint", &self.endpoint)
            .field("replica", &self.replica)
            .field("response_limit", &self.response_limit)
            .finish_non_exhaustive()
    }
}

impl Transport {
    pub(crate) fn new(
        endpoint: Endpoint,
        replica: Option<SocketAddr>,
        service: Arc<dyn HttpService>,
        secrets: Secrets,
        response_limit: usize,
    ) -> Self {
        Self {
            endpoint,
            replica,
            service,
            secrets,
            response_limit,
            request_limit: AtomicUsize::new(usize::MAX),
        }
    }

    /// Sends one request, reads its answer whatever its status, and lets `read` make sense of it.
    ///
    /// The whole of it is one span and one observation of the metrics.
    pub(crate) async fn perform<T>(
        &self,
        settings: &CallSettings,
        call: Call<'_>,
        read: impl FnOnce(&Context<'_>, Answer) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let provided = settings.provided();
        let context = self.context_of(settings, &call, &provided);
        let mut observation = Observation::begin(&call);
        let timeout = call.timeout.unwrap_or(settings.timeout);
        let elapsed = call.began.map_or(Duration::ZERO, |began| began.elapsed());
        let of_call = timeout.saturating_sub(elapsed);
        let of_all = settings.questions.as_ref().map(|all| {
            let timeout = timeout.saturating_mul(Questions::TIMES);
            (timeout, timeout.saturating_sub(all.began.elapsed()))
        });
        let (timeout, left) = match of_all {
            Some((timeout, left)) if left < of_call => (timeout, left),
            _ => (timeout, of_call),
        };
        let progress = Progress::default();
        let deadline = after(left);
        let bytes_out = call.payload.as_ref().map_or(0, Payload::len);
        let limit = AnswerLimit::of(call.wanted, self.response_limit);
        let exchange = async {
            if left.is_zero() {
                // The clock's tick would give even this a millisecond.
                return Err(context.timeout(timeout, false));
            }
            let response = self
                .send(settings, &context, call, &progress, &provided)
                .await?;
            receive::whole(&context, response, limit, deadline).await
        };
        let span = observation.span().clone();
        let outcome = match tokio::time::timeout(left, exchange.instrument(span)).await {
            Ok(Ok(answer)) => {
                observation.answered(answer.status, answer.body.len());
                read(&context, answer)
            }
            Ok(Err(error)) => Err(error),
            Err(_) => Err(context.timeout(timeout, progress.stop())),
        };
        let outcome = outcome.map_err(|error| self.learned_from(error, bytes_out));
        observation.end(outcome.as_ref().err());
        outcome
    }

    /// Sends one request and returns with the head of its answer, which must have the status
    /// 200; the body is still to come. The errors of it hide what was provided for the request, too.
    pub(crate) async fn open(
        &self,
        settings: &CallSettings,
        call: Call<'_>,
    ) -> Result<(Response, Observation, Provided), Error> {
        let provided = settings.provided();
        let context = self.context_of(settings, &call, &provided);
        let mut observation = Observation::begin(&call);
        let timeout = call.timeout.unwrap_or(settings.timeout);
        let progress = Progress::default();
        let deadline = after(timeout);
        let bytes_out = call.payload.as_ref().map_or(0, Payload::len);
        let limit = AnswerLimit::of(call.wanted, self.response_limit);
        let exchange = async {
            let response = self
                .send(settings, &context, call, &progress, &provided)
                .await?;
            if response.status == StatusCode::OK {
                return Ok(response);
            }
            let answer = receive::whole(&context, response, limit, deadline).await?;
            Err(context.refusal(&answer))
        };
        let span = observation.span().clone();
        let outcome = match tokio::time::timeout(timeout, exchange.instrument(span)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(context.timeout(timeout, progress.stop())),
        };
        match outcome {
            Ok(response) => {
                observation.answered(response.status, 0);
                Ok((response, observation, provided))
            }
            Err(error) => {
                let error = self.learned_from(error, bytes_out);
                observation.end(Some(&error));
                Err(error)
            }
        }
    }

    /// What the errors of a call have in common.
    fn context_of<'a>(
        &'a self,
        settings: &'a CallSettings,
        call: &Call<'a>,
        provided: &'a Provided,
    ) -> Context<'a> {
        Context::new(call.operation, self, settings)
            .with_marks(call.id, call.sequence)
            .with_headers(call.headers, provided)
    }

    /// The most bytes that the body of a request may have, as far as a server has said.
    pub(crate) fn request_limit(&self) -> Option<usize> {
        let limit = self.request_limit.load(Ordering::Relaxed);
        (limit != usize::MAX).then_some(limit)
    }

    /// Keeps what a refused request tells of the requests that are not refused.
    fn learned_from(&self, error: Error, bytes_out: usize) -> Error {
        if error.kind() != ErrorKind::RequestTooLarge || bytes_out == 0 {
            return error;
        }
        // A server that refuses less than what it says to take counts otherwise than is known here.
        let smaller = bytes_out.saturating_sub(1);
        let limit =
            refusal::named_limit(error.message()).map_or(smaller, |named| named.min(smaller));
        self.request_limit.fetch_min(limit, Ordering::Relaxed);
        error.with_request_bytes(bytes_out)
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
    ) -> Result<Response, Error> {
        let invalid =
            |error: &dyn fmt::Display| context.error(ErrorKind::InvalidRequest, error.to_string());
        // The path is made of checked names, so that it always is a relative reference.
        let url = self.endpoint.url().join(&call.operation.path());
        let url = url.map_err(|error| invalid(&error))?;
        let uri = Uri::try_from(url.as_str()).map_err(|error| invalid(&error))?;
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, HeaderValue::from_static(USER_AGENT_VALUE));
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        let extra = call.headers.into_iter();
        for more in [&settings.headers, provided].into_iter().chain(extra) {
            headers::check(more).map_err(|message| invalid(&message))?;
            // The headers of one call take the place of the client's.
            for name in more.keys() {
                headers.remove(name);
            }
            for (name, value) in more {
                headers.append(name.clone(), value.clone());
            }
        }
        if let Some(accepted) = call.accepted {
            let name = HeaderValue::from_static(accepted.name());
            headers.insert(ACCEPT_ENCODING, name);
        }
        let (method, body) = match call.payload {
            None => {
                progress.sent();
                (Method::GET, RequestBody::default())
            }
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
                (Method::POST, payload.into_body(progress))
            }
        };
        let mut request = http::Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        request.extensions_mut().insert(call.pool);
        match self.service.call(request).await {
            Ok(response) => Ok(Response::new(response, progress)),
            // Whatever failed, nothing more of the request is sent behind the error's back.
            Err(error) => Err(context.http_failure(error, progress.stop())),
        }
    }
}
