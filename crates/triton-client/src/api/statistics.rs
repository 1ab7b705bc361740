//! Statistics: what models have done since they were loaded.
//!
//! [Protocol](https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_statistics.md)

use serde::Deserialize;

use crate::operation::{Operation, Subject};
use crate::transport::{Call, Pool};
use crate::{Client, Error, ModelId, ModelStatistics};

impl Client {
    /// Asks for the statistics of every model and version that is loaded.
    ///
    /// # Errors
    ///
    /// Any failure of the call.
    ///
    /// ```no_run
    /// # async fn example(client: triton_client::Client) -> Result<(), triton_client::Error> {
    /// for model in client.statistics().await? {
    ///     println!("{}: {:?} on average", model.name, model.inference_stats.success.mean());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn statistics(&self) -> Result<Vec<ModelStatistics>, Error> {
        let operation = Operation::server("statistics", "read statistics", "v2/models/stats");
        let document: Document = self.json(Call::get(operation, Pool::Control)).await?;
        Ok(document.model_stats)
    }

    /// Asks for the statistics of a model, of each version that is loaded unless one is named.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Rejected`](crate::ErrorKind::Rejected) when the server does not know the
    /// model, and any failure of the call.
    ///
    /// ```no_run
    /// # async fn example(client: triton_client::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// use triton_client::ModelId;
    ///
    /// let versions = client.model_statistics(&ModelId::latest("echo".parse()?)).await?;
    /// println!("{} versions", versions.len());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn model_statistics(&self, model: &ModelId) -> Result<Vec<ModelStatistics>, Error> {
        let subject = Subject::Model(model);
        let operation =
            Operation::about(subject, "model_statistics", "read statistics of", "/stats");
        let document: Document = self.json(Call::get(operation, Pool::Control)).await?;
        Ok(document.model_stats)
    }
}

#[derive(Deserialize)]
struct Document {
    model_stats: Vec<ModelStatistics>,
}
