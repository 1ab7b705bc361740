//! Health: is the server alive, is it ready, is a model ready?
//!
//! [Protocol](https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md#health)

use http::StatusCode;

use crate::operation::{Operation, Subject};
use crate::transport::{Answer, Call, Context, Pool, is_page};
use crate::{Client, Error, ErrorKind, ModelId};

/// The answer to a readiness question.
///
/// ```
/// use triton_client::Readiness;
///
/// assert!(Readiness::Ready.is_ready());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Readiness {
    /// Requests can be sent.
    Ready,
    /// The server answered that it, or the model, is not ready or not known.
    NotReady,
}

impl Readiness {
    /// Whether requests can be sent.
    #[must_use]
    pub fn is_ready(self) -> bool {
        self == Self::Ready
    }
}

impl Client {
    /// Whether the server process runs and answers.
    ///
    /// # Errors
    ///
    /// Any failure to reach the server, [`ErrorKind::Denied`](crate::ErrorKind::Denied) where the
    /// health API is restricted, and [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) where
    /// something answers, but knows nothing of the protocol: the endpoint's path is wrong.
    ///
    /// ```no_run
    /// # async fn example(client: triton_client::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// use triton_client::Readiness;
    ///
    /// assert_eq!(client.live().await?, Readiness::Ready);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn live(&self) -> Result<Readiness, Error> {
        let operation = Operation::server("live", "check liveness", "v2/health/live");
        self.health(operation).await
    }

    /// Whether the server, with all the models it was told to load, takes requests.
    ///
    /// # Errors
    ///
    /// As [`live`](Self::live).
    ///
    /// ```no_run
    /// # async fn example(client: triton_client::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// use triton_client::Readiness;
    ///
    /// assert_eq!(client.ready().await?, Readiness::Ready);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn ready(&self) -> Result<Readiness, Error> {
        let operation = Operation::server("ready", "check readiness", "v2/health/ready");
        self.health(operation).await
    }

    /// Whether a model takes requests; a model that the server does not know is not ready.
    ///
    /// # Errors
    ///
    /// As [`live`](Self::live).
    ///
    /// ```no_run
    /// # async fn example(client: triton_client::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// use triton_client::{ModelId, Readiness};
    ///
    /// assert_eq!(client.model_ready(&ModelId::latest("echo".parse()?)).await?, Readiness::Ready);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn model_ready(&self, model: &ModelId) -> Result<Readiness, Error> {
        let operation = Operation::about(
            Subject::Model(model),
            "model_ready",
            "check readiness of",
            "/ready",
        );
        self.health(operation).await
    }

    async fn health(&self, operation: Operation<'_>) -> Result<Readiness, Error> {
        let read = |context: &Context<'_>, answer: Answer| match answer.status {
            StatusCode::OK if is_page(&answer.body) => {
                let error = context.page("a word of a server's health", &answer);
                Err(error.executed(false))
            }
            StatusCode::OK => Ok(Ok(Readiness::Ready)),
            // Which of these it is differs between servers, phases and gateways.
            StatusCode::BAD_REQUEST | StatusCode::SERVICE_UNAVAILABLE => {
                match is_page(&answer.body) {
                    // A page is none of a server, which may be there later.
                    true => Err(context.away(&answer)),
                    false => Ok(Ok(Readiness::NotReady)),
                }
            }
            StatusCode::NOT_FOUND => Ok(Err(context.refusal(&answer))),
            _ => Err(context.refusal(&answer)),
        };
        let client = self.with_questions();
        let not_found = match client
            .perform(Call::get(operation, Pool::Data), read)
            .await?
        {
            Ok(readiness) => return Ok(readiness),
            Err(not_found) => not_found,
        };
        // So does a server answer that does not know the model, and whoever answers below a wrong
        // address: only a server tells what it is.
        match client.server_metadata().await {
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Protocol) => {
                let message = format!(
                    "no server of the V2 protocol answers there ({}): set the endpoint to the \
                     address below which its '/v2' lies",
                    not_found.message()
                );
                let error = client
                    .context(operation)
                    .error(ErrorKind::NotFound, message);
                Err(error.with_status(404).executed(true))
            }
            _ => Ok(Readiness::NotReady),
        }
    }
}
