//! What is known of the sequence of one key.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::history::History;
use super::places::Place;
use crate::sequence_name::SequenceName;
use crate::tensor_plan::EncodedRow;

/// The sequence of a key, from the row that begins it until it is over.
#[derive(Debug)]
pub(in crate::sequences) struct Sequence {
    /// The number of the ID it has now, or had last.
    pub(super) counter: u64,
    pub(super) life: Life,
    /// How many rows the model has answered in it. The next one starts it when there are none.
    pub(super) rows: u64,
    /// The number that the last row of its key had, answered or not; 0 where rows have none.
    pub(super) position: u64,
    /// Whether the next answer has to be marked, because earlier rows of the key are not in it.
    pub(super) marked: bool,
    /// Whether its key is certain to have had an end right before it.
    pub(super) follows_end: bool,
    pub(super) history: History,
    /// The last row that was answered, where sequences that are left are ended.
    pub(super) last_row: Option<Arc<EncodedRow>>,
    /// What the idle clock showed when its key's last row was done with, answered or not.
    pub(super) idle_since: Duration,
    /// When it was last rebuilt.
    pub(super) rebuilt: Option<Instant>,
    /// Whether it was lost because no request of it reached the server for too long.
    pub(super) idled_out: bool,
}

/// What the server knows of a sequence.
#[derive(Debug)]
pub(super) enum Life {
    /// Nothing: its next row starts it.
    Unborn,
    /// Every row that was answered.
    Open(Place),
    /// The rows that were sent again so far, under a new ID.
    Rebuilding(Rebuilding),
    /// Nothing any more, or nothing certain: the next row is answered as `sequence-recovery` says.
    Lost(Loss),
    /// The same, and a row has failed because of it: the next one starts over, and is marked.
    Reported(Loss),
}

/// How far a replay has come.
#[derive(Debug)]
pub(super) struct Rebuilding {
    pub(super) place: Place,
    /// The row that is sent next, or is in flight.
    pub(super) next: u64,
    /// How many rows were answered under the new ID; the first one starts it.
    pub(super) answered: u64,
    /// The loss that it makes good.
    pub(super) loss: Loss,
}

/// A sequence that the server has lost, or may have corrupted.
#[derive(Debug, Clone)]
pub(in crate::sequences) struct Loss {
    pub(in crate::sequences) cause: LossCause,
    pub(in crate::sequences) id: LostId,
}

/// Which ID a lost sequence had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sequences) enum LostId {
    /// The one of this number.
    Own(u64),
    /// That of another run.
    Restored(Box<SequenceName>),
    /// It was begun elsewhere.
    Unknown,
}

/// How a sequence was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sequences) enum LossCause {
    /// The server said that it does not know the sequence.
    Forgotten,
    /// A request failed, and the server may have executed it.
    Uncertain,
    /// No row was sent for so long that the server has dropped it.
    Idle,
    /// It comes from a snapshot, and so from another run.
    Restored,
    /// A row failed that those after it carry with them, or that the model has taken in.
    Unanswered,
    /// The same, and the row was sent as the last one.
    Ended,
    /// The model answered a replay differently than before.
    Diverged,
    /// Its server is away, drains or is gone.
    Moved,
    /// A row came that does not follow the last one of its key that was seen here.
    Gap { last: u64, found: u64 },
}

impl fmt::Display for LossCause {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            LossCause::Gap { last: 0, found } => {
                return write!(
                    formatter,
                    "row {found} of the key came, and those before it are not known here"
                );
            }
            LossCause::Gap { last, found } => {
                return write!(
                    formatter,
                    "row {found} of the key came, and the last one seen here was row {last}"
                );
            }
            LossCause::Forgotten => "the server no longer knows it",
            LossCause::Uncertain => "a request failed that the server may have executed",
            LossCause::Idle => "no row was sent for longer than the server keeps an idle sequence",
            LossCause::Unanswered | LossCause::Ended => "a row of it was not answered",
            LossCause::Diverged => "the model answered its rows differently than before",
            LossCause::Moved => "its server is away or is to be left, and others are there",
            LossCause::Restored => "it was restored from a snapshot of an earlier run",
        })
    }
}

impl Sequence {
    /// A sequence of which nothing was sent.
    pub(super) fn unborn(marked: bool, follows_end: bool) -> Self {
        Self {
            counter: 0,
            life: Life::Unborn,
            rows: 0,
            position: 0,
            marked,
            follows_end,
            history: History::NotKept,
            last_row: None,
            idle_since: Duration::ZERO,
            rebuilt: None,
            idled_out: false,
        }
    }

    /// The ID that it has, or had.
    pub(super) fn id(&self) -> LostId {
        match &self.life {
            Life::Unborn => LostId::Unknown,
            Life::Open(_) => LostId::Own(self.counter),
            Life::Rebuilding(rebuilding) => rebuilding.loss.id.clone(),
            Life::Lost(loss) | Life::Reported(loss) => loss.id.clone(),
        }
    }

    /// Takes its place on the server away from it, where it has one: a sequence that was being
    /// rebuilt is as lost as before.
    pub(super) fn take_place(&mut self) -> Option<Place> {
        match std::mem::replace(&mut self.life, Life::Unborn) {
            Life::Open(place) => Some(place),
            Life::Rebuilding(Rebuilding { place, loss, .. }) => {
                self.life = Life::Lost(loss);
                Some(place)
            }
            other => {
                self.life = other;
                None
            }
        }
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self.life, Life::Open(_))
    }

    pub(super) fn is_being_rebuilt(&self) -> bool {
        matches!(self.life, Life::Rebuilding(_))
    }
}

/// A sequence of which nothing but an END is out.
#[derive(Debug)]
pub(super) struct Ending {
    pub(super) place: Place,
    pub(super) call: u64,
}
