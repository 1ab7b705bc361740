//! Open sequences out of a function and into another.

use serde_bytes::ByteBuf;
use tokio::time::Instant;

use super::history::{History, Kept};
use super::key_sequence::{KeySequence, Loss, LossCause, LostId};
use super::snapshot::{SequenceSnapshot, StoredHistory, StoredSequence};
use super::{KeyedSequences, SequenceKey, SequenceTransport, Shared};
use crate::{Error, ErrorKind, packed_row};

impl<T: SequenceTransport> KeyedSequences<T> {
    /// Every open sequence, while no row is under way.
    pub(crate) fn snapshot(&self) -> Result<SequenceSnapshot, Error> {
        let shared = &self.shared;
        let table = shared.lock();
        if table.busy() > 0 {
            let message = format!(
                "{} keys have rows under way: wait for their answers before taking a snapshot",
                table.busy()
            );
            return Err(Error::new(ErrorKind::State, message));
        }
        let mut sequences: Vec<StoredSequence> = table
            .sequences()
            .map(|(key, sequence)| shared.store(key, sequence))
            .collect();
        // The same sequences make the same bytes.
        sequences.sort_unstable_by(|left, right| left.key.cmp(&right.key));
        Ok(SequenceSnapshot::new(
            shared.settings.columns.clone(),
            shared.ids.peek(),
            sequences,
        ))
    }

    /// Takes the sequences of a snapshot. Each goes on, by the rule of recovery and with a new
    /// ID, when its key has a row.
    pub(crate) fn restore(&self, snapshot: SequenceSnapshot) -> Result<(), Error> {
        let shared = &self.shared;
        let refused = |message: String| Err(Error::new(ErrorKind::Snapshot, message));
        if snapshot.columns != shared.settings.columns {
            return refused(format!(
                "the snapshot is of rows ({}), but the model now takes ({}): use the schema it \
                 was taken with, or start without it",
                snapshot.columns.join(", "),
                shared.settings.columns.join(", ")
            ));
        }
        let restored = snapshot.sequences.into_iter().map(|stored| {
            let key = SequenceKey::new(&stored.key);
            let sequence = shared.revive(stored);
            sequence.map(|sequence| (key, Box::new(sequence)))
        });
        // Nothing of a snapshot is taken unless all of it can be.
        let restored = restored.collect::<Result<Vec<_>, Error>>()?;
        shared.ids.advance(snapshot.next_counter);
        let mut table = shared.lock();
        let parks = shared.parks();
        for (key, sequence) in restored {
            let shown = shared.settings.display.show(&key);
            if !table.restore(key, sequence, parks) {
                return refused(format!(
                    "key '{shown}' has a sequence already: restore snapshots before the first \
                     row, and no key twice"
                ));
            }
        }
        Ok(())
    }
}

impl<T: SequenceTransport> Shared<T> {
    fn store(&self, key: &SequenceKey, sequence: &KeySequence) -> StoredSequence {
        let reported = sequence.loss.as_ref().is_some_and(|loss| loss.reported);
        StoredSequence {
            key: key.as_str().to_owned(),
            sequence_id: self.id_of(sequence).unwrap_or_default(),
            // A row has failed because of the loss: what comes next starts anew.
            rows: if reported { 0 } else { sequence.rows },
            position: sequence.position,
            marked: sequence.marked,
            history: match &sequence.history {
                // A sequence at rest has no row that could carry others.
                History::NotKept | History::Carried(_) => StoredHistory::NotKept,
                History::Outgrown => StoredHistory::Outgrown,
                History::Kept(kept) => StoredHistory::Rows {
                    rows: kept.rows.iter().map(|row| ByteBuf::from(&**row)).collect(),
                    digests: kept.digests.clone(),
                },
            },
        }
    }

    fn revive(&self, stored: StoredSequence) -> Result<KeySequence, Error> {
        let damaged = || {
            let key = self.settings.display.show(&SequenceKey::new(&stored.key));
            let message =
                format!("the snapshot is damaged: the rows of key '{key}' are not what it says");
            Error::new(ErrorKind::Snapshot, message)
        };
        let history = match &stored.history {
            StoredHistory::NotKept => History::NotKept,
            StoredHistory::Outgrown => History::Outgrown,
            StoredHistory::Rows { rows, digests } => {
                let cells = self.settings.columns.len();
                let whole = rows.len() as u64 == stored.rows
                    && (digests.is_empty() || digests.len() == rows.len())
                    && rows
                        .iter()
                        .all(|row| packed_row::unpack(row, cells).is_some());
                if !whole {
                    return Err(damaged());
                }
                History::Kept(Box::new(Kept {
                    bytes: rows.iter().map(|row| row.len()).sum(),
                    rows: rows.iter().map(|row| Box::from(row.as_slice())).collect(),
                    digests: digests.clone(),
                }))
            }
        };
        Ok(KeySequence {
            counter: 0,
            place: None,
            loss: Some(Loss {
                id: match stored.sequence_id.is_empty() {
                    true => LostId::Unknown,
                    false => LostId::Restored(stored.sequence_id.into()),
                },
                ..Loss::new(LossCause::Restored)
            }),
            rows: stored.rows,
            position: stored.position,
            marked: stored.marked,
            history,
            idle_since: std::time::Duration::ZERO,
            last_sent: Instant::now(),
            // A key of a snapshot may never have another row here.
            _owned: None,
        })
    }
}
