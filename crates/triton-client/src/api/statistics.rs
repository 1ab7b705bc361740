//! Statistics: what models have done since they were loaded.
//!
//! [Protocol](https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_statistics.md)

use serde::Deserialize;

use crate::operation::{Operation, Subject};
use crate::transport::{Call, Pool};
use crate::{Client, Error, ModelId, ModelStatistics};

impl Client {
    /// Asks for the statistics of all models that are loaded, or of one: of each version of it that
    /// is loaded, unless one is named.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Rejected`](crate::ErrorKind::Rejected) when the server does not know the
    /// model, and any failure of the call.
    ///
    /// ```no_run
    /// # async fn example(client: triton_client::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// for model in client.statistics(None).await? {
    ///     println!("{}: {:?} on average", model.name, model.inference_stats.success.mean());
    /// }
    /// let versions = client.statistics(Some(&"echo".parse()?)).await?;
    /// println!("{} versions", versions.len());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn statistics(&self, model: Option<&ModelId>) -> Result<Vec<ModelStatistics>, Error> {
        const NAME: &str = "statistics";
        let operation = match model {
            None => Operation::server(NAME, "read statistics", "v2/models/stats"),
            Some(model) => {
                let subject = Subject::Model(model);
                Operation::about(subject, NAME, "read statistics of", "/stats")
            }
        };
        let document: Document = self.json(Call::get(operation, Pool::Control)).await?;
        Ok(document.model_stats)
    }
}

#[derive(Deserialize)]
struct Document {
    model_stats: Vec<ModelStatistics>,
}
