//! What the machine knows: its keys, their rows, and what each row is at.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use hashlink::LinkedHashMap;
use tokio::time::Instant;

use super::effect::Effect;
use super::memory::Memory;
use super::places::{Place, Places, Purpose};
use super::recoveries::{Recoveries, RecoveryLimits};
use super::sequence::{Ending, Sequence};
use crate::replicas::ReplicaId;
use crate::sequence_id_generator::SequenceIdGenerator;
use crate::sequences::idle_clock::IdleClock;
use crate::sequences::row_position::EarlierRows;
use crate::sequences::{Row, SequenceKey, SequenceSettings};
use crate::tensor_plan::EncodedRow;

/// The sequences of all keys of a subtask.
#[derive(Debug)]
pub(in crate::sequences) struct Machine<A> {
    pub(super) settings: Arc<SequenceSettings>,
    /// Where IDs come from; a sequence that all rows share has its own.
    pub(super) ids: Option<Arc<SequenceIdGenerator>>,
    pub(super) limits: RecoveryLimits,
    /// Every key that has rows or an open sequence, in the order of their last use.
    pub(super) keys: LinkedHashMap<SequenceKey, Entry<A>>,
    pub(super) memory: Memory,
    pub(super) places: Places,
    /// Keys that wait for a place, each with the number of its work.
    pub(super) wants_recovery: VecDeque<Want>,
    pub(super) wants_beginning: VecDeque<Want>,
    /// Keys whose row is to be looked at.
    pub(super) turns: VecDeque<SequenceKey>,
    pub(super) timers: BTreeMap<(Instant, u64), SequenceKey>,
    /// Sequences that were left and are being ended, by the numbers of their requests.
    pub(super) endings: HashMap<u64, Ending>,
    pub(super) clock: IdleClock,
    pub(super) next_tick: Option<Instant>,
    /// When it is said again that keys wait for places.
    pub(super) next_warning: Option<Instant>,
    /// How many keys have rows.
    pub(super) busy: usize,
    /// How many rows were not answered yet.
    pub(super) rows: usize,
    pub(super) pausing: usize,
    /// When the row came that is here for longest, as of the last tick.
    pub(super) oldest: Option<Instant>,
    pub(super) next_number: u64,
    pub(super) random: fastrand::Rng,
    pub(super) is_closed: bool,
    /// Whether a snapshot is of a run that could not know all keys.
    pub(super) may_have_run: bool,
    pub(super) effects: VecDeque<Effect<A>>,
}

/// A key that has rows or an open sequence.
#[derive(Debug)]
pub(super) struct Entry<A> {
    /// The rows behind the one that is worked on.
    pub(super) queue: VecDeque<Waiting<A>>,
    pub(super) work: Option<Box<Work<A>>>,
    pub(super) sequence: Option<Box<Sequence>>,
}

/// A key that waits for a place for the work of this number.
#[derive(Debug, Clone)]
pub(super) struct Want {
    pub(super) key: SequenceKey,
    pub(super) number: u64,
    pub(super) submitted: Instant,
}

/// A row that waits for its turn.
#[derive(Debug)]
pub(super) struct Waiting<A> {
    pub(super) row: Row,
    pub(super) asker: A,
    /// What the idle clock showed when it arrived.
    pub(super) arrived: Duration,
    pub(super) submitted: Instant,
}

/// The row of a key that is worked on.
#[derive(Debug)]
pub(super) struct Work<A> {
    pub(super) number: u64,
    pub(super) asker: A,
    /// What is sent; nothing where it cannot be.
    pub(super) row: Option<Arc<EncodedRow>>,
    pub(super) is_last: bool,
    pub(super) position: Option<u64>,
    /// The rows before it, where it carries them.
    pub(super) earlier: Option<Arc<EarlierRows>>,
    pub(super) submitted: Instant,
    pub(super) deadline: Option<Instant>,
    pub(super) phase: Phase,
    /// A place that it was given and that its sequence has not taken yet.
    pub(super) granted: Option<Place>,
    /// The servers at which it failed: others are tried first.
    pub(super) avoid: Vec<ReplicaId>,
    pub(super) recoveries: Recoveries,
}

/// What a row is at.
#[derive(Debug)]
pub(super) enum Phase {
    /// It is being looked at.
    Turn,
    /// It waits for a place on the server.
    Place {
        purpose: Purpose,
        since: Instant,
        /// That of its deadline.
        timer: Option<(Instant, u64)>,
    },
    /// It waits before it is tried again.
    Pause { timer: (Instant, u64) },
    /// A request is out for it.
    Sent(Sent),
}

/// A request that is out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent {
    pub(super) number: u64,
    /// That of the row's deadline.
    pub(super) timer: Option<(Instant, u64)>,
    /// When it was to be sent.
    pub(super) since: Instant,
    /// Its number at the idle clock.
    pub(super) call: u64,
    /// How many rows of the sequence come before it.
    pub(super) row: u64,
    pub(super) end: bool,
    pub(super) is_replay: bool,
    /// When a request of its ID had last reached the server before.
    pub(super) reached_before: Option<Instant>,
}

impl<A> Entry<A> {
    pub(super) fn has_rows(&self) -> bool {
        self.work.is_some() || !self.queue.is_empty()
    }
}
