//! Answers the rows of one key, one after the other, and recovers its sequence where it must.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};
use tracing::{Instrument as _, debug, debug_span, warn};
use triton_client::Sequence;
use triton_options::SEQUENCE_MAX_OPEN;

use super::history::History;
use super::key_sequence::{KeySequence, Loss, LostId, Place};
use super::recovery::{Recoveries, Recovery, cause};
use super::{Answered, Row, SequenceKey, SequenceTransport, Shared};
use crate::metrics::SequenceEvent;
use crate::tensor_plan::EncodedRow;
use crate::{Error, ErrorKind, Value, packed_row};

type Held = Option<Box<KeySequence>>;

/// Works on one key after the other, until there are workers enough without this one.
pub(super) async fn serve<T: SequenceTransport>(shared: Arc<Shared<T>>) {
    let most = shared.open.max_in_flight();
    loop {
        let closed = match shared.ready.acquire().await {
            Ok(permit) => {
                permit.forget();
                false
            }
            // What was handed over before is still answered.
            Err(_) => true,
        };
        let Some(key) = shared.lock().take_ready() else {
            if closed {
                return;
            }
            continue;
        };
        work(&shared, &key).await;
        if !shared.lock().rests(most) {
            return;
        }
    }
}

/// Answers the rows of a key until there are none.
async fn work<T: SequenceTransport>(shared: &Shared<T>, key: &SequenceKey) {
    // Rows of a worker that is gone would wait for ever.
    let working = Working { shared, key };
    let Some((mut waiting, mut held)) = shared.lock().begin(key) else {
        return;
    };
    loop {
        let given_up = waiting.answer.is_closed() && !waiting.row.last;
        let result = match given_up {
            true => None,
            false => Some(
                shared
                    .answer(key, &mut held, waiting.row, waiting.arrived)
                    .await,
            ),
        };
        if let Some(sequence) = held.as_mut() {
            sequence.idle_since = shared.lock().clock.read(Instant::now());
        }
        // Whoever gets the last answer finds the key at rest.
        let next = shared.lock().next(key, &mut held, shared.parks());
        if let Some(result) = result {
            // Whoever asked may have gone meanwhile.
            let _ = waiting.answer.send(result);
        }
        match next {
            Some(next) => waiting = next,
            None => break,
        }
    }
    std::mem::forget(working);
}

struct Working<'a, T: SequenceTransport> {
    shared: &'a Shared<T>,
    key: &'a SequenceKey,
}

impl<T: SequenceTransport> Drop for Working<'_, T> {
    fn drop(&mut self) {
        self.shared.lock().give_up(self.key);
    }
}

impl<T: SequenceTransport> Shared<T> {
    async fn answer(
        &self,
        key: &SequenceKey,
        held: &mut Held,
        row: Row,
        arrived: Duration,
    ) -> Result<Answered, Error> {
        if let Some(sequence) = held
            && let Some(boundary) = self.settings.boundary
            && arrived.saturating_sub(sequence.idle_since) > boundary
        {
            self.expire(key, sequence);
            *held = None;
        }
        let standing = row.standing.as_ref();
        let carries = standing.is_some_and(|standing| standing.earlier.is_some());
        let position = standing.map(|standing| standing.position);
        if let Some(standing) = row.standing {
            self.take_standing(key, held, standing);
        }
        let result = match &row.encoded {
            Ok(encoded) => self.answer_encoded(key, held, encoded, row.last).await,
            Err(error) => Err(error.clone()),
        };
        if row.last {
            self.begins_whole(key);
        }
        if let Some(sequence) = held.as_mut().filter(|_| row.last && result.is_err()) {
            // The rows that follow belong to another sequence, although this one has no end.
            debug!(
                key = self.settings.display.show(key),
                "the last row of the sequence failed: it is left to the server"
            );
            self.event(SequenceEvent::Abandoned);
            self.let_go(sequence);
            *held = None;
        }
        if let Some(position) = position {
            // The rows that follow carry this one, too, unless it is one that cannot be sent.
            let missing = carries && row.encoded.is_ok() && result.is_err();
            self.remember_position(key, held, position, missing);
        }
        result.map_err(|error| error.of_key(self.settings.display.show(key)))
    }

    async fn answer_encoded(
        &self,
        key: &SequenceKey,
        held: &mut Held,
        row: &EncodedRow,
        last: bool,
    ) -> Result<Answered, Error> {
        let sequence = match held {
            Some(sequence) => sequence,
            None => held.insert(Box::new(self.start(key).await?)),
        };
        if sequence.place.is_none() {
            sequence.place = Some(self.place(key).await?);
        }
        let call = self.lock().clock.call_begins(Instant::now());
        let result = self.answer_held(key, sequence, row, last).await;
        self.lock().clock.call_ends(Instant::now(), call);
        let is_over = match &result {
            Ok((_, ended)) => *ended,
            // Never started, and no row to be marked: nothing to be kept.
            Err(_) => sequence.rows == 0 && sequence.loss.is_none() && !sequence.marked,
        };
        if is_over {
            // Its end was acknowledged, or nothing was sent: the place is free at once.
            *held = None;
        } else if sequence.loss.is_some() {
            self.let_go(sequence);
        }
        result.map(|(answered, _)| answered)
    }

