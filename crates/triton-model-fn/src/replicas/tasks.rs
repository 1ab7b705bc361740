//! What goes on in the background for a set of replicas: their name is looked up again, and each of them
//! is asked whether it is ready. Everything ends with the set.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::warn;
use triton_options::EndpointDiscovery;

use super::machine::Probed;
use super::resolver;
use super::set::{Member, Name, ReplicaSet};
use crate::health_monitor::{Health, HealthProbe as _, PROBE_TIMEOUT, TritonProbe};
use crate::retry::thread_random;
use crate::{Error, ModelFacts};

/// How long the answer to a question may take at least, however often it is asked.
const LEAST_PATIENCE: Duration = Duration::from_secs(2);

/// The least time between two questions to one replica, whatever asks for them.
const LEAST_PAUSE: Duration = Duration::from_millis(200);

/// How soon one is asked again that is not ready; twice as late each further time.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// The tasks of a set, which end when this is dropped.
#[derive(Default)]
pub(super) struct Tasks(Mutex<JoinSet<()>>);

impl fmt::Debug for Tasks {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Tasks")
    }
}

impl Tasks {
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }
}

/// Starts what keeps a set up to date.
pub(super) fn start(set: &Arc<ReplicaSet>) {
    let weak = Arc::downgrade(set);
    set.tasks().spawn(refresh(weak, set.pause()));
}

/// Looks the name up at intervals, and lets go of replicas that are gone.
async fn refresh(set: Weak<ReplicaSet>, pause: Duration) {
    loop {
        // A tenth by chance, so that processes do not ask in step.
        sleep(pause.mul_f64(0.9 + thread_random() / 5.0)).await;
        let Some(set) = set.upgrade() else {
            return;
        };
        if set.options.endpoint_discovery == EndpointDiscovery::Dns
            && set.member_count() > 0
            && let Err(error) = look_up_name(&set).await
        {
            warn!(model = %set.model, %error, "the addresses that were found last stay in use");
        }
        // Sequences may be on them until the time to drain is over.
        let keeps = set.wants_places();
        set.forget(|_| keeps);
    }
}

/// Looks the name up once.
pub(super) async fn look_up_name(set: &Arc<ReplicaSet>) -> Result<(), Error> {
    let found = resolver::look_up(&*set.resolver, set.options.endpoint.first()).await?;
    let names: Vec<Name> = found.into_iter().map(Name::Found).collect();
    set.found(&names)
}

/// Asks a replica from now on whether it is ready.
pub(super) fn probe(set: &Arc<ReplicaSet>, member: Arc<Member>) {
    let weak = Arc::downgrade(set);
    set.tasks().spawn(keep_asking(weak, member));
}

async fn keep_asking(weak: Weak<ReplicaSet>, member: Arc<Member>) {
    let mut not_ready = 0;
    let mut is_first = true;
    loop {
        let Some(set) = weak.upgrade().filter(|set| set.has(member.id)) else {
            return;
        };
        let (pause, model) = (set.pause(), set.model.clone());
        drop(set);
        let probe = TritonProbe::new(member.replica.client().clone(), model);
        let limit = pause.clamp(LEAST_PATIENCE, PROBE_TIMEOUT);
        let health = timeout(limit, probe.probe()).await;
        let health =
            health.unwrap_or_else(|_| Health::Unhealthy(format!("no answer within {limit:?}")));
        let Some(set) = weak.upgrade() else {
            return;
        };
        member.replica.tell_breaker(&health);
        let (mut probed, mut reason) = match health {
            Health::Healthy => (Probed::Ready, String::new()),
            Health::Unhealthy(reason) => (Probed::NotReady, reason),
            Health::Unknown(reason) => (Probed::Unknown, reason),
        };
        // Whoever keeps sequences has to know how many there is room for.
        if set.wants_places() && probed != Probed::NotReady && member.places.get().is_none() {
            let client = member.replica.client().clone();
            match ModelFacts::look_up(&client, &set.options).await {
                Ok(facts) => set.has_places(&member, facts.config.concurrent_sequences()),
                Err(error) => {
                    probed = Probed::NotReady;
                    reason = format!("the model could not be looked up: {error}");
                }
            }
        }
        set.probed(&member, probed, &reason);
        drop(set);
        let next = match probed {
            Probed::NotReady => {
                let doubled = FIRST_PAUSE.saturating_mul(1 << u32::min(not_ready, 10));
                not_ready += 1;
                doubled.min(pause)
            }
            Probed::Ready | Probed::Unknown => {
                not_ready = 0;
                // The first questions come together, the next ones spread.
                let share = match std::mem::take(&mut is_first) {
                    true => thread_random(),
                    false => 0.9 + thread_random() / 5.0,
                };
                pause.mul_f64(share)
            }
        };
        let asked = async {
            sleep(LEAST_PAUSE).await;
            member.ask.notified().await;
        };
        tokio::select! {
            () = sleep(next.max(LEAST_PAUSE)) => {}
            () = asked => {}
        }
    }
}
