//! Failures below HTTP, sorted by what a caller can know and do.

use std::error::Error as StdError;
use std::io;

use super::causes::causes;
use super::connect_failure::ConnectFailure;
use super::context::Context;
use super::stream::ConnectionHandle;
use super::tls::{self, TlsRefusal};
use crate::http_service::{HttpError, HttpErrorKind};
use crate::{Error, ErrorKind};

impl Context<'_> {
    /// The error for an exchange that failed; `sent` says whether all of the request was taken.
    pub(super) fn http_failure(&self, error: HttpError, sent: bool) -> Error {
        let kind = error.kind();
        // The client's own service fails with what tells more than a kind.
        let source = match error.into_source().downcast() {
            Ok(error) => return self.send_failure(*error, sent),
            Err(source) => source,
        };
        let source = match source.downcast::<hyper::Error>() {
            Ok(error) => return self.failure(*error, sent),
            Err(source) => source,
        };
        let failure = match kind {
            HttpErrorKind::Connect => {
                let message = "no connection could be made; is the server running there?";
                self.error(ErrorKind::Connect, message).transient(true)
            }
            HttpErrorKind::Tls => {
                let message = format!("no TLS connection could be made: {source}");
                self.error(ErrorKind::Tls, message)
            }
            HttpErrorKind::Interrupted => self.interrupted(sent),
            HttpErrorKind::Malformed => {
                let message = "the answer is not valid HTTP";
                self.error(ErrorKind::Protocol, message).executed(sent)
            }
        };
        failure.with_source(source)
    }

    /// The error for a request that the HTTP library could not send, or got no answer to; `sent`
    /// says whether all of it was handed to a connection.
    fn send_failure(&self, error: hyper_util::client::legacy::Error, sent: bool) -> Error {
        let connect = causes(&error).find_map(|cause| cause.downcast_ref::<ConnectFailure>());
        if let Some(connect) = connect {
            return self.connect_failure(connect).with_source(error);
        }
        let mut extras = http::Extensions::new();
        if let Some(connection) = error.connect_info() {
            connection.get_extras(&mut extras);
        }
        let handle: Option<&ConnectionHandle> = extras.get();
        let refusal = match handle {
            Some(handle) => handle.refusal().cloned(),
            // It broke before a request was put on it, so the error alone tells.
            None => tls::refusal(&error),
        };
        // Whoever is refused for its certificate was not heard, whatever it has sent.
        match refusal.filter(|refusal| refusal.kind == ErrorKind::ClientCertificate) {
            Some(refusal) => self.tls_refusal(refusal).with_source(error),
            None => self.failure(error, sent),
        }
    }

    /// The error for a connection that failed with a call on it.
    fn failure<E>(&self, error: E, sent: bool) -> Error
    where
        E: StdError + Send + Sync + 'static,
    {
        let failure = match is_malformed(&error) {
            true => {
                let message = "the answer is not valid HTTP/1.1; does the port speak gRPC, as \
                               Triton's 8001 does (HTTP/2), or want https://?";
                self.error(ErrorKind::Protocol, message).executed(sent)
            }
            false => self.interrupted(sent),
        };
        failure.with_source(error)
    }

    fn tls_refusal(&self, refusal: TlsRefusal) -> Error {
        self.error(refusal.kind, refusal.message)
            .transient(refusal.transient)
    }

    fn connect_failure(&self, failure: &ConnectFailure) -> Error {
        let proxy = |message: &str| self.error(ErrorKind::Proxy, message);
        match failure {
            ConnectFailure::TooSlow(limit, through_proxy) => {
                let whose = match through_proxy {
                    true => "are the proxy and, behind it, the server reachable?",
                    false => "is the server reachable there?",
                };
                let message = format!("no connection could be made within {limit:?}; {whose}");
                self.error(ErrorKind::Connect, message).transient(true)
            }
            ConnectFailure::Unreachable { proxy: true, .. } => proxy(
                "no connection to the proxy could be made; is it running where the setting \
                       'proxy' says?",
            )
            .transient(true),
            ConnectFailure::Unreachable { .. } => {
                let message = match causes(failure).any(is_timeout) {
                    true => "no connection could be made in time; is the server reachable there?",
                    false if causes(failure).any(is_lookup) => {
                        "the host's name could not be looked up: is it spelled right, and does \
                         this machine reach the server without a proxy?"
                    }
                    false => "no connection could be made; is the server running there?",
                };
                self.error(ErrorKind::Connect, message).transient(true)
            }
            ConnectFailure::ProxyRefused { status: 407 } => self.proxy_denied(),
            ConnectFailure::ProxyRefused { status } => {
                let message = format!(
                    "the proxy answered with status {status} when asked for a connection to the \
                     server: does it know the server, and may it connect there?"
                );
                proxy(&message).transient(matches!(status, 408 | 429 | 502..=504))
            }
            ConnectFailure::ProxyBroke { .. } => {
                proxy("the proxy closed the connection before it led to the server").transient(true)
            }
            ConnectFailure::NoProxy => proxy(
                "what answers at the proxy's address is no HTTP proxy: set the proxy to the address \
                 of one, with the scheme that it speaks",
            ),
            ConnectFailure::Socks(words) => {
                let message = format!(
                    "the proxy did not make a connection to the server ({words}): does it speak \
                     SOCKS 5, and may it connect there?"
                );
                proxy(&message).transient(true)
            }
            ConnectFailure::Tls {
                proxy,
                lacks_certificate,
                source,
            } => self.tls_failure(source, *proxy, *lacks_certificate),
        }
    }

    /// The error for a proxy that wants credentials, or others.
    pub(super) fn proxy_denied(&self) -> Error {
        let message = "the proxy wants credentials, or others: set the proxy to an \
                       address with them, such as 'http://user:password@proxy:3128'";
        self.error(ErrorKind::ProxyDenied, message).with_status(407)
    }

    fn tls_failure(&self, source: &io::Error, proxy: bool, lacks_certificate: bool) -> Error {
        let with_proxy = |refusal: TlsRefusal| match proxy {
            true => self.tls_refusal(refusal.of_the_proxy()),
            false => self.tls_refusal(refusal),
        };
        let refusal = tls::refusal(source);
        // An alert of which the reason is not told may have this one.
        let is_certain = refusal
            .as_ref()
            .is_some_and(|refusal| refusal.kind != ErrorKind::Tls);
        if lacks_certificate && !is_certain {
            return with_proxy(TlsRefusal::lacking_certificate());
        }
        if let Some(refusal) = refusal {
            return with_proxy(refusal);
        }
        let message = match proxy {
            true => {
                "the proxy closed the connection before TLS was agreed on; does it speak plain \
                 HTTP, so that its address begins with http://?"
            }
            false => {
                "the connection was closed before TLS was agreed on; does the port speak plain \
                 HTTP, so that http:// is right?"
            }
        };
        let kind = match proxy {
            true => ErrorKind::Proxy,
            false => ErrorKind::Connect,
        };
        self.error(kind, message).transient(true)
    }
}

/// Whether the name of a host was not found.
fn is_lookup(cause: &(dyn StdError + 'static)) -> bool {
    cause.to_string().starts_with("dns error")
}

fn is_timeout(cause: &(dyn StdError + 'static)) -> bool {
    let error = cause.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == io::ErrorKind::TimedOut)
}

/// Whether the peer said something that is not HTTP, as opposed to nothing more.
pub(super) fn is_malformed(error: &(dyn StdError + 'static)) -> bool {
    let refused_head = causes(error)
        .filter_map(|cause| cause.downcast_ref::<hyper::Error>())
        .any(hyper::Error::is_parse);
    let broken = [io::ErrorKind::InvalidInput, io::ErrorKind::InvalidData];
    let is_tls = causes(error).any(tls::is_tls);
    refused_head || !is_tls && io_kinds(error).any(|kind| broken.contains(&kind))
}

fn io_kinds<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = io::ErrorKind> + 'a {
    causes(error)
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .map(io::Error::kind)
}
