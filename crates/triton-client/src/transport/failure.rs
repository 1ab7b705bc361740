//! Failures of the HTTP library, sorted by what a caller can know and do.

use std::error::Error as StdError;
use std::io;

use super::Context;
use crate::{Error, ErrorKind};

impl Context<'_> {
    /// The error for a call that the HTTP library could not finish; `sent` says whether all of
    /// the request was handed to a connection.
    pub(crate) fn failure(&self, error: reqwest::Error, sent: bool) -> Error {
        // The HTTP library repeats the whole URL, credentials included, unless it is taken away.
        let error = error.without_url();
        let failure = if error.is_connect() {
            connection_failure(self, &error)
        } else if is_malformed(&error) {
            let message = "the answer is not valid HTTP/1.1; does the port speak gRPC, as Triton's \
                           8001 does (HTTP/2), or want https://?";
            self.error(ErrorKind::Protocol, message).executed(sent)
        } else {
            self.interrupted(sent)
        };
        failure.with_source(error)
    }
}

fn connection_failure(context: &Context<'_>, error: &reqwest::Error) -> Error {
    // The TLS library reports what it refuses as invalid data; time does not change that.
    if io_kinds(error).any(|kind| kind == io::ErrorKind::InvalidData) {
        // The TLS library names what it got in place of the first record of TLS only as text.
        let answers_otherwise =
            causes(error).any(|cause| cause.to_string().contains("InvalidContentType"));
        if answers_otherwise {
            let message = "the port answers, but does not speak TLS; does it speak plain HTTP, so \
                           that http:// is right?";
            return context.error(ErrorKind::Connect, message);
        }
        let message = "no TLS connection could be made; do both sides trust each other's \
                       certificates?";
        return context.error(ErrorKind::Connect, message);
    }
    let closed = [
        io::ErrorKind::UnexpectedEof,
        io::ErrorKind::ConnectionReset,
        io::ErrorKind::BrokenPipe,
    ];
    let is_tls = context.endpoint.url().scheme() == "https";
    if is_tls && io_kinds(error).any(|kind| closed.contains(&kind)) {
        let message = "the connection was closed before TLS was agreed on; does the port speak plain \
                       HTTP, so that http:// is right?";
        return context.error(ErrorKind::Connect, message).transient(true);
    }
    let message = match error.is_timeout() {
        true => "no connection could be made in time; is the server reachable there?",
        false => "no connection could be made; is the server running there?",
    };
    context.error(ErrorKind::Connect, message).transient(true)
}

/// Whether the peer said something that is not HTTP, as opposed to nothing more.
fn is_malformed(error: &reqwest::Error) -> bool {
    let refused_head = causes(error)
        .filter_map(|cause| cause.downcast_ref::<hyper::Error>())
        .any(|cause| cause.is_parse());
    refused_head
        || io_kinds(error).any(|kind| {
            matches!(
                kind,
                io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData
            )
        })
}

fn io_kinds(error: &reqwest::Error) -> impl Iterator<Item = io::ErrorKind> {
    causes(error)
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .map(io::Error::kind)
}

/// The error and everything below it, also what an I/O error merely wraps.
fn causes<'a>(error: &'a reqwest::Error) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    let first: &'a (dyn StdError + 'static) = error;
    std::iter::successors(Some(first), |cause: &&'a (dyn StdError + 'static)| {
        let cause: &'a (dyn StdError + 'static) = *cause;
        let wrapped = cause
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        match wrapped {
            Some(wrapped) => Some(wrapped as &(dyn StdError + 'static)),
            None => cause.source(),
        }
    })
}
