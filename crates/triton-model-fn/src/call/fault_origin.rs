//! What a failed request says: whether it can be sent again, and whose fault it is.

use triton_client::{ErrorKind as ClientErrorKind, Sequence};

use crate::retry::Verdict;

/// Whether a request that the server may have executed can be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RetrySafety {
    /// It can: the model keeps no state, or START makes it forget what came before.
    Safe,
    /// It cannot: within a sequence it would count twice.
    UnlessExecuted,
}

impl RetrySafety {
    pub(crate) fn of(sequence: Option<&Sequence>) -> Self {
        match sequence {
            Some(sequence) if !sequence.start => RetrySafety::UnlessExecuted,
            _ => RetrySafety::Safe,
        }
    }

    pub(super) fn verdict(self, error: &triton_client::Error) -> Verdict {
        if error.is_transient() && (self == RetrySafety::Safe || !error.may_have_executed()) {
            Verdict::Retry {
                after: error.retry_after(),
            }
        } else {
            Verdict::Stop
        }
    }
}

/// Whose fault a failed call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FaultOrigin {
    /// The server's: it did not answer, or failed. The circuit breaker counts it.
    Server,
    /// The request's: the server answered and refused it, so it is there.
    Request,
    /// Nobody knows: the breaker counts nothing.
    Unknown,
}

/// Whether a server says that it does not have the model, or is about to go, so that the request
/// was certainly not executed: another server may well answer it.
pub(crate) fn is_not_served(error: &triton_client::Error) -> bool {
    const GOES: [&str; 2] = ["is not at ready state", "Server is stopping"];
    let says_so = match error.kind() {
        ClientErrorKind::NotFound => true,
        ClientErrorKind::Unavailable => GOES.iter().any(|text| error.message().contains(text)),
        _ => false,
    };
    says_so && !error.may_have_executed()
}

impl FaultOrigin {
    /// Blames the server for what it could not do, not for what it refused.
    pub(crate) fn of(error: &triton_client::Error) -> Self {
        match error.kind() {
            kind if kind.is_connection() => FaultOrigin::Server,
            ClientErrorKind::Timeout
            | ClientErrorKind::Interrupted
            | ClientErrorKind::Unavailable
            | ClientErrorKind::Server => FaultOrigin::Server,
            ClientErrorKind::Rejected
            | ClientErrorKind::RequestTooLarge
            | ClientErrorKind::Denied
            | ClientErrorKind::NotFound
            | ClientErrorKind::SequenceNotStarted
            | ClientErrorKind::Unsupported
            | ClientErrorKind::ResponseTooLarge => FaultOrigin::Request,
            _ => FaultOrigin::Unknown,
        }
    }
}
