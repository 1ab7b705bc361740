//! Sequences that are left before their end, and the places that they have on the server.
//!
//! A place lingers until the server has certainly dropped the sequence. Where the option
//! `sequence-abandon` is `end`, one END is sent for it, with the tensors of its last row: it frees the
//! place once it is answered, because whatever arrives of that ID later has no START and is refused.

use std::sync::Arc;

use tokio::time::Instant;

use super::places::Place;
use super::request::{Content, FailureEffect, Outcome, Request};
use super::sequence::Sequence;
use super::{Asker, Effect, Machine};
use crate::sequences::SequenceKey;

/// A sequence of which nothing but an END is out.
#[derive(Debug)]
pub(super) struct Ending {
    pub(super) place: Place,
    call: u64,
}

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
        let is_alive = self.places.dropped_at(&place).is_none_or(|at| at > now);
        let last_row = last_row.filter(|_| is_alive);
        let (Some(row), false) = (last_row, self.is_closed) else {
            return self.places.linger(place, now);
        };
        let number = self.number();
        place.reached = Some(now);
        let call = self.clock.call_begins(now);
        self.endings.insert(number, Ending { place, call });
        self.effects.push_back(Effect::Send(Request {
            number,
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
            FailureEffect::None => self.places.linger(place, now),
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
}
