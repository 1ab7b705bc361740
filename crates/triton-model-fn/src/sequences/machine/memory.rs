//! Keys without a sequence on the server that are worth remembering, within limits.
//!
//! A lost sequence must not be taken for a new one, so its key is remembered until its next row. An
//! end is remembered so that the next row is known to be a first one; to forget it costs a mark that
//! was not needed. What had to be forgotten is never mistaken for what never was.

use std::time::Duration;

use hashlink::LinkedHashMap;

use super::history::History;
use super::sequence::Sequence;
use crate::sequences::SequenceKey;

/// How many bytes of ends are remembered, of which each takes so many beside its key: keys may be
/// as many as there are rows.
const MOST_END_BYTES: usize = 64 * 1024 * 1024;
const END_BYTES: usize = 96;

/// How many ends go into a snapshot.
const MOST_STORED_ENDS: usize = 100_000;

/// What is remembered, the oldest first.
#[derive(Debug)]
pub(super) struct Memory {
    lost: LinkedHashMap<SequenceKey, Box<Sequence>>,
    /// Those of them of which rows are kept.
    with_rows: LinkedHashMap<SequenceKey, ()>,
    most_lost: usize,
    /// The bytes of the rows kept of lost sequences.
    bytes: usize,
    most_bytes: usize,
    /// The number of the row at which the last sequence of a key was over; 0 where rows have none.
    ended: LinkedHashMap<SequenceKey, u64>,
    ended_bytes: usize,
    /// Keys whose last sequence nothing but time has ended, although nobody had asked for that.
    overdue: LinkedHashMap<SequenceKey, ()>,
    overdue_bytes: usize,
    /// Whether a lost sequence, or an end, had to be forgotten: then it is not certain of any
    /// unknown key that it has had no row before.
    pub(super) has_forgotten: bool,
}

impl Memory {
    pub(super) fn new(most_lost: usize, most_bytes: usize) -> Self {
        Self {
            lost: LinkedHashMap::new(),
            with_rows: LinkedHashMap::new(),
            most_lost,
            bytes: 0,
            most_bytes,
            ended: LinkedHashMap::new(),
            ended_bytes: 0,
            overdue: LinkedHashMap::new(),
            overdue_bytes: 0,
            has_forgotten: false,
        }
    }

    /// Remembers a lost sequence; the key that had to be forgotten instead.
    pub(super) fn lose(
        &mut self,
        key: SequenceKey,
        sequence: Box<Sequence>,
    ) -> Option<SequenceKey> {
        self.insert(key, sequence);
        if self.bytes > self.most_bytes {
            self.drop_rows();
        }
        if self.lost.len() <= self.most_lost {
            return None;
        }
        let (forgotten, sequence) = self.lost.pop_front()?;
        self.is_gone(&forgotten, &sequence);
        self.has_forgotten = true;
        Some(forgotten)
    }

    /// Remembers sequences of a snapshot, all of them: there is room for as many from now on.
    pub(super) fn take_in(&mut self, sequences: Vec<(SequenceKey, Box<Sequence>)>) {
        for (key, sequence) in sequences {
            self.insert(key, sequence);
        }
        self.most_lost = self.most_lost.max(self.lost.len());
        self.most_bytes = self.most_bytes.max(self.bytes);
    }

    fn insert(&mut self, key: SequenceKey, sequence: Box<Sequence>) {
        let bytes = sequence.history.bytes();
        if bytes > 0 {
            self.bytes += bytes;
            self.with_rows.insert(key.clone(), ());
        }
        self.lost.insert(key, sequence);
    }

    fn is_gone(&mut self, key: &SequenceKey, sequence: &Sequence) {
        let bytes = sequence.history.bytes();
        if bytes > 0 {
            self.bytes -= bytes;
            self.with_rows.remove(key);
        }
    }

