//! Sequences out of a machine and into another, wholly or not at all.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use serde_bytes::ByteBuf;
use tokio::time::Instant;

use super::effect::Asker;
use super::history::{History, Kept, KeptRow};
use super::sequence::{Life, Loss, LossCause, LostId, Sequence};
use super::state::Machine;
use crate::sequence_name::SequenceName;
use crate::sequences::SequenceKey;
use crate::sequences::snapshot::{
    SequenceSnapshot, StoredEnd, StoredHistory, StoredRow, StoredSequence,
};
use crate::{Error, ErrorKind, packed_row};

impl<A: Asker> Machine<A> {
    /// Every sequence, while no row is in flight.
    pub(in crate::sequences) fn snapshot(
        &mut self,
        now: Instant,
    ) -> Result<SequenceSnapshot, Error> {
        // What was given up is nothing to wait for.
        self.sweep(now);
        if self.busy > 0 {
            let message = format!(
                "{} keys have rows that were not answered yet: wait for their answers before \
                 taking a snapshot",
                self.busy
            );
            return Err(Error::new(ErrorKind::State, message));
        }
        let open = self.keys.iter().filter_map(|(key, entry)| {
            let sequence = entry.sequence.as_deref()?;
            Some((key, sequence))
        });
        let sequences = open.chain(self.memory.lost());
        let mut sequences: Vec<StoredSequence> = sequences
            .map(|(key, sequence)| self.store(key, sequence))
            .collect();
        // The same sequences make the same bytes.
        sequences.sort_unstable_by(|left, right| left.key.cmp(&right.key));
        let (ended, are_more) = self.memory.last_ends();
        let ended = ended.map(|(key, position)| StoredEnd {
            key: key.as_str().to_owned(),
            position,
        });
        Ok(SequenceSnapshot {
            key_columns: self.settings.key_columns.clone(),
            columns: self.settings.columns.clone(),
            alive: (self.places.taken() + self.places.lingering()) as u64,
            // What this run takes for uncertain is so for those that follow it.
            has_forgotten: self.memory.has_forgotten || are_more,
            may_have_run: self.may_have_run
                || self.settings.marks_unknown
                || self.settings.has_run_before,
            ended: ended.collect(),
            alive_numbers: self
                .ids
                .as_ref()
                .map_or_else(Vec::new, |ids| ids.alive(now)),
            alive_rows: self
                .ids
                .as_ref()
                .map_or_else(Vec::new, |ids| ids.alive_rows(now)),
            ..SequenceSnapshot::new(self.ids.as_ref().map_or(0, |ids| ids.peek()), sequences)
        })
    }

    /// Takes the sequences of a snapshot, unless anything of it cannot be taken. Each goes on, by
    /// the rule of recovery and with a new ID, when its key has a row.
    pub(in crate::sequences) fn restore(
        &mut self,
        now: Instant,
        mut snapshot: SequenceSnapshot,
    ) -> Result<(), Error> {
        self.check_columns(&snapshot)?;
        let mut keys = HashSet::new();
        let mut restored = Vec::with_capacity(snapshot.sequences.len());
        let mut ended = Vec::new();
        for stored in std::mem::take(&mut snapshot.sequences) {
            let key = SequenceKey::new(&stored.key);
            let shown = || self.settings.display.show(&key);
            if self.keys.contains_key(&key)
                || self.memory.is_lost(&key)
                || !keys.insert(key.clone())
            {
                return refused(format!(
                    "key '{}' has a sequence already: restore snapshots before the first row, and \
                     no key twice",
                    shown()
                ));
            }
            let longest = self.settings.max_length;
            if longest.is_some_and(|most| stored.rows >= most) {
                // It would have ended, had it been no longer before.
                ended.push((key, stored.position));
                continue;
            }
            let Some(sequence) = self.revive(stored) else {
                return refused(format!(
                    "the snapshot is damaged: the rows of key '{}' are not what it says",
                    shown()
                ));
            };
            restored.push((key, Box::new(sequence)));
        }
        if let Some(ids) = &self.ids {
            ids.take_over(now, &snapshot)?;
        }
        let alive = usize::try_from(snapshot.alive).unwrap_or(usize::MAX);
        self.places.hold_others(alive, now);
        self.memory.has_forgotten |= snapshot.has_forgotten;
        self.may_have_run |= snapshot.may_have_run;
        let reading = self.clock.read(now);
        for (_, sequence) in &mut restored {
            sequence.idle_since = reading;
        }
        self.memory.take_in(restored);
        for (key, position) in ended {
            self.memory.end(key, position);
        }
        for end in snapshot.ended {
            self.memory.end(SequenceKey::new(&end.key), end.position);
        }
        self.run(now);
        Ok(())
    }

