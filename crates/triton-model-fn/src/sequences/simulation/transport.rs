//! Where a function meets the simulation: the one place that knows how requests are handed over,
//! and what the errors of a transport are.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use triton_client::Sequence;

use super::client_errors::CLIENT_ERRORS;
use super::network::{Chance, Fault, Outcome, World};
use super::server::{Request, ServerSettings};
use crate::replicas::ReplicaId;
use crate::sequences::SequenceTransport;
use crate::tensor_plan::EncodedRow;
use crate::{Error, ErrorKind, Value};

/// A simulated network with a server at its end; clones are the same one. Its time is tokio's.
#[derive(Debug, Clone)]
pub(super) struct SimulatedNetwork {
    world: Arc<Mutex<World>>,
    /// Tells all that wait for an outcome that the next event may be another one.
    changed: Arc<Notify>,
}

impl SimulatedNetwork {
    /// How long the server keeps an idle sequence, unless a test says otherwise.
    pub(super) const IDLE: Duration = Duration::from_secs(4);
    /// How long a function waits for an answer.
    pub(super) const TIMEOUT: Duration = Duration::from_secs(1);

    /// A server with so many places.
    pub(super) fn new(candidates: usize) -> Self {
        Self::with(ServerSettings {
            candidates,
            idle: Self::IDLE,
            execution: Duration::from_millis(1),
        })
    }

    pub(super) fn with(settings: ServerSettings) -> Self {
        Self {
            world: Arc::new(Mutex::new(World::new(settings))),
            changed: Arc::default(),
        }
    }

    /// The world as it is now.
    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        let mut world = self.world.lock().unwrap_or_else(|error| error.into_inner());
        world.advance(Instant::now());
        world
    }

    pub(super) fn fault(&self, fault: Fault) {
        self.world().fault(Some(fault));
    }

    pub(super) fn faults(&self, faults: impl IntoIterator<Item = Fault>) {
        let mut world = self.world();
        faults
            .into_iter()
            .for_each(|fault| world.fault(Some(fault)));
    }

    /// Lets each request that nothing is said of meet a fault with some probability.
    pub(super) fn chance(&self, seed: u64, probability: f64, fault: Fault) {
        self.world().chance = Some(Chance {
            random: fastrand::Rng::with_seed(seed),
            probability,
            fault,
        });
    }

    pub(super) fn restart_server(&self) {
        self.world().restart_server(Instant::now());
        self.changed.notify_waiters();
    }

    /// How many requests functions have sent.
    pub(super) fn sent(&self) -> usize {
        self.world().sent.len()
    }

    async fn exchange(&self, request: Request, gives_up: Instant) -> Outcome {
        let number = {
            let mut world = self.world();
            world.hand_over(Instant::now(), request, gives_up)
        };
        self.changed.notify_waiters();
        loop {
            let changed = self.changed.notified();
            let next = {
                let world = self.world();
                if let Some(outcome) = world.outcome(number) {
                    return outcome;
                }
                world.next_event().expect("it times out at the latest")
            };
            tokio::select! {
                () = sleep_until(next) => {}
                () = changed => {}
            }
        }
    }
}

impl SequenceTransport for SimulatedNetwork {
    async fn send(
        &self,
        row: &EncodedRow,
        sequence: Sequence,
        _server: ReplicaId,
        deadline: Option<Instant>,
    ) -> Result<Vec<Value>, Error> {
        let now = Instant::now();
        let patience = now + Self::TIMEOUT;
        let gives_up = deadline.map_or(patience, |deadline| deadline.min(patience));
        if gives_up <= now {
            return Err(Error::new(ErrorKind::Call, "nothing was sent: too late"));
        }
        let data = <[u8; 8]>::try_from(&*row.cells()[0].as_ref().unwrap().data).unwrap();
        let request = Request {
            number: 0,
            id: sequence.id.to_string().into(),
            value: i64::from_le_bytes(data),
            start: sequence.start,
            end: sequence.end,
        };
        let errors = &*CLIENT_ERRORS;
        match self.exchange(request, gives_up).await {
            Outcome::Sum(sum) => Ok(vec![Value::BigInt(sum)]),
            Outcome::NotStarted => Err(errors.not_started.clone()),
            Outcome::Failed => Err(errors.model_failed.clone()),
            Outcome::Cut => Err(errors.connection_cut.clone()),
            Outcome::TimedOut => Err(errors.no_answer.clone()),
            Outcome::NotSent => Err(errors.no_connection.clone()),
            Outcome::Unreadable => Err(Error::new(
                ErrorKind::Output,
                "the answer is not that of this request",
            )),
            Outcome::Panic => panic!("a request of the simulation panics"),
        }
    }
}
