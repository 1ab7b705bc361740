//! A sequence for every key: in order, one request under way for each, rebuilt when it is lost.
//!
//! Rows of a key wait in a queue; a worker takes each key that has any and answers one row after
//! the other until there is none. Workers are tasks that stay for the next key, because a task for
//! every row would cost several kilobytes of memory each time. The table of keys is only locked
//! between rows, never while anything is waited for.

mod carried_rows;
mod columns;
mod history;
mod idle_clock;
mod key;
mod key_sequence;
mod owners;
mod placing;
#[cfg(test)]
mod property_tests;
mod recovery;
mod settings;
mod snapshot;
mod standing;
#[cfg(test)]
mod standing_tests;
mod store;
mod table;
#[cfg(test)]
mod test_server;
#[cfg(test)]
mod tests;
mod transport;
mod whole_keys;
mod worker;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, timeout_at};
use tracing::{debug, warn};
use triton_options::SEQUENCE_KEY;

pub(crate) use self::columns::{ModelColumns, SequenceColumns};
pub(crate) use self::key::SequenceKey;
pub(crate) use self::settings::{SequenceSettings, SourceTraits};
pub use self::snapshot::SequenceSnapshot;
pub(crate) use self::standing::Standing;
pub(crate) use self::transport::{ModelTransport, SequenceTransport};

use self::idle_clock::IdleClock;
use self::key_sequence::{KeySequence, LossCause, OpenCount};
use self::owners::{Owned, Owners};
use self::table::{Submitted, Table, Waiting};
use crate::id_source::IdSource;
use crate::metrics::SequenceEvent;
use crate::tensor_plan::EncodedRow;
use crate::{Error, ErrorKind, OpenSubtask, Value};

/// A row for the sequence of its key.
#[derive(Debug)]
pub(crate) struct Row {
    /// What is sent; a row that cannot be sent still has its place, which may be the last.
    pub(crate) encoded: Result<EncodedRow, Error>,
    /// Whether it is the last row of its sequence.
    pub(crate) last: bool,
    /// What it says of its place, where columns are there for that.
    pub(crate) standing: Option<Standing>,
}

/// The answer to a row.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) values: Vec<Value>,
    pub(crate) sequence_id: String,
    /// Whether earlier rows of the key are not in the model's state.
    pub(crate) restarted: bool,
}

/// How many sequences of keys a subtask may have open at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SequencePlaces {
    /// The most sequences; `None` where neither the model nor the options know a limit.
    pub limit: Option<usize>,
    /// How long the server keeps a sequence without a request, where that is known.
    pub server_idle: Option<Duration>,
}

/// The sequences of all keys of a subtask.
#[derive(Debug)]
pub(crate) struct KeyedSequences<T> {
    shared: Arc<Shared<T>>,
    runtime: Handle,
    workers: Mutex<JoinSet<()>>,
    reaper: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared<T> {
    open: Arc<OpenSubtask>,
    ids: Arc<IdSource>,
    transport: T,
    settings: SequenceSettings,
    table: Mutex<Table>,
    /// A permit for every key that no worker has taken yet.
    ready: Semaphore,
    /// The places for open sequences.
    places: Arc<Semaphore>,
    count: Arc<OpenCount>,
    /// Which subtask has which key, where it is known which ones belong together.
    owners: Option<Arc<Owners>>,
}

impl<T: SequenceTransport> KeyedSequences<T> {
    /// No sequence yet. It starts a task that looks for idle ones, within the current runtime.
    pub(crate) fn start(
        open: Arc<OpenSubtask>,
        ids: Arc<IdSource>,
        transport: T,
        settings: SequenceSettings,
    ) -> Self {
        let clock = IdleClock::new(Instant::now(), settings.patience());
        let count = OpenCount::new(open.metrics().of_sequences());
        let shared = Arc::new(Shared {
            transport,
            table: Mutex::new(Table::new(clock)),
            ready: Semaphore::new(0),
            places: Arc::new(Semaphore::new(settings.max_open)),
            count: Arc::new(count),
            owners: open.subtask.job().map(Owners::of_job),
            settings,
            ids,
            open,
        });
        let reaper = tokio::spawn(reap(Arc::clone(&shared)));
        Self {
            shared,
            runtime: Handle::current(),
            workers: Mutex::default(),
            reaper,
        }
    }

    /// Puts a row behind those of its key that came before; the order of calls is the order of
    /// rows. Dropping the receiver gives the row up unless it is under way.
    pub(crate) fn submit(
        &self,
        key: &SequenceKey,
        row: Row,
    ) -> oneshot::Receiver<Result<Answered, Error>> {
        let (answer, answered) = oneshot::channel();
        let mut table = self.shared.lock();
        let arrived = table.clock.read(Instant::now());
        let waiting = Waiting {
            row,
            arrived,
            answer,
        };
        // A refused row is dropped with its sender, which the receiver notices.
        let submitted = table.submit(key, waiting);
        drop(table);
        if submitted != Submitted::Queued {
            self.shared.ready.add_permits(1);
        }
        if submitted == Submitted::WantsWorker {
            let worker = worker::serve(Arc::clone(&self.shared));
            let mut workers = self.lock_workers();
            while workers.try_join_next().is_some() {}
            workers.spawn_on(worker, &self.runtime);
        }
        answered
    }