    /// Drops the rows of the sequences that were lost first; that they are lost stays known.
    fn drop_rows(&mut self) {
        while self.bytes > self.most_bytes {
            let Some((key, ())) = self.with_rows.pop_front() else {
                return;
            };
            if let Some(sequence) = self.lost.get_mut(&key) {
                self.bytes -= sequence.history.bytes();
                sequence.history = History::Outgrown;
            }
        }
    }

    /// The lost sequence of a key, which has a row again.
    pub(super) fn take_lost(&mut self, key: &SequenceKey) -> Option<Box<Sequence>> {
        let sequence = self.lost.remove(key)?;
        self.is_gone(key, &sequence);
        Some(sequence)
    }

    /// The first lost sequence that has been at rest for longer than `boundary` allows.
    pub(super) fn take_expired(
        &mut self,
        reading: Duration,
        boundary: Duration,
    ) -> Option<(SequenceKey, Box<Sequence>)> {
        let (_, oldest) = self.lost.front()?;
        if reading.saturating_sub(oldest.idle_since) <= boundary {
            return None;
        }
        let (key, sequence) = self.lost.pop_front()?;
        self.is_gone(&key, &sequence);
        Some((key, sequence))
    }

    pub(super) fn is_lost(&self, key: &SequenceKey) -> bool {
        self.lost.contains_key(key)
    }

    pub(super) fn lost(&self) -> impl Iterator<Item = (&SequenceKey, &Sequence)> {
        self.lost.iter().map(|(key, sequence)| (key, &**sequence))
    }

    pub(super) fn lost_of(&mut self, key: &SequenceKey) -> Option<&mut Box<Sequence>> {
        self.lost.get_mut(key)
    }

    #[cfg(test)]
    pub(super) fn most_lost(&self) -> usize {
        self.most_lost
    }

    pub(super) fn lost_count(&self) -> usize {
        self.lost.len()
    }

    /// Remembers that the sequence of a key is over.
    pub(super) fn end(&mut self, key: SequenceKey, position: u64) {
        let bytes = end_bytes(&key);
        if self.ended.insert(key, position).is_none() {
            self.ended_bytes += bytes;
        }
        while self.ended_bytes > MOST_END_BYTES {
            let Some((forgotten, _)) = self.ended.pop_front() else {
                return;
            };
            self.ended_bytes -= end_bytes(&forgotten);
            self.has_forgotten = true;
        }
    }

    /// Forgets the end of a key that has a row again; at which row it was.
    pub(super) fn take_end(&mut self, key: &SequenceKey) -> Option<u64> {
        let position = self.ended.remove(key)?;
        self.ended_bytes -= end_bytes(key);
        Some(position)
    }

    /// Remembers a key whose sequence time alone has ended. Those that have been silent for longest
    /// are forgotten, and taken for new: a stream of keys that never come back ends so, too, and must
    /// not mark every key there is.
    pub(super) fn overdue(&mut self, key: SequenceKey) {
        let bytes = end_bytes(&key);
        if self.overdue.insert(key, ()).is_none() {
            self.overdue_bytes += bytes;
        }
        while self.overdue_bytes > MOST_END_BYTES {
            let Some((forgotten, ())) = self.overdue.pop_front() else {
                return;
            };
            self.overdue_bytes -= end_bytes(&forgotten);
        }
    }

    /// Whether time alone has ended the last sequence of a key, which has a row again.
    pub(super) fn take_overdue(&mut self, key: &SequenceKey) -> bool {
        let is_overdue = self.overdue.remove(key).is_some();
        if is_overdue {
            self.overdue_bytes -= end_bytes(key);
        }
        is_overdue
    }

    /// The last ends, and whether there are others.
    pub(super) fn last_ends(&self) -> (impl Iterator<Item = (&SequenceKey, u64)>, bool) {
        let others = self.ended.len().saturating_sub(MOST_STORED_ENDS);
        let last = self.ended.iter().skip(others);
        (last.map(|(key, position)| (key, *position)), others > 0)
    }
}

fn end_bytes(key: &SequenceKey) -> usize {
    END_BYTES + key.as_str().len()
}
