//! What can go wrong with a call: a small kind for code, and one line for the person who reads it.

use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use triton_protocol::Endpoint;

use crate::operation::Operation;

/// What kind of failure a call met.
///
/// ```
/// use triton_client::ErrorKind;
///
/// assert_eq!(ErrorKind::NotFound.name(), "not_found");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The request contradicts the protocol and was not sent.
    InvalidRequest,
    /// No connection to the server could be made; nothing was sent.
    Connect,
    /// The server's certificate is of an authority that the client does not trust.
    CertificateUntrusted,
    /// The server's certificate has expired, or is not valid yet.
    CertificateExpired,
    /// The server's certificate is for another host.
    CertificateName,
    /// The server wants a certificate of the client, or another one.
    ClientCertificate,
    /// TLS could not be agreed on for another reason.
    Tls,
    /// The proxy wants credentials, or others (407).
    ProxyDenied,
    /// The proxy could not be reached, or does not lead to the server.
    Proxy,
    /// The call took longer than its timeout; [`Error::may_have_executed`] says whether the server may
    /// have executed it.
    Timeout,
    /// The connection broke during the call; [`Error::may_have_executed`] says whether the server may
    /// have executed it.
    Interrupted,
    /// What came back is not what the protocol promises.
    Protocol,
    /// The answer is larger than the client's limit.
    ResponseTooLarge,
    /// The server refused the request (status 4xx but for those below).
    Rejected,
    /// The request is larger than the server, or a gateway before it, takes (413, or a server's own
    /// words with 400); see [`Client::known_request_limit`](crate::Client::known_request_limit).
    RequestTooLarge,
    /// The server wants credentials, or others (401 or 403).
    Denied,
    /// The server knows no such model or path (404).
    NotFound,
    /// The request belongs to a sequence that the server does not know, and does not start it
    /// (400): the sequence was never started, has idled out, or the model was reloaded.
    SequenceNotStarted,
    /// The server cannot do this at all (501).
    Unsupported,
    /// The server, or a gateway before it, is not able to answer now (408, 425, 429, 502, 503 or
    /// 504).
    Unavailable,
    /// The server failed (any other 5xx). Triton also answers 500 where the request is at fault:
    /// malformed JSON, a missing field, a wrong number of elements.
    Server,
}

impl ErrorKind {
    /// The kind's name in metrics, in lower case with underscores.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::Connect => "connect",
            Self::CertificateUntrusted => "certificate_untrusted",
            Self::CertificateExpired => "certificate_expired",
            Self::CertificateName => "certificate_name",
            Self::ClientCertificate => "client_certificate",
            Self::Tls => "tls",
            Self::ProxyDenied => "proxy_denied",
            Self::Proxy => "proxy",
            Self::Timeout => "timeout",
            Self::Interrupted => "interrupted",
            Self::Protocol => "protocol",
            Self::ResponseTooLarge => "response_too_large",
            Self::Rejected => "rejected",
            Self::RequestTooLarge => "request_too_large",
            Self::Denied => "denied",
            Self::NotFound => "not_found",
            Self::SequenceNotStarted => "sequence_not_started",
            Self::Unsupported => "unsupported",
            Self::Unavailable => "unavailable",
            Self::Server => "server",
        }
    }

    /// Whether there was no connection on which the server could have heard the request: nothing
    /// of it was carried out.
    ///
    /// ```
    /// use triton_client::ErrorKind;
    ///
    /// assert!(ErrorKind::Connect.is_connection() && ErrorKind::CertificateName.is_connection());
    /// assert!(!ErrorKind::Interrupted.is_connection());
    /// ```
    #[must_use]
    pub fn is_connection(self) -> bool {
        matches!(
            self,
            Self::Connect
                | Self::CertificateUntrusted
                | Self::CertificateExpired
                | Self::CertificateName
                | Self::ClientCertificate
                | Self::Tls
                | Self::ProxyDenied
                | Self::Proxy
        )
    }
}

/// The failure of one call.
///
/// Its `Display` is one line without control characters: the operation, the endpoint without
/// credentials, the status and the server's own text. The cause, if there is one below, is its
/// [`source`](std::error::Error::source).
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use triton_client::{Client, ErrorKind};
///
/// // Nobody listens on this port.
/// let client = Client::new("http://user:secret@127.0.0.1:1")?;
/// let error = client.live().await.unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Connect);
/// assert!(error.is_transient() && !error.may_have_executed());
/// assert_eq!(error.url(), "http://127.0.0.1:1/v2/health/live");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Error(Box<Details>);

