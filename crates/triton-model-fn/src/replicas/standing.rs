//! The replicas as those see them that keep sequences there.

use std::sync::Arc;

use tokio::time::Instant;
use tracing::warn;

use super::machine::{ReplicaId, ReplicaState};
use super::member::{Member, Told};
use super::set::ReplicaSet;
use crate::SequenceIdForm;

/// A replica as those see it that keep sequences.
#[derive(Debug)]
pub(crate) struct ReplicaStanding {
    pub(crate) id: ReplicaId,
    pub(crate) label: String,
    pub(crate) places: ReplicaPlaces,
    pub(crate) use_of: ReplicaUse,
}

/// How many sequences the model of a replica keeps at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReplicaPlaces {
    /// It was not asked yet.
    Unknown,
    Unlimited,
    Limited(u64),
}

/// What a replica is for sequences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReplicaUse {
    TakesNew,
    /// It takes one, which shows if it works again.
    TakesOne,
    /// It keeps those that it has.
    KeepsOld,
    /// Those that it has are to go elsewhere.
    IsLeft,
}

impl ReplicaSet {
    /// Each replica, for those that keep sequences.
    pub(super) fn standings(&self) -> Vec<ReplicaStanding> {
        let now = Instant::now();
        let state = self.lock();
        let standing = |(id, at): (ReplicaId, ReplicaState)| {
            let member = state.members.get(&id)?;
            let told = member.told();
            // Sequences with other IDs would be one to its model, without a word.
            if told
                .as_ref()
                .and_then(|told| told.misfit(self.ids.get()))
                .is_some()
            {
                return None;
            }
            let places = match &*told {
                None => ReplicaPlaces::Unknown,
                Some(Told { places: None, .. }) => ReplicaPlaces::Unlimited,
                Some(Told {
                    places: Some(places),
                    ..
                }) => ReplicaPlaces::Limited(*places),
            };
            // What begins at one whose circuit is open is rejected.
            let takes = places != ReplicaPlaces::Unknown && !member.replica.rejects();
            Some(ReplicaStanding {
                id,
                label: member.label.clone(),
                places,
                use_of: match at {
                    ReplicaState::Ready if takes => ReplicaUse::TakesNew,
                    ReplicaState::OnTrial if takes && !state.machine.is_tried(id) => {
                        ReplicaUse::TakesOne
                    }
                    ReplicaState::NotReady { since } => {
                        let until = since.checked_add(self.key.drain);
                        match until.is_some_and(|until| until <= now) {
                            true => ReplicaUse::IsLeft,
                            false => ReplicaUse::KeepsOld,
                        }
                    }
                    ReplicaState::Gone => ReplicaUse::IsLeft,
                    _ => ReplicaUse::KeepsOld,
                },
            })
        };
        state.machine.states(now).filter_map(standing).collect()
    }

    /// Whether a replica is asked for the places that it has.
    pub(super) fn wants_places(&self) -> bool {
        self.key.has_sequences
    }

    /// What sequence IDs are from now on.
    pub(super) fn agrees_on_ids(&self, form: &SequenceIdForm) {
        if self.ids.set(form.clone()).is_err() {
            return;
        }
        let members: Vec<Arc<Member>> = self.lock().members.values().cloned().collect();
        for member in members {
            self.tell_of_misfit(&member);
        }
        self.changed.send_modify(|count| *count += 1);
    }

    /// What a replica tells of its model.
    pub(super) fn hears_from(&self, member: &Member, told: &Told) {
        let before = member.told().replace(told.clone());
        if before.as_ref() != Some(told) {
            self.tell_of_misfit(member);
            self.changed.send_modify(|count| *count += 1);
        }
    }

    fn tell_of_misfit(&self, member: &Member) {
        let misfit = member
            .told()
            .as_ref()
            .and_then(|told| told.misfit(self.ids.get()));
        if let Some(reason) = misfit {
            let (model, replica) = (&self.model, &member.label);
            warn!(%model, replica, reason, "the replica gets no sequences, because of their IDs");
        }
    }
}
