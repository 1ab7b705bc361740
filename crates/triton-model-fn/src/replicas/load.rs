//! An attempt of a call at one of several replicas, and what it counts as there.

use std::sync::Arc;

use tokio::time::Instant;

use super::machine::{Ended, ReplicaId};
use super::member::Member;
use super::set::{ReplicaSet, State};
use crate::circuit_breaker::{Permit, Rejected};
use crate::replica::Replica;
use crate::retry::thread_random;

/// An attempt of a call at one of several replicas, for as long as this lives.
#[derive(Debug)]
pub(crate) struct Load {
    in_flight: Arc<InFlight>,
    admission: Option<Permit>,
    since: Instant,
    /// Whether it could be sent: one that waits and goes elsewhere is no attempt.
    is_admitted: bool,
    is_over: bool,
}

/// What counts as in flight to a replica as long as anybody has it.
#[derive(Debug)]
pub(crate) struct InFlight {
    set: Arc<ReplicaSet>,
    member: Arc<Member>,
}

impl InFlight {
    fn show(&self) {
        let count = self.set.lock().machine.in_flight(self.member.id);
        self.member.metrics.in_flight(count);
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.set.lock().machine.released(self.member.id);
        self.show();
    }
}

impl ReplicaSet {
    /// Takes a replica for a call that any can answer: none at which it failed before, if there is another.
    pub(crate) fn pick(self: &Arc<Self>, avoid: &[ReplicaId]) -> Option<Load> {
        let now = Instant::now();
        let member = {
            let mut state = self.lock();
            let State { machine, members } = &mut *state;
            let can_call = |id| {
                let member = members.get(&id);
                member.is_some_and(|member| !member.replica.rejects())
            };
            let id = machine.pick(now, avoid, thread_random, can_call)?;
            Arc::clone(members.get(&id)?)
        };
        Some(Load::new(self, member, now))
    }

    /// Ends when a call that waits for this replica is to go to another one.
    pub(crate) async fn turns_away(&self, id: ReplicaId) {
        let mut changes = self.changes();
        loop {
            let is_turned_away = {
                let state = self.lock();
                let can_call = |id| {
                    let member = state.members.get(&id);
                    member.is_some_and(|member| !member.replica.rejects())
                };
                state.machine.turns_away(Instant::now(), id, can_call)
            };
            if is_turned_away {
                return;
            }
            if changes.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Takes a certain replica; `None` where it is gone.
    pub(crate) fn take(self: &Arc<Self>, id: ReplicaId) -> Option<Load> {
        let now = Instant::now();
        let member = {
            let mut state = self.lock();
            let member = Arc::clone(state.members.get(&id)?);
            state.machine.begin(now, id).then_some(member)
        };
        Some(Load::new(self, member?, now))
    }
}

impl Load {
    fn new(set: &Arc<ReplicaSet>, member: Arc<Member>, since: Instant) -> Self {
        let in_flight = InFlight {
            set: Arc::clone(set),
            member,
        };
        in_flight.show();
        Self {
            in_flight: Arc::new(in_flight),
            admission: None,
            since,
            is_admitted: false,
            is_over: false,
        }
    }

    pub(crate) fn id(&self) -> ReplicaId {
        self.in_flight.member.id
    }

    pub(crate) fn replica(&self) -> &Replica {
        &self.in_flight.member.replica
    }

    /// What keeps it in flight after it has ended, as the answers of a stream do.
    pub(crate) fn in_flight(&self) -> Arc<InFlight> {
        Arc::clone(&self.in_flight)
    }

    /// Asks the replica's breaker; the time of the attempt begins.
    pub(crate) fn admit(&mut self) -> Result<(), Rejected> {
        self.admission = self.replica().admit()?;
        self.since = Instant::now();
        self.is_admitted = true;
        Ok(())
    }

    /// How the attempt has ended, or how its answer has begun.
    pub(crate) fn ends(&mut self, ended: Ended) {
        if std::mem::replace(&mut self.is_over, true) {
            return;
        }
        let now = Instant::now();
        let time = now.saturating_duration_since(self.since);
        if let Some(admission) = self.admission.take() {
            match ended {
                Ended::Answered => admission.success(),
                Ended::Refused | Ended::NotServed => admission.refused(),
                Ended::Failed | Ended::NotReached => admission.failure(),
                Ended::Unknown => drop(admission),
            }
        }
        let InFlight { set, member } = &*self.in_flight;
        let random = thread_random();
        let mut state = set.lock();
        state.machine.tells(now, member.id, ended, time, random);
        let is_quiet = !state.machine.has_changes();
        drop(state);
        if !is_quiet {
            set.tell_changes();
        }
        if matches!(ended, Ended::NotReached | Ended::NotServed | Ended::Failed) {
            member.ask.notify_one();
        }
        if self.is_admitted {
            member.metrics.ended(ended, time);
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.ends(Ended::Unknown);
    }
}
