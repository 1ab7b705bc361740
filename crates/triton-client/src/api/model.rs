//! Model metadata and configuration: which tensors a model takes and gives, and how it batches.
//!
//! [Protocol](https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md#model-metadata),
//! [configuration extension](https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_model_configuration.md)

use crate::json::Room;
use crate::operation::{Operation, Subject};
use crate::transport::{Call, Pool};
use crate::{Client, Error, ModelConfig, ModelId, ModelMetadata};

impl Client {
    /// Asks for the tensors of a model.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when the server does not know the
    /// model, and any failure of the call.
    ///
    /// ```no_run
    /// # async fn example(client: triton_client::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// use triton_client::ModelId;
    ///
    /// let model = client.model_metadata(&ModelId::latest("echo".parse()?)).await?;
    /// for input in &model.inputs {
    ///     println!("{}: {} {:?}", input.name, input.datatype, input.shape);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn model_metadata(&self, model: &ModelId) -> Result<ModelMetadata, Error> {
        let subject = Subject::Model(model);
        let operation = Operation::about(subject, "model_metadata", "read metadata of", "");
        self.json(Call::get(operation, Pool::Data)).await
    }

    /// Asks for the configuration of a model.
    ///
    /// # Errors
    ///
    /// As [`model_metadata`](Self::model_metadata).
    ///
    /// ```no_run
    /// # async fn example(client: triton_client::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// use triton_client::ModelId;
    ///
    /// let config = client.model_config(&ModelId::latest("echo".parse()?)).await?;
    /// println!("{} at once; all of it: {}", config.max_batch_size, config.document());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn model_config(&self, model: &ModelId) -> Result<ModelConfig, Error> {
        self.model_config_within(model, &mut self.room()).await
    }

    /// The configuration of one of several models, which share what they may take.
    pub(crate) async fn model_config_within(
        &self,
        model: &ModelId,
        room: &mut Room,
    ) -> Result<ModelConfig, Error> {
        let subject = Subject::Model(model);
        let operation =
            Operation::about(subject, "model_config", "read configuration of", "/config");
        self.json_within(Call::get(operation, Pool::Data), room)
            .await
    }
}
