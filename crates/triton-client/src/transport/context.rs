//! Makes the errors of one call, which all name the operation and the endpoint.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use triton_protocol::{Endpoint, Sent};

use super::secrets::{Provided, SecretsOfCall};
use super::{CallSettings, Transport};
use crate::operation::Operation;
use crate::{Error, ErrorKind, SequenceId};

/// What the errors of a call have in common.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) operation: Operation<'a>,
    pub(super) endpoint: &'a Endpoint,
    replica: Option<SocketAddr>,
    /// What no message shows, whoever repeats it.
    secrets: SecretsOfCall<'a>,
    /// What a refusal must quote to prove that nothing was executed.
    pub(super) sent: Sent<'a>,
}

impl<'a> Context<'a> {
    pub(crate) fn new(
        operation: Operation<'a>,
        transport: &'a Transport,
        settings: &'a CallSettings,
    ) -> Self {
        let sent = Sent {
            model: operation.model_id(),
            ..Sent::default()
        };
        Self {
            operation,
            endpoint: &transport.endpoint,
            replica: transport.replica,
            secrets: SecretsOfCall::new(&transport.secrets, settings),
            sent,
        }
    }

    /// The same for a request that bears these headers beside the client's: its own, and those that
    /// are made for it.
    pub(crate) fn with_headers(
        mut self,
        of_call: Option<&'a HeaderMap>,
        provided: &'a Provided,
    ) -> Self {
        self.secrets = self.secrets.with_headers(of_call, provided);
        self
    }

    /// The same for a request that bears this `id`, made for it alone, and is one of a sequence.
    pub(crate) fn with_marks(
        mut self,
        id: Option<&'a str>,
        sequence: Option<&'a SequenceId>,
    ) -> Self {
        self.sent.id = id;
        self.sent.sequence = sequence;
        self
    }

    /// An error that is not transient, of a call that the server did not carry out.
    ///
    /// A message that repeats what a server said comes to an error by this alone, so that nothing in it
    /// is secret, and it is of a bounded length.
    pub(crate) fn error(&self, kind: ErrorKind, message: impl Into<String>) -> Error {
        let (operation, endpoint) = (&self.operation, self.endpoint);
        let shown_anyway = format!("{operation} {endpoint}{}", operation.path());
        let message = self.secrets.hidden_in(&message.into(), &shown_anyway);
        Error::new(kind, operation, Some(endpoint), message)
            .of_replica(self.replica)
            .with_request_id(self.sent.id)
    }

    /// The error for an answer that is not what the protocol promises.
    pub(crate) fn protocol(&self, message: impl Into<String>) -> Error {
        self.error(ErrorKind::Protocol, message).executed(true)
    }

    /// The error for an answer that did not come in time.
    pub(crate) fn timeout(&self, timeout: Duration, sent: bool) -> Error {
        // What is left of a longer time is no round number.
        let shown =
            match Duration::from_millis(u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX)) {
                Duration::ZERO => timeout,
                whole => whole,
            };
        let message = format!("no complete answer within {shown:?}");
        self.error(ErrorKind::Timeout, message)
            .transient(true)
            .executed(sent)
    }

    /// The error for an answer that is larger than it may be.
    pub(crate) fn too_large(&self, limit: &impl fmt::Display, status: StatusCode) -> Error {
        self.error(ErrorKind::ResponseTooLarge, limit.to_string())
            .with_status(status.as_u16())
            .executed(true)
    }

    /// The error for a connection that broke; `sent` says whether all of the request was handed
    /// to it.
    pub(crate) fn interrupted(&self, sent: bool) -> Error {
        let message = "the connection broke before the answer was complete";
        self.error(ErrorKind::Interrupted, message)
            .transient(true)
            .executed(sent)
    }
}