    /// Answers a row in a sequence that has a place; whether that was its end, too.
    async fn answer_held(
        &self,
        key: &SequenceKey,
        sequence: &mut KeySequence,
        row: &EncodedRow,
        last: bool,
    ) -> Result<(Answered, bool), Error> {
        let mut recoveries = Recoveries::default();
        loop {
            let sent = match self.recover(key, sequence).await {
                Ok(()) => {
                    let length = sequence.rows + 1;
                    let ends = last || self.settings.max_length.is_some_and(|max| length >= max);
                    let starts = sequence.rows == 0;
                    self.send(key, sequence, row, sequence.rows, starts, ends)
                        .await
                        .map(|values| (values, ends))
                }
                Err(error) => Err(error),
            };
            let error = match sent {
                Ok((values, ends)) => {
                    return Ok((self.answered(key, sequence, row, values, ends)?, ends));
                }
                Err(error) => error,
            };
            let Some(cause) = cause(&error) else {
                return Err(error);
            };
            let known = sequence.loss.is_some();
            let loss = sequence.loss.get_or_insert_with(|| Loss::new(cause));
            loss.cause = cause;
            if loss.reported {
                return Err(error);
            }
            if !known {
                self.report(key, sequence, cause, &error);
            }
            if sequence.rows > 0 && self.recovery(sequence) == Recovery::Fail {
                self.fail(sequence);
                return Err(error);
            }
            if !recoveries.another(self, &error).await {
                return Err(error);
            }
        }
    }

    pub(super) async fn send(
        &self,
        key: &SequenceKey,
        sequence: &mut KeySequence,
        row: &EncodedRow,
        number: u64,
        start: bool,
        end: bool,
    ) -> Result<Vec<Value>, Error> {
        let id = self.ids.id(sequence.counter)?;
        let text = id.to_string();
        let span = debug_span!(
            "sequence",
            key = self.settings.display.show(key),
            sequence_id = text,
            row = number,
            subtask = self.open.subtask.index(),
            attempt = self.open.subtask.attempt(),
        );
        let place = Sequence { id, start, end };
        sequence.last_sent = Instant::now();
        let sent = self.transport.send(row, place).instrument(span).await;
        // The server counts from when it queued the request, which lies somewhere in between.
        sequence.last_sent = Instant::now();
        sent.map_err(|error| error.in_sequence(Some(text)).at_row(number))
    }

    fn answered(
        &self,
        key: &SequenceKey,
        sequence: &mut KeySequence,
        row: &EncodedRow,
        values: Vec<Value>,
        ends: bool,
    ) -> Result<Answered, Error> {
        let restarted = std::mem::take(&mut sequence.marked);
        if sequence.rows == 0 {
            self.event(SequenceEvent::Started);
        }
        let sequence_id = self.ids.text(sequence.counter);
        if ends {
            debug!(
                key = self.settings.display.show(key),
                sequence_id,
                rows = sequence.rows + 1,
                "the sequence has ended"
            );
            self.event(SequenceEvent::Ended);
        } else {
            let packed = || packed_row::pack(row);
            sequence
                .history
                .push(self.settings.history, packed, &values);
        }
        sequence.rows += 1;
        Ok(Answered {
            values,
            sequence_id,
            restarted,
        })
    }

    async fn start(&self, key: &SequenceKey) -> Result<KeySequence, Error> {
        let place = self.place(key).await?;
        let now = Instant::now();
        Ok(KeySequence {
            counter: self.take_counter(key),
            place: Some(place),
            loss: None,
            rows: 0,
            marked: self.may_lack_rows(key),
            position: 0,
            history: History::new(self.settings.history),
            idle_since: Duration::ZERO,
            last_sent: now,
            _owned: self.own(key),
        })
    }

    /// Whether earlier rows of a new sequence may have gone to an earlier attempt.
    fn may_lack_rows(&self, key: &SequenceKey) -> bool {
        self.settings.may_lack_rows && !self.lock().whole_keys.contains(key)
    }

    /// Waits for a place among the open sequences; whoever came first gets the next one.
    async fn place(&self, key: &SequenceKey) -> Result<Place, Error> {
        const LONG: Duration = Duration::from_secs(1);
        let mut place = std::pin::pin!(Arc::clone(&self.places).acquire_owned());
        let permit = match timeout(LONG, &mut place).await {
            Ok(permit) => permit,
            Err(_) => {
                if self.lock().waits_warned.may_warn(Instant::now()) {
                    warn!(
                        key = self.settings.display.show(key),
                        open = self.count.get(),
                        limit = self.settings.max_open,
                        subtask = self.open.subtask.index(),
                        "keys wait for other sequences to end: raise the model's \
                         max_candidate_sequences (and '{}', if it is set), or end sequences sooner",
                        SEQUENCE_MAX_OPEN.key()
                    );
                }
                place.await
            }
        };
        let permit = permit.map_err(|_| {
            Error::new(
                ErrorKind::State,
                "the function was closed before the row was sent",
            )
        })?;
        Ok(Place::new(permit, &self.count))
    }

    pub(super) fn take_counter(&self, key: &SequenceKey) -> u64 {
        let shown = self.settings.display.show(key);
        self.ids.take(Some(&shown))
    }

    /// The ID the sequence has, or had in the run that it was restored from, if it is known.
    pub(super) fn id_of(&self, sequence: &KeySequence) -> Option<String> {
        match sequence.loss.as_ref().map_or(&LostId::Own, |loss| &loss.id) {
            LostId::Own => Some(self.ids.text(sequence.counter)),
            LostId::Restored(id) => Some(id.to_string()),
            LostId::Unknown => None,
        }
    }
}
