//! The sequences of all keys of a subtask as one state machine: no lock, no clock, no task, no I/O.
//!
//! Rows, the outcomes of requests and the time come in as arguments; requests, answers and reports go
//! out as [`Effect`]s, which an executor carries out. So every history of rows and faults can be
//! tried without a server, and what the machine promises can be asserted after each step.
//!
//! The life of one key's sequence:
//!
//! ```text
//! Unborn ─► Open ─► over                  Open ─► over        (END answered, or idle by the rule of time)
//!   ▲        │
//!   └────────┤ START certainly not executed
//!            ▼
//!          Lost ─► Rebuilding ─► Open                         (sequence-recovery = replay)
//!           │ └──► Unborn, marked                             (restart)
//!           └────► Reported ─► (next row) Unborn, marked      (fail)
//! ```
//!
//! A row is at one of these points: behind others of its key, waiting for a place on the server or for
//! a pause to end, in flight, or replayed for. The invariants of `docs/architecture.md` are asserted by
//! [`Machine::check`].

mod abandoned;
mod history;
mod idle;
#[cfg(test)]
mod invariants;
#[cfg(test)]
mod limit_tests;
mod memory;
mod outcome;
mod places;
mod position;
#[cfg(test)]
mod property_tests;
mod recoveries;
mod recovery_limit;
mod report;
mod request;
mod rest;
mod sending;
mod sequence;
mod servers;
#[cfg(test)]
mod static_tests;
mod store;
mod turn;
mod waiting;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use hashlink::LinkedHashMap;
use tokio::time::Instant;

use self::abandoned::Ending;
pub(super) use self::history::{HistoryLimits, KeptRow, digest};
use self::memory::Memory;
pub(super) use self::places::Purpose;
use self::places::{Place, Places};
use self::recoveries::Recoveries;
pub(super) use self::recoveries::{RecoveryLimits, ServerFacts};
pub(super) use self::recovery_limit::MostRecovering;
pub(super) use self::report::{Abandoned, Event, Report};
pub(super) use self::request::{Content, Failed, FailureEffect, Outcome, Request};
use self::sequence::Sequence;
pub(super) use self::sequence::{LossCause, LostId};
pub(super) use self::servers::{Offer, Standing};
pub(crate) use self::servers::{quota, stable_hash};
use super::idle_clock::IdleClock;
use super::row_position::EarlierRows;
use super::{Answered, Row, SequenceKey, SequenceSettings};
use crate::replicas::ReplicaId;
use crate::sequence_id_generator::SequenceIdGenerator;
use crate::tensor_plan::EncodedRow;
use crate::{Error, ErrorKind};

/// Whoever handed a row over.
pub(super) trait Asker {
    /// Whether the answer is of no use to anybody any more.
    fn is_gone(&self) -> bool;
}

/// Something to be done, in this order.
#[derive(Debug)]
pub(super) enum Effect<A> {
    Send(Request),
    /// The request of this number is not sent any more if nobody has begun to.
    Cancel(u64),
    Answer(A, Result<Answered, Error>),
    Report(Report),
}

/// The sequences of all keys of a subtask.
#[derive(Debug)]
pub(super) struct Machine<A> {
    settings: Arc<SequenceSettings>,
    /// Where IDs come from; a sequence that all rows share has its own.
    ids: Option<Arc<SequenceIdGenerator>>,
    limits: RecoveryLimits,
    /// Every key that has rows or an open sequence, in the order of their last use.
    keys: LinkedHashMap<SequenceKey, Entry<A>>,
    memory: Memory,
    places: Places,
    /// Keys that wait for a place, each with the number of its work.
    wants_recovery: VecDeque<Want>,
    wants_beginning: VecDeque<Want>,
    /// Keys whose row is to be looked at.
    turns: VecDeque<SequenceKey>,
    timers: BTreeMap<(Instant, u64), SequenceKey>,
    /// Sequences that were left and are being ended, by the numbers of their requests.
    endings: HashMap<u64, Ending>,
    clock: IdleClock,
    next_tick: Option<Instant>,
    /// When it is said again that keys wait for places.
    next_warning: Option<Instant>,
    /// How many keys have rows.
    busy: usize,
    /// How many rows were not answered yet.
    rows: usize,
    pausing: usize,
    /// When the row came that is here for longest, as of the last tick.
    oldest: Option<Instant>,
    next_number: u64,
    random: fastrand::Rng,
    is_closed: bool,
    /// Whether a snapshot is of a run that could not know all keys.
    may_have_run: bool,
    effects: VecDeque<Effect<A>>,
}

