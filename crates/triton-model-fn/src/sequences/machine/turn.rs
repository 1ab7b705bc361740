//! How a row is taken from its turn to its answer.

use tokio::time::Instant;
use triton_options::{ReplayOverflow, SEQUENCE_RECOVERY, SequenceRecovery};

use super::effect::{Asker, closed};
use super::history::History;
use super::places::{Place, Purpose};
use super::recoveries::Recoveries;
use super::report::Event;
use super::sequence::{Life, Loss, LossCause, Rebuilding, Sequence};
use super::servers::Standing;
use super::state::{Machine, Phase, Work};
use crate::sequence_id_generator::TakenId;
use crate::sequences::SequenceKey;
use crate::{Error, ErrorKind};

/// A row that is looked at, with the sequence of its key.
pub(super) struct Turn<A> {
    pub(super) key: SequenceKey,
    pub(super) work: Box<Work<A>>,
    pub(super) sequence: Option<Box<Sequence>>,
}

/// What is done about a lost sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Recovery {
    Fail,
    Restart,
    Replay,
}

impl<A: Asker> Machine<A> {
    /// Takes the next row of a key that has none in work.
    pub(super) fn take_next_row(&mut self, now: Instant, key: &SequenceKey) {
        let Some(entry) = self.keys.get_mut(key).filter(|entry| entry.work.is_none()) else {
            return;
        };
        let Some(waiting) = entry.queue.pop_front() else {
            self.come_to_rest(key);
            return;
        };
        // A row that says where it stands has been seen, whatever becomes of it.
        if waiting.asker.is_gone() && !waiting.row.last && waiting.row.position.is_none() {
            self.rows -= 1;
            self.turns.push_back(key.clone());
            return;
        }
        let sequence = entry.sequence.take();
        let row = waiting.row;
        let (row, position, is_last) = (row.encoded, row.position, row.last);
        let (row, fault) = match row {
            Ok(row) => (Some(row), None),
            Err(error) => (None, Some(error)),
        };
        let deadline = self.settings.row_deadline;
        let mut turn = Turn {
            key: key.clone(),
            work: Box::new(Work {
                number: self.number(),
                asker: waiting.asker,
                row,
                is_last,
                position: position.as_ref().map(|position| position.position),
                earlier: position
                    .as_ref()
                    .and_then(|position| position.earlier.clone()),
                submitted: waiting.submitted,
                deadline: deadline.and_then(|time| waiting.submitted.checked_add(time)),
                phase: Phase::Turn,
                granted: None,
                avoid: Vec::new(),
                recoveries: Recoveries::default(),
            }),
            sequence,
        };
        if let Some(boundary) = self.settings.boundary
            && let Some(sequence) = turn
                .sequence
                .take_if(|sequence| waiting.arrived.saturating_sub(sequence.idle_since) > boundary)
        {
            self.expire(now, key, sequence);
        }
        if let Some(position) = &position {
            self.take_position(now, &mut turn, position);
        }
        match fault {
            None => self.drive(now, turn),
            Some(error) => self.finish(now, turn, Err(error)),
        }
    }

