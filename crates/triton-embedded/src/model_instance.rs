//! A model at work: its thread, its queue in order of arrival, and its sequences.
//!
//! Requests of one sequence are serialised because those of one model are. Dynamic batching and
//! several instances would replace the plain queue between [`ModelInstance::enqueue`] and the
//! thread.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Instant;

use tokio::sync::oneshot;

use crate::error::ApiError;
use crate::model::{Model, ModelRequest};
use crate::model_config::ModelConfig;
use crate::model_error::ModelError;
use crate::sequence_batcher::{MissingStart, SequenceBatcher, SharedState};
use crate::tensor::Tensor;

/// What the model answers, once it has.
pub(crate) type Answer = oneshot::Receiver<Result<Vec<Tensor>, ModelError>>;

/// A model of any type, before it is started.
pub(crate) struct AnyModel {
    pub(crate) config: ModelConfig,
    execute: Execute,
}

/// A running model.
pub(crate) struct ModelInstance {
    pub(crate) config: ModelConfig,
    queue: mpsc::Sender<Job>,
    batcher: Option<Mutex<SequenceBatcher<AnyState>>>,
}

/// Created by the model's first request, on the model's thread, where it may panic.
type AnyState = Option<Box<dyn Any + Send>>;

type Execute = Box<dyn Fn(&ModelRequest, &mut AnyState) -> Result<Vec<Tensor>, ModelError> + Send>;

struct Job {
    request: ModelRequest,
    state: SharedState<AnyState>,
    executed: Arc<AtomicBool>,
    answer: oneshot::Sender<Result<Vec<Tensor>, ModelError>>,
}

impl AnyModel {
    pub(crate) fn new<M: Model>(model: M) -> AnyModel {
        let config = model.config();
        let execute = move |request: &ModelRequest, state: &mut AnyState| {
            state
                .get_or_insert_with(|| Box::new(M::State::default()))
                .downcast_mut()
                .ok_or_else(|| ModelError::new("the state belongs to another model"))
                .and_then(|state| model.execute(request, state))
        };
        AnyModel {
            config,
            execute: Box::new(execute),
        }
    }

    /// Starts the model's thread, which ends with the instance, or after the request it is busy
    /// with once `stopping` is set.
    pub(crate) fn start(
        self,
        stopping: Arc<AtomicBool>,
    ) -> std::io::Result<(ModelInstance, JoinHandle<()>)> {
        let AnyModel { config, execute } = self;
        let (queue, jobs) = mpsc::channel();
        let name = config.name.clone();
        let thread = std::thread::Builder::new()
            .name(format!("triton-model-{name}"))
            .spawn(move || work(&name, &execute, &jobs, &stopping))?;
        let batcher = config
            .sequence_batching
            .as_ref()
            .map(|batching| Mutex::new(SequenceBatcher::new(batching.max_sequence_idle)));
        let instance = ModelInstance {
            config,
            queue,
            batcher,
        };
        Ok((instance, thread))
    }
}

impl ModelInstance {
    /// Queues a request that has passed validation. It executes even if nobody waits any more.
    pub(crate) fn enqueue(
        &self,
        request: ModelRequest,
        batch_size: usize,
        now: Instant,
        executed: Arc<AtomicBool>,
    ) -> Result<Answer, ApiError> {
        let state = self.admit(&request, batch_size, now)?;
        let (answer, receiver) = oneshot::channel();
        let job = Job {
            request,
            state,
            executed,
            answer,
        };
        self.queue
            .send(job)
            .map_err(|_| ApiError::new(503, "the server is stopping"))?;
        Ok(receiver)
    }

    /// The checks of the sequence batcher, in its order (protocol page, section 5).
    fn admit(
        &self,
        request: &ModelRequest,
        batch_size: usize,
        now: Instant,
    ) -> Result<SharedState<AnyState>, ApiError> {
        let Some(batcher) = &self.batcher else {
            return Ok(SharedState::default());
        };
        let model = &self.config.name;
        if batch_size > 1 {
            return Err(ApiError::bad_request(format!(
                "inference request to model '{model}' must specify batch-size 1 due to \
                 requirements of sequence batcher"
            )));
        }
        let sequence = request.sequence.as_ref().ok_or_else(|| {
            ApiError::bad_request(format!(
                "inference request to model '{model}' must specify a non-zero or non-empty \
                 correlation ID"
            ))
        })?;
        batcher
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .admit(sequence, now)
            .map_err(|MissingStart| {
                ApiError::bad_request(format!(
                    "inference request for sequence {} to model '{model}' must specify the \
                     START flag on the first request of the sequence",
                    sequence.id
                ))
            })
    }
}

/// The model's thread.
fn work(name: &str, execute: &Execute, jobs: &mpsc::Receiver<Job>, stopping: &AtomicBool) {
    for job in jobs {
        if stopping.load(Ordering::Relaxed) {
            return;
        }
        job.executed.store(true, Ordering::Relaxed);
        // The guard outlives the panic, so the state is not poisoned: like a Python model's, it
        // stays as the exception left it.
        let mut state = job.state.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = catch_unwind(AssertUnwindSafe(|| execute(&job.request, &mut state)))
            .unwrap_or_else(|panic| Err(exception(name, panic.as_ref())));
        // A client that has gone does not take the execution back.
        let _ = job.answer.send(outcome);
    }
}

/// A panic in the words the Python backend has for an exception.
fn exception(name: &str, panic: &(dyn Any + Send)) -> ModelError {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("a panic without a text");
    ModelError::new(format!(
        "Failed to process the request(s) for model '{name}_0_0', message: panic: {text}"
    ))
}
