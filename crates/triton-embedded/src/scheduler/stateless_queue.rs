//! The queue of a model without state: priorities, limits, and what executes together.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use crate::error::ApiError;
use crate::model_config::{DynamicBatching, TimeoutAction};

use super::job::{Job, deadline, reject};

/// Requests that wait, by priority.
pub(super) struct StatelessQueue {
    batching: Option<DynamicBatching>,
    max_batch_size: usize,
    levels: BTreeMap<u64, VecDeque<Job>>,
    /// Those whose time was over and which wait for everything else.
    delayed: VecDeque<Job>,
}

impl StatelessQueue {
    pub(super) fn new(batching: Option<DynamicBatching>, max_batch_size: usize) -> StatelessQueue {
        StatelessQueue {
            batching,
            max_batch_size,
            levels: BTreeMap::new(),
            delayed: VecDeque::new(),
        }
    }

    pub(super) fn push(&mut self, job: Job) -> Result<(), ApiError> {
        let mut level = 0;
        if let Some(batching) = &self.batching {
            level = match job.priority {
                priority if (1..=batching.priority_levels).contains(&priority) => priority,
                _ => batching.default_priority_level,
            };
            let limit = batching.queue_policy.max_queue_size;
            let waiting = self.levels.get(&level).map_or(0, VecDeque::len);
            if limit > 0 && waiting >= limit {
                let id = match job.request.id.as_str() {
                    "" => "<id_unknown>",
                    id => id,
                };
                let text = format!("[request id: {id}] Exceeds maximum queue size");
                return Err(ApiError::new(503, text).rejected());
            }
        }
        self.levels.entry(level).or_default().push_back(job);
        Ok(())
    }

    /// The requests that execute next; none while there are none or more are worth waiting for.
    pub(super) fn pop(&mut self, now: Instant) -> Vec<Job> {
        self.expire(now);
        let mut batch: Vec<Job> = Vec::new();
        let most = match self.batching {
            Some(_) => self.max_batch_size,
            None => 1,
        };
        let mut size = 0;
        if self.is_worth_waiting(now, most) {
            return batch;
        }
        let delayed = std::iter::once(&mut self.delayed);
        for level in self.levels.values_mut().chain(delayed) {
            while let Some(next) = level.front() {
                let fits = batch
                    .first()
                    .is_none_or(|first| size + next.batch_size <= most && same_shapes(first, next));
                if !fits {
                    return batch;
                }
                size += next.batch_size;
                batch.extend(level.pop_front());
            }
        }
        batch
    }

    pub(super) fn len(&self) -> usize {
        self.levels.values().map(VecDeque::len).sum::<usize>() + self.delayed.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn is_worth_waiting(&self, now: Instant, most: usize) -> bool {
        let Some(batching) = &self.batching else {
            return false;
        };
        let waiting = || self.levels.values().flatten();
        let size: usize = waiting().map(|job| job.batch_size).sum();
        let oldest = waiting().map(|job| job.enqueued).min();
        size < most
            && oldest.is_some_and(|oldest| now.duration_since(oldest) < batching.max_queue_delay)
    }

    /// Rejects or delays the requests whose time is over.
    fn expire(&mut self, now: Instant) {
        let Some(batching) = &self.batching else {
            return;
        };
        let policy = &batching.queue_policy;
        let limit = |job: &Job| {
            let default = policy.default_timeout.as_micros() as u64;
            let own = match policy.allow_timeout_override {
                true => job.timeout,
                false => 0,
            };
            match (own, default) {
                (0, limit) | (limit, 0) => limit,
                (own, default) => own.min(default),
            }
        };
        let is_over = |job: &Job| deadline(job.enqueued, limit(job)).is_some_and(|end| now > end);
        for level in self.levels.values_mut() {
            let (expired, rest): (VecDeque<Job>, VecDeque<Job>) =
                std::mem::take(level).into_iter().partition(is_over);
            *level = rest;
            for job in expired {
                match policy.timeout_action {
                    TimeoutAction::Delay => self.delayed.push_back(job),
                    TimeoutAction::Reject => reject(job, "Request timeout expired"),
                }
            }
        }
    }
}

/// Only tensors of equal shapes, the batch dimension aside, make a batch.
fn same_shapes(first: &Job, second: &Job) -> bool {
    let (first, second) = (&first.request.inputs, &second.request.inputs);
    first.len() == second.len()
        && first.iter().zip(second).all(|(first, second)| {
            first.name == second.name && first.shape.get(1..) == second.shape.get(1..)
        })
}
