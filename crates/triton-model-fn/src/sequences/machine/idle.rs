//! What time does to keys that have no row, and to rows that nobody waits for any more.

use tokio::time::Instant;

use super::effect::{Asker, closed};
use super::report::Event;
use super::sequence::{Life, LossCause, Sequence};
use super::state::{Machine, Phase};
use crate::sequences::SequenceKey;

impl<A: Asker> Machine<A> {
    /// Whether time does something to a key that has no row.
    pub(super) fn has_idle(&self) -> bool {
        (self.settings.boundary.is_some() || self.settings.server_idle.is_some())
            && (self.keys.len() > self.busy || self.memory.lost_count() > 0)
            || self.places.lingering() > 0
    }

    /// Finds the row that has been here for longest.
    pub(super) fn find_oldest(&mut self) {
        let rows = self.keys.values().filter(|entry| entry.has_rows());
        let submitted = rows.filter_map(|entry| {
            let waiting = entry.queue.front().map(|waiting| waiting.submitted);
            entry.work.as_ref().map(|work| work.submitted).or(waiting)
        });
        self.oldest = submitted.min();
    }

    /// Lets go of rows that wait for a place, and that nobody waits for any more.
    pub(super) fn sweep(&mut self, now: Instant) {
        let waiting = self.wants_recovery.iter().chain(&self.wants_beginning);
        let given_up = waiting.filter(|want| {
            let work = self
                .keys
                .get(&want.key)
                .and_then(|entry| entry.work.as_ref());
            work.is_some_and(|work| {
                let waits = matches!(work.phase, Phase::Place { .. });
                work.number == want.number && waits && work.asker.is_gone() && !work.is_last
            })
        });
        let keys: Vec<SequenceKey> = given_up.map(|want| want.key.clone()).collect();
        for key in keys {
            if let Some(turn) = self.take_turn(&key) {
                self.finish(now, turn, Err(closed()));
            }
        }
        self.run(now);
    }

    /// Ends what has been idle for too long.
    pub(super) fn tick(&mut self, now: Instant) {
        self.find_oldest();
        let is_at_it = self.places.recovering() > 0 || !self.wants_recovery.is_empty();
        self.places.recovery_limit().tick(now, is_at_it);
        self.sweep(now);
        let reading = self.clock.read(now);
        let boundary = self.settings.boundary;
        // Where options say of each row whether it starts, the server may know what it likes.
        let is_told = self.settings.flags_are_given();
        let server_idle = self.settings.server_idle;
        let is_due = |sequence: &Sequence| match (boundary, &sequence.life) {
            _ if is_told => false,
            (Some(boundary), _) => reading.saturating_sub(sequence.idle_since) > boundary,
            (None, Life::Open(place)) => server_idle
                .and_then(|idle| place.reached?.checked_add(idle))
                .is_some_and(|at| at < now),
            (None, _) => false,
        };
        let due: Vec<SequenceKey> = self
            .keys
            .iter()
            .take_while(|(_, entry)| {
                let sequence = entry.sequence.as_deref();
                entry.has_rows() || sequence.is_some_and(is_due)
            })
            .filter(|(_, entry)| !entry.has_rows())
            .map(|(key, _)| key.clone())
            .collect();
        for key in due {
            let Some(mut sequence) = self.keys.remove(&key).and_then(|entry| entry.sequence) else {
                continue;
            };
            if boundary.is_some() {
                self.expire(now, &key, sequence);
                continue;
            }
            // Its rows may well go on: what they go on with is a question of recovery.
            let (id, rows) = (sequence.id(), sequence.rows);
            self.lose(now, &key, &mut sequence, LossCause::Idle);
            sequence.idled_out = true;
            self.report(&key, Event::Idle { id, rows });
            self.remember(key, sequence);
        }
        if let Some(boundary) = boundary {
            while let Some((key, sequence)) = self.memory.take_expired(reading, boundary) {
                self.expire(now, &key, sequence);
            }
        }
    }
}