#[derive(Debug, Clone)]
struct Details {
    kind: ErrorKind,
    operation: String,
    /// None where the address is none.
    endpoint: Option<Endpoint>,
    /// The server behind the endpoint's name, where the client was told which.
    replica: Option<SocketAddr>,
    path: String,
    request_id: Option<String>,
    status: Option<u16>,
    message: String,
    transient: bool,
    may_have_executed: bool,
    retry_after: Option<Duration>,
    request_bytes: Option<usize>,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error that is not transient and left no trace on the server; the setters say otherwise.
    ///
    /// The message is of the client's own words: what may repeat a server's goes through
    /// [`Context::error`](crate::transport::Context::error), which hides what is secret.
    pub(crate) fn new(
        kind: ErrorKind,
        operation: &Operation<'_>,
        endpoint: Option<&Endpoint>,
        message: impl Into<String>,
    ) -> Self {
        Self(Box::new(Details {
            kind,
            operation: operation.to_string(),
            endpoint: endpoint.cloned(),
            replica: None,
            path: operation.path(),
            request_id: None,
            status: None,
            message: message.into(),
            transient: false,
            may_have_executed: false,
            retry_after: None,
            request_bytes: None,
            source: None,
        }))
    }

    pub(crate) fn of_replica(mut self, replica: Option<SocketAddr>) -> Self {
        self.0.replica = replica;
        self
    }

    pub(crate) fn with_status(mut self, status: u16) -> Self {
        self.0.status = Some(status);
        self
    }

    /// Says behind the server's own words what may be wrong with the request.
    pub(crate) fn with_advice(mut self, advice: &str) -> Self {
        self.0.message = format!("{}; {advice}", self.0.message);
        self
    }

    pub(crate) fn with_request_id(mut self, id: Option<&str>) -> Self {
        self.0.request_id = id.map(str::to_owned);
        self
    }

    pub(crate) fn transient(mut self, transient: bool) -> Self {
        self.0.transient = transient;
        self
    }

    pub(crate) fn executed(mut self, may_have_executed: bool) -> Self {
        self.0.may_have_executed = may_have_executed;
        self
    }

    pub(crate) fn with_retry_after(mut self, wait: Option<Duration>) -> Self {
        self.0.retry_after = wait;
        self
    }

    pub(crate) fn with_kind(mut self, kind: ErrorKind) -> Self {
        self.0.kind = kind;
        self
    }

    pub(crate) fn with_request_bytes(mut self, bytes: usize) -> Self {
        self.0.request_bytes = Some(bytes);
        self
    }

    pub(crate) fn with_source(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.0.source = Some(Arc::from(source.into()));
        self
    }

    /// The same failure once more, for another call that waited for the same.
    pub(crate) fn again(&self) -> Self {
        Self(self.0.clone())
    }

    /// The same failure as one of `operation`, which could not begin because of it.
    pub(crate) fn before(mut self, operation: &Operation<'_>) -> Self {
        self.0.operation = operation.to_string();
        self.0.path = operation.path();
        self.0.may_have_executed = false;
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

    /// The `id` that the client gave the request, which the server's own log repeats
    /// (`[request id: …]`). `None` where the caller named the request, and for calls that are no
    /// inference.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref()
    }

    /// What the call was to do, for example `infer with model 'echo'`.
    #[must_use]
    pub fn operation(&self) -> &str {
        &self.0.operation
    }

    /// The address that was called, without the credentials in it; empty where a client was to be
    /// set up for something that is no address.
    #[must_use]
    pub fn url(&self) -> String {
        match &self.0.endpoint {
            Some(endpoint) => format!("{endpoint}{}", self.0.path),
            None => String::new(),
        }
    }

