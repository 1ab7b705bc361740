//! A model that fails on request, for everything that handles errors.

use crate::{DataType, Model, ModelConfig, ModelError, ModelErrorKind, ModelRequest, Tensor};

/// `fails`: answers with the HTTP status that its INT32 input `status` asks for: 400, 404, 500, 501
/// or 503 with an error, anything else with the output `status`; stateless.
#[derive(Debug, Clone, Copy, Default)]
pub struct Fails;

impl Model for Fails {
    type State = ();

    fn config(&self) -> ModelConfig {
        ModelConfig::new("fails")
            .max_batch_size(8)
            .input("status", DataType::Int32, [1])
            .output("status", DataType::Int32, [1])
    }

    fn execute(&self, request: &ModelRequest, _: &mut ()) -> Result<Vec<Tensor>, ModelError> {
        let status = request.input("status")?;
        for value in status.values::<i32>()? {
            let kind = match value {
                400 => ModelErrorKind::InvalidArgument,
                404 => ModelErrorKind::NotFound,
                500 => ModelErrorKind::Internal,
                501 => ModelErrorKind::Unsupported,
                503 => ModelErrorKind::Unavailable,
                _ => continue,
            };
            return Err(ModelError::with_kind(kind, format!("failed with {value}")));
        }
        Ok(vec![status.clone()])
    }
}
