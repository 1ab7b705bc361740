//! Sequences that are left before their end, and the places that they have on the server.
//!
//! A place lingers until the server has certainly dropped the sequence. Where the option
//! `sequence-abandon` is `end`, one END is sent for it, with the tensors of its last row: it frees the
//! place once it is answered, because whatever arrives of that ID later has no START and is refused.

use std::sync::Arc;

use tokio::time::Instant;

use super::effect::{Asker, Effect};
use super::places::Place;
use super::request::{Content, FailureEffect, Outcome, Request};
use super::sequence::{Ending, Life, Rebuilding, Sequence};
use super::servers::Standing;
use super::state::{Machine, Phase};
use crate::sequences::SequenceKey;

impl<A: Asker> Machine<A> {
    /// Leaves a sequence to the server, or ends it there.
    pub(super) fn leave(
        &mut self,
        now: Instant,
        key: &SequenceKey,
        sequence: &mut Sequence,
        mut place: Place,
    ) {
        // Without a row that was answered its START may still be on the way.
        let last_row = sequence.last_row.take().filter(|_| sequence.rows > 0);
        // What the server has dropped by itself needs no end.
        let is_alive = self
            .places
            .dropped_at(place.reached)
            .is_none_or(|at| at > now);
        let last_row = last_row.filter(|_| is_alive);
        let answers = self.places.standing(&place) != Standing::Gone;
        let (Some(row), false) = (last_row.filter(|_| answers), self.is_closed) else {
            return self.places.linger(place, now);
        };
        let number = self.number();
        let server = place.server;
        place.reached = Some(now);
        let call = self.clock.call_begins(now);
        self.endings.insert(number, Ending { place, call });
        self.effects.push_back(Effect::Send(Request {
            number,
            server,
            key: key.clone(),
            counter: sequence.counter,
            content: Content::Encoded(Arc::clone(&row)),
            row: sequence.rows,
            start: false,
            end: true,
            deadline: None,
            is_left: true,
            is_kept: false,
        }));
    }

    /// Takes what came of an END; false where it is that of another request.
    pub(super) fn take_end_outcome(
        &mut self,
        now: Instant,
        request: u64,
        outcome: &Outcome,
    ) -> bool {
        let Some(Ending { mut place, call }) = self.endings.remove(&request) else {
            return false;
        };
        self.clock.call_ends(now, call);
        let effect = match outcome {
            Outcome::Answered { .. } => FailureEffect::Executed,
            Outcome::Unsendable => FailureEffect::None,
            Outcome::Failed(failed) => failed.effect,
        };
        match effect {
            FailureEffect::Executed | FailureEffect::Forgotten => self.places.free(place),
            FailureEffect::Uncertain => {
                place.reached = Some(now);
                self.places.linger(place, now);
            }
            FailureEffect::None | FailureEffect::Away => self.places.linger(place, now),
        }
        true
    }

    /// Gives up every END that is out.
    pub(super) fn give_up_endings(&mut self, now: Instant) {
        for (_, Ending { place, call }) in std::mem::take(&mut self.endings) {
            self.clock.call_ends(now, call);
            self.places.linger(place, now);
        }
    }

    /// Until when how many IDs may be alive on the server that nobody goes on with.
    pub(in crate::sequences) fn left_behind(&self, now: Instant) -> Vec<(Instant, usize)> {
        let open = self.keys.values().filter_map(|entry| {
            let sequence = entry.sequence.as_ref()?;
            let (Life::Open(place) | Life::Rebuilding(Rebuilding { place, .. })) = &sequence.life
            else {
                return None;
            };
            let is_in_flight = entry.work.as_ref().is_some_and(|work| {
                // It may arrive after this.
                matches!(work.phase, Phase::Sent(_))
            });
            // A START of the one ID there is finds its sequence, where nothing of it is on the way.
            if self.settings.fixed.is_some() && !is_in_flight {
                return None;
            }
            let reached = if is_in_flight {
                Some(now)
            } else {
                place.reached
            };
            let until = self.places.dropped_at(reached)?;
            Some((until, 1))
        });
        // An END may arrive after this as well.
        let at_latest = self.places.dropped_at(Some(now));
        let endings = at_latest.map(|until| (until, self.endings.len()));
        let endings = endings.filter(|(_, count)| *count > 0);
        open.chain(endings)
            .chain(self.places.lingering_until())
            .collect()
    }

    /// Holds places for what an opening before this one has left behind.
    pub(in crate::sequences) fn hold_left_behind(
        &mut self,
        now: Instant,
        left: &[(Instant, usize)],
    ) {
        for (until, count) in left.iter().filter(|(until, _)| *until > now) {
            self.places.hold_until(*until, *count);
        }
    }
}
