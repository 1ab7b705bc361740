//! What the outcome of a request does to the sequence and to the row that it was sent for.

use tokio::time::Instant;

use super::effect::Asker;
use super::history::{History, KeptRow};
use super::places::Place;
use super::recoveries::Failure;
use super::report::Event;
use super::request::{Failed, FailureEffect, Outcome};
use super::sequence::{Life, LossCause, LostId};
use super::state::{Machine, Phase, Sent};
use super::turn::{Recovery, Turn};
use crate::sequence_name::SequenceName;
use crate::sequences::{Answered, SequenceKey, UnseenMark};
use crate::{Error, ErrorKind, Value};

impl<A: Asker> Machine<A> {
    pub(super) fn take_outcome(
        &mut self,
        now: Instant,
        key: &SequenceKey,
        request: u64,
        outcome: Outcome,
    ) {
        let work = self.keys.get(key).and_then(|entry| entry.work.as_ref());
        let sent = work.and_then(|work| match work.phase {
            Phase::Sent(sent) if sent.number == request => Some(sent),
            _ => None,
        });
        // What was given up meanwhile is nobody's any more.
        let (Some(sent), Some(mut turn)) = (sent, sent.and_then(|_| self.take_turn(key))) else {
            return;
        };
        turn.work.phase = Phase::Turn;
        self.clock.call_ends(now, sent.call);
        let is_sent = match &outcome {
            Outcome::Unsendable => false,
            Outcome::Failed(failed) => {
                !matches!(failed.effect, FailureEffect::None | FailureEffect::Away)
            }
            Outcome::Answered { .. } => true,
        };
        if let Some(place) = place_of(&mut turn) {
            // The server counts from when it queued the request, which lies somewhere in between.
            place.reached = match is_sent {
                true => Some(now),
                false => sent.reached_before,
            };
        }
        match outcome {
            Outcome::Answered { digest, .. } if sent.is_replay => {
                let turn_took = now.saturating_duration_since(sent.since);
                self.places.recovery_limit().answered(turn_took);
                self.replayed(now, turn, digest);
            }
            Outcome::Answered { values, kept, .. } => {
                self.answered(now, turn, values, kept, sent.end);
            }
            Outcome::Unsendable => {
                if let Some(Life::Rebuilding(rebuilding)) =
                    turn.sequence.as_mut().map(|it| &mut it.life)
                {
                    rebuilding.next += 1;
                }
                self.drive(now, turn);
            }
            Outcome::Failed(failed) => self.failed(now, turn, sent, failed),
        }
    }

    /// The row was answered.
    fn answered(
        &mut self,
        now: Instant,
        mut turn: Turn<A>,
        values: Vec<Value>,
        kept: Option<KeptRow>,
        end: bool,
    ) {
        let Some(sequence) = &mut turn.sequence else {
            return;
        };
        let restarted = sequence.marked;
        // A mark that nobody sees is kept for the next answer.
        sequence.marked &= turn.work.asker.is_gone();
        let is_to_be_seen = restarted && !sequence.marked && !end;
        let counter = sequence.counter;
        let is_first = sequence.rows == 0;
        let sequence_follows_end = sequence.follows_end;
        sequence.rows += 1;
        let rows = sequence.rows;
        if !end {
            sequence.history.push(self.settings.history, kept);
            if self.settings.ends_abandoned {
                sequence.last_row.clone_from(&turn.work.row);
            }
        }
        if is_first {
            self.report(&turn.key, Event::Started { counter });
        }
        if end {
            if sequence_follows_end {
                self.begins_whole(&turn.key);
            }
            self.end(&mut turn);
            self.report(&turn.key, Event::Ended { counter, rows });
        }
        let answered = Answered {
            values,
            sequence_id: self.sent_id(counter),
            restarted,
            unseen: is_to_be_seen.then(|| UnseenMark::of(turn.key.clone())),
        };
        self.finish(now, turn, Ok(answered));
    }

    /// END was executed: the server has dropped the sequence.
    fn end(&mut self, turn: &mut Turn<A>) {
        if let Some(mut sequence) = turn.sequence.take()
            && let Some(place) = sequence.take_place()
        {
            self.places.free(place);
        }
    }

