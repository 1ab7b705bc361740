//! One of several replicas: its client, and what is known of it beside what the machine knows.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use triton_client::Endpoint;

use super::machine::ReplicaId;
use super::metrics::ReplicaMetrics;
use crate::SequenceIdForm;
use crate::replica::Replica;

/// What tells one replica's address from another's.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Name {
    /// One of those that were given.
    Given(Endpoint),
    /// One that the name stands for.
    Found(SocketAddr),
}

/// One of the replicas.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) id: ReplicaId,
    /// Its address as logs, errors and metrics show it.
    pub(crate) label: String,
    pub(super) replica: Replica,
    pub(super) metrics: ReplicaMetrics,
    /// What it tells of its model, for sequences.
    told: Mutex<Option<Told>>,
    /// It is to be asked at once whether it is ready.
    pub(super) ask: Notify,
    /// Why it was not ready when it was last asked.
    reason: Mutex<String>,
}

/// One that is set up, and that has no number yet.
pub(super) struct Prepared {
    pub(super) label: String,
    pub(super) replica: Replica,
    pub(super) metrics: ReplicaMetrics,
}

impl Prepared {
    pub(super) fn member(self, id: ReplicaId) -> Member {
        let Self {
            label,
            replica,
            metrics,
        } = self;
        Member {
            id,
            replica,
            metrics,
            label,
            told: Mutex::default(),
            ask: Notify::new(),
            reason: Mutex::default(),
        }
    }
}

/// What a replica tells of its model, for those that keep sequences there.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Told {
    /// How many sequences it keeps at once, where there is a limit.
    pub(super) places: Option<u64>,
    /// What it wants IDs to be, or why it takes none.
    pub(super) ids: Result<SequenceIdForm, String>,
}

impl Told {
    /// What is wrong with IDs of this form there.
    pub(super) fn misfit(&self, agreed: Option<&SequenceIdForm>) -> Option<String> {
        match (&self.ids, agreed?) {
            (Err(reason), _) => Some(reason.clone()),
            (Ok(wanted), agreed) if !agreed.is_taken_as(wanted) => Some(format!(
                "there they have to be {wanted}, and here they are {agreed}"
            )),
            _ => None,
        }
    }
}

impl Member {
    pub(super) fn told(&self) -> MutexGuard<'_, Option<Told>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why it was not ready when it was last asked.
    pub(super) fn reason(&self) -> MutexGuard<'_, String> {
        self.reason.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for ReplicaMetrics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ReplicaMetrics")
    }
}
