//! Triton's sequence batcher in memory, with the rules that hurt: a START for which there is no
//! place is held back without an error and executed once there is one, a request is executed
//! although whoever sent it has long given up, and what is idle is dropped without a word.
//!
//! It has no clock and no task: time comes in, and answers go out with the time of each.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

/// What the model's configuration says.
#[derive(Debug, Clone, Copy)]
pub(super) struct ServerSettings {
    /// `max_candidate_sequences`: how many sequences have a place at once.
    pub(super) candidates: usize,
    /// `max_sequence_idle_microseconds`, counted from when the last request was queued.
    pub(super) idle: Duration,
    /// How long the model takes for a request.
    pub(super) execution: Duration,
}

/// A request of a sequence.
#[derive(Debug, Clone)]
pub(super) struct Request {
    /// By which its answer is known.
    pub(super) number: u64,
    pub(super) id: Arc<str>,
    pub(super) value: i64,
    pub(super) start: bool,
    pub(super) end: bool,
}

/// What the server says to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reply {
    /// The sum of the values of its sequence.
    Sum(i64),
    /// START is missing: nothing was executed.
    NotStarted,
    /// The model failed (500), after it had taken the value in.
    Failed,
    /// The server was restarted, and with it the connection was cut.
    Cut,
}

/// A request that the model carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Executed {
    pub(super) id: Arc<str>,
    pub(super) value: i64,
    pub(super) start: bool,
    pub(super) end: bool,
}

/// A sequence that has a place.
#[derive(Debug)]
struct Candidate {
    id: Arc<str>,
    sum: i64,
    /// When its last request was queued, or when it got its place.
    queued: Instant,
    waiting: VecDeque<Request>,
    /// The request that is executed, and when it is done.
    running: Option<(Instant, Request)>,
    /// Whether END was queued: what comes later under its ID belongs to another sequence.
    ending: bool,
}

/// A sequence that waits for a place; it does so for ever.
#[derive(Debug)]
struct HeldBack {
    id: Arc<str>,
    requests: VecDeque<Request>,
    ending: bool,
}

/// The server.
#[derive(Debug)]
pub(super) struct SimulatedServer {
    settings: ServerSettings,
    candidates: Vec<Candidate>,
    backlog: VecDeque<HeldBack>,
    /// Values that the model fails on.
    poison: BTreeSet<i64>,
    added_to_answers: i64,
    /// How many requests have arrived.
    pub(super) requests: usize,
    /// How many STARTs were held back for lack of a place.
    pub(super) held_back: usize,
    /// The most places that were taken at once.
    pub(super) most_places: usize,
    /// The most sequences that had a place or waited for one.
    pub(super) most_open: usize,
    /// What was executed, in order.
    pub(super) executed: Vec<Executed>,
}

impl SimulatedServer {
    pub(super) fn new(settings: ServerSettings) -> Self {
        Self {
            settings,
            candidates: Vec::new(),
            backlog: VecDeque::new(),
            poison: BTreeSet::new(),
            added_to_answers: 0,
            requests: 0,
            held_back: 0,
            most_places: 0,
            most_open: 0,
            executed: Vec::new(),
        }
    }

    pub(super) fn settings(&self) -> ServerSettings {
        self.settings
    }

    /// Makes the model fail on a value, from now on.
    pub(super) fn poison(&mut self, value: i64) {
        self.poison.insert(value);
    }

    /// Makes every later answer another one than it would have been.
    pub(super) fn change_the_model(&mut self) {
        self.added_to_answers += 1;
    }

    /// The sequences that have a place, and then those that wait for one.
    pub(super) fn open_ids(&self) -> impl Iterator<Item = &Arc<str>> + Clone {
        let waiting = self.backlog.iter().map(|held_back| &held_back.id);
        self.candidates
            .iter()
            .map(|candidate| &candidate.id)
            .chain(waiting)
    }

    /// The values that were executed under an ID, in order.
    pub(super) fn rows_of(&self, id: &str) -> Vec<i64> {
        let rows = self.executed.iter().filter(|executed| &*executed.id == id);
        rows.map(|executed| executed.value).collect()
    }

    /// When something happens by itself; nothing ever does where it is `None`.
    pub(super) fn next_event(&self) -> Option<Instant> {
        self.next_candidate().map(|(at, _)| at)
    }

