//! The keys that have a sequence or rows to be answered, and the clocks they live by.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use hashlink::LinkedHashMap;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::Instant;

use super::idle_clock::IdleClock;
use super::key::SequenceKey;
use super::key_sequence::{KeySequence, Loss, LossCause};
use super::whole_keys::WholeKeys;
use super::{Answered, Row};
use crate::Error;

/// A row that waits for its turn.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) row: Row,
    /// What the idle clock showed when it arrived.
    pub(super) arrived: Duration,
    pub(super) answer: oneshot::Sender<Result<Answered, Error>>,
}

#[derive(Debug, Default)]
struct Entry {
    waiting: VecDeque<Waiting>,
    /// Whether a worker has the key, or will; it then has the sequence, too.
    busy: bool,
    sequence: Option<Box<KeySequence>>,
}

/// Every key in the order of its last use, the least recent one first.
#[derive(Debug)]
pub(super) struct Table {
    entries: LinkedHashMap<SequenceKey, Entry>,
    /// Lost sequences that no time brings to an end.
    parked: HashMap<SequenceKey, Box<KeySequence>>,
    /// Places of sequences that are over here while the server may still hold them.
    releasing: BTreeMap<(Instant, u64), OwnedSemaphorePermit>,
    released: u64,
    pub(super) clock: IdleClock,
    pub(super) whole_keys: WholeKeys,
    busy: usize,
    /// The keys that no worker has taken yet.
    ready: VecDeque<SequenceKey>,
    /// How many workers have no key; never fewer than keys are ready.
    resting: usize,
    /// Warnings of keys that wait for a place.
    pub(super) waits_warned: Throttle,
    /// Warnings of keys that another subtask has, too.
    pub(super) owners_warned: Throttle,
    closed: bool,
}

/// What became of a row that was handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Submitted {
    /// It stands behind others of its key, or rows are not taken any more.
    Queued,
    /// Its key is ready for a worker, and there is one.
    Ready,
    /// Its key is ready for a worker, and a new one is to be started.
    WantsWorker,
}

/// What [`Table::tick`] did.
#[derive(Debug, Default)]
pub(super) struct Ticked {
    /// Sequences that are over, because their key had no row for so long.
    pub(super) expired: Vec<(SequenceKey, Box<KeySequence>)>,
    /// Keys whose sequence the server has dropped.
    pub(super) forgotten: Vec<SequenceKey>,
}

/// When something was last warned of: a warning for each key would be a flood.
#[derive(Debug, Default)]
pub(super) struct Throttle(Option<Instant>);

impl Throttle {
    /// Whether it is time for another warning, which then counts as given.
    pub(super) fn may_warn(&mut self, now: Instant) -> bool {
        const PAUSE: Duration = Duration::from_secs(10);
        let may = self
            .0
            .is_none_or(|warned| now.saturating_duration_since(warned) >= PAUSE);
        if may {
            self.0 = Some(now);
        }
        may
    }
}

impl Table {
    pub(super) fn new(clock: IdleClock) -> Self {
        Self {
            entries: LinkedHashMap::new(),
            parked: HashMap::new(),
            releasing: BTreeMap::new(),
            released: 0,
            clock,
            whole_keys: WholeKeys::default(),
            busy: 0,
            ready: VecDeque::new(),
            resting: 0,
            waits_warned: Throttle::default(),
            owners_warned: Throttle::default(),
            closed: false,
        }
    }

    /// Puts a row behind the others of its key.
    pub(super) fn submit(&mut self, key: &SequenceKey, waiting: Waiting) -> Submitted {
        if self.closed {
            return Submitted::Queued;
        }
        if !self.entries.contains_key(key) {
            let entry = Entry {
                sequence: self.parked.remove(key),
                ..Entry::default()
            };
            self.entries.insert(key.clone(), entry);
        }
        let Some(entry) = self.entries.to_back(key) else {
            return Submitted::Queued;
        };
        entry.waiting.push_back(waiting);
        if std::mem::replace(&mut entry.busy, true) {
            return Submitted::Queued;
        }
        self.busy += 1;
        self.ready.push_back(key.clone());
        if self.resting >= self.ready.len() {
            return Submitted::Ready;
        }
        self.resting += 1;
        Submitted::WantsWorker
    }

    /// Takes a key that is ready, for a worker that was resting.
    pub(super) fn take_ready(&mut self) -> Option<SequenceKey> {
        let key = self.ready.pop_front()?;
        self.resting -= 1;
        Some(key)
    }

    /// Whether a worker without a key may stay for the next one.
    pub(super) fn rests(&mut self, most: usize) -> bool {
        let stays = self.resting < most;
        self.resting += usize::from(stays);
        stays
    }

