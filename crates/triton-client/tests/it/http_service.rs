//! HTTP that a caller brings: a double without sockets, failures of its own, and middleware around the
//! client's connections.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use triton_client::http::{HeaderValue, Request, Response, StatusCode};
use triton_client::http_service::{
    HttpError, HttpErrorKind, HttpFuture, HttpService, RequestBody, ResponseBody,
};
use triton_client::{
    Client, Error, ErrorKind, InferRequest, ModelId, Readiness, Tensor, TensorFormat,
};
use triton_test_support::EmbeddedTriton;

fn client(service: Arc<dyn HttpService>) -> Client {
    let builder = Client::builder("https://triton.invalid/base");
    let builder = builder.tensor_format(TensorFormat::Binary);
    builder.http_service(service).build().unwrap()
}

fn request() -> InferRequest {
    InferRequest::new(ModelId::latest("echo".parse().unwrap()))
        .input(Tensor::from_slice("value", [1, 2], &[1.5_f32, 2.5]).unwrap())
        .output("echo")
}

/// Answers inference with one tensor, and remembers what it was asked.
#[derive(Debug, Default)]
struct Double(Mutex<Vec<String>>);

impl HttpService for Double {
    fn call(&self, request: Request<RequestBody>) -> HttpFuture<'_> {
        let asked = format!("{} {}", request.method(), request.uri());
        self.0.lock().unwrap().push(asked);
        Box::pin(async move {
            let (head, body) = request.into_parts();
            assert_eq!(head.headers["content-type"], "application/octet-stream");
            assert!(body.into_bytes()?.ends_with(&2.5_f32.to_le_bytes()));
            let json = r#"{"outputs":[{"name":"echo","datatype":"FP32","shape":[1],"data":[4]}]}"#;
            Ok(Response::new(json.into()))
        })
    }
}

#[tokio::test]
async fn a_double_without_sockets_answers() {
    let double = Arc::new(Double::default());
    let client = client(double.clone());
    let response = client.infer(&request()).await.unwrap();
    let echo = response.output("echo").unwrap();
    assert_eq!(*echo.values::<f32>().unwrap(), [4.0]);
    let asked = double.0.lock().unwrap().join(", ");
    insta::assert_snapshot!(asked, @"POST https://triton.invalid/base/v2/models/echo/infer");
}

/// Fails, before or after it has taken the body; or has an answer of which the body fails.
#[derive(Debug, Clone, Copy)]
struct Failing {
    kind: HttpErrorKind,
    takes_body: bool,
    answers_first: bool,
}

impl HttpService for Failing {
    fn call(&self, request: Request<RequestBody>) -> HttpFuture<'_> {
        let Self {
            kind,
            takes_body,
            answers_first,
        } = *self;
        Box::pin(async move {
            if takes_body {
                request.into_body().into_bytes()?;
            }
            let error = HttpError::new(kind, "the cause");
            match answers_first {
                true => Ok(Response::new(ResponseBody::new(FailingBody(Some(error))))),
                false => Err(error),
            }
        })
    }
}

struct FailingBody(Option<HttpError>);

impl http_body::Body for FailingBody {
    type Data = bytes::Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<bytes::Bytes>, HttpError>>> {
        std::task::Poll::Ready(self.0.take().map(Err))
    }
}

#[tokio::test]
async fn what_an_error_proves_follows_from_its_kind_and_from_what_was_taken() {
    use HttpErrorKind::{Connect, Interrupted, Malformed, Tls};

    for (kind, takes_body, answers_first, expected, transient, executed) in [
        (Connect, false, false, ErrorKind::Connect, true, false),
        // Whoever knows that there was no connection knows more than the body.
        (Connect, true, false, ErrorKind::Connect, true, false),
        (Tls, true, false, ErrorKind::Tls, false, false),
        (
            Interrupted,
            false,
            false,
            ErrorKind::Interrupted,
            true,
            false,
        ),
        (Interrupted, true, false, ErrorKind::Interrupted, true, true),
        (Interrupted, true, true, ErrorKind::Interrupted, true, true),
        (Malformed, true, false, ErrorKind::Protocol, false, true),
        (Malformed, false, false, ErrorKind::Protocol, false, false),
    ] {
        let failing = Failing {
            kind,
            takes_body,
            answers_first,
        };
        let error = client(Arc::new(failing)).infer(&request()).await;
        let error = error.unwrap_err();
        let found = (
            error.kind(),
            error.is_transient(),
            error.may_have_executed(),
        );
        assert_eq!(found, (expected, transient, executed), "{failing:?}");
    }
}

