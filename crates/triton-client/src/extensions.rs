//! What the client has learned of the server and need not ask again.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use futures_util::future::WeakShared;
use tokio::time::Instant;

use crate::{Datatype, Error, ModelId};

/// The datatypes of a model's outputs, by name.
pub(crate) type OutputDatatypes = Arc<Vec<(String, Datatype)>>;

/// The question for the server's extensions: one for all calls that wait for it.
pub(crate) type Question = Pin<Box<dyn Future<Output = Result<bool, Arc<Error>>> + Send>>;

/// What the server told about itself and its models.
#[derive(Debug, Default)]
pub(crate) struct Extensions {
    pub(crate) binary_tensors: Mutex<Knowledge>,
    pub(crate) outputs: Mutex<KnownOutputs>,
    /// Whether a compressed request was answered.
    pub(crate) takes_compressed: AtomicBool,
}

/// The datatypes of models' outputs, as far as they were asked for.
#[derive(Debug, Default)]
pub(crate) struct KnownOutputs {
    of_models: HashMap<ModelId, OutputDatatypes>,
    /// How often something was forgotten.
    forgotten: u64,
}

impl KnownOutputs {
    pub(crate) fn get(&self, model: &ModelId) -> Option<&OutputDatatypes> {
        self.of_models.get(model)
    }

    /// What `keep` has to know: that it was asked for after this.
    pub(crate) fn age(&self) -> u64 {
        self.forgotten
    }

    /// Keeps what was asked for, unless something was forgotten meanwhile: that may have been this.
    pub(crate) fn keep(&mut self, model: ModelId, outputs: OutputDatatypes, age: u64) {
        if age == self.forgotten {
            self.of_models.insert(model, outputs);
        }
    }

    pub(crate) fn forget(&mut self, model: &ModelId) {
        self.forgotten += 1;
        self.of_models.remove(model);
    }

    pub(crate) fn forget_all(&mut self) {
        self.forgotten += 1;
        self.of_models.clear();
    }
}

/// Whether the server takes tensors in binary form.
#[derive(Debug, Default)]
pub(crate) enum Knowledge {
    #[default]
    Nothing,
    /// It is being asked, as long as a call waits for the answer.
    Asked(WeakShared<Question>),
    /// It did not tell when it was last asked.
    NotTold(Instant),
    Known(bool),
}