    /// The first row of a key that a worker has taken, and the key's sequence.
    pub(super) fn begin(
        &mut self,
        key: &SequenceKey,
    ) -> Option<(Waiting, Option<Box<KeySequence>>)> {
        let entry = self.entries.get_mut(key)?;
        let waiting = entry.waiting.pop_front()?;
        Some((waiting, entry.sequence.take()))
    }

    /// The next row of a key that a worker has. Without one, the key's sequence is taken back and
    /// the worker is done with it.
    pub(super) fn next(
        &mut self,
        key: &SequenceKey,
        sequence: &mut Option<Box<KeySequence>>,
        parks: bool,
    ) -> Option<Waiting> {
        let entry = self.entries.to_back(key)?;
        if let Some(waiting) = entry.waiting.pop_front() {
            return Some(waiting);
        }
        entry.busy = false;
        // An empty queue would keep the memory of its rows, for every key.
        entry.waiting = VecDeque::new();
        self.busy -= 1;
        match sequence.take() {
            Some(lost) if parks && lost.loss.is_some() => {
                self.entries.remove(key);
                self.parked.insert(key.clone(), lost);
            }
            None => {
                self.entries.remove(key);
            }
            sequence => entry.sequence = sequence,
        }
        None
    }

    /// Gives up a key whose worker did not come to its end; its rows are dropped.
    pub(super) fn give_up(&mut self, key: &SequenceKey) {
        if self.entries.remove(key).is_some_and(|entry| entry.busy) {
            self.busy -= 1;
        }
    }

    /// Takes a sequence that comes from a snapshot; false when the key is known already.
    pub(super) fn restore(
        &mut self,
        key: SequenceKey,
        mut sequence: Box<KeySequence>,
        parks: bool,
    ) -> bool {
        if self.entries.contains_key(&key) || self.parked.contains_key(&key) {
            return false;
        }
        if parks {
            self.parked.insert(key, sequence);
        } else {
            sequence.idle_since = self.clock.read(Instant::now());
            let entry = Entry {
                sequence: Some(sequence),
                ..Entry::default()
            };
            self.entries.insert(key, entry);
        }
        true
    }

    /// How many keys have rows under way or waiting.
    pub(super) fn busy(&self) -> usize {
        self.busy
    }

    /// The sequences of keys without a row under way.
    pub(super) fn sequences(&self) -> impl Iterator<Item = (&SequenceKey, &KeySequence)> {
        let entries = self
            .entries
            .iter()
            .filter_map(|(key, entry)| Some((key, &**entry.sequence.as_ref()?)));
        entries.chain(self.parked.iter().map(|(key, sequence)| (key, &**sequence)))
    }

    /// Keeps a place until the server has dropped the sequence that had it.
    pub(super) fn release_at(&mut self, at: Instant, permit: OwnedSemaphorePermit) {
        self.released += 1;
        self.releasing.insert((at, self.released), permit);
    }

    /// Refuses further rows; those that wait are still answered.
    pub(super) fn close(&mut self) {
        self.closed = true;
    }

    /// Ends what has been idle for too long, and gives places back.
    ///
    /// `boundary` is the time after which a key's next row belongs to a new sequence, `server`
    /// the time after which the server drops a sequence; `parks` says whether the latter stays
    /// known here.
    pub(super) fn tick(
        &mut self,
        now: Instant,
        boundary: Option<Duration>,
        server: Option<Duration>,
        parks: bool,
    ) -> Ticked {
        let reading = self.clock.read(now);
        let later = self.releasing.split_off(&(now, u64::MAX));
        drop(std::mem::replace(&mut self.releasing, later));
        let is_due = |sequence: &KeySequence| match (boundary, server) {
            (Some(boundary), _) => reading.saturating_sub(sequence.idle_since) > boundary,
            (None, Some(server)) => now.saturating_duration_since(sequence.last_sent) > server,
            (None, None) => false,
        };
        let due: Vec<SequenceKey> = self
            .entries
            .iter()
            .take_while(|(_, entry)| entry.busy || entry.sequence.as_deref().is_some_and(is_due))
            .filter(|(_, entry)| !entry.busy)
            .map(|(key, _)| key.clone())
            .collect();
        let mut ticked = Ticked::default();
        for key in due {
            let Some(mut sequence) = self.entries.remove(&key).and_then(|entry| entry.sequence)
            else {
                continue;
            };
            if boundary.is_some() {
                ticked.expired.push((key, sequence));
            } else {
                // Its rows may well go on: what they go on with is a question of recovery.
                if parks {
                    sequence.loss = Some(Loss::new(LossCause::Idle));
                    sequence.place = None;
                    self.parked.insert(key.clone(), sequence);
                }
                ticked.forgotten.push(key);
            }
        }
        ticked
    }
}