    /// How many sequences may be open at once.
    pub(crate) fn places(&self) -> SequencePlaces {
        let settings = &self.shared.settings;
        SequencePlaces {
            limit: (settings.max_open < Semaphore::MAX_PERMITS).then_some(settings.max_open),
            server_idle: settings.server_idle,
        }
    }

    /// How many sequences are open.
    pub(crate) fn open_sequences(&self) -> usize {
        self.shared.count.get()
    }

    /// Gives all rows up, and waits until nothing works on them any more.
    pub(crate) async fn abort(&self) {
        self.shared.lock().close();
        self.shared.ready.close();
        let mut workers = std::mem::take(&mut *self.lock_workers());
        workers.shutdown().await;
        self.reaper.abort();
    }

    fn lock_workers(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses further rows, and waits for those under way until `deadline`.
    pub(crate) async fn close(&self, deadline: Instant) -> Result<(), Error> {
        self.shared.lock().close();
        self.shared.ready.close();
        let mut workers = std::mem::take(&mut *self.lock_workers());
        let all = async { while workers.join_next().await.is_some() {} };
        let finished = timeout_at(deadline, all).await.is_ok();
        self.reaper.abort();
        let left = self.open_sequences();
        if left > 0 {
            warn!(
                model = %self.shared.open.model,
                subtask = self.shared.open.subtask.index(),
                sequences = left,
                "closed with open sequences, which the server keeps until they idle out"
            );
        }
        if finished {
            return Ok(());
        }
        let message = "rows of sequences were still under way when the time to close was up";
        Err(Error::new(ErrorKind::Close, message))
    }
}

impl<T> Drop for KeyedSequences<T> {
    fn drop(&mut self) {
        self.reaper.abort();
    }
}

impl<T: SequenceTransport> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether lost sequences stay known, whatever time goes by.
    ///
    /// A row that says which number it has shows by itself that its sequence is lost; only the
    /// rows kept for a replay are then worth remembering.
    fn parks(&self) -> bool {
        let settings = &self.settings;
        settings.boundary.is_none() && (!settings.positions || settings.history.is_some())
    }

    /// The next sequence of the key has all of its rows.
    fn begins_whole(&self, key: &SequenceKey) {
        if self.settings.may_lack_rows {
            self.lock().whole_keys.insert(key, 0);
        }
    }

    /// Notes whose the key is from now on, and warns where it is another subtask's as well.
    fn own(&self, key: &SequenceKey) -> Option<Owned> {
        let subtask = self.open.subtask.index();
        let owned = self.owners.as_ref()?.own(key, subtask);
        owned
            .inspect_err(|other| {
                if self.lock().owners_warned.may_warn(Instant::now()) {
                    warn!(
                        key = self.settings.display.show(key),
                        subtask,
                        other,
                        "rows of one key reach two subtasks, and neither sees those of the other: \
                         their answers are wrong; partition the rows by the columns of '{}' \
                         before they come here",
                        SEQUENCE_KEY.key()
                    );
                }
            })
            .ok()
    }

    fn event(&self, event: SequenceEvent) {
        self.count.metrics.event(event);
    }

    /// The sequence is over here; the server may hold it until it idles out there.
    fn let_go(&self, sequence: &mut KeySequence) {
        let Some(permit) = sequence.place.take().map(key_sequence::Place::into_permit) else {
            return;
        };
        let Some(server_idle) = self.settings.server_idle else {
            return;
        };
        let cause = sequence.loss.as_ref().map(|loss| loss.cause);
        // Nothing was sent with its ID, or the server does not hold it any more.
        if (sequence.rows == 0 && cause.is_none()) || cause == Some(LossCause::Forgotten) {
            return;
        }
        let dropped_at = sequence.last_sent.checked_add(server_idle);
        if let Some(at) = dropped_at.filter(|at| *at > Instant::now()) {
            self.lock().release_at(at, permit);
        }
    }

    fn expire(&self, key: &SequenceKey, sequence: &mut KeySequence) {
        debug!(
            key = self.settings.display.show(key),
            counter = sequence.counter,
            subtask = self.open.subtask.index(),
            rows = sequence.rows,
            "the sequence is over: its key had no row for too long"
        );
        self.event(SequenceEvent::Expired);
        self.begins_whole(key);
        self.let_go(sequence);
    }

    fn tick(&self) {
        let settings = &self.settings;
        let now = Instant::now();
        let ticked = self
            .lock()
            .tick(now, settings.boundary, settings.server_idle, self.parks());
        for (key, mut sequence) in ticked.expired {
            self.expire(&key, &mut sequence);
        }
        for key in ticked.forgotten {
            debug!(
                key = settings.display.show(&key),
                subtask = self.open.subtask.index(),
                "the server has dropped the sequence: its key had no row for too long"
            );
            self.event(SequenceEvent::Forgotten);
        }
    }
}

/// Looks for idle sequences until it is aborted.
async fn reap<T: SequenceTransport>(shared: Arc<Shared<T>>) {
    let (shortest, longest) = (Duration::from_millis(10), Duration::from_secs(1));
    let period = (shared.settings.shortest_idle() / 20).clamp(shortest, longest);
    let mut interval = tokio::time::interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        shared.tick();
    }
}
