//! Answers of a deterministic model that are given again: equal rows are sent once.
//!
//! The key of a row is all of its encoded inputs, shapes and left out ones included; it is kept whole
//! and compared byte by byte, so that no collision of hashes can give a row the answer of another.

mod lane;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::hash::RandomState;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hashlink::LinkedHashMap;
use tokio::sync::watch;

#[cfg(feature = "arrow")]
pub(crate) use self::lane::CachedRows;
pub(crate) use self::lane::{CachedLane, CachedRow};
use crate::metrics::CacheMetrics;
use crate::{Error, ErrorKind, Prediction, Value};

/// What an entry takes beside the bytes of its key and the values: its places in the tables, with
/// the room that these keep free, and the headers of what it points to.
const ENTRY: usize = 256;

/// What happened to a row that was sent, for those that are equal to it: the columns of the model alone,
/// not concluded yet.
type Outcome = Result<Prediction, Error>;

/// Answers within a limit of memory; those that were used least lately go first.
#[derive(Debug)]
pub(crate) struct RowCache {
    state: Mutex<State>,
    limit: usize,
    metrics: CacheMetrics,
}

#[derive(Debug)]
struct State {
    /// From the one that was used least lately to the one that was used last.
    answers: LinkedHashMap<Arc<[u8]>, Answer, RandomState>,
    in_flight: HashMap<Arc<[u8]>, watch::Receiver<Option<Outcome>>>,
    /// What both of them take.
    bytes: usize,
    /// What of that is for keys in flight.
    in_flight_bytes: usize,
}

#[derive(Debug)]
struct Answer {
    row: Vec<Value>,
    bytes: usize,
}

/// What there is for a row.
#[derive(Debug)]
pub(crate) enum Found {
    /// The answer.
    Answer(Vec<Value>),
    /// An equal row is in flight.
    InFlight(InFlight),
    /// Nothing: the row is to be sent, and its outcome to be told.
    Missing(Sending),
    /// Nothing, nor any room for its key: the row is to be sent like any other.
    NoRoom,
}

/// The outcome of an equal row.
#[derive(Debug)]
pub(crate) struct InFlight(watch::Receiver<Option<Outcome>>);

/// A row that is sent for all that are equal to it. Where it is dropped without an outcome, one of
/// the others is sent.
#[derive(Debug)]
pub(crate) struct Sending {
    cache: Arc<RowCache>,
    key: Arc<[u8]>,
    outcome: watch::Sender<Option<Outcome>>,
}

impl RowCache {
    pub(crate) fn new(limit: u64, metrics: CacheMetrics) -> Self {
        Self {
            state: Mutex::new(State {
                answers: LinkedHashMap::with_hasher(RandomState::new()),
                in_flight: HashMap::new(),
                bytes: 0,
                in_flight_bytes: 0,
            }),
            limit: usize::try_from(limit).unwrap_or(usize::MAX),
            metrics,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What there is for the row of a key. A row that is missing is in flight from now on.
    pub(crate) fn look_up(self: &Arc<Self>, key: &[u8]) -> Found {
        let mut state = self.lock();
        if let Some(answer) = state.answers.get(key) {
            let row = answer.row.clone();
            state.answers.to_back(key);
            self.metrics.hit();
            return Found::Answer(row);
        }
        if let Some(outcome) = state.in_flight.get(key) {
            return Found::InFlight(InFlight(outcome.clone()));
        }
        self.metrics.missed();
        let bytes = ENTRY + key.len();
        let found = if state.make_room(bytes, self.limit) {
            state.in_flight_bytes += bytes;
            let key: Arc<[u8]> = key.into();
            let (outcome, receiver) = watch::channel(None);
            state.in_flight.insert(Arc::clone(&key), receiver);
            Found::Missing(Sending {
                cache: Arc::clone(self),
                key,
                outcome,
            })
        } else {
            Found::NoRoom
        };
        self.metrics.bytes(state.bytes);
        found
    }

    #[cfg(test)]
    fn bytes(&self) -> usize {
        self.lock().bytes
    }
}

impl State {
    /// Takes so many bytes, for which answers may be forgotten; false where there are not so many.
    fn make_room(&mut self, bytes: usize, limit: usize) -> bool {
        // Nothing is forgotten in vain.
        if bytes > limit.saturating_sub(self.in_flight_bytes) {
            return false;
        }
        while bytes > limit.saturating_sub(self.bytes)
            && let Some((_, answer)) = self.answers.pop_front()
        {
            self.bytes -= answer.bytes;
        }
        self.bytes += bytes;
        true
    }
}

impl InFlight {
    /// Waits for the outcome; `None` where it is none of this row's.
    pub(crate) async fn outcome(mut self) -> Option<Outcome> {
        let outcome = self.0.wait_for(Option::is_some).await.ok()?;
        outcome.clone()
    }
}

impl Sending {
    /// Tells what happened to the row, and keeps it where it is an answer.
    pub(crate) fn ends(self, outcome: &Outcome) {
        if let Ok(prediction) = outcome {
            self.keep(&prediction.row);
        }
        if is_of_all(outcome) {
            self.outcome.send_replace(Some(outcome.clone()));
        }
    }

    fn keep(&self, row: &[Value]) {
        let row: Vec<Value> = row.iter().map(Value::compact).collect();
        let bytes = ENTRY + self.key.len() + row.iter().map(Value::memory).sum::<usize>();
        let mut state = self.cache.lock();
        // From now on its key is that of an answer.
        state.leave(&self.key);
        if state.make_room(bytes, self.cache.limit) {
            let answer = Answer { row, bytes };
            state.answers.insert(Arc::clone(&self.key), answer);
        }
    }
}

impl State {
    /// A row is in flight no more.
    fn leave(&mut self, key: &Arc<[u8]>) {
        if self.in_flight.remove(key).is_some() {
            self.bytes -= ENTRY + key.len();
            self.in_flight_bytes -= ENTRY + key.len();
        }
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        let mut state = self.cache.lock();
        // Where it was kept, an equal row may be in flight again already.
        let is_own = state
            .in_flight
            .get(&self.key)
            .is_some_and(|receiver| receiver.same_channel(&self.outcome.subscribe()));
        if is_own {
            state.leave(&self.key);
        }
        self.cache.metrics.bytes(state.bytes);
    }
}

/// Whether what happened to a row would have happened to those that are equal to it: an answer, or what
/// the server says. That a row has waited too long or was given up is its own affair.
fn is_of_all(outcome: &Outcome) -> bool {
    let Err(error) = outcome else { return true };
    if error.is_of_deadline() {
        return false;
    }
    error.client_error().is_some()
        || matches!(
            error.kind(),
            ErrorKind::CircuitOpen | ErrorKind::ServerAway | ErrorKind::Output
        )
}
