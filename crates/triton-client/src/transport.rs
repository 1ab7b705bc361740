//! One request and its answer over HTTP: the only place that knows the HTTP library.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::{Method, StatusCode, header};
use triton_options::Endpoint;

use crate::error::{Error, ErrorKind, Operation};

/// The most of a server's error text that an [`Error`] keeps, in bytes.
const LONGEST_MESSAGE: usize = 4096;

/// An answer read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Bytes,
}

/// Sends requests to one server through a pool of connections.
#[derive(Debug)]
pub(crate) struct Transport {
    pub(crate) endpoint: Endpoint,
    http: reqwest::Client,
    timeout: Duration,
    response_limit: usize,
}

impl Transport {
    pub(crate) fn new(
        endpoint: Endpoint,
        timeout: Duration,
        response_limit: usize,
    ) -> Result<Self, Error> {
        let http = reqwest::Client::builder()
            .user_agent(concat!("triton-client-rust/", env!("CARGO_PKG_VERSION")))
            .http1_only()
            // Whoever owns a request decides whether to send it again, and where to.
            .retry(reqwest::retry::never())
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(|error| {
                let message = "the HTTP client cannot be set up";
                Error::new(
                    ErrorKind::InvalidRequest,
                    &"set up".into(),
                    &endpoint,
                    message,
                )
                .with_source(error)
            })?;
        Ok(Self {
            endpoint,
            http,
            timeout,
            response_limit,
        })
    }

    /// Sends one request and reads its answer, whatever its status.
    pub(crate) async fn send(
        &self,
        operation: &Operation,
        path: &str,
        body: Option<Bytes>,
    ) -> Result<Answer, Error> {
        // `path` is made of checked names, so that it always is a relative reference.
        let url = self.endpoint.expose_url().join(path).map_err(|error| {
            Error::new(
                ErrorKind::InvalidRequest,
                operation,
                &self.endpoint,
                error.to_string(),
            )
        })?;
        let request = match body {
            None => self.http.request(Method::GET, url),
            Some(body) => self
                .http
                .request(Method::POST, url)
                .header(header::CONTENT_TYPE, "application/json")
                .body(body),
        };
        let mut response = request
            .timeout(self.timeout)
            .send()
            .await
            .map_err(|error| self.failure(operation, error))?;
        let status = response.status();
        let mut body = BytesMut::new();
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|error| self.failure(operation, error))?
        {
            if body.len() + chunk.len() > self.response_limit {
                let message = format!(
                    "the answer is larger than the limit of {} bytes",
                    self.response_limit
                );
                let kind = ErrorKind::ResponseTooLarge;
                let error = Error::new(kind, operation, &self.endpoint, message);
                return Err(error.with_status(status.as_u16()));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer {
            status,
            body: body.freeze(),
        })
    }

    /// As [`send`](Self::send), where anything but a status of 200 is an error.
    pub(crate) async fn call(
        &self,
        operation: &Operation,
        path: &str,
        body: Option<Bytes>,
    ) -> Result<Bytes, Error> {
        let answer = self.send(operation, path, body).await?;
        if answer.status == StatusCode::OK {
            Ok(answer.body)
        } else {
            Err(self.refusal(operation, &answer))
        }
    }

    /// The error for an answer whose status is not 200.
    pub(crate) fn refusal(&self, operation: &Operation, answer: &Answer) -> Error {
        let message = server_message(&answer.body);
        let kind = match answer.status.as_u16() {
            // The only sign is the text; see the sequence batcher's `ResolveSequence`.
            400 if message.contains("must specify the START flag") => ErrorKind::SequenceNotStarted,
            401 | 403 | 407 => ErrorKind::Denied,
            404 => ErrorKind::NotFound,
            501 => ErrorKind::Unsupported,
            502..=504 => ErrorKind::Unavailable,
            400..=499 => ErrorKind::Rejected,
            500..=599 => ErrorKind::Server,
            _ => ErrorKind::Protocol,
        };
        Error::new(kind, operation, &self.endpoint, message).with_status(answer.status.as_u16())
    }

    /// The error for an answer that is not what the protocol promises.
    pub(crate) fn protocol_error(
        &self,
        operation: &Operation,
        message: impl Into<String>,
    ) -> Error {
        Error::new(ErrorKind::Protocol, operation, &self.endpoint, message)
    }

    fn failure(&self, operation: &Operation, error: reqwest::Error) -> Error {
        let (kind, message) = if error.is_connect() {
            (
                ErrorKind::Connect,
                "no connection could be made; is the server running there?".into(),
            )
        } else if error.is_timeout() {
            let message = format!("no complete answer within {:?}", self.timeout);
            (ErrorKind::Timeout, message)
        } else if error.is_decode() || error.is_body() || error.is_request() {
            (
                ErrorKind::Interrupted,
                "the connection broke before the answer was complete".into(),
            )
        } else {
            (ErrorKind::Protocol, "the answer is not valid HTTP".into())
        };
        // The HTTP library repeats the whole URL, credentials included, unless it is taken away.
        Error::new(kind, operation, &self.endpoint, message).with_source(error.without_url())
    }
}

/// The server's own words: the `error` member of a JSON body, or the body itself as text.
fn server_message(body: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    struct Body {
        error: String,
    }
    let text = match serde_json::from_slice::<Body>(body) {
        Ok(Body { error }) => error,
        Err(_) => String::from_utf8_lossy(body).into_owned(),
    };
    let text = text.trim();
    if text.is_empty() {
        return "(the server gave no reason)".to_owned();
    }
    let cut = text.floor_char_boundary(LONGEST_MESSAGE);
    if cut < text.len() {
        format!("{}… ({} bytes)", &text[..cut], text.len())
    } else {
        text.to_owned()
    }
}