    /// A row of a replay was answered.
    fn replayed(&mut self, now: Instant, mut turn: Turn<A>, digest: Option<u32>) {
        let Some(sequence) = &mut turn.sequence else {
            return;
        };
        let Life::Rebuilding(rebuilding) = &mut sequence.life else {
            return;
        };
        let before = match &sequence.history {
            History::Kept(kept) => kept
                .rows
                .get(rebuilding.next as usize)
                .and_then(|row| row.digest),
            History::NotKept | History::Outgrown => None,
        };
        rebuilding.next += 1;
        rebuilding.answered += 1;
        let number = rebuilding.next;
        turn.work.recoveries.replayed_rows += 1;
        self.report(&turn.key, Event::RowReplayed);
        if before.is_none() || !self.settings.compares() || before == digest {
            return self.drive(now, turn);
        }
        if let Some(sequence) = &mut turn.sequence {
            self.lose(now, &turn.key, sequence, LossCause::Diverged);
        }
        self.fail(&mut turn);
        let message = format!(
            "the model answers row {number} of the replay differently than before, so the state \
             of the sequence cannot be rebuilt"
        );
        self.finish(now, turn, Err(Error::new(ErrorKind::SequenceLost, message)));
    }

    fn failed(&mut self, now: Instant, turn: Turn<A>, sent: Sent, failed: Failed) {
        match (failed.effect, sent.is_replay) {
            // Its answer would have been dropped anyway, unless it was to be compared.
            (FailureEffect::Executed, true) if !self.settings.compares() => {
                self.replayed(now, turn, None);
            }
            (FailureEffect::Executed, true) => {
                self.lose_by(now, turn, sent, LossCause::Uncertain, failed);
            }
            (FailureEffect::Executed, false) => self.executed(now, turn, sent.end, failed.error),
            (FailureEffect::None, false) => self.not_executed(now, turn, failed.error),
            (FailureEffect::None, true) => self.recover(now, turn, sent, failed),
            (FailureEffect::Away, _) => self.lose_by(now, turn, sent, LossCause::Moved, failed),
            (FailureEffect::Forgotten, _) => {
                self.lose_by(now, turn, sent, LossCause::Forgotten, failed);
            }
            (FailureEffect::Uncertain, _) => {
                self.lose_by(now, turn, sent, LossCause::Uncertain, failed);
            }
        }
    }

    /// The row was certainly not executed: its sequence is as it was.
    fn not_executed(&mut self, now: Instant, mut turn: Turn<A>, error: Error) {
        if let Some(sequence) = turn.sequence.as_mut().filter(|it| it.rows == 0)
            && let Some(place) = sequence.take_place()
        {
            self.places.linger(place, now);
        }
        let error = told(&turn, now, error, turn.work.recoveries.count(), false);
        self.finish(now, turn, Err(error));
    }

    /// The model has taken the row in, and its answer is of no use: another one would be neither.
    fn executed(&mut self, now: Instant, mut turn: Turn<A>, end: bool, error: Error) {
        let recovery = self.recovery(&turn);
        let error = told(&turn, now, error, turn.work.recoveries.count(), false);
        if end && turn.work.is_last {
            self.end(&mut turn);
        } else if let Some(sequence) = &mut turn.sequence {
            let rows = sequence.rows;
            // An end by length is one of rows that were answered, and there is one fewer of them.
            let cause = if end {
                LossCause::Ended
            } else {
                LossCause::Unanswered
            };
            self.lose(now, &turn.key, sequence, cause);
            if rows == 0 {
                sequence.life = Life::Unborn;
            } else if recovery == Recovery::Fail {
                self.fail(&mut turn);
            }
        }
        self.finish(now, turn, Err(error));
    }

