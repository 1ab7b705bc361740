//! Health: is the server alive, is it ready, is a model ready?
//!
//! [Protocol](https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md#health)

use reqwest::StatusCode;

use crate::error::Operation;
use crate::{Client, Error, ModelId};

/// The answer to a readiness question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Readiness {
    /// Requests can be sent.
    Ready,
    /// The server answered that it, or the model, is not ready or not known.
    NotReady,
}

impl Client {
    /// Whether the server process runs and answers.
    ///
    /// # Errors
    ///
    /// Any failure to reach the server, and [`ErrorKind::Denied`](crate::ErrorKind::Denied) where
    /// the health API is restricted.
    pub async fn live(&self) -> Result<Readiness, Error> {
        self.health(&"check liveness".into(), "v2/health/live")
            .await
    }

    /// Whether the server, with all the models it was told to load, takes requests.
    ///
    /// # Errors
    ///
    /// As [`live`](Self::live).
    pub async fn ready(&self) -> Result<Readiness, Error> {
        self.health(&"check readiness".into(), "v2/health/ready")
            .await
    }

    /// Whether a model takes requests; a model that the server does not know is not ready.
    ///
    /// # Errors
    ///
    /// As [`live`](Self::live).
    pub async fn model_ready(&self, model: &ModelId) -> Result<Readiness, Error> {
        let operation = model.operation("check readiness of");
        self.health(&operation, &model.path("/ready")).await
    }

    async fn health(&self, operation: &Operation, path: &str) -> Result<Readiness, Error> {
        let answer = self.transport.send(operation, path, None).await?;
        match answer.status {
            StatusCode::OK => Ok(Readiness::Ready),
            // Which of these it is differs between servers, phases and gateways.
            StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND | StatusCode::SERVICE_UNAVAILABLE => {
                Ok(Readiness::NotReady)
            }
            _ => Err(self.transport.refusal(operation, &answer)),
        }
    }
}
