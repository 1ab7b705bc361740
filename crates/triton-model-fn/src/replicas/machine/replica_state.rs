//! What a replica is at, and when it is left alone.

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

/// Tells a replica from every other one that a set has ever had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ReplicaId(pub(crate) u32);

impl ReplicaId {
    /// That of the one server there is.
    pub(crate) const ONLY: Self = Self(0);
}

impl fmt::Display for ReplicaId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// What a replica is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReplicaState {
    /// Nobody has asked it yet.
    Joining,
    Ready,
    /// It, or its model, said that it is not ready, or did not answer.
    NotReady {
        since: Instant,
    },
    /// It failed call after call, and is left alone until then.
    Ejected {
        until: Instant,
    },
    /// It was left alone for long enough: one call shows if it works again.
    OnTrial,
    /// Its address is not found any more; until then it keeps what it has.
    Draining {
        until: Instant,
    },
    Gone,
}

impl ReplicaState {
    pub(crate) fn name(self) -> &'static str {
        match self {
            ReplicaState::Joining => "joining",
            ReplicaState::Ready => "ready",
            ReplicaState::NotReady { .. } => "not ready",
            ReplicaState::Ejected { .. } => "ejected",
            ReplicaState::OnTrial => "on trial",
            ReplicaState::Draining { .. } => "draining",
            ReplicaState::Gone => "gone",
        }
    }
}

/// Something that is worth a line in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) id: ReplicaId,
    pub(crate) state: ReplicaState,
}

/// How many calls in a row must fail for a replica to be ejected.
pub(super) const FAILURES: u32 = 5;

/// How long a replica is left alone at first; twice as long each further time, up to the second one.
pub(super) const EJECTION: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
