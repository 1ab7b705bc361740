//! Holds what a row says of its place against what is known of its key.

use std::time::Duration;

use tokio::time::Instant;
use tracing::debug;

use super::history::History;
use super::key_sequence::{KeySequence, Loss, LossCause, LostId};
use super::{SequenceKey, SequenceTransport, Shared, Standing};
use crate::metrics::SequenceEvent;

impl<T: SequenceTransport> Shared<T> {
    /// Sees to it that the key has a sequence only if the row goes on in it, and that a sequence
    /// which lacks rows counts as lost.
    pub(super) fn take_standing(
        &self,
        key: &SequenceKey,
        held: &mut Option<Box<KeySequence>>,
        standing: Standing,
    ) {
        let Standing {
            position,
            before,
            earlier,
        } = standing;
        let last = held.as_ref().map_or(0, |sequence| sequence.position);
        let begins = match before {
            Some(rows) => rows == 0,
            None => position == 1,
        };
        // What was known of the key's last end is of no use once another row has come.
        let follows_end = held.is_none() && self.lock().whole_keys.take(key) == Some(position - 1);
        if begins || follows_end {
            if let Some(mut sequence) = held.take() {
                debug!(
                    key = self.settings.display.show(key),
                    sequence_id = self.id_of(&sequence),
                    position,
                    "a row begins anew: the sequence of its key is left to the server"
                );
                self.event(SequenceEvent::Abandoned);
                self.let_go(&mut sequence);
            }
            return;
        }
        let carries = earlier.is_some();
        let history = earlier.map(History::Carried);
        if let Some(sequence) = held.as_mut().filter(|_| last + 1 == position) {
            if let Some(history) = history {
                sequence.history = history;
                // Whatever failed before: with its rows the sequence can be whole again.
                if std::mem::take(&mut sequence.marked) && sequence.loss.is_none() {
                    sequence.loss = Some(Loss::new(LossCause::Unanswered));
                }
                if let Some(loss) = &mut sequence.loss {
                    loss.reported = false;
                    sequence.rows = before.unwrap_or(sequence.rows);
                }
            }
            return;
        }
        let cause = LossCause::Gap {
            last,
            found: position,
        };
        let sequence = held.get_or_insert_with(|| Box::new(self.begun_elsewhere(key)));
        let loss = Loss::new(cause);
        let id = sequence.loss.take().map_or(LostId::Own, |known| known.id);
        sequence.loss = Some(Loss { id, ..loss });
        sequence.rows = before.unwrap_or(position - 1);
        // Rows kept are those of before the gap.
        sequence.history = history.unwrap_or(History::Outgrown);
        sequence.marked &= !carries;
        self.report_gap(key, sequence, cause);
    }

    /// Keeps in mind the number of a row that is done with; `missing` where it failed and those
    /// after it carry it with them. A replay after a failover would bring it along, and the answers
    /// are to be the same with and without one.
    pub(super) fn remember_position(
        &self,
        key: &SequenceKey,
        held: &mut Option<Box<KeySequence>>,
        position: u64,
        missing: bool,
    ) {
        match held {
            Some(sequence) => {
                sequence.position = position;
                if matches!(sequence.history, History::Carried(_)) {
                    sequence.history = History::NotKept;
                }
                if missing && sequence.loss.is_none() {
                    sequence.loss = Some(Loss::new(LossCause::Unanswered));
                }
            }
            None if missing => {}
            None => self.lock().whole_keys.insert(key, position),
        }
    }

    /// A sequence of which nothing is known here.
    fn begun_elsewhere(&self, key: &SequenceKey) -> KeySequence {
        KeySequence {
            counter: 0,
            place: None,
            loss: Some(Loss {
                id: LostId::Unknown,
                ..Loss::new(LossCause::Gap { last: 0, found: 0 })
            }),
            rows: 0,
            position: 0,
            marked: false,
            history: History::NotKept,
            idle_since: Duration::ZERO,
            last_sent: Instant::now(),
            _owned: self.own(key),
        }
    }

    fn report_gap(&self, key: &SequenceKey, sequence: &KeySequence, cause: LossCause) {
        self.event(SequenceEvent::Gap);
        // What is done about it, and how it shows in answers, is told by the recovery.
        debug!(
            key = self.settings.display.show(key),
            sequence_id = self.id_of(sequence),
            %cause,
            subtask = self.open.subtask.index(),
            attempt = self.open.subtask.attempt(),
            "a row does not follow the one before it: that is so after a failover, and where rows \
             of one key reach several subtasks or come out of order"
        );
    }
}