/// Counts requests and adds a header, and leaves the rest to another service.
#[derive(Debug)]
struct Counting {
    inner: Arc<dyn HttpService>,
    requests: AtomicUsize,
}

impl HttpService for Counting {
    fn call(&self, mut request: Request<RequestBody>) -> HttpFuture<'_> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let marked = HeaderValue::from_static("yes");
        request.headers_mut().insert("x-counted", marked);
        self.inner.call(request)
    }
}

fn counting(endpoint: &str) -> (Client, Arc<Counting>) {
    let builder = Client::builder(endpoint);
    let counting = Arc::new(Counting {
        inner: builder.own_http_service().unwrap(),
        requests: AtomicUsize::new(0),
    });
    let client = builder.http_service(counting.clone()).build().unwrap();
    (client, counting)
}

#[tokio::test]
async fn middleware_stands_around_the_clients_own_connections() {
    let server = EmbeddedTriton::start().unwrap();
    let (client, counting) = counting(&server.endpoint());
    client.infer(&request()).await.unwrap();
    assert_eq!(client.ready().await.unwrap(), Readiness::Ready);
    // The question for the server's extensions is the third.
    assert_eq!(counting.requests.load(Ordering::Relaxed), 3);
    assert_eq!(server.requests()[0].header("x-counted"), Some("yes"));
}

#[tokio::test]
async fn behind_middleware_errors_say_what_they_say_without() {
    let words = |error: Error| (error.kind(), error.may_have_executed(), error.to_string());
    for endpoint in ["http://127.0.0.1:1", "http://user:canary@triton.invalid"] {
        let bare = Client::new(endpoint).unwrap();
        let (wrapped, _) = counting(endpoint);
        let bare = words(bare.live().await.unwrap_err());
        assert_eq!(words(wrapped.live().await.unwrap_err()), bare);
    }
}

/// Refuses before it has taken the body.
#[derive(Debug)]
struct Refusing;

impl HttpService for Refusing {
    fn call(&self, _: Request<RequestBody>) -> HttpFuture<'_> {
        Box::pin(async {
            let mut response = Response::new("busy".into());
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            Ok(response)
        })
    }
}

#[tokio::test]
async fn a_refusal_of_what_was_not_taken_proves_that_nothing_was_executed() {
    let error = client(Arc::new(Refusing)).infer(&request()).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(
        error.is_transient() && !error.may_have_executed(),
        "{error:?}"
    );
}

/// Goes on with the request although nobody waits for it any more.
#[derive(Debug, Default)]
struct Late(Arc<Mutex<Option<Request<RequestBody>>>>);

impl HttpService for Late {
    fn call(&self, request: Request<RequestBody>) -> HttpFuture<'_> {
        *self.0.lock().unwrap() = Some(request);
        Box::pin(std::future::pending())
    }
}

#[tokio::test]
async fn a_request_that_was_given_up_cannot_be_sent_any_more() {
    let late = Arc::new(Late::default());
    let client = client(late.clone());
    let request = request().timeout(Duration::from_millis(50));
    let error = client.infer(&request).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(!error.may_have_executed());
    let kept = late.0.lock().unwrap().take().unwrap();
    let error = kept.into_body().into_bytes().unwrap_err();
    assert_eq!(error.kind(), HttpErrorKind::Interrupted);
}
