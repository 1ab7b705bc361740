//! Asks a server whether it and its model are ready.

use std::time::Duration;

use tokio::time::timeout;
use triton_client::{Client, ErrorKind, ModelId, Readiness};

/// How long a question may take.
const LONGEST_QUESTION: Duration = Duration::from_secs(5);

/// Whether the server and its model say that they are ready, or say nothing of it.
pub(crate) async fn is_ready(client: &Client, model: &ModelId) -> bool {
    let question = client.model_ready(model);
    let Ok(answer) = timeout(LONGEST_QUESTION, question).await else {
        return false;
    };
    match answer {
        Ok(Readiness::Ready) => true,
        // A server that does not know the question may know the model all the same.
        Ok(Readiness::NotReady) => timeout(LONGEST_QUESTION, client.model_metadata(model))
            .await
            .is_ok_and(|metadata| metadata.is_ok()),
        // What else it answers is for the next call to find out.
        Err(error) => {
            let kind = error.kind();
            let is_away = matches!(
                kind,
                ErrorKind::NotFound
                    | ErrorKind::Timeout
                    | ErrorKind::Interrupted
                    | ErrorKind::Unavailable
            );
            !is_away && !kind.is_connection()
        }
    }
}
