//! The client's own way to make exchanges: two pools of connections to one server.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderValue;
use http::header::PROXY_AUTHORIZATION;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::Pool;
use super::body::RequestBody;
use super::connection::Connections;
use super::connector::ConnectFailure;
use super::failure::{causes, is_malformed};
use crate::http_service::{HttpError, HttpErrorKind, HttpFuture, HttpService, ResponseBody};

/// Sends requests over connections of its own.
#[derive(Debug)]
pub(super) struct OwnService {
    pub(super) data: Connections,
    pub(super) control: Connections,
    /// For a proxy that reads the requests.
    pub(super) proxy_authorization: Option<HeaderValue>,
}

impl HttpService for OwnService {
    fn call(&self, mut request: http::Request<RequestBody>) -> HttpFuture<'_> {
        let connections = match request.extensions().get() {
            Some(Pool::Control) => &self.control,
            _ => &self.data,
        };
        if let Some(authorization) = &self.proxy_authorization {
            let headers = request.headers_mut();
            headers.insert(PROXY_AUTHORIZATION, authorization.clone());
        }
        let sending = connections.request(request);
        Box::pin(async move {
            match sending.await {
                Ok(response) => Ok(response.map(|body| ResponseBody::new(IncomingBody(body)))),
                Err(error) => Err(HttpError::new(kind(&error), error)),
            }
        })
    }
}

fn kind(error: &hyper_util::client::legacy::Error) -> HttpErrorKind {
    let connect = causes(error).find_map(|cause| cause.downcast_ref::<ConnectFailure>());
    match connect {
        Some(ConnectFailure::Tls { .. }) => HttpErrorKind::Tls,
        Some(_) => HttpErrorKind::Connect,
        None if is_malformed(error) => HttpErrorKind::Malformed,
        None => HttpErrorKind::Interrupted,
    }
}

/// The rest of an answer on one of the connections.
struct IncomingBody(Incoming);

impl Body for IncomingBody {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        let frame = Pin::new(&mut self.0).poll_frame(task);
        frame.map_err(|error| {
            let kind = match is_malformed(&error) {
                true => HttpErrorKind::Malformed,
                false => HttpErrorKind::Interrupted,
            };
            HttpError::new(kind, error)
        })
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}
