//! The seam between calls and HTTP: where a caller brings middleware, another HTTP client, or a test
//! double without sockets.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

pub use crate::http_error::{HttpError, HttpErrorKind};
pub use crate::transport::RequestBody;

/// What [`HttpService::call`] returns.
pub type HttpFuture<'a> =
    Pin<Box<dyn Future<Output = Result<http::Response<ResponseBody>, HttpError>> + Send + 'a>>;

/// Makes one exchange of HTTP for the client.
///
/// It gets whole requests and returns with the head of the answer, whatever its status. It never
/// makes an exchange twice: whoever owns the request decides whether to. Timeouts are the client's,
/// which drops the future.
///
/// A body that ends is taken for whole: where one may have been cut, as an answer of HTTP/1 that has
/// neither a length nor chunks, its end has to be an error.
///
/// What an error proves depends on the request's body: until its last piece was taken, the server
/// cannot have executed anything, see [`RequestBody`], and an answer with status 200 whose body ends
/// before that is refused. So a service takes pieces as it sends them, and middleware hands the body
/// on as it is.
///
/// ```
/// use std::sync::Arc;
///
/// use triton_client::http_service::{HttpFuture, HttpService, RequestBody};
/// use triton_client::{Client, Readiness, http};
///
/// /// Is ready, whatever it is asked.
/// #[derive(Debug)]
/// struct Ready;
///
/// impl HttpService for Ready {
///     fn call(&self, request: http::Request<RequestBody>) -> HttpFuture<'_> {
///         Box::pin(async move {
///             assert_eq!(request.uri().path(), "/v2/health/ready");
///             Ok(http::Response::new("".into()))
///         })
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let client = Client::builder("http://triton.example")
///     .http_service(Arc::new(Ready))
///     .build()?;
/// assert_eq!(client.ready().await?, Readiness::Ready);
/// # Ok(())
/// # }
/// ```
pub trait HttpService: fmt::Debug + Send + Sync {
    /// Sends the request and waits for the head of its answer.
    fn call(&self, request: http::Request<RequestBody>) -> HttpFuture<'_>;
}

/// The body of an answer, which may still be on its way.
pub struct ResponseBody(Pin<Box<dyn Body<Data = Bytes, Error = HttpError> + Send>>);

impl ResponseBody {
    /// A body that comes piece by piece.
    pub fn new<B>(body: B) -> Self
    where
        B: Body<Data = Bytes, Error = HttpError> + Send + 'static,
    {
        Self(Box::pin(body))
    }
}

impl<T: Into<Bytes>> From<T> for ResponseBody {
    /// A body that is there already.
    fn from(whole: T) -> Self {
        Self::new(Whole(whole.into()))
    }
}

/// A body in one piece.
struct Whole(Bytes);

impl Body for Whole {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        let rest = std::mem::take(&mut self.0);
        Poll::Ready((!rest.is_empty()).then(|| Ok(Frame::data(rest))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.len() as u64)
    }
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ResponseBody")
            .finish_non_exhaustive()
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        self.0.as_mut().poll_frame(task)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}
