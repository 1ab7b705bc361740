//! The servers behind an endpoint, as calls see them: one, or several that answer alike.
//!
//! With one there is nothing to choose, and nothing of this costs anything. Several are a
//! [`ReplicaSet`]: [`machine`] decides which of them is called, and [`set`] carries it out.

mod joining;
mod key;
mod load;
pub(crate) mod machine;
mod member;
mod metrics;
pub(crate) mod resolver;
mod running_tasks;
mod set;
mod sharing;
mod standing;
mod tasks;

use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::watch;
use tokio::time::timeout;
use triton_client::{Client, ErrorKind, ModelId};
use triton_options::TritonOptions;

pub(crate) use self::load::{InFlight, Load};
pub(crate) use self::machine::{Ended, ReplicaId};
pub use self::resolver::Resolver;
pub(crate) use self::set::ReplicaSet;
pub(crate) use self::standing::{ReplicaPlaces, ReplicaStanding, ReplicaUse};
use crate::call::{FaultOrigin, is_not_served};
use crate::readiness::is_ready;
use crate::replica::{Replica, TimedClient};
use crate::{Error, ModelFacts, SequenceIdForm};

/// The servers of an open function.
#[derive(Debug)]
pub(crate) enum Replicas {
    Only(Box<Replica>),
    Several(Arc<ReplicaSet>),
}

/// Where an attempt goes.
#[derive(Debug)]
pub(crate) enum Server<'a> {
    Only(&'a Replica),
    /// One of several, where the attempt counts as long as this lives.
    One(Load),
}

impl Deref for Server<'_> {
    type Target = Replica;

    fn deref(&self) -> &Replica {
        match self {
            Server::Only(replica) => replica,
            Server::One(load) => load.replica(),
        }
    }
}

/// How often an attempt that finds nobody at one of several servers is made at another one at once.
pub(crate) const MOST_MOVES: u32 = 3;

/// Which servers a call can go to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Target {
    #[default]
    Any,
    /// The one that has its sequence.
    On {
        server: ReplicaId,
        /// Whether the request names a version that the options do not: what a server says of that one
        /// says nothing of the model.
        of_version: bool,
    },
}

/// Where a call is, among several servers; it knows nothing where there is only one.
#[derive(Debug, Default)]
pub(crate) struct At(Mutex<Place>);

#[derive(Debug, Default)]
struct Place {
    target: Target,
    /// The attempt that is being made.
    load: Option<Load>,
    /// Where the others failed, the last one at the end.
    failed: Vec<ReplicaId>,
    moves: u32,
}

impl Place {
    fn has_failed_at(&mut self, id: ReplicaId) {
        self.failed.retain(|failed| *failed != id);
        self.failed.push(id);
    }
}

impl At {
    pub(crate) fn to(target: Target) -> Self {
        let place = Place {
            target,
            ..Place::default()
        };
        Self(Mutex::new(place))
    }

    /// The attempt is made at this server.
    pub(crate) fn is_at(&self, server: Server<'_>) {
        if let Server::One(load) = server {
            self.lock().load = Some(load);
        }
    }

    /// The attempt failed; what that says of the server, where it is one of several.
    pub(crate) fn ends_by(
        &self,
        error: &triton_client::Error,
        origin: impl Fn(&triton_client::Error) -> FaultOrigin,
        is_cut_short: bool,
    ) -> Option<Ended> {
        let mut place = self.lock();
        let mut load = place.load.take()?;
        let ended = match error.kind() {
            kind if kind.is_connection() => Ended::NotReached,
            _ if is_not_served(error) => match place.target {
                Target::On {
                    of_version: true, ..
                } => Ended::Refused,
                _ => Ended::NotServed,
            },
            // Most of the row's time had gone by before it was sent.
            ErrorKind::Timeout if is_cut_short => Ended::Unknown,
            _ => match origin(error) {
                FaultOrigin::Server => Ended::Failed,
                FaultOrigin::Request => Ended::Refused,
                FaultOrigin::Unknown => Ended::Unknown,
            },
        };
        load.ends(ended);
        place.has_failed_at(load.id());
        Some(ended)
    }

