//! A model at work: its thread, its queue, and what it has done so far.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use crate::clock::{Clock, Timekeeper};
use crate::correlation_id_control;
use crate::error::ApiError;
use crate::model::{Model, ModelRequest};
use crate::model_config::ModelConfig;
use crate::model_error::ModelError;
use crate::scheduler::{AnyState, Job, Scheduler, Turn};
use crate::statistics::{Executed, Statistics};
use crate::tensor::Tensor;

/// A model of any type, which may be loaded again and again.
pub(crate) struct AnyModel {
    pub(crate) config: ModelConfig,
    /// Only one instance at a time executes, also while one replaces another.
    execute: Mutex<Execute>,
}

/// A running model.
pub(crate) struct ModelInstance {
    pub(crate) config: ModelConfig,
    pub(crate) scheduler: Arc<Scheduler>,
    pub(crate) statistics: Arc<Statistics>,
}

/// What every instance of a server needs.
#[derive(Clone)]
pub(crate) struct Surroundings {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) stopping: Arc<AtomicBool>,
}

type Execute = Box<dyn Fn(&ModelRequest, &mut AnyState) -> Result<Vec<Tensor>, ModelError> + Send>;

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
            execute: Mutex::new(Box::new(execute)),
        }
    }

    /// Starts a thread for the model, which ends once the instance is closed or dropped, or after
    /// the request it is busy with once the server stops.
    pub(crate) fn start(
        self: &Arc<Self>,
        config: ModelConfig,
        surroundings: &Surroundings,
    ) -> std::io::Result<(ModelInstance, JoinHandle<()>)> {
        let Surroundings { clock, stopping } = surroundings.clone();
        let scheduler = Arc::new(Scheduler::new(
            &config,
            Arc::clone(&clock),
            stopping.clone(),
        ));
        let statistics = Arc::new(Statistics::default());
        let worker = Worker {
            model: Arc::clone(self),
            config: config.clone(),
            scheduler: Arc::clone(&scheduler),
            statistics: Arc::clone(&statistics),
            timekeeper: Timekeeper::new(clock, stopping),
        };
        let thread = std::thread::Builder::new()
            .name(format!("triton-model-{}", config.name))
            .spawn(move || worker.work())?;
        let instance = ModelInstance {
            config,
            scheduler,
            statistics,
        };
        Ok((instance, thread))
    }
}

impl ModelInstance {
    /// Queues a request that has passed validation. It executes even if nobody waits any more.
    pub(crate) fn enqueue(&self, job: Job) -> Result<(), ApiError> {
        self.scheduler.enqueue(job).inspect_err(|refusal| {
            if refusal.rejected {
                self.statistics.rejected();
            }
        })
    }
}

impl Drop for ModelInstance {
    fn drop(&mut self) {
        self.scheduler.close();
    }
}

/// What the model's thread works with.
struct Worker {
    model: Arc<AnyModel>,
    /// That of the instance, which can be another than the model's own.
    config: ModelConfig,
    scheduler: Arc<Scheduler>,
    statistics: Arc<Statistics>,
    timekeeper: Timekeeper,
}

impl Worker {
    fn work(&self) {
        while let Some(mut batch) = self.scheduler.next_batch() {
            let start = Instant::now();
            let began = self.timekeeper.now();
            let outcomes: Vec<_> = batch.iter_mut().map(|turn| self.execute(turn)).collect();
            let executed: Vec<_> = batch
                .iter()
                .zip(&outcomes)
                .map(|(turn, outcome)| Executed {
                    batch_size: turn.job.batch_size,
                    queued: began.duration_since(turn.job.enqueued),
                    succeeded: outcome.is_ok(),
                })
                .collect();
            self.statistics.executed(&executed, start.elapsed());
            // Before the answers, so that whoever has one meets what comes after it.
            self.scheduler.executed(&batch);
            for (turn, outcome) in batch.into_iter().zip(outcomes) {
                // A client that has gone does not take the execution back.
                let _ = turn.job.answer.send(outcome.map_err(ApiError::from));
            }
        }
    }

    fn execute(&self, turn: &mut Turn) -> Result<Vec<Tensor>, ModelError> {
        turn.job.request.timekeeper = self.timekeeper.clone();
        correlation_id_control::add_to(&mut turn.job.request, &self.config)?;
        turn.job.executed.store(true, Ordering::Relaxed);
        // The guards outlive a panic, so nothing is poisoned: like a Python model's, the state
        // stays as the exception left it.
        let execute = self.model.execute.lock();
        let execute = execute.unwrap_or_else(PoisonError::into_inner);
        let mut state = turn.state.lock().unwrap_or_else(PoisonError::into_inner);
        catch_unwind(AssertUnwindSafe(|| execute(&turn.job.request, &mut state)))
            .unwrap_or_else(|panic| Err(exception(&self.config.name, panic.as_ref())))
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
