//! The simplest model: what goes in comes out.

use crate::{DataType, DynamicBatching, Model, ModelConfig, ModelError, ModelRequest, Tensor};

/// `echo`: returns the FP32 input `value` as the output `echo`; stateless, batches of up to 64.
#[derive(Debug, Clone, Copy, Default)]
pub struct Echo;

impl Model for Echo {
    type State = ();

    fn config(&self) -> ModelConfig {
        ModelConfig::new("echo")
            .max_batch_size(64)
            .input("value", DataType::Fp32, [-1])
            .output("echo", DataType::Fp32, [-1])
            .dynamic_batching(DynamicBatching::default())
    }

    fn execute(&self, request: &ModelRequest, _: &mut ()) -> Result<Vec<Tensor>, ModelError> {
        let value = request.input("value")?;
        Ok(vec![Tensor {
            name: "echo".to_owned(),
            ..value.clone()
        }])
    }
}
