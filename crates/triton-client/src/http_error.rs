//! Why an exchange of HTTP has failed, whoever made it.

use std::error::Error as StdError;
use std::fmt;

/// Why an exchange has failed.
#[derive(Debug)]
pub struct HttpError {
    kind: HttpErrorKind,
    source: Box<dyn StdError + Send + Sync>,
}

/// What is known of a failure below the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum HttpErrorKind {
    /// There was no connection, so that nothing of the request was sent. To try again may help.
    Connect,
    /// TLS could not be agreed on, so that nothing of the request was heard. To try again does not
    /// help.
    Tls,
    /// The connection broke. Whether the server may have executed the request follows from how much
    /// of its body was taken.
    Interrupted,
    /// What came is no answer of HTTP.
    Malformed,
}

impl HttpError {
    /// A failure with its cause.
    pub fn new(kind: HttpErrorKind, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self {
            kind,
            source: source.into(),
        }
    }

    /// What is known of it.
    #[must_use]
    pub fn kind(&self) -> HttpErrorKind {
        self.kind
    }

    /// The cause, which is what the client's own service knows more of.
    pub(crate) fn into_source(self) -> Box<dyn StdError + Send + Sync> {
        self.source
    }
}

impl fmt::Display for HttpError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self.kind {
            HttpErrorKind::Connect => "no connection could be made",
            HttpErrorKind::Tls => "TLS could not be agreed on",
            HttpErrorKind::Interrupted => "the connection broke",
            HttpErrorKind::Malformed => "the answer is not valid HTTP",
        })
    }
}

impl StdError for HttpError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.source)
    }
}
