//! Several replicas for the functions of a process that call one model in the same way: their clients,
//! and the lock around the machine that decides between them.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use tokio::runtime;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout};
use tracing::{info, warn};
use triton_client::{Client, Endpoint, ModelId};
use triton_options::{
    ENDPOINT, EndpointDiscovery, SequenceIdType, SequenceMode, SequenceRecovery, TritonOptions,
};

use super::machine::{Change, Ended, Machine, Probed, ReplicaId, ReplicaState};
use super::metrics::ReplicaMetrics;
use super::resolver::{Resolver, SystemResolver};
use super::tasks;
use super::{ReplicaPlaces, ReplicaStanding, ReplicaUse};
use crate::circuit_breaker::{CircuitBreakerSettings, Permit, Rejected};
use crate::client_options::ClientSettings;
use crate::replica::Replica;
use crate::retry::thread_random;
use crate::shared_client::SharedClient;
use crate::{Error, ErrorKind, SequenceIdForm};

/// The replicas of one model, for every function of this process that calls it in the same way.
pub(crate) struct ReplicaSet {
    key: Key,
    pub(super) options: Arc<TritonOptions>,
    pub(super) model: ModelId,
    pub(super) resolver: Arc<dyn Resolver>,
    state: Mutex<State>,
    /// The client that looks the name up by itself, for lack of a replica.
    named: Arc<SharedClient>,
    /// What sequence IDs are, as it was agreed with the first replica that was asked.
    ids: OnceLock<SequenceIdForm>,
    /// The name is being looked up for the first time.
    joining: tokio::sync::Mutex<()>,
    /// What was found is being taken in.
    finding: Mutex<()>,
    /// Counts the changes of what replicas are at.
    changed: watch::Sender<u64>,
    tasks: tasks::Tasks,
}

struct State {
    machine: Machine<Name>,
    members: HashMap<ReplicaId, Arc<Member>>,
}

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
    metrics: ReplicaMetrics,
    /// What it tells of its model, for sequences.
    told: Mutex<Option<Told>>,
    /// It is to be asked at once whether it is ready.
    pub(super) ask: Notify,
    /// Why it was not ready when it was last asked.
    reason: Mutex<String>,
}

/// One that is set up, and that has no number yet.
struct Prepared {
    label: String,
    replica: Replica,
    metrics: ReplicaMetrics,
}

