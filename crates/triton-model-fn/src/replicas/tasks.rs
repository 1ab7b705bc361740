//! What goes on in the background for a set of replicas: their name is looked up again, and each of them
//! is asked whether it is ready. Everything ends with the set.

use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::{sleep, timeout};
use tracing::warn;
use triton_options::{EndpointDiscovery, TritonOptions};

use super::machine::Probed;
use super::member::{Member, Name, Told};
use super::resolver;
use super::set::ReplicaSet;
use crate::health_monitor::{Health, HealthProbe as _, PROBE_TIMEOUT, TritonProbe};
use crate::retry::thread_random;
use crate::{Error, ModelFacts, SequenceIdForm};

/// How long the answer to a question may take at least, however often it is asked.
const LEAST_PATIENCE: Duration = Duration::from_secs(2);

/// The least time between two questions to one replica, whatever asks for them.
const LEAST_PAUSE: Duration = Duration::from_millis(200);

/// How soon one is asked again that is not ready; twice as late each further time.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// Starts what keeps a set up to date.
pub(super) fn start(set: &Arc<ReplicaSet>) {
    let weak = Arc::downgrade(set);
    set.tasks().spawn(refresh(weak, set.refresh()));
}

/// Looks the name up at intervals, and lets go of replicas that are gone.
async fn refresh(set: Weak<ReplicaSet>, pause: Duration) {
    loop {
        // A tenth by chance, so that processes do not ask in step.
        sleep(pause.mul_f64(0.9 + thread_random() / 5.0)).await;
        let Some(held) = set.upgrade() else {
            return;
        };
        let is_dns = held.options.endpoint_discovery == EndpointDiscovery::Dns;
        if is_dns && held.member_count() > 0 {
            let (options, resolver) = (Arc::clone(&held.options), Arc::clone(&held.resolver));
            // Whoever waits for an answer keeps nobody's set alive.
            drop(held);
            let found = resolver::look_up(&*resolver, options.endpoint.first()).await;
            let Some(held) = set.upgrade() else {
                return;
            };
            if let Err(error) = found.and_then(|found| take_in(&held, found)) {
                warn!(model = %held.model, %error, "the addresses that were found last stay in use");
            }
            held.forget();
        }
    }
}

/// Looks the name up once.
pub(super) async fn look_up_name(set: &Arc<ReplicaSet>) -> Result<(), Error> {
    let found = resolver::look_up(&*set.resolver, set.options.endpoint.first()).await?;
    take_in(set, found)
}

fn take_in(set: &Arc<ReplicaSet>, found: Vec<SocketAddr>) -> Result<(), Error> {
    let names: Vec<Name> = found.into_iter().map(Name::Found).collect();
    set.found(&names)
}

fn told_by(facts: &ModelFacts, options: &TritonOptions) -> Told {
    let (config, server) = (&facts.config, facts.server.as_ref());
    let ids = SequenceIdForm::agree(options.sequence_id_type, config, server);
    Told {
        places: config.concurrent_sequences(),
        ids: ids.map_err(|error| error.message().to_owned()),
    }
}

/// Asks a replica from now on whether it is ready.
pub(super) fn probe(set: &Arc<ReplicaSet>, member: Arc<Member>) {
    let weak = Arc::downgrade(set);
    set.tasks().spawn(keep_asking(weak, member));
}

async fn keep_asking(weak: Weak<ReplicaSet>, member: Arc<Member>) {
    let mut not_ready = 0;
    let mut is_first = true;
    // One that was away may be another one now.
    let mut is_heard = false;
    loop {
        let Some(set) = weak.upgrade().filter(|set| set.has_still(&member)) else {
            return;
        };
        let (pause, model) = (set.pause(), set.model.clone());
        let (options, wants_places) = (Arc::clone(&set.options), set.wants_places());
        drop(set);
        let probe = TritonProbe::new(member.replica.client().clone(), model);
        let limit = pause.clamp(LEAST_PATIENCE, PROBE_TIMEOUT);
        let health = timeout(limit, probe.probe()).await;
        let health =
            health.unwrap_or_else(|_| Health::Unhealthy(format!("no answer within {limit:?}")));
        member.replica.tell_breaker(&health);
        let (mut probed, mut reason) = match health {
            Health::Healthy => (Probed::Ready, String::new()),
            Health::Unhealthy(reason) => (Probed::NotReady, reason),
            Health::Unknown(reason) => (Probed::Unknown, reason),
        };
        // Whoever keeps sequences has to know how many there is room for.
        let mut told = None;
        if wants_places && probed != Probed::NotReady && !is_heard {
            let client = member.replica.client().clone();
            match ModelFacts::look_up(&client, &options).await {
                Ok(facts) => told = Some(told_by(&facts, &options)),
                Err(error) => {
                    probed = Probed::NotReady;
                    reason = format!("the model could not be looked up: {error}");
                }
            }
        }
        let Some(set) = weak.upgrade() else {
            return;
        };
        if let Some(told) = told {
            is_heard = true;
            set.hears_from(&member, &told);
        }
        if probed == Probed::NotReady {
            is_heard = false;
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
