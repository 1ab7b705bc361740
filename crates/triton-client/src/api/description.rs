//! All that a server tells of a model, on servers too that keep no configurations.

use triton_protocol::{ModelConfig, ModelMetadata, ServerMetadata};

use crate::operation::{Operation, Subject};
use crate::{Client, Error, ErrorKind, ModelId, Readiness};

/// The extension by which models have a configuration.
const CONFIGURATIONS: &str = "model_configuration";

/// What a server tells of a model.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ModelDescription {
    /// The model's tensors, as far as the server tells them.
    pub metadata: ModelMetadata,
    /// The model's configuration, with those of its steps; `None` where the server keeps none.
    pub config: Option<ModelConfig>,
    /// What a server that keeps no configurations tells of itself; `None` where it was not asked,
    /// because there is a configuration, or tells nothing.
    pub server: Option<ServerMetadata>,
}

impl Client {
    /// Asks for all that the server tells of a model: its metadata, its configuration with those of
    /// its steps ([`model_config_with_steps`](Self::model_config_with_steps)), and, where the server
    /// keeps no configurations, what the server is. Each question may take the timeout of a call, and all of them ten times as long.
    ///
    /// MLServer, KServe's own server and OpenVINO Model Server keep none. It is taken for that where
    /// the server has told the model's metadata, then answers the question for the
    /// configuration that it has no such path ([`Error::is_no_such_path`]), does not name the
    /// extension `model_configuration`, and says that the model is ready.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] when the server does not know the model,
    /// [`ErrorKind::Unavailable`] when a server without configurations says that the model is not
    /// ready, and any failure of a call.
    ///
    /// ```no_run
    /// # async fn example(client: triton_client::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let model = client.describe_model(&"echo".parse()?).await?;
    /// match &model.config {
    ///     Some(config) => println!("{} rows at once", config.max_batch_size),
    ///     None => println!("its server does not say how many rows it takes at once"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn describe_model(&self, model: &ModelId) -> Result<ModelDescription, Error> {
        let client = self.with_questions();
        let metadata = client.model_metadata(model).await?;
        let absent = match client.model_config(model).await {
            Ok(config) => {
                return Ok(ModelDescription {
                    metadata,
                    config: Some(client.with_steps(model, config).await?),
                    server: None,
                });
            }
            Err(error) if error.is_no_such_path() => error,
            Err(error) => return Err(error),
        };
        let server = match client.server_metadata().await {
            Ok(server) => Some(server),
            // A gateway may let nothing through but what is about models.
            Err(error)
                if error.is_no_such_path()
                    || matches!(error.kind(), ErrorKind::Denied | ErrorKind::Protocol) =>
            {
                None
            }
            Err(error) => return Err(error),
        };
        let has_configurations = server
            .as_ref()
            .is_some_and(|server| server.names_extension(CONFIGURATIONS) == Some(true));
        // Then the model has gone since its metadata was told, or a gateway hides its configuration.
        if has_configurations {
            return Err(absent);
        }
        // These servers tell the metadata of a model that is still being loaded.
        if client.model_ready(model).await? == Readiness::NotReady {
            let subject = Subject::Model(model);
            let operation = Operation::about(subject, "model_ready", "look up", "/ready");
            let context = client.context(operation);
            let error = context.error(ErrorKind::Unavailable, "the server says it is not ready");
            return Err(error.transient(true));
        }
        Ok(ModelDescription {
            metadata,
            config: None,
            server,
        })
    }
}
