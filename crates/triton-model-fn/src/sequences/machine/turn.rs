//! How a row is taken from its turn to its answer.

use std::sync::Arc;

use tokio::time::Instant;
use triton_options::{ReplayOverflow, SEQUENCE_RECOVERY, SequenceRecovery};

use super::history::History;
use super::places::{Place, Purpose};
use super::report::{Abandoned, Event};
use super::request::{Content, Request};
use super::sequence::{Life, Loss, LossCause, Rebuilding, Sequence};
use super::{Asker, Effect, LONG_WAIT, Machine, Phase, Sent, Work};
use crate::sequences::{Answered, SequenceKey};
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
                recoveries: super::Recoveries::default(),
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
            return self.finish(now, turn, Err(super::closed()));
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
                        let error = error.in_sequence(self.id_text(&id));
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
                        self.begin_replay(&mut turn, place);
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
                    self.begin(&mut turn, place);
                }
            }
        }
    }

    /// A new ID and no rows.
    fn begin(&mut self, turn: &mut Turn<A>, place: Place) {
        let counter = self.take_counter(&turn.key);
        let history = History::new(self.settings.history);
        if let Some(sequence) = &mut turn.sequence {
            sequence.counter = counter;
            sequence.life = Life::Open(place);
            sequence.rows = 0;
            sequence.history = history;
        }
        self.report(&turn.key, Event::Begins);
    }

    fn begin_replay(&mut self, turn: &mut Turn<A>, place: Place) {
        let counter = self.take_counter(&turn.key);
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
    }

    fn send_row(&mut self, now: Instant, mut turn: Turn<A>) {
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
    fn send_again(&mut self, now: Instant, turn: &mut Turn<A>) -> bool {
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

    fn send(&mut self, mut turn: Turn<A>, request: Request, sent: Sent) {
        turn.work.phase = Phase::Sent(sent);
        self.effects.push_back(Effect::Send(request));
        self.put_back(turn);
    }

    /// Every row was sent again.
    fn rebuilt(&mut self, turn: &mut Turn<A>) {
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

    /// A row fails because the sequence is lost: the next one begins it anew, and says so.
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

    pub(super) fn take_counter(&self, key: &SequenceKey) -> u64 {
        let Some(ids) = &self.ids else {
            return 0;
        };
        ids.take(Some(&self.settings.display.show(key)))
    }

    /// A place for a row, unless it has to wait for one.
    fn place(&mut self, now: Instant, turn: &mut Turn<A>, purpose: Purpose) -> Option<Place> {
        if let Some(place) = turn.work.granted.take() {
            return Some(place);
        }
        let others_wait = !self.wants_recovery.is_empty()
            || purpose == Purpose::Begin && !self.wants_beginning.is_empty();
        if !others_wait && let Some(place) = self.places.take(purpose) {
            return Some(place);
        }
        let number = turn.work.number;
        let waits = (turn.key.clone(), number);
        match purpose {
            Purpose::Recover => self.wants_recovery.push_back(waits),
            Purpose::Begin => self.wants_beginning.push_back(waits),
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
        while let Some((purpose, key, number)) = self.first_waiting() {
            let is_waiting = self
                .keys
                .get(&key)
                .and_then(|entry| entry.work.as_ref())
                .is_some_and(|work| {
                    work.number == number && matches!(work.phase, Phase::Place { .. })
                });
            let place = is_waiting.then(|| self.places.take(purpose));
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

    fn first_waiting(&self) -> Option<(Purpose, SequenceKey, u64)> {
        let first = |purpose, queue: &std::collections::VecDeque<(SequenceKey, u64)>| {
            let (key, number) = queue.front()?;
            Some((purpose, key.clone(), *number))
        };
        first(Purpose::Recover, &self.wants_recovery)
            .or_else(|| first(Purpose::Begin, &self.wants_beginning))
    }

    /// Says of the row that has waited for a place for longest that it does.
    pub(super) fn warn_of_waits(&mut self) {
        let Some((purpose, key, _)) = self.first_waiting() else {
            return;
        };
        let event = Event::WaitsForPlace {
            purpose,
            open: self.places.taken(),
            held: self.places.lingering(),
            limit: self.places.limit(),
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

    fn past_deadline(
        &self,
        now: Instant,
        turn: &Turn<A>,
        waited: Option<(Purpose, Instant)>,
    ) -> Error {
        let time = now.saturating_duration_since(turn.work.submitted);
        let reason = match waited {
            None => "it stood behind others of its key".to_owned(),
            Some((_, since)) => {
                let room = match self.settings.room {
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
        self.begins_whole(key);
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
        } else {
            self.let_go(now, key, sequence);
        }
        sequence.life = Life::Lost(Loss { cause, id });
    }
}

/// The failure of a row after one that the model may have taken in, where no row starts anew.
fn corrupted(sequence: &Sequence, settings: &crate::sequences::SequenceSettings) -> Error {
    let message = format!(
        "an earlier row of the sequence was not answered, and the model may have taken it in, so \
         what it would answer to this one is uncertain; '{}' is false, so nothing here may start \
         the sequence anew: start it, and open the function again",
        triton_options::SEQUENCE_START.key()
    );
    let id = settings.id_text(None, &sequence.id());
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
        false => "the next row starts it anew".to_owned(),
    };
    let message = format!(
        "the sequence was lost after {rows} rows: {}; {next}",
        loss.cause
    );
    Error::new(ErrorKind::SequenceLost, message).at_row(sequence.rows)
}