/// A key that has rows or an open sequence.
#[derive(Debug)]
struct Entry<A> {
    /// The rows behind the one that is worked on.
    queue: VecDeque<Waiting<A>>,
    work: Option<Box<Work<A>>>,
    sequence: Option<Box<Sequence>>,
}

/// A key that waits for a place for the work of this number.
#[derive(Debug, Clone)]
struct Want {
    key: SequenceKey,
    number: u64,
    submitted: Instant,
}

/// A row that waits for its turn.
#[derive(Debug)]
struct Waiting<A> {
    row: Row,
    asker: A,
    /// What the idle clock showed when it arrived.
    arrived: Duration,
    submitted: Instant,
}

/// The row of a key that is worked on.
#[derive(Debug)]
struct Work<A> {
    number: u64,
    asker: A,
    /// What is sent; nothing where it cannot be.
    row: Option<Arc<EncodedRow>>,
    is_last: bool,
    position: Option<u64>,
    /// The rows before it, where it carries them.
    earlier: Option<Arc<EarlierRows>>,
    submitted: Instant,
    deadline: Option<Instant>,
    phase: Phase,
    /// A place that it was given and that its sequence has not taken yet.
    granted: Option<Place>,
    /// The servers at which it failed: others are tried first.
    avoid: Vec<ReplicaId>,
    recoveries: Recoveries,
}

/// What a row is at.
#[derive(Debug)]
enum Phase {
    /// It is being looked at.
    Turn,
    /// It waits for a place on the server.
    Place {
        purpose: Purpose,
        since: Instant,
        /// That of its deadline.
        timer: Option<(Instant, u64)>,
    },
    /// It waits before it is tried again.
    Pause { timer: (Instant, u64) },
    /// A request is out for it.
    Sent(Sent),
}

/// A request that is out.
#[derive(Debug, Clone, Copy)]
struct Sent {
    number: u64,
    /// That of the row's deadline.
    timer: Option<(Instant, u64)>,
    /// When it was to be sent.
    since: Instant,
    /// Its number at the idle clock.
    call: u64,
    /// How many rows of the sequence come before it.
    row: u64,
    end: bool,
    is_replay: bool,
    /// When a request of its ID had last reached the server before.
    reached_before: Option<Instant>,
}

/// How long rows wait for a place before that is reported, and how long until it is again.
const LONG_WAIT: Duration = Duration::from_secs(1);
const WARNING_PAUSE: Duration = Duration::from_secs(10);

impl<A: Asker> Machine<A> {
    pub(super) fn new(
        settings: Arc<SequenceSettings>,
        ids: Option<Arc<SequenceIdGenerator>>,
        limits: RecoveryLimits,
        now: Instant,
    ) -> Self {
        Self {
            limits,
            keys: LinkedHashMap::new(),
            memory: Memory::new(settings.most_lost, settings.most_lost_bytes()),
            places: Places::new(
                &settings.offers,
                settings.most_open,
                settings.most_recovering,
                settings.server_forgets,
            ),
            wants_recovery: VecDeque::new(),
            wants_beginning: VecDeque::new(),
            turns: VecDeque::new(),
            timers: BTreeMap::new(),
            endings: HashMap::new(),
            clock: IdleClock::new(now, settings.patience()),
            next_tick: None,
            next_warning: None,
            busy: 0,
            rows: 0,
            pausing: 0,
            oldest: None,
            next_number: 0,
            random: fastrand::Rng::new(),
            is_closed: false,
            may_have_run: false,
            effects: VecDeque::new(),
            settings,
            ids,
        }
    }

