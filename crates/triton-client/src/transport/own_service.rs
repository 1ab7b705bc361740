//! The client's own way to make exchanges: two pools of connections to one server.

use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{Either, select};
use http::HeaderValue;
use http::header::PROXY_AUTHORIZATION;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper_util::client::legacy::connect::{CaptureConnection, Connected, capture_connection};

use super::Pool;
use super::body::RequestBody;
use super::causes::causes;
use super::connect_failure::ConnectFailure;
use super::connector::Connections;
use super::failure::is_malformed;
use super::stream::ConnectionHandle;
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
        let connection = capture_connection(&mut request);
        let sending = connections.request(request);
        Box::pin(async move {
            let answer = match select(sending, pin!(ended(connection))).await {
                Either::Left((answer, _)) => answer,
                Either::Right(_) => {
                    let error = "the connection ended, and nothing was heard of the request";
                    return Err(HttpError::new(HttpErrorKind::Interrupted, error));
                }
            };
            match answer {
                Ok(response) => {
                    let connection = response.extensions().get::<ConnectionHandle>().cloned();
                    if let Some(connection) = &connection {
                        connection.answered();
                    }
                    let body = |body| ResponseBody::new(IncomingBody { body, connection });
                    Ok(response.map(body))
                }
                Err(error) => Err(HttpError::new(kind(&error), error)),
            }
        })
    }
}

/// How long the end of a connection may take to be told to the call that it had.
const END_IS_TOLD: Duration = Duration::from_secs(1);

/// Returns once the connection of a call has ended, and the call was not told so in time.
///
/// Now and then the HTTP library forgets a request that it put on a connection which was just
/// closing; nobody would ever answer it.
async fn ended(mut connection: CaptureConnection) {
    loop {
        let Some(handle) = handle(&connection.connection_metadata()) else {
            if connection.wait_for_connection_metadata().await.is_none() {
                return std::future::pending().await;
            }
            continue;
        };
        handle.ended().await;
        tokio::time::sleep(END_IS_TOLD).await;
        // A request that had not begun goes out on another connection.
        let now = self::handle(&connection.connection_metadata());
        if now.is_some_and(|now| now.is(&handle)) {
            return;
        }
    }
}

fn handle(connected: &Option<Connected>) -> Option<ConnectionHandle> {
    let mut extras = http::Extensions::new();
    connected.as_ref()?.get_extras(&mut extras);
    extras.get::<ConnectionHandle>().cloned()
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
struct IncomingBody {
    body: Incoming,
    connection: Option<ConnectionHandle>,
}

impl Body for IncomingBody {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        let frame = Pin::new(&mut self.body).poll_frame(task);
        if let (Poll::Ready(_), Some(connection)) = (&frame, &self.connection) {
            // The rest of a request may have been written since the answer began.
            connection.answered();
        }
        frame.map_err(|error| {
            let kind = match is_malformed(&error) {
                true => HttpErrorKind::Malformed,
                false => HttpErrorKind::Interrupted,
            };
            HttpError::new(kind, error)
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
