//! A model that takes its time, for timeouts and queues that fill up.

use std::time::Duration;

use crate::{DataType, DynamicBatching, Model, ModelConfig, ModelError, ModelRequest, Tensor};

/// `slow`: waits for as many milliseconds as its UINT32 input `milliseconds` says, on the server's
/// clock, and returns them as the output `waited`; stateless, one request at a time.
#[derive(Debug, Clone, Default)]
pub struct Slow {
    batching: DynamicBatching,
}

impl Slow {
    /// The same with limits for its queue.
    pub fn with_batching(batching: DynamicBatching) -> Slow {
        Slow { batching }
    }
}

impl Model for Slow {
    type State = ();

    fn config(&self) -> ModelConfig {
        ModelConfig::new("slow")
            .max_batch_size(1)
            .input("milliseconds", DataType::Uint32, [1])
            .output("waited", DataType::Uint32, [1])
            .dynamic_batching(self.batching.clone())
    }

    fn execute(&self, request: &ModelRequest, _: &mut ()) -> Result<Vec<Tensor>, ModelError> {
        let milliseconds = request.input("milliseconds")?;
        for time in milliseconds.values::<u32>()? {
            request.wait(Duration::from_millis((*time).into()))?;
        }
        Ok(vec![Tensor {
            name: "waited".to_owned(),
            ..milliseconds.clone()
        }])
    }
}