    /// Puts a row behind those of its key that came before. Once the machine is closed, the row is
    /// refused, and its asker dropped.
    pub(super) fn submit(&mut self, now: Instant, key: &SequenceKey, row: Row, asker: A) {
        if self.is_closed {
            return;
        }
        let waiting = Waiting {
            row,
            asker,
            arrived: self.clock.read(now),
            submitted: now,
        };
        self.rows += 1;
        if let Some(entry) = self.keys.to_back(key) {
            let is_first = entry.work.is_none() && entry.queue.is_empty();
            if is_first {
                // It is taken at once, and mostly the only one.
                entry.queue.reserve_exact(1);
            }
            entry.queue.push_back(waiting);
            if is_first {
                self.busy += 1;
                self.turns.push_back(key.clone());
            }
        } else {
            let entry = Entry {
                queue: VecDeque::from([waiting]),
                work: None,
                sequence: self.memory.take_lost(key),
            };
            self.keys.insert(key.clone(), entry);
            self.busy += 1;
            self.turns.push_back(key.clone());
        }
        self.run(now);
    }

    /// What came of a request.
    pub(super) fn outcome(
        &mut self,
        now: Instant,
        key: &SequenceKey,
        request: u64,
        outcome: Outcome,
    ) {
        if !self.take_end_outcome(now, request, &outcome) {
            self.take_outcome(now, key, request, outcome);
        }
        self.run(now);
    }

    /// Does what is due.
    pub(super) fn advance(&mut self, now: Instant) {
        while let Some(entry) = self
            .timers
            .first_entry()
            .filter(|timer| timer.key().0 <= now)
        {
            let (timer, key) = entry.remove_entry();
            self.timer_fires(now, &key, timer);
        }
        if self.next_warning.is_some_and(|warning| warning <= now) {
            self.next_warning = now.checked_add(WARNING_PAUSE);
            self.warn_of_waits();
        }
        if self.next_tick.is_some_and(|tick| tick <= now) {
            self.next_tick = None;
            self.tick(now);
        }
        self.run(now);
    }

    /// What the servers offer has changed.
    pub(super) fn offered(&mut self, now: Instant, offers: &[Offer]) {
        self.places.offered(offers);
        self.run(now);
    }

