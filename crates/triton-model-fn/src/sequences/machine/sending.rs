//! How a row, or one of a replay, becomes a request.

use std::sync::Arc;

use tokio::time::Instant;

use super::effect::{Asker, Effect};
use super::history::History;
use super::places::Place;
use super::report::Event;
use super::request::{Content, Request};
use super::sequence::Life;
use super::state::{Machine, Phase, Sent, Work};
use super::turn::Turn;
use crate::sequences::SequenceKey;

/// What goes out for a row: itself, or one that is sent again for it.
struct Outgoing {
    content: Content,
    counter: u64,
    /// How many rows of the sequence come before it.
    row: u64,
    start: bool,
    end: bool,
    is_replay: bool,
    is_kept: bool,
}

impl<A: Asker> Machine<A> {
    pub(super) fn send_row(&mut self, now: Instant, mut turn: Turn<A>) {
        let Turn {
            key,
            work,
            sequence: Some(sequence),
        } = &mut turn
        else {
            return;
        };
        let (Life::Open(place), Some(row)) = (&mut sequence.life, &work.row) else {
            return;
        };
        let (start, end) = self.settings.flags(sequence.rows, work.is_last);
        let is_kept = !end && matches!(sequence.history, History::Kept(_));
        let out = Outgoing {
            content: Content::Encoded(Arc::clone(row)),
            counter: sequence.counter,
            row: sequence.rows,
            start,
            end,
            is_replay: false,
            is_kept,
        };
        self.send(now, key, work, place, out);
        self.put_back(turn);
    }

    /// Sends the next row of a replay; false where all of them were.
    pub(super) fn send_again(&mut self, now: Instant, turn: &mut Turn<A>) -> bool {
        let (key, work) = (&turn.key, &mut turn.work);
        let Some(sequence) = &mut turn.sequence else {
            return false;
        };
        let Life::Rebuilding(rebuilding) = &mut sequence.life else {
            return false;
        };
        let next = rebuilding.next;
        let content = match (&work.earlier, &sequence.history) {
            (Some(earlier), _) if next < earlier.count() => {
                Some(Content::Carried(Arc::clone(earlier), next))
            }
            (None, History::Kept(kept)) => kept
                .rows
                .get(next as usize)
                .map(|row| Content::Packed(Arc::clone(&row.packed))),
            _ => None,
        };
        let Some(content) = content else {
            self.rebuilt(now, turn);
            return false;
        };
        let out = Outgoing {
            content,
            counter: sequence.counter,
            row: rebuilding.answered,
            start: rebuilding.answered == 0,
            end: false,
            is_replay: true,
            is_kept: false,
        };
        self.send(now, key, work, &mut rebuilding.place, out);
        true
    }

    /// Sends what is to go out for a row under the ID that has the place.
    fn send(
        &mut self,
        now: Instant,
        key: &SequenceKey,
        work: &mut Work<A>,
        place: &mut Place,
        out: Outgoing,
    ) {
        let number = self.number();
        let timer = work.deadline.map(|deadline| (deadline, number));
        if let Some(timer) = timer {
            self.timers.insert(timer, key.clone());
        }
        work.phase = Phase::Sent(Sent {
            number,
            timer,
            since: now,
            call: self.clock.call_begins(now),
            row: out.row,
            end: out.end,
            is_replay: out.is_replay,
            reached_before: place.reached.replace(now),
        });
        self.effects.push_back(Effect::Send(Request {
            number,
            server: place.server,
            key: key.clone(),
            counter: out.counter,
            content: out.content,
            row: out.row,
            start: out.start,
            end: out.end,
            deadline: work.deadline,
            is_left: false,
            is_kept: out.is_kept,
        }));
    }

    /// Every row was sent again.
    pub(super) fn rebuilt(&mut self, now: Instant, turn: &mut Turn<A>) {
        let Some(sequence) = &mut turn.sequence else {
            return;
        };
        if let Life::Rebuilding(rebuilding) = std::mem::replace(&mut sequence.life, Life::Unborn) {
            let mut place = rebuilding.place;
            self.places.recovered(&mut place);
            sequence.rows = rebuilding.answered;
            (sequence.rebuilt, sequence.idled_out) = (Some(now), false);
            sequence.life = Life::Open(place);
            let event = Event::Replayed {
                id: rebuilding.loss.id,
                counter: sequence.counter,
                rows: sequence.rows,
            };
            self.report(&turn.key, event);
        }
    }
}
