//! What the machine tells of sequences: for logs and metrics, which are none of its business.

use super::places::Purpose;
use super::sequence::{LossCause, LostId};
use crate::Error;
use crate::sequences::SequenceKey;

/// Something that happened to the sequence of a key.
#[derive(Debug)]
pub(in crate::sequences) struct Report {
    pub(in crate::sequences) key: SequenceKey,
    pub(in crate::sequences) event: Event,
}

#[derive(Debug)]
pub(in crate::sequences) enum Event {
    /// Its first row is sent.
    Begins,
    /// Nothing more is known of it here.
    Over,
    /// Its first row was answered.
    Started { counter: u64 },
    /// Its last row was.
    Ended { counter: u64, rows: u64 },
    /// Its key had no row for too long.
    Expired { id: LostId, rows: u64 },
    /// The server has dropped it, because its key had no row.
    Idle { id: LostId, rows: u64 },
    /// It is left to the server without an end.
    Abandoned { id: LostId, reason: Abandoned },
    /// A row does not follow the one before it.
    Gap { id: LostId, cause: LossCause },
    /// A request of it failed such that it is lost.
    Lost {
        id: LostId,
        rows: u64,
        cause: LossCause,
        /// Whether no answer will show it.
        is_hidden: bool,
        error: Error,
    },
    /// It does not go on at its server, which drains or is gone.
    Moved { id: LostId, rows: u64 },
    /// It goes on without its earlier rows.
    Restarted {
        id: LostId,
        rows: u64,
        cause: LossCause,
    },
    /// It was rebuilt.
    Replayed { id: LostId, counter: u64, rows: u64 },
    /// It is rebuilt again, because the server had no request of it for too long after the last time.
    RebuiltAgain {
        id: LostId,
        rows: u64,
        /// Whether sequences are rebuilt side by side from now on, for that reason.
        waits_less: bool,
    },
    /// A row of a replay was answered.
    RowReplayed,
    /// A row fails because it is lost.
    Failed,
    /// It has been waiting for a place for a while.
    WaitsForPlace {
        purpose: Purpose,
        open: usize,
        held: usize,
        limit: usize,
        room: usize,
    },
}

/// Why a sequence has no end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sequences) enum Abandoned {
    /// A row starts over by its position.
    BegunAnew { position: u64 },
    /// Its last row failed.
    LastRowFailed,
}
