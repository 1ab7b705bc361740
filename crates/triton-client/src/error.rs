//! What can go wrong with a call: a small kind for code, and one line for the person who reads it.

use std::borrow::Cow;
use std::fmt;

use triton_options::Endpoint;

/// What kind of failure a call met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The request contradicts the protocol and was not sent.
    InvalidRequest,
    /// No connection to the server could be made; nothing was sent.
    Connect,
    /// The call took longer than its timeout; the server may have executed it.
    Timeout,
    /// The connection broke during the call; the server may have executed it.
    Interrupted,
    /// What came back is not what the protocol promises.
    Protocol,
    /// The answer is larger than the client's limit.
    ResponseTooLarge,
    /// The server found fault with the request (status 4xx but for those below).
    Rejected,
    /// The server wants credentials, or others (401, 403 or 407).
    Denied,
    /// The server knows no such model or path (404).
    NotFound,
    /// The request belongs to a sequence that the server does not know, and does not start it
    /// (400): the sequence was never started, has idled out, or the model was reloaded.
    SequenceNotStarted,
    /// The server cannot do this at all (501).
    Unsupported,
    /// The server, or a gateway before it, is not able to answer now (502, 503 or 504).
    Unavailable,
    /// The server failed (any other 5xx). Triton also answers 500 where the request is at fault:
    /// malformed JSON, a missing field, a wrong number of elements.
    Server,
}

/// The failure of one call.
///
/// Its `Display` is one line: the operation, the endpoint without credentials, the status and
/// the server's own text. The cause, if there is one below, is its [`source`](std::error::Error::source).
#[derive(Debug)]
pub struct Error(Box<Details>);

#[derive(Debug)]
struct Details {
    kind: ErrorKind,
    operation: Cow<'static, str>,
    endpoint: Endpoint,
    status: Option<u16>,
    message: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    pub(crate) fn new(
        kind: ErrorKind,
        operation: &Operation,
        endpoint: &Endpoint,
        message: impl Into<String>,
    ) -> Self {
        Self(Box::new(Details {
            kind,
            operation: operation.0.clone(),
            endpoint: endpoint.clone(),
            status: None,
            message: message.into(),
            source: None,
        }))
    }

    pub(crate) fn with_status(mut self, status: u16) -> Self {
        self.0.status = Some(status);
        self
    }

    pub(crate) fn with_source(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// What kind of failure it was.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The HTTP status, when the server answered.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.0.status
    }

    /// What the server said, cut where it is very long; or, without an answer, what happened.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let details = &*self.0;
        write!(formatter, "{} at {}: ", details.operation, details.endpoint)?;
        if let Some(status) = details.status {
            write!(formatter, "status {status}: ")?;
        }
        formatter.write_str(&details.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

/// What a call does, as errors name it: "infer with model 'echo'".
#[derive(Debug, Clone)]
pub(crate) struct Operation(Cow<'static, str>);

impl From<&'static str> for Operation {
    fn from(name: &'static str) -> Self {
        Self(Cow::Borrowed(name))
    }
}

impl From<String> for Operation {
    fn from(name: String) -> Self {
        Self(Cow::Owned(name))
    }
}
