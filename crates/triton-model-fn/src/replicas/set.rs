//! Several replicas for the functions of a process that call one model in the same way: their clients,
//! and the lock around the machine that decides between them.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tracing::{info, warn};
use triton_client::{Client, ModelId};
use triton_options::{ENDPOINT, SequenceRecovery, TritonOptions};

use super::key::Key;
use super::machine::{Change, Machine, Probed, ReplicaId, ReplicaState};
use super::member::{Member, Name};
use super::resolver::Resolver;
use super::running_tasks::Tasks;
use crate::shared_client::SharedClient;
use crate::{Error, ErrorKind, SequenceIdForm};

/// The replicas of one model, for every function of this process that calls it in the same way.
pub(crate) struct ReplicaSet {
    pub(super) key: Key,
    pub(super) options: Arc<TritonOptions>,
    pub(super) model: ModelId,
    pub(super) resolver: Arc<dyn Resolver>,
    state: Mutex<State>,
    /// The client that looks the name up by itself, for lack of a replica.
    named: Arc<SharedClient>,
    /// What sequence IDs are, as it was agreed with the first replica that was asked.
    pub(super) ids: OnceLock<SequenceIdForm>,
    /// The name is being looked up for the first time.
    pub(super) joining: tokio::sync::Mutex<()>,
    /// What was found is being taken in.
    pub(super) finding: Mutex<()>,
    /// Metrics are told of changes in the order in which they came; taken before the state.
    telling: Mutex<()>,
    /// Counts the changes of what replicas are at.
    pub(super) changed: watch::Sender<u64>,
    tasks: Tasks,
}

pub(super) struct State {
    pub(super) machine: Machine<Name>,
    pub(super) members: HashMap<ReplicaId, Arc<Member>>,
}

impl fmt::Debug for ReplicaSet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ReplicaSet")
            .field("model", &self.model)
            .field("endpoint", &self.options.endpoint)
            .finish_non_exhaustive()
    }
}

impl ReplicaSet {
    /// One without a replica.
    pub(super) fn new(
        key: Key,
        options: &TritonOptions,
        model: &ModelId,
        resolver: Arc<dyn Resolver>,
    ) -> Result<Arc<Self>, Error> {
        Ok(Arc::new(Self {
            options: Arc::new(options.clone()),
            model: model.clone(),
            resolver,
            state: Mutex::new(State {
                machine: Machine::new(key.drain),
                members: HashMap::new(),
            }),
            named: SharedClient::of(key.settings.clone(), options)?,
            ids: OnceLock::new(),
            joining: tokio::sync::Mutex::default(),
            finding: Mutex::default(),
            telling: Mutex::default(),
            changed: watch::channel(0).0,
            tasks: Tasks::default(),
            key,
        }))
    }

    /// How often the servers are asked.
    pub(super) fn pause(&self) -> Duration {
        self.key.pause
    }

    /// How often the name is looked up.
    pub(super) fn refresh(&self) -> Duration {
        self.key.refresh
    }

    pub(super) fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    /// What a probe of a replica found, and what it says about it.
    pub(super) fn probed(&self, member: &Member, probed: Probed, reason: &str) {
        let before = std::mem::replace(&mut *member.reason(), reason.to_owned());
        let now = Instant::now();
        let is_quiet = {
            let mut state = self.lock();
            state.machine.probed(now, member.id, probed);
            !state.machine.has_changes()
        };
        if is_quiet && probed == Probed::NotReady && before != reason {
            // The log is to end with why it is not ready now, and not with why it was not at first.
            let (model, replica) = (&self.model, &member.label);
            info!(%model, replica, reason, "the replica is still not ready");
        }
        self.tell_changes();
    }

    /// Lets go of replicas that are gone.
    pub(super) fn forget(&self) {
        let in_order = self.in_order();
        let gone = self.take_gone();
        for (member, has_come_back) in &gone {
            if !has_come_back {
                member.metrics.state(ReplicaState::Gone);
            }
        }
        drop(in_order);
        for (member, _) in gone {
            member.ask.notify_one();
            self.log(&member, ReplicaState::Gone);
        }
        self.tell_changes();
    }

    /// Takes out the replicas that are gone, and says of each whether another one has its name now.
    fn take_gone(&self) -> Vec<(Arc<Member>, bool)> {
        let mut state = self.lock();
        let gone = state.machine.forget(Instant::now());
        let gone: Vec<_> = gone
            .iter()
            .filter_map(|id| state.members.remove(id))
            .collect();
        let is_there = |gone: &Member| state.members.values().any(|it| it.label == gone.label);
        gone.into_iter()
            .map(|member| (Arc::clone(&member), is_there(&member)))
            .collect()
    }

    /// Whether a replica is called.
    pub(crate) fn has(&self, id: ReplicaId) -> bool {
        self.lock().members.contains_key(&id)
    }

    /// How errors name a replica.
    pub(super) fn label(&self, id: ReplicaId) -> Option<String> {
        let state = self.lock();
        state.members.get(&id).map(|member| member.label.clone())
    }

