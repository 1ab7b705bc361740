//! What lies between the arrival of a request and its execution: queues, sequences, batches.

mod job;
mod sequence_batcher;
mod stateless_queue;

use std::any::Any;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::clock::{CLOCK_READING, Clock};
use crate::error::ApiError;
use crate::model_config::ModelConfig;

pub(crate) use job::{Job, Outcome};
use job::{deadline, reject};
use sequence_batcher::{MissingStart, Ready, SequenceBatcher, SharedState};
use stateless_queue::StatelessQueue;

/// Created by the model's first request of a sequence, on the model's thread, where it may panic.
pub(crate) type AnyState = Option<Box<dyn Any + Send>>;

/// A job whose turn has come, with the state it executes with.
pub(crate) struct Turn {
    pub(crate) job: Job,
    pub(crate) state: SharedState<AnyState>,
    /// Whether its sequence gives up its slot once this has executed.
    ends: bool,
}

/// The queue of one model.
pub(crate) struct Scheduler {
    max_batch_size: usize,
    model: String,
    clock: Arc<dyn Clock>,
    stopping: Arc<AtomicBool>,
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

struct Waiting {
    queue: Queue,
    /// Nothing further is taken; the thread ends once the queue is empty.
    closed: bool,
    /// What waits is lost, and the thread ends after the batch it is busy with.
    abandoned: bool,
}

enum Queue {
    Stateless(StatelessQueue),
    Sequences(SequenceBatcher<AnyState, Job>),
}

impl Scheduler {
    pub(crate) fn new(
        config: &ModelConfig,
        clock: Arc<dyn Clock>,
        stopping: Arc<AtomicBool>,
    ) -> Scheduler {
        let queue = match &config.sequence_batching {
            Some(batching) => {
                Queue::Sequences(SequenceBatcher::new(batching, config.max_batch_size))
            }
            None => Queue::Stateless(StatelessQueue::new(
                config.dynamic_batching.clone(),
                config.max_batch_size,
            )),
        };
        Scheduler {
            max_batch_size: config.max_batch_size,
            model: config.name.clone(),
            clock,
            stopping,
            waiting: Mutex::new(Waiting {
                queue,
                closed: false,
                abandoned: false,
            }),
            changed: Condvar::new(),
        }
    }

    /// Queues a request; it executes even if nobody waits for the answer any more.
    pub(crate) fn enqueue(&self, job: Job) -> Result<(), ApiError> {
        let mut waiting = self.lock();
        if waiting.closed {
            return Err(stopped());
        }
        match &mut waiting.queue {
            Queue::Stateless(queue) => queue.push(job)?,
            Queue::Sequences(batcher) => self.admit(batcher, job)?,
        }
        self.changed.notify_one();
        Ok(())
    }

    /// The checks of the sequence batcher, in its order (protocol page, section 5).
    fn admit(
        &self,
        batcher: &mut SequenceBatcher<AnyState, Job>,
        job: Job,
    ) -> Result<(), ApiError> {
        let model = &self.model;
        if job.batch_size > 1 {
            return Err(ApiError::bad_request(format!(
                "inference request to model '{model}' must specify batch-size 1 due to \
                 requirements of sequence batcher"
            )));
        }
        let Some(sequence) = job.request.sequence.clone() else {
            return Err(ApiError::bad_request(format!(
                "inference request to model '{model}' must specify a non-zero or non-empty \
                 correlation ID"
            )));
        };
        let (now, limit) = (job.enqueued, deadline(job.enqueued, job.timeout));
        batcher
            .admit(&sequence, job, now, limit)
            .map_err(|MissingStart| {
                ApiError::bad_request(format!(
                    "inference request for sequence {} to model '{model}' must specify the START \
                     flag on the first request of the sequence",
                    sequence.id
                ))
            })
    }

    /// Waits for the jobs that execute next, together; `None` when the model's thread has to end.
    pub(crate) fn next_batch(&self) -> Option<Vec<Turn>> {
        let mut waiting = self.lock();
        loop {
            if waiting.abandoned || self.stopping.load(Ordering::Relaxed) {
                return None;
            }
            let now = self.clock.now();
            let (batch, depends_on_time) = match &mut waiting.queue {
                Queue::Stateless(queue) => {
                    let jobs = queue.pop(now);
                    let turns = jobs.into_iter().map(Turn::stateless).collect();
                    (turns, !queue.is_empty())
                }
                Queue::Sequences(batcher) => {
                    let batch = sequence_batch(batcher, now, self.max_batch_size);
                    (batch, batcher.has_backlog())
                }
            };
            if !batch.is_empty() {
                return Some(batch);
            }
            if waiting.closed {
                return None;
            }
            waiting = match depends_on_time {
                true => {
                    let outcome = self.changed.wait_timeout(waiting, CLOCK_READING);
                    outcome.unwrap_or_else(PoisonError::into_inner).0
                }
                false => self
                    .changed
                    .wait(waiting)
                    .unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    /// Frees the slots of the sequences that a batch has ended.
    pub(crate) fn executed(&self, batch: &[Turn]) {
        if let Queue::Sequences(batcher) = &mut self.lock().queue {
            for _ in batch.iter().filter(|turn| turn.ends) {
                batcher.release();
            }
        }
    }

    /// How many requests wait.
    pub(crate) fn pending(&self) -> usize {
        match &self.lock().queue {
            Queue::Stateless(queue) => queue.len(),
            Queue::Sequences(batcher) => batcher.pending(),
        }
    }

    /// Takes nothing further. What has been taken still executes, sequences that wait for a slot
    /// excepted.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Loses what waits, as a crash does.
    pub(crate) fn abandon(&self) {
        let mut waiting = self.lock();
        (waiting.closed, waiting.abandoned) = (true, true);
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn {
    fn stateless(job: Job) -> Turn {
        Turn {
            job,
            state: SharedState::default(),
            ends: false,
        }
    }
}

/// The next requests of different sequences; those of one sequence execute one after the other.
fn sequence_batch(
    batcher: &mut SequenceBatcher<AnyState, Job>,
    now: Instant,
    max_batch_size: usize,
) -> Vec<Turn> {
    let mut batch: Vec<Turn> = Vec::new();
    while batch.len() < max_batch_size.max(1) {
        let taken: Vec<_> = batch.iter().map(|turn| Arc::as_ptr(&turn.state)).collect();
        let fits = |state: &SharedState<AnyState>| !taken.contains(&Arc::as_ptr(state));
        match batcher.next(now, fits) {
            Some(Ready::Execute { job, state, ends }) => batch.push(Turn { job, state, ends }),
            Some(Ready::Expired(job)) => reject(
                job,
                "timeout of the corresponding sequence has been expired",
            ),
            None => break,
        }
    }
    batch
}

/// The model, or the whole server, is on its way out.
pub(crate) fn stopped() -> ApiError {
    ApiError::new(
        503,
        "Server is stopping, scheduler for model has stopped accepting new inference requests",
    )
}