    /// Does the next thing for a row: sends it, or what has to be sent before it, or lets it wait.
    pub(super) fn drive(&mut self, now: Instant, mut turn: Turn<A>) {
        if turn.work.asker.is_gone() && !turn.work.is_last {
            return self.finish(now, turn, Err(closed()));
        }
        if turn.work.deadline.is_some_and(|deadline| deadline <= now) {
            let error = self.past_deadline(now, &turn, None);
            return self.finish(now, turn, Err(error));
        }
        loop {
            let recovery = self.recovery(&turn);
            let known = turn.sequence.is_some();
            if !known {
                turn.sequence = Some(Box::new(self.new_sequence(&turn.key)));
            }
            let Some(sequence) = &mut turn.sequence else {
                return;
            };
            match &sequence.life {
                Life::Open(place) if self.is_left(place, recovery) => {
                    let (id, rows) = (sequence.id(), sequence.rows);
                    self.lose(now, &turn.key, sequence, LossCause::Moved);
                    self.report(&turn.key, Event::Moved { id, rows });
                }
                Life::Open(_) => return self.send_row(now, turn),
                Life::Rebuilding(_) => {
                    if self.send_again(now, &mut turn) {
                        return self.put_back(turn);
                    }
                }
                Life::Lost(loss) => match recovery {
                    // To fail would bring an engine back to the same snapshot, and to this row.
                    Recovery::Fail if loss.cause != LossCause::Restored => {
                        let id = loss.id.clone();
                        let error = lost(sequence, loss, self.settings.fixed.is_none());
                        let error = error.in_sequence(self.name(&id));
                        self.fail(&mut turn);
                        return self.finish(now, turn, Err(error));
                    }
                    Recovery::Fail | Recovery::Restart => {
                        let event = Event::Restarted {
                            id: loss.id.clone(),
                            rows: sequence.rows,
                            cause: loss.cause,
                        };
                        sequence.life = Life::Reported(loss.clone());
                        sequence.marked = true;
                        sequence.history = History::NotKept;
                        self.report(&turn.key, event);
                    }
                    Recovery::Replay => {
                        let Some(place) = self.place(now, &mut turn, Purpose::Recover) else {
                            return self.put_back(turn);
                        };
                        if let Err(error) = self.begin_replay(now, &mut turn, place) {
                            return self.finish(now, turn, Err(error));
                        }
                    }
                },
                // Nothing makes it certain again what the model knows of it.
                Life::Reported(loss)
                    if self.settings.never_starts() && loss.cause != LossCause::Forgotten =>
                {
                    let error = corrupted(sequence, &self.settings);
                    return self.finish(now, turn, Err(error));
                }
                life @ (Life::Unborn | Life::Reported(_)) => {
                    let is_first =
                        !known && matches!(life, Life::Unborn) && turn.work.recoveries.count() == 0;
                    let purpose = match is_first {
                        true => Purpose::Begin,
                        false => Purpose::Recover,
                    };
                    let Some(place) = self.place(now, &mut turn, purpose) else {
                        return self.put_back(turn);
                    };
                    if let Err(error) = self.begin(now, &mut turn, place) {
                        return self.finish(now, turn, Err(error));
                    }
                }
            }
        }
    }

    /// A new ID and no rows; without an ID that is free, nothing.
    fn begin(&mut self, now: Instant, turn: &mut Turn<A>, place: Place) -> Result<(), Error> {
        let (counter, mut place) = self.take_id(now, &turn.key, place)?;
        self.places.recovered(&mut place);
        let history = History::new(self.settings.history);
        if let Some(sequence) = &mut turn.sequence {
            sequence.counter = counter;
            sequence.life = Life::Open(place);
            sequence.rows = 0;
            (sequence.rebuilt, sequence.idled_out) = (None, false);
            sequence.history = history;
        }
        self.report(&turn.key, Event::Begins);
        Ok(())
    }

    fn begin_replay(
        &mut self,
        now: Instant,
        turn: &mut Turn<A>,
        place: Place,
    ) -> Result<(), Error> {
        let (counter, place) = self.take_id(now, &turn.key, place)?;
        self.tell_if_rebuilt_for_time(turn);
        if let Some(sequence) = &mut turn.sequence
            && let Life::Lost(loss) = &sequence.life
        {
            sequence.counter = counter;
            sequence.life = Life::Rebuilding(Rebuilding {
                place,
                next: 0,
                answered: 0,
                loss: loss.clone(),
            });
        }
        Ok(())
    }

    /// Says that a sequence is rebuilt again although nothing has happened to it: its key had no row.
    fn tell_if_rebuilt_for_time(&mut self, turn: &Turn<A>) {
        let Some(sequence) = turn.sequence.as_ref().filter(|it| it.idled_out) else {
            return;
        };
        if let Some(rebuilt) = sequence.rebuilt {
            let (id, rows) = (sequence.id(), sequence.rows);
            let waits_less = self.places.recovery_limit().idled_out(rebuilt);
            let event = Event::RebuiltAgain {
                id,
                rows,
                waits_less,
            };
            self.report(&turn.key, event);
        }
    }

    /// Whether a sequence does not go on where it is: its server is gone, or is to be left and the
    /// sequence can be whole elsewhere.
    fn is_left(&self, place: &Place, recovery: Recovery) -> bool {
        match self.places.standing(place) {
            Standing::Takes | Standing::Tries | Standing::Keeps => false,
            Standing::Leaves => recovery == Recovery::Replay && self.places.can_move(),
            Standing::Gone => true,
        }
    }

    /// Whether the server of a sequence that is moved has not just said so itself.
    pub(super) fn is_unreachable(&self, sequence: &Sequence) -> bool {
        match &sequence.life {
            Life::Open(place) | Life::Rebuilding(Rebuilding { place, .. }) => {
                self.places.standing(place) != Standing::Leaves
            }
            Life::Unborn | Life::Lost(_) | Life::Reported(_) => false,
        }
    }

