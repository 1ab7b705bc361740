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
mod effect;
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
mod state;
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

pub(super) use self::effect::{Asker, Effect};
pub(super) use self::history::{HistoryLimits, KeptRow, digest};
use self::memory::Memory;
use self::places::Places;
pub(super) use self::places::Purpose;
pub(super) use self::recoveries::{RecoveryLimits, ServerFacts};
pub(super) use self::recovery_limit::MostRecovering;
pub(super) use self::report::{Abandoned, Event, Report};
pub(super) use self::request::{Content, Failed, FailureEffect, Outcome, Request};
pub(super) use self::sequence::{LossCause, LostId};
pub(super) use self::servers::{Offer, Standing};
pub(crate) use self::servers::{quota, stable_hash};
pub(super) use self::state::Machine;
use self::state::{Entry, Phase, Waiting};
use self::waiting::WARNING_PAUSE;
use super::idle_clock::IdleClock;
use super::{Counts, Row, SequenceKey, SequenceSettings};
use crate::Error;
use crate::sequence_id_generator::SequenceIdGenerator;

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
    /// refused, and its asker comes back: one that is dropped may tell a sink, which no lock may see.
    #[must_use = "a refused row is answered by whoever holds no lock"]
    pub(super) fn submit(
        &mut self,
        now: Instant,
        key: &SequenceKey,
        row: Row,
        asker: A,
    ) -> Option<A> {
        if self.is_closed {
            return Some(asker);
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
        None
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
        let wants_place = self.waits_for_places();
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

    /// Whether a row waits until a sequence may begin, or go on elsewhere.
    pub(super) fn waits_for_places(&self) -> bool {
        !self.wants_recovery.is_empty() || !self.wants_beginning.is_empty()
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
