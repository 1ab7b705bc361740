//! What is known of a model before it is called: what its server tells of it, and what options say
//! where the server keeps no configuration.

use std::fmt;

use tracing::info;
use triton_client::{
    Client, ModelConfig, ModelDescription, ModelId, ModelMetadata, ServerMetadata, TensorMetadata,
};
use triton_options::{MODEL_MAX_BATCH_SIZE, SequenceMode, TritonOptions};

use crate::{Column, DataType, Error, ErrorKind, Schema};

/// The extension by which a server keeps sequences.
pub(crate) const SEQUENCES: &str = "sequence";

/// What is known of a model before it is called.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ModelFacts {
    /// The model's tensors, as far as its server tells them.
    pub metadata: ModelMetadata,
    /// The model's configuration; where the server keeps none, that of a stateless model, with the
    /// largest batch that the option `model-max-batch-size` gives.
    pub config: ModelConfig,
    /// Whether the server keeps configurations, as Triton does.
    pub has_config: bool,
    /// What the server tells of itself, where it keeps no configuration or sequences matter.
    pub server: Option<ServerMetadata>,
    /// Whether only shapes tell if tensors have a dimension for rows.
    pub(crate) guesses_rows: bool,
}

impl ModelFacts {
    /// Asks the server for what it tells of the model that options name.
    ///
    /// # Errors
    ///
    /// As [`Client::describe_model`].
    pub async fn look_up(
        client: &Client,
        options: &TritonOptions,
    ) -> Result<Self, triton_client::Error> {
        let model = ModelId::new(options.model_name.clone(), options.model_version.clone());
        let told = client.describe_model(&model).await?;
        let mut facts = Self::new(told, options);
        let has_sequences = facts.config.sequence_batching.is_some()
            || *options.sequence_mode() != SequenceMode::None;
        if facts.server.is_none() && has_sequences {
            // Nothing depends on it but which IDs the server takes, so a server that does not tell
            // is no failure.
            facts.server = match client.server_metadata().await {
                Ok(server) => Some(server),
                // Asked again it may tell.
                Err(error) if error.is_transient() => return Err(error),
                Err(error) => {
                    info!(%model, %error, "the server does not say which one it is");
                    None
                }
            };
        }
        Ok(facts)
    }

    /// Facts that were read from a server's own documents.
    #[must_use]
    pub fn configured(metadata: ModelMetadata, config: ModelConfig) -> Self {
        Self {
            metadata,
            config,
            has_config: true,
            server: None,
            guesses_rows: false,
        }
    }

    fn new(told: ModelDescription, options: &TritonOptions) -> Self {
        let ModelDescription {
            metadata,
            config,
            server,
            ..
        } = told;
        let has_config = config.is_some();
        let given = options.model_max_batch_size;
        let config = config.unwrap_or_else(|| {
            let rows = given.unwrap_or_else(|| u32::from(may_have_rows(&metadata)));
            ModelConfig::assumed(options.model_name.as_str(), rows)
        });
        Self {
            metadata,
            config,
            has_config,
            server,
            guesses_rows: !has_config && given.is_none(),
        }
    }

    /// Whether the server says which tensors the model takes, and which it gives.
    #[must_use]
    pub fn has_tensors(&self) -> bool {
        !(self.metadata.inputs.is_empty() || self.metadata.outputs.is_empty())
    }

    /// The column that a tensor of the model is: a scalar where a row has one element of it, else an
    /// ARRAY for each dimension. `None` where no column has the type of its elements.
    #[must_use]
    pub fn column(&self, tensor: &TensorMetadata) -> Option<Column> {
        let scalar = DataType::of_elements(tensor.datatype)?;
        let dimensions = self.config.without_batch(&tensor.shape);
        let rank = match dimensions.iter().all(|size| *size == 1) {
            true => 0,
            false => dimensions.len(),
        };
        let data_type = (0..rank).fold(scalar, |element, _| element.array());
        Some(Column::new(&tensor.name, data_type))
    }

    /// Why the option `model-max-batch-size` cannot be used, if it says something else than the
    /// model's configuration.
    #[must_use]
    pub fn batch_size_mismatch(&self, options: &TritonOptions) -> Option<String> {
        let own = self.config.max_batch_size;
        let given = options.model_max_batch_size.filter(|given| *given != own)?;
        self.has_config.then(|| {
            format!(
                "option '{}' is {given}, but the server's configuration of the model says {own} \
                 (max_batch_size): leave the option out, it is for servers that keep no \
                 configuration",
                MODEL_MAX_BATCH_SIZE.key()
            )
        })
    }

    /// The server, as a message names it.
    pub(crate) fn server_name(&self) -> impl fmt::Display {
        match &self.server {
            Some(ServerMetadata { name, version, .. }) if !name.is_empty() => {
                format!("the server ({})", format!("{name} {version}").trim_end())
            }
            _ => "the server".to_owned(),
        }
    }
}

impl Schema {
    /// The schema with a column for each tensor of a model, in the model's order.
    ///
    /// A tensor of one element for each row is a scalar; every other has an ARRAY for each of its
    /// dimensions, whether their sizes are fixed or not. BYTES are taken for text (`STRING`). A row
    /// may have NULL for an optional input, which is then left out.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Schema`] when the server does not tell the tensors of both sides, and with every
    /// tensor whose datatype is that of no column.
    pub fn of_model(facts: &ModelFacts) -> Result<Self, Error> {
        let metadata = &facts.metadata;
        let refused = |message: String| {
            let message = format!("model '{}' has no schema: {message}", metadata.name);
            Err(Error::new(ErrorKind::Schema, message))
        };
        if !facts.has_tensors() {
            let message = "the server does not say which tensors it takes and gives: name its \
                           columns in a schema of your own";
            return refused(message.to_owned());
        }
        let mut problems = Vec::new();
        let mut columns = |side: &str, tensors: &[TensorMetadata]| -> Vec<Column> {
            let column = |tensor: &TensorMetadata| {
                let column = facts.column(tensor);
                if column.is_none() {
                    problems.push(format!(
                        "{side} '{}' is {}, which is the type of no column: leave it out of a schema \
                         of your own",
                        tensor.name, tensor.datatype
                    ));
                }
                column
            };
            tensors.iter().filter_map(column).collect()
        };
        let schema = Self {
            inputs: columns("input", &metadata.inputs),
            outputs: columns("output", &metadata.outputs),
        };
        match problems.is_empty() {
            true => Ok(schema),
            false => refused(problems.join("; ")),
        }
    }
}

/// Whether every tensor could have a first dimension for rows.
fn may_have_rows(metadata: &ModelMetadata) -> bool {
    let may_have = |tensor: &TensorMetadata| matches!(tensor.shape.first(), None | Some(-1));
    metadata
        .inputs
        .iter()
        .chain(&metadata.outputs)
        .all(may_have)
}
