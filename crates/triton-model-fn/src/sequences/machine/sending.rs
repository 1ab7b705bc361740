//! How a row, or one of a replay, becomes a request.

use std::sync::Arc;

use tokio::time::Instant;

use super::history::History;
use super::report::Event;
use super::request::{Content, Request};
use super::sequence::Life;
use super::turn::Turn;
use super::{Asker, Effect, Machine, Phase, Sent};

impl<A: Asker> Machine<A> {
    pub(super) fn send_row(&mut self, now: Instant, mut turn: Turn<A>) {
        let number = self.number();
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
        let timer = work.deadline.map(|deadline| (deadline, number));
        if let Some(timer) = timer {
            self.timers.insert(timer, key.clone());
        }
        let sent = Sent {
            number,
            timer,
            call: self.clock.call_begins(now),
            row: sequence.rows,
            end,
            is_replay: false,
            reached_before: place.reached.replace(now),
        };
        let request = Request {
            number,
            key: key.clone(),
            counter: sequence.counter,
            content: Content::Encoded(Arc::clone(row)),
            row: sequence.rows,
            start,
            end,
            deadline: work.deadline,
            is_left: false,
            is_kept,
        };
        self.send(turn, request, sent);
    }

    /// Sends the next row of a replay; false where all of them were.
    pub(super) fn send_again(&mut self, now: Instant, turn: &mut Turn<A>) -> bool {
        let number = self.number();
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
            self.rebuilt(turn);
            return false;
        };
        let timer = work.deadline.map(|deadline| (deadline, number));
        if let Some(timer) = timer {
            self.timers.insert(timer, key.clone());
        }
        let sent = Sent {
            number,
            timer,
            call: self.clock.call_begins(now),
            row: rebuilding.answered,
            end: false,
            is_replay: true,
            reached_before: rebuilding.place.reached.replace(now),
        };
        let request = Request {
            number,
            key: key.clone(),
            counter: sequence.counter,
            content,
            row: rebuilding.answered,
            start: rebuilding.answered == 0,
            end: false,
            deadline: work.deadline,
            is_left: false,
            is_kept: false,
        };
        work.phase = Phase::Sent(sent);
        self.effects.push_back(Effect::Send(request));
        true
    }

    pub(super) fn send(&mut self, mut turn: Turn<A>, request: Request, sent: Sent) {
        turn.work.phase = Phase::Sent(sent);
        self.effects.push_back(Effect::Send(request));
        self.put_back(turn);
    }

    /// Every row was sent again.
    pub(super) fn rebuilt(&mut self, turn: &mut Turn<A>) {
        let Some(sequence) = &mut turn.sequence else {
            return;
        };
        if let Life::Rebuilding(rebuilding) = std::mem::replace(&mut sequence.life, Life::Unborn) {
            sequence.rows = rebuilding.answered;
            sequence.life = Life::Open(rebuilding.place);
            let event = Event::Replayed {
                id: rebuilding.loss.id,
                counter: sequence.counter,
                rows: sequence.rows,
            };
            self.report(&turn.key, event);
        }
    }
}
