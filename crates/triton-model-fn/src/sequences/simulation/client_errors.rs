//! Errors as the client really makes them, from exchanges that fail without any socket: what
//! happens to a row depends on what an error says of itself.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use tokio::runtime;
use triton_client::http_service::{HttpError, HttpErrorKind, HttpFuture, HttpService, RequestBody};
use triton_client::{Client, InferRequest, Sequence, SequenceId, Tensor, http};

use crate::{Error, ErrorKind};

/// How an exchange fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failure {
    NoConnection,
    ConnectionCut,
    NoAnswer,
    NotStarted,
    ModelFailed,
}

/// The errors of a function for each way in which a request of a sequence fails.
#[derive(Debug)]
pub(super) struct ClientErrors {
    /// Nothing was sent.
    pub(super) no_connection: Error,
    /// The connection broke, and the server may have executed the request.
    pub(super) connection_cut: Error,
    /// No answer came in time.
    pub(super) no_answer: Error,
    /// The server does not know the sequence.
    pub(super) not_started: Error,
    /// The model failed (500), which nothing says will pass.
    pub(super) model_failed: Error,
}

/// Made once, and on a thread of their own, so that they take no time of a test's clock.
pub(super) static CLIENT_ERRORS: LazyLock<ClientErrors> = LazyLock::new(|| {
    let made = std::thread::spawn(|| {
        let mut builder = runtime::Builder::new_current_thread();
        let runtime = builder.enable_time().start_paused(true).build().unwrap();
        runtime.block_on(ClientErrors::make())
    });
    made.join().unwrap()
});

impl ClientErrors {
    async fn make() -> Self {
        let uncertain = "the row was not answered, and the model may have taken it in";
        let lost = "the server no longer knows the sequence, so the row was not answered";
        let make = async |failure, kind, message| {
            let error = Error::call("the row was not answered", fail(failure).await);
            match kind {
                ErrorKind::Call => error,
                kind => error.with_kind(kind, message),
            }
        };
        let made = Self {
            no_connection: make(Failure::NoConnection, ErrorKind::Call, "").await,
            connection_cut: make(
                Failure::ConnectionCut,
                ErrorKind::SequenceUncertain,
                uncertain,
            )
            .await,
            no_answer: make(Failure::NoAnswer, ErrorKind::SequenceUncertain, uncertain).await,
            not_started: make(Failure::NotStarted, ErrorKind::SequenceLost, lost).await,
            model_failed: make(
                Failure::ModelFailed,
                ErrorKind::SequenceUncertain,
                uncertain,
            )
            .await,
        };
        made.check();
        made
    }

    /// They say of themselves what is written beside them.
    fn check(&self) {
        let said = |error: &Error| {
            let error = error.client_error().unwrap();
            (error.is_transient(), error.may_have_executed())
        };
        assert_eq!(said(&self.no_connection), (true, false));
        assert_eq!(said(&self.connection_cut), (true, true));
        assert_eq!(said(&self.no_answer), (true, true));
        assert_eq!(said(&self.not_started), (false, false));
        assert_eq!(said(&self.model_failed), (false, true));
    }
}

async fn fail(failure: Failure) -> triton_client::Error {
    let client = Client::builder("http://simulated")
        .http_service(Arc::new(Failing(failure)))
        .timeout(Duration::from_secs(1))
        .build()
        .unwrap();
    let sequence = Sequence {
        id: SequenceId::text("simulated".to_owned()).unwrap(),
        start: false,
        end: false,
    };
    let request = InferRequest::new("m".parse().unwrap())
        .input(Tensor::from_slice("value", [1, 1], &[1_i64]).unwrap())
        .sequence(sequence);
    client.infer(&request).await.unwrap_err()
}

/// A way to a server on which every exchange fails alike.
#[derive(Debug)]
struct Failing(Failure);

impl HttpService for Failing {
    fn call(&self, request: http::Request<RequestBody>) -> HttpFuture<'_> {
        Box::pin(async move {
            if self.0 == Failure::NoConnection {
                return Err(HttpError::new(HttpErrorKind::Connect, "refused"));
            }
            request.into_body().into_bytes()?;
            let (status, text) = match self.0 {
                Failure::ConnectionCut => {
                    return Err(HttpError::new(HttpErrorKind::Interrupted, "reset by peer"));
                }
                Failure::NoAnswer | Failure::NoConnection => std::future::pending().await,
                Failure::ModelFailed => (500, "the model failed"),
                Failure::NotStarted => (
                    400,
                    "inference request for sequence simulated to model 'm' must specify the START \
                     flag on the first request of the sequence",
                ),
            };
            let body = serde_json::json!({ "error": text }).to_string();
            let answer = http::Response::builder().status(status);
            Ok(answer.body(body.into()).unwrap())
        })
    }
}