    pub(super) fn recovery(&self, turn: &Turn<A>) -> Recovery {
        let has_rows = turn.work.earlier.is_some()
            || turn
                .sequence
                .as_ref()
                .is_some_and(|sequence| matches!(sequence.history, History::Kept(_)));
        match (self.settings.recovery, self.settings.overflow) {
            (SequenceRecovery::Replay, _) if has_rows => Recovery::Replay,
            (SequenceRecovery::Replay, ReplayOverflow::Restart) => Recovery::Restart,
            (SequenceRecovery::Restart, _) => Recovery::Restart,
            _ => Recovery::Fail,
        }
    }

    /// A row fails because the sequence is lost: the next one begins it again, and says so.
    pub(super) fn fail(&mut self, turn: &mut Turn<A>) {
        let Some(sequence) = &mut turn.sequence else {
            return;
        };
        if let Life::Lost(loss) = &sequence.life {
            sequence.life = Life::Reported(loss.clone());
        }
        sequence.marked = true;
        sequence.history = History::NotKept;
        self.report(&turn.key, Event::Failed);
    }

    /// The sequence of a key that is not known here, or only by its last end.
    fn new_sequence(&mut self, key: &SequenceKey) -> Sequence {
        let follows_end = self.memory.take_end(key).is_some();
        if self.memory.take_overdue(key) {
            return Sequence::unborn(true, false);
        }
        let may_have_run = self.settings.marks_unknown || self.may_have_run;
        let is_uncertain =
            self.memory.has_forgotten || may_have_run && !self.settings.trusts_unknown;
        let is_marked = is_uncertain && !self.settings.positions && !follows_end;
        Sequence::unborn(is_marked, follows_end)
    }

    /// The next sequence of the key has all of its rows.
    pub(super) fn begins_whole(&mut self, key: &SequenceKey) {
        if self.settings.marks_unknown || self.may_have_run || self.memory.has_forgotten {
            self.memory.end(key.clone(), 0);
        }
    }

    /// Takes the ID that is to be alive in a place, by its counter.
    fn take_id(
        &mut self,
        now: Instant,
        key: &SequenceKey,
        mut place: Place,
    ) -> Result<(u64, Place), Error> {
        let Some(ids) = &self.ids else {
            return Ok((0, place));
        };
        match ids.take(Some(&self.settings.display.show(key)), now) {
            Ok(TakenId { counter, lease }) => {
                place.lease = lease;
                Ok((counter, place))
            }
            Err(error) => {
                self.places.free(place);
                Err(error)
            }
        }
    }

    /// Takes the row in work out of its entry, and its timer off the clock.
    pub(super) fn take_turn(&mut self, key: &SequenceKey) -> Option<Turn<A>> {
        let entry = self.keys.get_mut(key)?;
        let mut work = entry.work.take()?;
        let sequence = entry.sequence.take();
        match std::mem::replace(&mut work.phase, Phase::Turn) {
            Phase::Pause { timer } => {
                self.timers.remove(&timer);
                self.pausing -= 1;
            }
            Phase::Place {
                timer: Some(timer), ..
            } => {
                self.timers.remove(&timer);
            }
            Phase::Sent(sent) => {
                if let Some(timer) = sent.timer {
                    self.timers.remove(&timer);
                }
                work.phase = Phase::Sent(sent);
            }
            Phase::Turn | Phase::Place { timer: None, .. } => {}
        }
        Some(Turn {
            key: key.clone(),
            work,
            sequence,
        })
    }

    pub(super) fn put_back(&mut self, turn: Turn<A>) {
        if let Some(entry) = self.keys.get_mut(&turn.key) {
            entry.work = Some(turn.work);
            entry.sequence = turn.sequence;
        }
    }
}

/// The failure of a row after one that the model may have taken in, where no row starts over.
fn corrupted(sequence: &Sequence, settings: &crate::sequences::SequenceSettings) -> Error {
    let message = format!(
        "an earlier row of the sequence was not answered, and the model may have taken it in, so \
         what it would answer to this one is uncertain; '{}' is false, so nothing here may start \
         the sequence again: start it, and open the function again",
        triton_options::SEQUENCE_START.key()
    );
    let id = settings.name(None, &sequence.id());
    Error::new(ErrorKind::SequenceLost, message).in_sequence(id)
}

/// The failure of a row that met a lost sequence.
fn lost(sequence: &Sequence, loss: &Loss, has_keys: bool) -> Error {
    let Sequence { rows, .. } = sequence;
    let next = match has_keys {
        true => format!(
            "the next row of its key starts a new one, and the option '{}' can make it go on \
             instead",
            SEQUENCE_RECOVERY.key()
        ),
        false => "the next row starts it again".to_owned(),
    };
    let message = format!(
        "the sequence was lost after {rows} rows: {}; {next}",
        loss.cause
    );
    Error::new(ErrorKind::SequenceLost, message).at_row(sequence.rows)
}