    /// The attempt was not made, because the circuit breaker of its server has rejected it.
    fn is_rejected_by(&self, load: &Load) {
        self.lock().has_failed_at(load.id());
    }

    /// It may be made at other servers as often as a new one: what was is long ago, but for the last failure.
    pub(crate) fn begins_anew(&self) {
        let mut place = self.lock();
        place.moves = 0;
        let before_last = place.failed.len().saturating_sub(1);
        place.failed.drain(..before_last);
    }

    /// The attempt is over.
    pub(crate) fn ends(&self, ended: Ended) {
        if let Some(mut load) = self.lock().load.take() {
            load.ends(ended);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Place> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why nothing was learnt of the model.
#[derive(Debug)]
pub(crate) enum NotLookedUp {
    /// The servers' name could not be looked up.
    Name(Error),
    Asked(triton_client::Error),
}

impl Replicas {
    pub(crate) fn new(
        options: &TritonOptions,
        model: &ModelId,
        resolver: Option<&Arc<dyn Resolver>>,
    ) -> Result<Self, Error> {
        if options.name_several_servers() {
            return Ok(Replicas::Several(ReplicaSet::get(
                options, model, resolver,
            )?));
        }
        Ok(Replicas::Only(Box::new(Replica::new(options, model)?)))
    }

    /// A client of one of the servers.
    pub(crate) fn client(&self) -> Client {
        match self {
            Replicas::Only(replica) => replica.client().clone(),
            Replicas::Several(set) => set.client(),
        }
    }

    /// The server for the next attempt of a call: of several none at which another one failed, if there is
    /// one. `None` where there is none at all.
    pub(crate) fn next(&self, at: &At) -> Option<Server<'_>> {
        match self {
            Replicas::Only(replica) => Some(Server::Only(replica)),
            Replicas::Several(set) => {
                let place = at.lock();
                let load = match place.target {
                    Target::Any => set.pick(&place.failed),
                    Target::On { server, .. } => set.take(server),
                };
                load.map(Server::One)
            }
        }
    }

    /// The client for an attempt that has so much time left, at the server that was taken for it.
    pub(crate) fn client_for(&self, at: &At, left: Duration) -> TimedClient {
        let set = match self {
            Replicas::Only(replica) => return replica.client_for(left),
            Replicas::Several(set) => set,
        };
        match &at.lock().load {
            Some(load) => load.replica().client_for(left),
            // Whoever makes an attempt has taken one.
            None => TimedClient {
                client: set.client().with_timeout(left),
                is_cut_short: false,
            },
        }
    }

    /// Whether an attempt that found nobody is made at another server at once.
    pub(crate) fn may_move(&self, at: &At) -> bool {
        let mut place = at.lock();
        let Replicas::Several(set) = self else {
            return false;
        };
        if place.target != Target::Any || place.failed.is_empty() {
            return false;
        }
        if place.moves >= MOST_MOVES || !set.has_other(&place.failed) {
            return false;
        }
        place.moves += 1;
        true
    }

    /// Ends when a call that waits to be sent is to go to another server than the one that was taken for it.
    pub(crate) async fn turns_away(&self, at: &At, id: ReplicaId) {
        if let Replicas::Several(set) = self
            && at.lock().target == Target::Any
        {
            return set.turns_away(id).await;
        }
        std::future::pending::<()>().await;
    }

    /// Whether an attempt that was rejected when it could be sent is made at another server instead.
    pub(crate) fn may_move_from(&self, at: &At, server: &Server<'_>) -> bool {
        let Server::One(load) = server else {
            return false;
        };
        at.is_rejected_by(load);
        self.may_move(at)
    }

    /// The one of several servers at which a call failed last, as errors name it.
    pub(crate) fn called(&self, at: &At) -> Option<String> {
        let Replicas::Several(set) = self else {
            return None;
        };
        let place = at.lock();
        let id = match (place.failed.last(), place.target) {
            (Some(failed), _) => *failed,
            (None, Target::On { server, .. }) => server,
            (None, Target::Any) => return None,
        };
        set.label(id)
    }

    /// Whether there are more than one, or may be.
    pub(crate) fn are_several(&self) -> bool {
        matches!(self, Replicas::Several(_))
    }

    /// Whether the call can only go to one server, and there is another one that could be chosen instead
    /// by whoever makes it: the first one of a sequence has nothing to lose.
    pub(crate) fn is_left(&self, at: &At, is_first: bool) -> bool {
        match (self, at.lock().target) {
            (Replicas::Several(set), Target::On { server, .. }) => {
                (is_first || set.rebuilds_sequences()) && set.has_other(&[server])
            }
            _ => false,
        }
    }

    /// What each of several servers is called.
    pub(crate) fn labels(&self) -> Vec<String> {
        match self {
            Replicas::Only(_) => Vec::new(),
            Replicas::Several(set) => set.labels(),
        }
    }

    /// Each of several servers, for those that keep sequences.
    pub(crate) fn standings(&self) -> Vec<ReplicaStanding> {
        match self {
            Replicas::Only(_) => Vec::new(),
            Replicas::Several(set) => set.standings(),
        }
    }

    /// What sequence IDs are, whichever of several servers they are sent to.
    pub(crate) fn agrees_on_ids(&self, form: &SequenceIdForm) {
        if let Replicas::Several(set) = self {
            set.agrees_on_ids(form);
        }
    }

    /// Tells of changes of several servers.
    pub(crate) fn changes(&self) -> Option<watch::Receiver<u64>> {
        match self {
            Replicas::Only(_) => None,
            Replicas::Several(set) => Some(set.changes()),
        }
    }

    /// Asks for what the server, or the first one of several that answers, tells of the model.
    pub(crate) async fn look_up(&self, options: &TritonOptions) -> Result<ModelFacts, NotLookedUp> {
        const NEXT: Duration = Duration::from_secs(1);
        let set = match self {
            Replicas::Only(replica) => {
                let facts = ModelFacts::look_up(replica.client(), options).await;
                return facts.map_err(NotLookedUp::Asked);
            }
            Replicas::Several(set) => set,
        };
        set.join().await.map_err(NotLookedUp::Name)?;
        let mut clients = set.clients().into_iter();
        let mut asked = FuturesUnordered::new();
        let mut first_error = None;
        loop {
            let next = clients.next();
            let is_last = next.is_none();
            if let Some(client) = next {
                asked.push(async move { ModelFacts::look_up(&client, options).await });
            }
            // One that does not answer is not waited for while others can be asked.
            let answer = match is_last {
                true => asked.next().await,
                false => match timeout(NEXT, asked.next()).await {
                    Ok(answer) => answer,
                    Err(_) => continue,
                },
            };
            match answer {
                Some(Ok(facts)) => {
                    set.settled().await;
                    return Ok(facts);
                }
                Some(Err(error)) => {
                    // What would pass says less than what would not.
                    let is_better = first_error
                        .as_ref()
                        .is_none_or(triton_client::Error::is_transient);
                    if is_better && (first_error.is_none() || !error.is_transient()) {
                        first_error = Some(error);
                    }
                }
                None => {}
            }
            if is_last && asked.is_empty() {
                break;
            }
        }
        match first_error {
            Some(error) => Err(NotLookedUp::Asked(error)),
            None => Err(NotLookedUp::Name(set.nobody())),
        }
    }

    /// Whether any of the servers says that it and the model are ready, or says nothing of it.
    pub(crate) async fn are_ready(&self, model: &ModelId) -> bool {
        const AT_ONCE: usize = 8;
        match self {
            Replicas::Only(replica) => is_ready(replica.client(), model).await,
            Replicas::Several(set) => {
                let mut clients = set.clients().into_iter();
                let mut asked = FuturesUnordered::new();
                loop {
                    while asked.len() < AT_ONCE
                        && let Some(client) = clients.next()
                    {
                        asked.push(async move { is_ready(&client, model).await });
                    }
                    match asked.next().await {
                        Some(true) => return true,
                        Some(false) => {}
                        None => return false,
                    }
                }
            }
        }
    }

    /// Ends the health checks of a single server and waits until they have ended; those of several
    /// end with the last function that uses them.
    pub(crate) async fn stop(&self) -> Result<(), Error> {
        match self {
            Replicas::Only(replica) => replica.stop().await,
            Replicas::Several(_) => Ok(()),
        }
    }
}
