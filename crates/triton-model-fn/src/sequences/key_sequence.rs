//! What is known of the sequence of one key.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::history::History;
use super::owners::Owned;
use crate::metrics::SequenceMetrics;

/// The sequence of a key, from its first row until it ends.
#[derive(Debug)]
pub(super) struct KeySequence {
    /// The number of the ID it has now.
    pub(super) counter: u64,
    /// Its place among the sequences that may be open; only a lost sequence has none.
    pub(super) place: Option<Place>,
    /// Why the model does not know its rows any more, or not for certain.
    pub(super) loss: Option<Loss>,
    /// How many rows the model has answered in it. The next one starts it when there are none.
    pub(super) rows: u64,
    /// The number that the last row of its key had, answered or not; 0 where rows have none.
    pub(super) position: u64,
    /// Whether the next answer has to be marked, because earlier rows of the key are not in it.
    pub(super) marked: bool,
    pub(super) history: History,
    /// What the idle clock showed at the last answer.
    pub(super) idle_since: Duration,
    /// When the last request was sent.
    pub(super) last_sent: Instant,
    /// Notes that the key is this subtask's, for as long as the sequence is known here.
    pub(super) _owned: Option<Owned>,
}

/// A sequence that the server has lost, or may have spoilt.
#[derive(Debug)]
pub(super) struct Loss {
    pub(super) cause: LossCause,
    /// Whether a row has failed because of it, so that the next one may start anew.
    pub(super) reported: bool,
    pub(super) id: LostId,
}

/// Which ID a lost sequence had.
#[derive(Debug)]
pub(super) enum LostId {
    /// The one of its counter.
    Own,
    /// That of another run.
    Restored(Box<str>),
    /// It was begun elsewhere.
    Unknown,
}

impl Loss {
    pub(super) fn new(cause: LossCause) -> Self {
        Self {
            cause,
            reported: false,
            id: LostId::Own,
        }
    }
}

/// How a sequence was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LossCause {
    /// The server said that it does not know the sequence.
    Forgotten,
    /// A request failed, and the server may have executed it.
    Uncertain,
    /// No row was sent for so long that the server has dropped it.
    Idle,
    /// It comes from a snapshot, and so from another run.
    Restored,
    /// A row failed that those after it carry with them.
    Unanswered,
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
            LossCause::Unanswered => "a row of it was not answered",
            LossCause::Restored => "it was restored from a snapshot of an earlier run",
        })
    }
}

/// A place among the sequences that may be open at once.
#[derive(Debug)]
pub(super) struct Place {
    permit: OwnedSemaphorePermit,
    _counted: Counted,
}

impl Place {
    pub(super) fn new(permit: OwnedSemaphorePermit, open: &Arc<OpenCount>) -> Self {
        open.opened();
        Self {
            permit,
            _counted: Counted(Arc::clone(open)),
        }
    }

    /// The right to the place, for a sequence that is not open any more but that the server may
    /// still hold.
    pub(super) fn into_permit(self) -> OwnedSemaphorePermit {
        self.permit
    }
}

/// How many sequences are open, for callers and as a gauge.
#[derive(Debug)]
pub(super) struct OpenCount {
    count: AtomicUsize,
    pub(super) metrics: SequenceMetrics,
}

impl OpenCount {
    pub(super) fn new(metrics: SequenceMetrics) -> Self {
        Self {
            count: AtomicUsize::new(0),
            metrics,
        }
    }

    pub(super) fn get(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    fn opened(&self) {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.metrics.open.increment(1.0);
    }

    fn closed(&self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
        self.metrics.open.decrement(1.0);
    }
}

#[derive(Debug)]
struct Counted(Arc<OpenCount>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.closed();
    }
}
