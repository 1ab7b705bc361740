//! Rows that wait: for a place on the server, for a pause to end, until their deadline.

use std::time::Duration;

use tokio::time::Instant;

use super::effect::{Asker, Effect};
use super::places::{Place, Purpose};
use super::report::Event;
use super::servers::stable_hash;
use super::state::{Machine, Phase, Want};
use super::turn::Turn;
use crate::replicas::ReplicaId;
use crate::sequences::SequenceKey;
use crate::{Error, ErrorKind};

/// How long rows wait for a place before that is reported, and how long until it is again.
const LONG_WAIT: Duration = Duration::from_secs(1);
pub(super) const WARNING_PAUSE: Duration = Duration::from_secs(10);

impl<A: Asker> Machine<A> {
    /// A place for a row, unless it has to wait for one.
    pub(super) fn place(
        &mut self,
        now: Instant,
        turn: &mut Turn<A>,
        purpose: Purpose,
    ) -> Option<Place> {
        if let Some(place) = turn.work.granted.take() {
            return Some(place);
        }
        let others_wait = match purpose {
            Purpose::Recover => !self.wants_recovery.is_empty(),
            Purpose::Begin => self.first_waiting().is_some(),
        };
        if !others_wait && let Some(place) = self.take_place(purpose, &turn.key, &turn.work.avoid) {
            return Some(place);
        }
        let number = turn.work.number;
        let want = Want {
            key: turn.key.clone(),
            number,
            submitted: turn.work.submitted,
        };
        match purpose {
            Purpose::Recover => {
                // The oldest rows come first; mostly that is the order in which they ask.
                let later = self.wants_recovery.iter().rev();
                let later = later.take_while(|other| other.submitted > want.submitted);
                let place = self.wants_recovery.len() - later.count();
                self.wants_recovery.insert(place, want);
            }
            Purpose::Begin => self.wants_beginning.push_back(want),
        }
        let timer = turn.work.deadline.map(|deadline| (deadline, number));
        if let Some(timer) = timer {
            self.timers.insert(timer, turn.key.clone());
        }
        if self.next_warning.is_none() {
            self.next_warning = now.checked_add(LONG_WAIT);
        }
        turn.work.phase = Phase::Place {
            purpose,
            since: now,
            timer,
        };
        None
    }

    /// Gives a place to the row that has waited for one for longest; false where there is none.
    pub(super) fn grant_place(&mut self, now: Instant) -> bool {
        if !self.wants_recovery.is_empty() && self.places.is_recovery_full() {
            self.places.recovery_limit().holds_back(now);
        }
        while let Some((purpose, Want { key, number, .. })) = self.first_waiting() {
            let work = self.keys.get(&key).and_then(|entry| entry.work.as_ref());
            let waiting = work
                .filter(|work| work.number == number && matches!(work.phase, Phase::Place { .. }));
            let avoid = waiting.map(|work| work.avoid.clone());
            let place = avoid.map(|avoid| self.take_place(purpose, &key, &avoid));
            if let Some(None) = place {
                return false;
            }
            match purpose {
                Purpose::Recover => self.wants_recovery.pop_front(),
                Purpose::Begin => self.wants_beginning.pop_front(),
            };
            if let Some(Some(place)) = place
                && let Some(mut turn) = self.take_turn(&key)
            {
                turn.work.granted = Some(place);
                self.drive(now, turn);
                return true;
            }
        }
        self.next_warning = None;
        false
    }

    /// Who waits for longest; those that only wait until fewer sequences are being recovered stand in
    /// nobody's way.
    pub(super) fn first_waiting(&self) -> Option<(Purpose, Want)> {
        let first = |purpose, queue: &std::collections::VecDeque<Want>| {
            Some((purpose, queue.front()?.clone()))
        };
        first(Purpose::Recover, &self.wants_recovery)
            .filter(|_| !self.places.is_recovery_full())
            .or_else(|| first(Purpose::Begin, &self.wants_beginning))
    }

    /// A place on the server that fits the key.
    fn take_place(
        &mut self,
        purpose: Purpose,
        key: &SequenceKey,
        avoid: &[ReplicaId],
    ) -> Option<Place> {
        let hash = self.settings.by_hash.then(|| stable_hash(key.as_str()));
        self.places.take(purpose, hash, avoid)
    }

    /// Says of the row that has waited for a place for longest that it does.
    pub(super) fn warn_of_waits(&mut self) {
        let Some((purpose, Want { key, .. })) = self.first_waiting() else {
            return;
        };
        let event = Event::WaitsForPlace {
            purpose,
            open: self.places.taken(),
            held: self.places.lingering(),
            limit: self.places.limit(),
            room: self.places.room(),
        };
        self.report(&key, event);
    }

    /// A timer of the row of a key has run out.
    pub(super) fn timer_fires(&mut self, now: Instant, key: &SequenceKey, timer: (Instant, u64)) {
        let work = self.keys.get(key).and_then(|entry| entry.work.as_ref());
        if let Some(Phase::Sent(sent)) = work.map(|work| &work.phase)
            && sent.timer == Some(timer)
        {
            // What is in flight is given up by whoever sends it.
            self.effects.push_back(Effect::Cancel(sent.number));
            return;
        }
        let is_current = work.is_some_and(|work| match work.phase {
            Phase::Place { timer: own, .. } => own == Some(timer),
            Phase::Pause { timer: own } => own == timer,
            Phase::Turn | Phase::Sent(_) => false,
        });
        if !is_current {
            return;
        }
        let phase = work.map(|work| match work.phase {
            Phase::Place { purpose, since, .. } => Some((purpose, since)),
            _ => None,
        });
        let Some(turn) = self.take_turn(key) else {
            return;
        };
        match phase.flatten() {
            Some(waited) => {
                let error = self.past_deadline(now, &turn, Some(waited));
                self.finish(now, turn, Err(error));
            }
            None => self.drive(now, turn),
        }
    }

    pub(super) fn past_deadline(
        &self,
        now: Instant,
        turn: &Turn<A>,
        waited: Option<(Purpose, Instant)>,
    ) -> Error {
        let time = now.saturating_duration_since(turn.work.submitted);
        let reason = match waited {
            None => "it stood behind others of its key".to_owned(),
            Some((Purpose::Recover, since)) if self.places.is_recovery_full() => format!(
                "it waited for {:.1?} until its sequence could be recovered, because no more than {} \
                 are at once, which follows from '{}'",
                now.saturating_duration_since(since),
                self.places.recovering(),
                triton_options::MAX_IN_FLIGHT.key(),
            ),
            Some((_, since)) => {
                let room = match self.places.room() {
                    0 => String::new(),
                    room => format!(", {room} of them only for sequences that are recovered"),
                };
                format!(
                    "it waited for {:.1?} for one of the {} places that the model has for sequences \
                     of this subtask{room}; {} sequences are open, and {} that are over here may \
                     be alive on the server",
                    now.saturating_duration_since(since),
                    self.places.limit(),
                    self.places.taken(),
                    self.places.lingering(),
                )
            }
        };
        let message = format!(
            "the row was not sent within '{}', {time:.1?} after it was handed over: {reason}",
            triton_options::ROW_DEADLINE.key(),
        );
        Error::new(ErrorKind::Call, message)
    }
}