    /// Whether the same call could succeed a little later, although nothing but time changes.
    ///
    /// True for [`Connect`](ErrorKind::Connect), [`Timeout`](ErrorKind::Timeout),
    /// [`Interrupted`](ErrorKind::Interrupted), [`Unavailable`](ErrorKind::Unavailable), a
    /// [`Proxy`](ErrorKind::Proxy) that is away or cannot reach the server now, and a certificate
    /// that will be valid within minutes. A status of 500 is not transient: Triton also answers it
    /// where the request is at fault, and no text tells which 500 would pass later.
    ///
    /// It does not say that sending again is safe: see [`may_have_executed`](Self::may_have_executed).
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.0.transient
    }

    /// Whether the answer may mean that the server, or a gateway before it, has no such path: a
    /// status of 404, 405 or 501, or what OpenVINO Model Server says with 400. The same statuses may
    /// be about a model that it does not know; who asks after
    /// [`model_metadata`](crate::Client::model_metadata) was answered knows that it is not that.
    #[must_use]
    pub fn is_no_such_path(&self) -> bool {
        const WORDS_OF_OPENVINO: &str = "Invalid request URL";
        match self.0.status {
            Some(404 | 405 | 501) => true,
            Some(400) => self.0.message == WORDS_OF_OPENVINO,
            _ => false,
        }
    }

    /// How long the server, or a gateway before it, asks to wait before another attempt
    /// (`Retry-After`, in seconds or as a date,
    /// [RFC 9110](https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3)). A date is compared with
    /// the `Date` of the same answer, so that the two clocks need not agree.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// How many bytes the request's body had, where there were too many
    /// ([`RequestTooLarge`](ErrorKind::RequestTooLarge)).
    #[must_use]
    pub fn request_bytes(&self) -> Option<usize> {
        self.0.request_bytes
    }

    /// Whether the server could have carried out the call, as far as can be known: whoever sends
    /// it again may have it done twice, and a sequence may have moved on.
    ///
    /// False only where that is certain:
    ///
    /// - nothing was sent, or not all of it: [`InvalidRequest`](ErrorKind::InvalidRequest), whatever
    ///   [`is_connection`](ErrorKind::is_connection), and a timeout, a broken connection or any
    ///   answer before the HTTP library asked for the last byte of the request's body (Triton
    ///   carries out no request
    ///   before it has the whole body);
    /// - the status says so: 401, 403, 405, 407, 413 and 429 (a gateway that forwards a request
    ///   and answers it so afterwards breaks the rule, and so does a model of MLServer that raises
    ///   one of these itself; on Triton no model can);
    /// - the server's text is one that it writes before it executes anything, matched whole, with
    ///   its status, and quotes what belongs to this request alone: the `id` that the client made
    ///   for it, its sequence with its model, or a model that is not there
    ///   ([`KNOWN_TEXTS`](triton_protocol::KNOWN_TEXTS)).
    ///
    /// True for everything else. A model may fail with any status and any text, an ensemble passes
    /// on the refusal of a step after others have run, a model passes on that of a model which it
    /// calls. A proxy's 502 or 504 says nothing of what the server did, and an answer that could
    /// not be read was preceded by execution. A request that the caller named
    /// ([`InferRequest::id`](crate::InferRequest::id)) is proven by no text that quotes an `id`,
    /// because a model may have sent the same to another model.
    #[must_use]
    pub fn may_have_executed(&self) -> bool {
        self.0.may_have_executed
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let details = &*self.0;
        formatter.write_str(&details.operation)?;
        if let Some(endpoint) = &details.endpoint {
            write!(formatter, " at {endpoint}")?;
        }
        if let Some(replica) = details.replica {
            write!(formatter, " ({replica})")?;
        }
        formatter.write_str(": ")?;
        if let Some(status) = details.status {
            write!(formatter, "status {status}: ")?;
        }
        formatter.write_str(&one_line(&details.message))?;
        match details.request_bytes {
            Some(bytes) => write!(formatter, " (the request's body has {bytes} bytes)"),
            None => Ok(()),
        }
    }
}

/// A text on one line, without what a terminal would take as a command: a server's text may be a
/// stack trace.
fn one_line(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unseen) {
        return Cow::Borrowed(text);
    }
    let words = text.split(is_unseen);
    let words: Vec<_> = words
        .map(str::trim)
        .filter(|word| !word.is_empty())
        .collect();
    Cow::Owned(words.join(" "))
}

/// Whether a character is not seen itself and changes how others are: control characters, ends of
/// lines and paragraphs, marks of direction and width, and tags.
fn is_unseen(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}