    /// IDs that an earlier run may have taken may be alive for as long as the server keeps an idle
    /// sequence.
    pub(in crate::sequences) fn hold_reserved(&mut self, now: Instant, count: u64) {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        self.places.hold_others(count, now);
        self.run(now);
    }

    fn check_columns(&self, snapshot: &SequenceSnapshot) -> Result<(), Error> {
        let settings = &self.settings;
        if snapshot.columns != settings.columns {
            return refused(format!(
                "the snapshot is of rows ({}), but the model now takes ({}): use the schema it was \
                 taken with, or start without it",
                snapshot.columns.join(", "),
                settings.columns.join(", ")
            ));
        }
        if snapshot.key_columns != settings.key_columns {
            return refused(format!(
                "the snapshot is of sequences of ({}), but the option '{}' now names ({}): use the \
                 key it was taken with, or start without it",
                snapshot.key_columns.join(", "),
                triton_options::SEQUENCE_KEY.key(),
                settings.key_columns.join(", ")
            ));
        }
        Ok(())
    }

    fn store(&self, key: &SequenceKey, sequence: &Sequence) -> StoredSequence {
        // A row has failed because of the loss, or nothing was sent: what comes next starts over.
        let begins_anew = matches!(sequence.life, Life::Reported(_) | Life::Unborn);
        let name = self.name(&sequence.id());
        StoredSequence {
            key: key.as_str().to_owned(),
            number: name.as_ref().and_then(|name| name.number),
            sequence_id: name.map(|name| name.text).unwrap_or_default(),
            rows: if begins_anew { 0 } else { sequence.rows },
            position: sequence.position,
            marked: sequence.marked,
            history: match &sequence.history {
                _ if begins_anew => StoredHistory::NotKept,
                History::NotKept => StoredHistory::NotKept,
                History::Outgrown => StoredHistory::Outgrown,
                History::Kept(kept) => StoredHistory::Rows(
                    kept.rows
                        .iter()
                        .map(|row| StoredRow {
                            tensors: ByteBuf::from(&*row.packed),
                            digest: row.digest,
                        })
                        .collect(),
                ),
            },
        }
    }

    /// The sequence that was stored; `None` where its rows are damaged.
    fn revive(&self, stored: StoredSequence) -> Option<Sequence> {
        let history = match stored.history {
            StoredHistory::NotKept => History::NotKept,
            StoredHistory::Outgrown => History::Outgrown,
            StoredHistory::Rows(rows) => {
                let cells = self.settings.columns.len();
                let is_whole = rows.len() as u64 == stored.rows
                    && rows
                        .iter()
                        .all(|row| packed_row::unpack(&row.tensors, cells).is_some());
                if !is_whole {
                    return None;
                }
                History::Kept(Box::new(Kept {
                    bytes: rows.iter().map(|row| row.tensors.len()).sum(),
                    rows: rows
                        .into_iter()
                        .map(|row| KeptRow {
                            packed: Arc::from(row.tensors.as_slice()),
                            digest: row.digest,
                        })
                        .collect(),
                }))
            }
        };
        let loss = Loss {
            cause: LossCause::Restored,
            id: match stored.sequence_id.is_empty() {
                true => LostId::Unknown,
                false => LostId::Restored(Box::new(SequenceName {
                    text: stored.sequence_id,
                    number: stored.number,
                })),
            },
        };
        Some(Sequence {
            counter: 0,
            life: match stored.rows {
                0 => Life::Reported(loss),
                _ => Life::Lost(loss),
            },
            rows: stored.rows,
            position: stored.position,
            marked: stored.marked,
            follows_end: false,
            history,
            last_row: None,
            idle_since: Duration::ZERO,
            rebuilt: None,
            idled_out: false,
        })
    }
}

fn refused<T>(message: String) -> Result<T, Error> {
    Err(Error::new(ErrorKind::Snapshot, message))
}
