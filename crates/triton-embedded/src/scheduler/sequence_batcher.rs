//! Which sequences of a model are open, which of them have a candidate slot, and the state of
//! each: a state machine without I/O.
//!
//! A sequence begins a *run*, which keeps its slot until its END has executed or it has been idle
//! for too long. A run that finds no free slot waits in the backlog, and its requests with it. A
//! state is shared with the requests that were admitted with it, so closing or restarting a
//! sequence changes nothing for those before.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::model::{CorrelationId, Sequence};
use crate::model_config::{SequenceBatching, SequenceStrategy};

/// The state of one sequence, from its START to its END.
pub(crate) type SharedState<State> = Arc<Mutex<State>>;

/// The sequences of one model.
pub(super) struct SequenceBatcher<State, Job> {
    max_idle: Duration,
    free_slots: usize,
    next_run: u64,
    open: HashMap<CorrelationId, OpenSequence<State>>,
    /// The runs without a slot, the oldest first.
    backlog: VecDeque<Backlogged<State, Job>>,
    ready: VecDeque<Event<State, Job>>,
    /// Before this time no sequence can have become idle.
    next_sweep: Option<Instant>,
}

/// The request continues a sequence that is not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MissingStart;

/// What comes out of the batcher.
pub(super) enum Ready<State, Job> {
    Execute {
        job: Job,
        state: SharedState<State>,
        /// Whether a slot has to be released once this has executed.
        ends: bool,
    },
    /// Its run waited in the backlog for longer than one of its requests allowed.
    Expired(Job),
}

struct OpenSequence<State> {
    run: u64,
    state: SharedState<State>,
    last_enqueued: Instant,
}

struct Backlogged<State, Job> {
    run: u64,
    id: CorrelationId,
    waiting: VecDeque<Event<State, Job>>,
    deadline: Option<Instant>,
}

enum Event<State, Job> {
    Ready(Ready<State, Job>),
    /// A run has been idle for too long; what it sent before has executed by now.
    Release,
}

impl<State: Default, Job> SequenceBatcher<State, Job> {
    pub(super) fn new(
        batching: &SequenceBatching,
        max_batch_size: usize,
    ) -> SequenceBatcher<State, Job> {
        let free_slots = match batching.strategy {
            SequenceStrategy::Direct => max_batch_size,
            SequenceStrategy::Oldest {
                max_candidate_sequences,
            } => max_candidate_sequences,
        };
        SequenceBatcher {
            max_idle: batching.max_sequence_idle,
            free_slots: free_slots.max(1),
            next_run: 0,
            open: HashMap::new(),
            backlog: VecDeque::new(),
            ready: VecDeque::new(),
            next_sweep: None,
        }
    }

    /// Takes a request that has passed validation; `deadline` is how long it may wait for a slot.
    pub(super) fn admit(
        &mut self,
        sequence: &Sequence,
        job: Job,
        now: Instant,
        deadline: Option<Instant>,
    ) -> Result<(), MissingStart> {
        self.advance(now);
        let (run, state) = match self.open.get(&sequence.id) {
            // START on an open sequence resets it in its place, without a word to the model.
            Some(open) if sequence.start => (open.run, SharedState::default()),
            Some(open) => (open.run, Arc::clone(&open.state)),
            None if sequence.start => (self.begin(&sequence.id), SharedState::default()),
            None => return Err(MissingStart),
        };
        if sequence.end {
            self.open.remove(&sequence.id);
        } else {
            let open = OpenSequence {
                run,
                state: Arc::clone(&state),
                last_enqueued: now,
            };
            self.open.insert(sequence.id.clone(), open);
        }
        let event = Event::Ready(Ready::Execute {
            job,
            state,
            ends: sequence.end,
        });
        match self.backlog.iter_mut().find(|waiting| waiting.run == run) {
            Some(backlogged) => {
                backlogged.waiting.push_back(event);
                backlogged.deadline = backlogged.deadline.into_iter().chain(deadline).min();
            }
            None => self.ready.push_back(event),
        }
        Ok(())
    }

    /// The first thing to do whose state `fits`, which keeps two requests of one sequence out of
    /// one batch.
    pub(super) fn next(
        &mut self,
        now: Instant,
        fits: impl Fn(&SharedState<State>) -> bool,
    ) -> Option<Ready<State, Job>> {
        self.advance(now);
        loop {
            match self.ready.front()? {
                Event::Ready(Ready::Execute { state, .. }) if !fits(state) => return None,
                _ => {}
            }
            match self.ready.pop_front()? {
                Event::Ready(ready) => return Some(ready),
                Event::Release => self.release(),
            }
        }
    }

    /// Gives the slot of a run that is over to the oldest one in the backlog.
    pub(super) fn release(&mut self) {
        match self.backlog.pop_front() {
            Some(next) => {
                self.ready.extend(next.waiting);
                // Its sequence may have become idle while it waited.
                self.next_sweep = None;
            }
            None => self.free_slots += 1,
        }
    }

    pub(super) fn has_backlog(&self) -> bool {
        !self.backlog.is_empty()
    }

    /// How many requests wait.
    pub(super) fn pending(&self) -> usize {
        let backlogged = self.backlog.iter().map(|run| run.waiting.len());
        self.ready.len() + backlogged.sum::<usize>()
    }

    fn begin(&mut self, id: &CorrelationId) -> u64 {
        let run = self.next_run;
        self.next_run += 1;
        match self.free_slots.checked_sub(1) {
            Some(left) => self.free_slots = left,
            None => self.backlog.push_back(Backlogged {
                run,
                id: id.clone(),
                waiting: VecDeque::new(),
                deadline: None,
            }),
        }
        run
    }

    /// Does what is due by now.
    fn advance(&mut self, now: Instant) {
        self.expire_backlog(now);
        if self.next_sweep.is_some_and(|due| now < due) {
            return;
        }
        let max_idle = self.max_idle;
        let mut next_sweep = now + max_idle;
        let backlog = &self.backlog;
        let ready = &mut self.ready;
        self.open.retain(|_, open| {
            let idle_at = open.last_enqueued + max_idle;
            // A sequence in the backlog cannot become idle before it has a slot.
            if now >= idle_at && !backlog.iter().any(|waiting| waiting.run == open.run) {
                ready.push_back(Event::Release);
                return false;
            }
            next_sweep = next_sweep.min(idle_at.max(now));
            true
        });
        self.next_sweep = Some(next_sweep);
    }

    fn expire_backlog(&mut self, now: Instant) {
        let is_over = |run: &Backlogged<State, Job>| run.deadline.is_some_and(|end| now >= end);
        if !self.backlog.iter().any(is_over) {
            return;
        }
        let (expired, rest): (VecDeque<_>, VecDeque<_>) = std::mem::take(&mut self.backlog)
            .into_iter()
            .partition(is_over);
        self.backlog = rest;
        for run in expired {
            if self
                .open
                .get(&run.id)
                .is_some_and(|open| open.run == run.run)
            {
                self.open.remove(&run.id);
            }
            let jobs = run.waiting.into_iter().filter_map(|event| match event {
                Event::Ready(Ready::Execute { job, .. }) => Some(job),
                _ => None,
            });
            let expired = jobs.map(|job| Event::Ready(Ready::Expired(job)));
            self.ready.extend(expired);
        }
    }
}

#[cfg(test)]
mod tests;