    fn next_candidate(&self) -> Option<(Instant, usize)> {
        let idle = self.settings.idle;
        let events = self
            .candidates
            .iter()
            .enumerate()
            .map(|(index, candidate)| match &candidate.running {
                Some((done, _)) => (*done, index),
                None => (candidate.queued + idle, index),
            });
        events.min()
    }

    /// A request arrives; what is to happen before `now` must have happened.
    pub(super) fn queue(
        &mut self,
        now: Instant,
        request: Request,
        replies: &mut Vec<(Instant, u64, Reply)>,
    ) {
        self.requests += 1;
        let candidate = self
            .candidates
            .iter_mut()
            .find(|candidate| candidate.id == request.id && !candidate.ending);
        if let Some(candidate) = candidate {
            candidate.queued = now;
            candidate.ending = request.end;
            candidate.waiting.push_back(request);
            candidate.run(now, self.settings.execution);
            return;
        }
        let held_back = self
            .backlog
            .iter_mut()
            .find(|held_back| held_back.id == request.id && !held_back.ending);
        if let Some(held_back) = held_back {
            held_back.ending = request.end;
            held_back.requests.push_back(request);
            return;
        }
        if !request.start {
            replies.push((now, request.number, Reply::NotStarted));
            return;
        }
        self.backlog.push_back(HeldBack {
            id: Arc::clone(&request.id),
            ending: request.end,
            requests: VecDeque::from([request]),
        });
        self.fill_places(now);
        self.held_back += usize::from(!self.backlog.is_empty());
        self.most_open = self
            .most_open
            .max(self.candidates.len() + self.backlog.len());
    }

    /// Lets everything happen that is due until `now`.
    pub(super) fn advance(&mut self, now: Instant, replies: &mut Vec<(Instant, u64, Reply)>) {
        while let Some((at, index)) = self.next_candidate().filter(|(at, _)| *at <= now) {
            let over = match self.candidates[index].running.take() {
                Some((_, request)) => {
                    let (number, ends) = (request.number, request.end);
                    let reply = self.execute(index, request);
                    replies.push((at, number, reply));
                    self.candidates[index].run(at, self.settings.execution);
                    ends
                }
                // It is idle, and nobody is told.
                None => true,
            };
            if over {
                self.candidates.remove(index);
                self.fill_places(at);
            }
        }
    }

    /// Forgets all sequences; whoever waits for an answer finds the connection cut.
    pub(super) fn restart(&mut self, now: Instant, replies: &mut Vec<(Instant, u64, Reply)>) {
        let candidates = self.candidates.drain(..).flat_map(|candidate| {
            let running = candidate.running.map(|(_, request)| request);
            running.into_iter().chain(candidate.waiting)
        });
        let backlog = self
            .backlog
            .drain(..)
            .flat_map(|held_back| held_back.requests);
        let unanswered = candidates.chain(backlog);
        replies.extend(unanswered.map(|request| (now, request.number, Reply::Cut)));
    }

    fn execute(&mut self, index: usize, request: Request) -> Reply {
        let candidate = &mut self.candidates[index];
        if request.start {
            candidate.sum = 0;
        }
        candidate.sum += request.value;
        let reply = match self.poison.contains(&request.value) {
            true => Reply::Failed,
            false => Reply::Sum(candidate.sum + self.added_to_answers),
        };
        self.executed.push(Executed {
            id: request.id,
            value: request.value,
            start: request.start,
            end: request.end,
        });
        reply
    }

    fn fill_places(&mut self, now: Instant) {
        while self.candidates.len() < self.settings.candidates
            && let Some(next) = self.backlog.pop_front()
        {
            let mut candidate = Candidate {
                id: next.id,
                sum: 0,
                queued: now,
                waiting: next.requests,
                running: None,
                ending: next.ending,
            };
            candidate.run(now, self.settings.execution);
            self.candidates.push(candidate);
            self.most_places = self.most_places.max(self.candidates.len());
        }
    }
}

impl Candidate {
    /// Begins the next request, unless there is one already.
    fn run(&mut self, now: Instant, execution: Duration) {
        if self.running.is_none() {
            self.running = self
                .waiting
                .pop_front()
                .map(|request| (now + execution, request));
        }
    }
}