    /// When [`advance`](Self::advance) has something to do.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        let wants_place = !self.wants_recovery.is_empty() || !self.wants_beginning.is_empty();
        let release = self.places.next_release().filter(|_| wants_place);
        let timer = self.timers.keys().next().map(|(at, _)| *at);
        let warning = self.next_warning.filter(|_| wants_place);
        [release, timer, warning, self.next_tick]
            .into_iter()
            .flatten()
            .min()
    }

    /// Takes the next thing to be done.
    pub(super) fn next_effect(&mut self) -> Option<Effect<A>> {
        self.effects.pop_front()
    }

    /// Refuses further rows; those that are here are still answered.
    pub(super) fn close(&mut self) {
        self.is_closed = true;
    }

    /// Answers every row with what `error` makes, and refuses further ones. Outcomes of requests that
    /// are out are not waited for.
    pub(super) fn abort(&mut self, now: Instant, error: impl Fn() -> Error) {
        self.is_closed = true;
        self.give_up_endings(now);
        self.turns.clear();
        let busy = self.keys.iter().filter(|(_, entry)| entry.has_rows());
        let keys: Vec<SequenceKey> = busy.map(|(key, _)| key.clone()).collect();
        for key in keys {
            if let Some(turn) = self.take_turn(&key) {
                self.finish(now, turn, Err(error()));
            }
            let Some(entry) = self.keys.get_mut(&key) else {
                continue;
            };
            for waiting in std::mem::take(&mut entry.queue) {
                self.rows -= 1;
                self.effects
                    .push_back(Effect::Answer(waiting.asker, Err(error())));
            }
            self.come_to_rest(&key);
        }
        self.turns.clear();
    }

    /// Whether somebody waits for the answer to a row that is here.
    pub(super) fn is_wanted(&self) -> bool {
        self.has_rows()
            && self.keys.values().any(|entry| {
                let is_wanted = |asker: &A| !asker.is_gone();
                let work = entry.work.as_ref();
                work.is_some_and(|work| is_wanted(&work.asker))
                    || entry.queue.iter().any(|waiting| is_wanted(&waiting.asker))
            })
    }

    /// Whether there are rows that were not answered.
    pub(super) fn has_rows(&self) -> bool {
        self.rows > 0
    }

    /// How many sequences are open.
    pub(super) fn open_sequences(&self) -> usize {
        self.places.taken()
    }

    /// Whether nobody waits any more for what a request that was not sent yet is to bring.
    pub(super) fn is_given_up(&self, request: &Request) -> bool {
        let work = self.keys.get(&request.key).and_then(|it| it.work.as_ref());
        work.is_some_and(|work| match work.phase {
            Phase::Sent(sent) => {
                sent.number == request.number && work.asker.is_gone() && !work.is_last
            }
            _ => false,
        })
    }

    /// The answer that said that a sequence lacks rows was seen by nobody.
    pub(super) fn mark_again(&mut self, key: &SequenceKey) {
        let known = match self.keys.get_mut(key) {
            Some(entry) => entry.sequence.as_mut(),
            None => self.memory.lost_of(key),
        };
        if let Some(sequence) = known {
            sequence.marked = true;
        }
    }

    /// How many sequences may be begun on all servers together, where that is known.
    pub(super) fn most_sequences(&self) -> Option<usize> {
        let limit = self.places.limit();
        (limit < usize::MAX).then(|| limit.saturating_sub(self.places.room()))
    }

    /// How many places are held for sequences that are over here.
    pub(super) fn held_places(&self) -> usize {
        self.places.lingering()
    }

    /// The numbers that metrics show.
    pub(super) fn counts(&self, now: Instant) -> Counts {
        Counts {
            open: self.places.taken(),
            held: self.places.lingering(),
            lost: self.memory.lost_count(),
            rows: self.rows,
            pausing: self.pausing,
            oldest: self
                .oldest
                .filter(|_| self.rows > 0)
                .map_or(Duration::ZERO, |first| now.saturating_duration_since(first)),
        }
    }

    /// Gives places to those that wait for one, and looks at rows until there is nothing to do.
    fn run(&mut self, now: Instant) {
        self.places.release(now);
        loop {
            if let Some(key) = self.turns.pop_front() {
                self.take_next_row(now, &key);
            } else if !self.grant_place(now) {
                break;
            }
        }
        if self.next_tick.is_none() && (self.rows > 0 || self.has_idle()) {
            self.next_tick = now.checked_add(self.settings.tick());
        }
        // All of it is looked at, which very many keys make too slow.
        #[cfg(test)]
        if self.keys.len() <= 512 {
            self.check();
        }
    }

    fn report(&mut self, key: &SequenceKey, event: Event) {
        let report = Report {
            key: key.clone(),
            event,
        };
        self.effects.push_back(Effect::Report(report));
    }

    fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }
}

impl<A> Entry<A> {
    fn has_rows(&self) -> bool {
        self.work.is_some() || !self.queue.is_empty()
    }
}

/// What metrics show of the sequences of a subtask.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Counts {
    /// Sequences that are open.
    pub(crate) open: usize,
    /// Places of sequences that are over here and may be alive on the server.
    pub(crate) held: usize,
    /// Lost sequences that are remembered.
    pub(crate) lost: usize,
    /// Rows that were not answered yet.
    pub(crate) rows: usize,
    /// Rows that wait before they are tried again.
    pub(crate) pausing: usize,
    /// The age of the oldest of those rows.
    pub(crate) oldest: Duration,
}

/// A row that was not sent before the time to close was up.
pub(super) fn closed() -> Error {
    let message = "the function was closed before the row was answered";
    Error::new(ErrorKind::State, message)
}
