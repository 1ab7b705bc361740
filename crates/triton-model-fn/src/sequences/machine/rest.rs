//! What happens to a row that is done with, of its key, and of the sequence that is left.

use tokio::time::Instant;

use super::effect::{Asker, Effect};
use super::report::{Abandoned, Event};
use super::sequence::{Life, Loss, LossCause, Sequence};
use super::state::{Machine, Phase};
use super::turn::Turn;
use crate::Error;
use crate::sequences::{Answered, SequenceKey};

impl<A: Asker> Machine<A> {
    /// Answers a row, and leaves its key to the next one.
    pub(super) fn finish(&mut self, now: Instant, turn: Turn<A>, result: Result<Answered, Error>) {
        let Turn {
            key,
            mut work,
            mut sequence,
        } = turn;
        if let Some(place) = work.granted.take() {
            self.places.free(place);
        }
        if let Phase::Sent(sent) = work.phase {
            self.clock.call_ends(now, sent.call);
        }
        if let Some(sequence) = sequence.as_mut().filter(|it| it.is_being_rebuilt()) {
            self.let_go(now, &key, sequence);
        }
        // Never started, and no row to be marked: nothing to be kept but that it follows an end.
        let unborn = sequence.take_if(|it| matches!(it.life, Life::Unborn) && !it.marked);
        if unborn.is_some_and(|it| it.follows_end) {
            self.begins_whole(&key);
        }
        if work.is_last {
            self.begins_whole(&key);
            if result.is_err()
                && let Some(sequence) = sequence.take()
            {
                // The rows that follow belong to another sequence, although this one has no end.
                self.abandon(now, &key, sequence, Abandoned::LastRowFailed);
            }
        }
        if let Some(position) = work.position {
            let is_missing = work.earlier.is_some() && work.row.is_some() && result.is_err();
            self.remember_position(now, &key, &mut sequence, position, is_missing);
        }
        self.rows -= 1;
        let result = match self.settings.fixed {
            Some(_) => result,
            None => result.map_err(|error| error.of_key(self.settings.display.show(&key))),
        };
        self.effects.push_back(Effect::Answer(work.asker, result));
        // Answered or not, it was a row: a key whose rows fail is not silent. One that could not be
        // sent whatever happens is nothing to the server, which drops the sequence all the same.
        if let Some(sequence) = sequence.as_mut().filter(|_| work.row.is_some()) {
            sequence.idle_since = self.clock.read(now);
        }
        if let Some(entry) = self.keys.get_mut(&key) {
            entry.sequence = sequence;
            self.turns.push_back(key);
        }
    }

    /// A key has no row any more.
    pub(super) fn come_to_rest(&mut self, key: &SequenceKey) {
        let Some(entry) = self.keys.get_mut(key).filter(|entry| !entry.has_rows()) else {
            return;
        };
        self.busy -= 1;
        // An empty queue would keep the memory of its rows, for every key.
        entry.queue = std::collections::VecDeque::new();
        if entry.sequence.as_ref().is_some_and(|it| it.is_open()) {
            self.keys.to_back(key);
            return;
        }
        match self.keys.remove(key).and_then(|entry| entry.sequence) {
            Some(sequence) => self.remember(key.clone(), sequence),
            None => self.report(key, Event::Over),
        }
    }

    pub(super) fn remember(&mut self, key: SequenceKey, sequence: Box<Sequence>) {
        if let Some(forgotten) = self.memory.lose(key, sequence) {
            self.report(&forgotten, Event::Over);
        }
    }

    pub(super) fn expire(&mut self, now: Instant, key: &SequenceKey, mut sequence: Box<Sequence>) {
        let event = Event::Expired {
            id: sequence.id(),
            rows: sequence.rows,
        };
        self.report(key, event);
        if self.settings.marks_expired {
            self.memory.overdue(key.clone());
        } else {
            self.begins_whole(key);
        }
        self.let_go(now, key, &mut sequence);
        self.report(key, Event::Over);
    }

    pub(super) fn abandon(
        &mut self,
        now: Instant,
        key: &SequenceKey,
        mut sequence: Box<Sequence>,
        reason: Abandoned,
    ) {
        let event = Event::Abandoned {
            id: sequence.id(),
            reason,
        };
        self.report(key, event);
        self.let_go(now, key, &mut sequence);
    }

    /// The sequence is over here; the server may hold it until it idles out there.
    pub(super) fn let_go(&mut self, now: Instant, key: &SequenceKey, sequence: &mut Sequence) {
        let is_open = sequence.is_open();
        match sequence.take_place() {
            Some(place) if is_open => self.leave(now, key, sequence, place),
            Some(place) => self.places.linger(place, now),
            None => {}
        }
    }

    /// The sequence is lost.
    pub(super) fn lose(
        &mut self,
        now: Instant,
        key: &SequenceKey,
        sequence: &mut Sequence,
        cause: LossCause,
    ) {
        let id = sequence.id();
        if matches!(cause, LossCause::Forgotten | LossCause::Ended) {
            if let Some(place) = sequence.take_place() {
                self.places.free(place);
            }
        } else if cause == LossCause::Moved && self.is_unreachable(sequence) {
            if let Some(place) = sequence.take_place() {
                self.places.linger(place, now);
            }
        } else {
            self.let_go(now, key, sequence);
        }
        sequence.life = Life::Lost(Loss { cause, id });
    }
}
