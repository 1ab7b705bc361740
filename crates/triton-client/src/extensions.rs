//! What the client has learned of the server and need not ask again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

use crate::operation::Operation;
use crate::{Client, Datatype, Error, ErrorKind, ModelId, TensorFormat};

/// The extension that carries tensors in binary form.
const BINARY_TENSORS: &str = "binary_tensor_data";

/// The datatypes of a model's outputs, by name.
pub(crate) type OutputDatatypes = Arc<Vec<(String, Datatype)>>;

/// What the server told about itself and its models.
#[derive(Debug, Default)]
pub(crate) struct Extensions {
    binary_tensors: OnceCell<bool>,
    outputs: Mutex<HashMap<ModelId, OutputDatatypes>>,
}

impl Client {
    /// The form that `format` comes to with this server.
    pub(crate) async fn negotiated(
        &self,
        format: TensorFormat,
        operation: &Operation<'_>,
    ) -> Result<TensorFormat, Error> {
        if format != TensorFormat::Auto {
            return Ok(format);
        }
        match self.has_binary_tensors(operation).await? {
            true => Ok(TensorFormat::Binary),
            false => Ok(TensorFormat::Json),
        }
    }

    /// Whether the server takes tensors in binary form; asked once, before `operation`.
    ///
    /// A server, or a gateway, that does not tell is taken for one that does: all Tritons do.
    pub(crate) async fn has_binary_tensors(
        &self,
        operation: &Operation<'_>,
    ) -> Result<bool, Error> {
        let cell = &self.extensions.binary_tensors;
        let known = cell
            .get_or_try_init(|| async {
                let metadata = match self.server_metadata().await {
                    Ok(metadata) => metadata,
                    // What may be otherwise the next time is not kept.
                    Err(error) if error.is_transient() || error.kind() == ErrorKind::Server => {
                        return Err(error);
                    }
                    Err(_) => return Ok(true),
                };
                let has = |name: &String| name == BINARY_TENSORS;
                Ok(metadata.extensions.iter().any(has))
            })
            .await;
        match known {
            Ok(known) => Ok(*known),
            // The server answered, so the request itself may fare better.
            Err(error) if error.status().is_some() => Ok(true),
            Err(error) => Err(error.before(operation)),
        }
    }

    /// The datatypes of a model's outputs, as they were when this client first asked.
    pub(crate) async fn output_datatypes(
        &self,
        model: &ModelId,
        operation: &Operation<'_>,
    ) -> Result<OutputDatatypes, Error> {
        if let Some(known) = self.known_outputs().get(model) {
            return Ok(Arc::clone(known));
        }
        let fresh = self.fresh_output_datatypes(model, operation).await?;
        self.known_outputs()
            .insert(model.clone(), Arc::clone(&fresh));
        Ok(fresh)
    }

    /// The datatypes of a model's outputs as they are now.
    pub(crate) async fn fresh_output_datatypes(
        &self,
        model: &ModelId,
        operation: &Operation<'_>,
    ) -> Result<OutputDatatypes, Error> {
        let metadata = self.model_metadata(model).await;
        let metadata = metadata.map_err(|error| error.before(operation))?;
        let outputs = metadata.outputs.into_iter();
        Ok(Arc::new(
            outputs
                .map(|output| (output.name, output.datatype))
                .collect(),
        ))
    }

    /// Forgets the outputs of models, as after one was loaded.
    pub(crate) fn forget_outputs(&self) {
        self.known_outputs().clear();
    }

    fn known_outputs(&self) -> std::sync::MutexGuard<'_, HashMap<ModelId, OutputDatatypes>> {
        // A panic elsewhere leaves a map that is whole all the same.
        let outputs = self.extensions.outputs.lock();
        outputs.unwrap_or_else(PoisonError::into_inner)
    }
}