    /// The server does not know the sequence any more, or nobody knows what it knows of it.
    fn lose_by(
        &mut self,
        now: Instant,
        mut turn: Turn<A>,
        sent: Sent,
        cause: LossCause,
        failed: Failed,
    ) {
        let recovery = self.recovery(&turn);
        let server = place_of(&mut turn).map(|place| place.server);
        // One that has forgotten it is well.
        if let Some(server) = server.filter(|_| cause != LossCause::Forgotten)
            && !turn.work.avoid.contains(&server)
        {
            turn.work.avoid.push(server);
        }
        let Some(sequence) = &mut turn.sequence else {
            return;
        };
        let (id, rows) = (sequence.id(), sequence.rows);
        // A row that starts its sequence has nothing to lose.
        let is_first = !sent.is_replay && self.settings.flags(rows, false).0;
        self.lose(now, &turn.key, sequence, cause);
        let idle_at = self.places.dropped_at(sent.reached_before);
        sequence.idled_out = cause == LossCause::Forgotten && idle_at.is_some_and(|at| at <= now);
        if is_first {
            sequence.life = Life::Unborn;
        }
        if !sent.is_replay {
            let event = Event::Lost {
                id,
                rows,
                cause,
                is_hidden: recovery == Recovery::Replay || is_first,
                error: failed.error.clone(),
            };
            self.report(&turn.key, event);
        }
        if !is_first && recovery == Recovery::Fail {
            let recovered = turn.work.recoveries.count();
            let error = told(&turn, now, failed.error, recovered, false);
            self.fail(&mut turn);
            return self.finish(now, turn, Err(error));
        }
        self.recover(now, turn, sent, failed);
    }

    /// Tries a row again that met a failure which may pass, or gives it up.
    fn recover(&mut self, now: Instant, mut turn: Turn<A>, sent: Sent, failed: Failed) {
        let failure = Failure {
            error: &failed.error,
            replayed: sent.is_replay.then_some(sent.row),
            found_away: failed.effect == FailureEffect::Away,
            server: failed.server,
        };
        let random = self.random.f64();
        let recoveries = &mut turn.work.recoveries;
        let Some(wait) = recoveries.another(now, &self.limits, &failure, random) else {
            return self.give_up(now, turn, sent, failed.error);
        };
        if wait.is_zero() {
            return self.drive(now, turn);
        }
        let next = now.checked_add(wait);
        let deadline = turn.work.deadline;
        let Some(next) = next.filter(|next| deadline.is_none_or(|deadline| *next < deadline))
        else {
            return self.give_up(now, turn, sent, failed.error);
        };
        let timer = (next, turn.work.number);
        self.timers.insert(timer, turn.key.clone());
        self.pausing += 1;
        turn.work.phase = Phase::Pause { timer };
        self.put_back(turn);
    }

    /// A row fails in spite of every recovery: it is not part of its sequence.
    fn give_up(&mut self, now: Instant, turn: Turn<A>, sent: Sent, error: Error) {
        // The last failure was counted, too, and no recovery followed it.
        let recovered = turn.work.recoveries.count().saturating_sub(1);
        let error = told(&turn, now, error, recovered, sent.is_replay);
        self.finish(now, turn, Err(error));
    }

    /// What a sequence is called, where that is known.
    pub(super) fn name(&self, id: &LostId) -> Option<SequenceName> {
        self.settings.name(self.ids.as_deref(), id)
    }

    /// The ID of a counter, as the server has seen it.
    fn sent_id(&self, counter: u64) -> String {
        let name = self.name(&LostId::Own(counter));
        name.map(|name| name.sent()).unwrap_or_default()
    }
}

fn place_of<A>(turn: &mut Turn<A>) -> Option<&mut Place> {
    match &mut turn.sequence.as_mut()?.life {
        Life::Open(place) => Some(place),
        Life::Rebuilding(rebuilding) => Some(&mut rebuilding.place),
        Life::Unborn | Life::Lost(_) | Life::Reported(_) => None,
    }
}

/// The failure of a row, with what was done to answer it.
fn told<A>(turn: &Turn<A>, now: Instant, error: Error, recovered: u32, in_replay: bool) -> Error {
    let before = turn.sequence.as_ref().map_or(0, |sequence| sequence.rows);
    // That the server is away says nothing of this row.
    if (recovered == 0 && !in_replay) || error.kind() == ErrorKind::ServerAway {
        return error.at_row(before);
    }
    let recoveries = &turn.work.recoveries;
    let place = match (in_replay, error.sequence_row()) {
        (true, Some(row)) => format!(", at row {} of the replay", row + 1),
        _ => String::new(),
    };
    let message = format!(
        "the row was not answered: its sequence was recovered {recovered} times in {:.1?}, with {} \
         rows sent again, and then{place}: {}",
        recoveries.elapsed(now),
        recoveries.replayed_rows,
        error.message()
    );
    let kind = error.kind();
    error.with_kind(kind, &message).at_row(before)
}