impl Prepared {
    fn member(self, id: ReplicaId) -> Member {
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
    fn misfit(&self, agreed: Option<&SequenceIdForm>) -> Option<String> {
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
    fn told(&self) -> MutexGuard<'_, Option<Told>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for ReplicaMetrics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ReplicaMetrics")
    }
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

/// What functions that share a set have in common.
#[derive(Clone, PartialEq)]
struct Key {
    /// Connections belong to the runtime that opened them, and die with it.
    runtime: runtime::Id,
    settings: ClientSettings,
    endpoint: triton_options::Endpoints,
    discovery: EndpointDiscovery,
    model: ModelId,
    breaker: Option<CircuitBreakerSettings>,
    max_total: u32,
    has_sequences: bool,
    id_type: SequenceIdType,
    recovery: SequenceRecovery,
    drain: Duration,
    /// How often the name is looked up.
    refresh: Duration,
    /// How often the servers are asked.
    pause: Duration,
    /// Whether breakers are told what they say.
    is_told: bool,
    resolver: Option<usize>,
}

/// The sets in use, or lately in use: an entry outlives its set until the next look.
static SETS: Mutex<Vec<(Key, Weak<ReplicaSet>)>> = Mutex::new(Vec::new());

impl ReplicaSet {
    /// The set for `options`: the one that an open function has already, or a new one.
    pub(crate) fn get(
        options: &TritonOptions,
        model: &ModelId,
        resolver: Option<&Arc<dyn Resolver>>,
    ) -> Result<Arc<Self>, Error> {
        let runtime = runtime::Handle::try_current().map_err(|error| {
            let message = format!("a function must be opened within a tokio runtime: {error}");
            Error::new(ErrorKind::State, message)
        })?;
        let settings = ClientSettings::read(options)?;
        let key = Key {
            runtime: runtime.id(),
            settings: settings.clone(),
            endpoint: options.endpoint.clone(),
            discovery: options.endpoint_discovery,
            model: model.clone(),
            breaker: options
                .circuit_breaker_enabled
                .then(|| CircuitBreakerSettings::from(&**options)),
            max_total: options.connection_pool_max_total.get(),
            has_sequences: matches!(
                options.sequence_mode(),
                SequenceMode::PerKey { .. } | SequenceMode::Static { .. }
            ),
            id_type: options.sequence_id_type,
            recovery: options.sequence_recovery,
            drain: options.endpoint_drain,
            refresh: options.endpoint_refresh.get(),
            is_told: options.health_check_enabled,
            pause: match options.health_check_enabled {
                true => options.health_check_interval.get(),
                false => options.endpoint_refresh.get(),
            },
            resolver: resolver.map(|resolver| Arc::as_ptr(resolver).cast::<()>() as usize),
        };
        let mut sets = SETS.lock().unwrap_or_else(PoisonError::into_inner);
        sets.retain(|(_, set)| set.strong_count() > 0);
        let found = sets.iter().find(|(other, _)| *other == key);
        if let Some(set) = found.and_then(|(_, set)| set.upgrade()) {
            return Ok(set);
        }
        let set = Arc::new(Self {
            options: Arc::new(options.clone()),
            model: model.clone(),
            resolver: resolver
                .cloned()
                .unwrap_or_else(|| Arc::new(SystemResolver)),
            state: Mutex::new(State {
                machine: Machine::new(key.drain),
                members: HashMap::new(),
            }),
            named: SharedClient::of(settings, options)?,
            ids: OnceLock::new(),
            joining: tokio::sync::Mutex::default(),
            finding: Mutex::default(),
            changed: watch::channel(0).0,
            tasks: tasks::Tasks::default(),
            key: key.clone(),
        });
        if options.endpoint_discovery == EndpointDiscovery::Static {
            let given: Vec<Name> = options.endpoint.iter().cloned().map(Name::Given).collect();
            set.found(&given)?;
        }
        tasks::start(&set);
        sets.push((key, Arc::downgrade(&set)));
        Ok(set)
    }

    /// How often the servers are asked.
    pub(super) fn pause(&self) -> Duration {
        self.key.pause
    }

    /// How often the name is looked up.
    pub(super) fn refresh(&self) -> Duration {
        self.key.refresh
    }

    pub(super) fn tasks(&self) -> &tasks::Tasks {
        &self.tasks
    }

    /// Waits until there is a replica, or the name could not be looked up.
    pub(super) async fn join(self: &Arc<Self>) -> Result<(), Error> {
        let _joining = self.joining.lock().await;
        if !self.lock().members.is_empty() {
            return Ok(());
        }
        tasks::look_up_name(self).await
    }

    /// These are the replicas' addresses now. One that cannot be set up, because a file cannot be read
    /// at the moment, say, joins the next time.
    pub(super) fn found(self: &Arc<Self>, names: &[Name]) -> Result<(), Error> {
        let finding = self.finding.lock().unwrap_or_else(PoisonError::into_inner);
        let new = self.lock().machine.unknown(names);
        // To read files and to set up TLS takes time, in which no row may wait.
        let mut set_up: Vec<(&Name, Prepared)> = Vec::new();
        let mut failed = None;
        for name in &new {
            match self.prepared(name) {
                Ok(prepared) => set_up.push((name, prepared)),
                Err(error) => failed = Some(error),
            }
        }
        let is_usable = |name: &&Name| {
            !new.contains(name) || set_up.iter().any(|(prepared, _)| prepared == name)
        };
        let names: Vec<Name> = names.iter().filter(is_usable).cloned().collect();
        let mut joined = Vec::new();
        {
            let mut state = self.lock();
            for (id, name) in state.machine.found(Instant::now(), &names) {
                let place = set_up.iter().position(|(prepared, _)| **prepared == name);
                if let Some((_, prepared)) = place.map(|place| set_up.swap_remove(place)) {
                    let member = Arc::new(prepared.member(id));
                    state.members.insert(id, Arc::clone(&member));
                    joined.push(member);
                }
            }
        }
        self.tell_changes();
        for member in joined {
            tasks::probe(self, member);
        }
        drop(finding);
        failed.map_or(Ok(()), Err)
    }

    fn prepared(&self, name: &Name) -> Result<Prepared, Error> {
        let first = self.options.endpoint.first();
        let (endpoint, address) = match name {
            Name::Given(endpoint) => (endpoint, None),
            Name::Found(address) => (first, Some(*address)),
        };
        let label = match name {
            Name::Given(endpoint) => endpoint.to_string(),
            Name::Found(address) => address.to_string(),
        };
        let settings = self.key.settings.at(endpoint, address);
        let client = SharedClient::of(settings, &self.options)?;
        let replica = Replica::of_several(client, &self.options, endpoint, address, &self.model);
        let metrics = ReplicaMetrics::new(&self.model, &label);
        Ok(Prepared {
            label,
            replica,
            metrics,
        })
    }

    /// What a probe of a replica found, and what it says about it.
    pub(super) fn probed(&self, member: &Member, probed: Probed, reason: &str) {
        *member.reason.lock().unwrap_or_else(PoisonError::into_inner) = reason.to_owned();
        let now = Instant::now();
        self.lock().machine.probed(now, member.id, probed);
        self.tell_changes();
    }

    /// Lets go of replicas that are gone.
    pub(super) fn forget(&self) {
        let gone: Vec<Arc<Member>> = {
            let mut state = self.lock();
            let gone = state.machine.forget(Instant::now());
            gone.iter()
                .filter_map(|id| state.members.remove(id))
                .collect()
        };
        for member in gone {
            member.metrics.state(ReplicaState::Gone);
            member.ask.notify_one();
            self.log(&member, ReplicaState::Gone);
        }
        self.tell_changes();
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

    /// Whether it is this one that is called, and not one that has come in its place.
    pub(super) fn has_still(&self, member: &Arc<Member>) -> bool {
        let state = self.lock();
        let found = state.members.get(&member.id);
        found.is_some_and(|found| Arc::ptr_eq(found, member))
    }

    pub(super) fn member_count(&self) -> usize {
        self.lock().members.len()
    }

    fn tell_changes(&self) {
        let changes: Vec<(Arc<Member>, ReplicaState)> = {
            let mut state = self.lock();
            let changes = state.machine.take_changes();
            let known = |change: Change| {
                let member = state.members.get(&change.id)?;
                Some((Arc::clone(member), change.state))
            };
            changes.into_iter().filter_map(known).collect()
        };
        if changes.is_empty() {
            return;
        }
        for (member, state) in changes {
            member.metrics.state(state);
            self.log(&member, state);
        }
        self.changed.send_modify(|count| *count += 1);
    }

    fn log(&self, member: &Member, state: ReplicaState) {
        let (model, replica, state_name) = (&self.model, &member.label, state.name());
        match state {
            ReplicaState::NotReady { .. } => {
                let reason = member.reason.lock().unwrap_or_else(PoisonError::into_inner);
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
                    ReplicaState::Ejected { .. } => 2,
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

    /// Takes a replica for a call that any can answer: not the one at which it failed before, if there
    /// is another.
    pub(crate) fn pick(self: &Arc<Self>, avoid: Option<ReplicaId>) -> Option<Load> {
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

    /// Whether a replica is there, as far as is known.
    pub(crate) fn is_there(&self, id: ReplicaId) -> bool {
        let state = self.lock();
        let mut states = state.machine.states(Instant::now());
        states.any(|(found, state)| {
            let is_there = matches!(
                state,
                ReplicaState::Ready | ReplicaState::Joining | ReplicaState::Ejected { .. }
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
                    // The next sequence shows if it can be taken back.
                    ReplicaState::Ejected { until } if until <= now && takes => {
                        ReplicaUse::TakesNew
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

    /// Whether there is a replica for a call beside the one at which it failed.
    pub(crate) fn has_other(&self, id: ReplicaId) -> bool {
        self.lock().machine.has_other(Instant::now(), id)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An attempt of a call at one of several replicas, for as long as this lives.
#[derive(Debug)]
pub(crate) struct Load {
    set: Arc<ReplicaSet>,
    member: Arc<Member>,
    admission: Option<Permit>,
    since: Instant,
    is_over: bool,
}

impl Load {
    fn new(set: &Arc<ReplicaSet>, member: Arc<Member>, since: Instant) -> Self {
        let load = Self {
            set: Arc::clone(set),
            member,
            admission: None,
            since,
            is_over: false,
        };
        load.show();
        load
    }

    pub(crate) fn id(&self) -> ReplicaId {
        self.member.id
    }

    pub(crate) fn replica(&self) -> &Replica {
        &self.member.replica
    }

    /// Asks the replica's breaker; the time of the attempt begins.
    pub(crate) fn admit(&mut self) -> Result<(), Rejected> {
        self.admission = self.member.replica.admit()?;
        self.since = Instant::now();
        Ok(())
    }

    /// The attempt has ended.
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
        let id = self.member.id;
        let random = thread_random();
        let mut state = self.set.lock();
        state.machine.ended(now, id, ended, time, random);
        let is_quiet = !state.machine.has_changes();
        drop(state);
        if !is_quiet {
            self.set.tell_changes();
        }
        if matches!(ended, Ended::NotReached | Ended::NotServed | Ended::Failed) {
            self.member.ask.notify_one();
        }
        self.member.metrics.ended(ended, time);
        self.show();
    }

    fn show(&self) {
        let count = self.set.lock().machine.in_flight(self.member.id);
        self.member.metrics.in_flight(count);
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.ends(Ended::Unknown);
    }
}