    /// What all of them are called, in order.
    pub(super) fn labels(&self) -> Vec<String> {
        let state = self.lock();
        let mut labels: Vec<String> = state.members.values().map(|it| it.label.clone()).collect();
        labels.sort();
        labels
    }

    /// Whether it is this one that is called, and not one that has come in its place.
    pub(super) fn has_still(&self, member: &Arc<Member>) -> bool {
        let state = self.lock();
        let found = state.members.get(&member.id);
        found.is_some_and(|found| Arc::ptr_eq(found, member))
    }

    pub(super) fn member_count(&self) -> usize {
        self.lock().members.len()
    }

    pub(super) fn tell_changes(&self) {
        if !self.lock().machine.has_changes() {
            return;
        }
        let in_order = self.in_order();
        let changes = self.take_changes();
        for (member, state) in &changes {
            member.metrics.state(*state);
        }
        drop(in_order);
        for (member, state) in changes {
            self.log(&member, state);
        }
        self.changed.send_modify(|count| *count += 1);
    }

    fn take_changes(&self) -> Vec<(Arc<Member>, ReplicaState)> {
        let mut state = self.lock();
        let changes = state.machine.take_changes();
        let known = |change: Change| {
            let member = state.members.get(&change.id)?;
            Some((Arc::clone(member), change.state))
        };
        changes.into_iter().filter_map(known).collect()
    }

    fn in_order(&self) -> MutexGuard<'_, ()> {
        self.telling.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn log(&self, member: &Member, state: ReplicaState) {
        let (model, replica, state_name) = (&self.model, &member.label, state.name());
        match state {
            ReplicaState::NotReady { .. } => {
                let reason = member.reason();
                warn!(%model, replica, reason = %*reason, "the replica is {state_name}");
            }
            ReplicaState::Ejected { until } => {
                let left_alone_for = until.saturating_duration_since(Instant::now());
                warn!(%model, replica, ?left_alone_for, "the replica is {state_name}: its calls failed");
            }
            _ => info!(%model, replica, "the replica is {state_name}"),
        }
    }

    /// The clients of all replicas, those first that are more likely to answer.
    pub(super) fn clients(&self) -> Vec<Client> {
        let state = self.lock();
        let now = Instant::now();
        let mut states: Vec<(u8, ReplicaId)> = state
            .machine
            .states(now)
            .map(|(id, state)| {
                let rank = match state {
                    ReplicaState::Ready => 0,
                    ReplicaState::Joining => 1,
                    ReplicaState::Ejected { .. } | ReplicaState::OnTrial => 2,
                    ReplicaState::NotReady { .. } => 3,
                    ReplicaState::Draining { .. } | ReplicaState::Gone => 4,
                };
                (rank, id)
            })
            .collect();
        states.sort_unstable();
        let member = |id| state.members.get(id);
        let members = states.iter().filter_map(|(_, id)| member(id));
        members
            .map(|member| member.replica.client().clone())
            .collect()
    }

    /// The client of a replica that is likely to answer.
    pub(super) fn client(&self) -> Client {
        let first = self.clients().into_iter().next();
        first.unwrap_or_else(|| self.named.client.clone())
    }

    /// Waits for a moment until every replica has said whether it is ready, so that the first rows do not
    /// go to one that is not.
    pub(super) async fn settled(&self) {
        const LONGEST: Duration = Duration::from_secs(1);
        let mut changed = self.changed.subscribe();
        let settled = async {
            loop {
                let is_open = {
                    let state = self.lock();
                    let mut states = state.machine.states(Instant::now());
                    states.any(|(_, state)| state == ReplicaState::Joining)
                };
                if !is_open || changed.changed().await.is_err() {
                    return;
                }
            }
        };
        // One that does not answer is not waited for.
        let _ = timeout(LONGEST, settled).await;
    }

    /// That there is no replica at all.
    pub(super) fn nobody(&self) -> Error {
        let message = format!(
            "option '{}' ({}) stands for no server",
            ENDPOINT.key(),
            self.options.endpoint
        );
        Error::new(ErrorKind::Call, message)
    }

    /// Whether a replica is there, as far as is known.
    pub(crate) fn is_there(&self, id: ReplicaId) -> bool {
        let state = self.lock();
        let mut states = state.machine.states(Instant::now());
        states.any(|(found, state)| {
            let is_there = matches!(
                state,
                ReplicaState::Ready
                    | ReplicaState::Joining
                    | ReplicaState::Ejected { .. }
                    | ReplicaState::OnTrial
            );
            found == id && is_there
        })
    }

    /// Whether sequences can go on elsewhere as if nothing had happened.
    pub(super) fn rebuilds_sequences(&self) -> bool {
        self.options.sequence_recovery == SequenceRecovery::Replay
    }

    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Whether there is a replica for a call beside those at which it failed.
    pub(crate) fn has_other(&self, failed: &[ReplicaId]) -> bool {
        self.lock().machine.has_other(Instant::now(), failed)
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
