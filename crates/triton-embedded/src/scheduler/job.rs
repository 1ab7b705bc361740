//! A request on its way through the queue of a model.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::error::{ApiError, ContentType};
use crate::model::ModelRequest;
use crate::tensor::Tensor;

/// What happens to a request in the end.
pub(crate) type Outcome = Result<Vec<Tensor>, ApiError>;

/// A request that has passed validation.
pub(crate) struct Job {
    pub(crate) request: ModelRequest,
    pub(crate) batch_size: usize,
    /// The request's own limit in microseconds; 0 for none.
    pub(crate) timeout: u64,
    /// The request's own priority; 0 for none.
    pub(crate) priority: u64,
    pub(crate) enqueued: Instant,
    /// Set when the model begins with it.
    pub(crate) executed: Arc<AtomicBool>,
    pub(crate) answer: oneshot::Sender<Outcome>,
}

/// Answers a request that has waited for too long.
pub(super) fn reject(job: Job, text: &str) {
    let refusal = ApiError::new(503, text).with_content_type(ContentType::Plain);
    // A client that has gone does not need the answer.
    let _ = job.answer.send(Err(refusal.rejected()));
}

/// When a limit in microseconds is over; 0 means that there is none.
pub(super) fn deadline(start: Instant, microseconds: u64) -> Option<Instant> {
    match microseconds {
        0 => None,
        limit => start.checked_add(Duration::from_micros(limit)),
    }
}
