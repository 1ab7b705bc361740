//! A sequence for every key: in order, one request in flight for each, rebuilt when it is lost.
//!
//! What is done is decided by a state machine without a lock, a clock or a task
//! ([`machine`]). This executor hands it rows, outcomes and the time, and carries out what it wants:
//! workers send its requests, one task wakes it when time has passed, and answers go back to whoever
//! handed the rows over. The machine is only locked for as long as it thinks, never while anything is
//! waited for.

mod carried_rows;
mod columns;
mod counts;
mod idle_clock;
mod key;
mod left_behind;
mod machine;
mod named_column;
mod owners;
#[cfg(test)]
mod position_tests;
#[cfg(test)]
mod regression_tests;
mod row;
mod row_position;
mod settings;
#[cfg(test)]
mod simulation;
mod snapshot;
mod teller;
#[cfg(test)]
mod test_server;
#[cfg(test)]
mod tests;
mod transport;
mod unseen_mark;
mod versions;
mod worker;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore, oneshot};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tracing::warn;

pub(crate) use self::columns::{ModelColumns, SequenceColumns};
pub(crate) use self::counts::Counts;
pub(crate) use self::key::SequenceKey;
pub(crate) use self::left_behind::LeftBehind;
pub(crate) use self::row::{Answered, Row};
pub(crate) use self::row_position::RowPosition;
use self::settings::SeveralServers;
pub(crate) use self::settings::{SequenceSettings, SourceTraits};
pub use self::snapshot::SequenceSnapshot;
pub(crate) use self::transport::{ModelTransport, SequenceTransport};
pub(crate) use self::unseen_mark::UnseenMark;
pub(crate) use self::versions::SequenceVersions;

use self::machine::{Asker, Effect, Machine, RecoveryLimits, Report, Request};
use self::teller::Teller;
use crate::answering::Answering;
use crate::answers::{self, Recipient};
use crate::ending::Ended;
use crate::{CallContext, Error, ErrorKind};

/// How many sequences of keys a subtask may have open at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SequencePlaces {
    /// The most sequences; `None` where neither the model nor the options know a limit.
    pub limit: Option<usize>,
    /// How long the server keeps a sequence without a request, where that is known.
    pub server_idle: Option<Duration>,
    /// How many places are held for sequences that are over here and may be alive on the server:
    /// each is free again within [`server_idle`](Self::server_idle).
    pub held: usize,
}

/// An answer that is waited for. Dropping it gives the row up unless it is in flight.
pub(crate) type Pending = oneshot::Receiver<Result<Answered, Error>>;

/// Where the answer to a row goes.
#[derive(Debug)]
enum Answer {
    /// To somebody who waits for it.
    One(oneshot::Sender<Result<Answered, Error>>),
    /// To a sink.
    Numbered(Recipient, Arc<Answering>),
}

impl Asker for Answer {
    fn is_gone(&self) -> bool {
        match self {
            Answer::One(answer) => answer.is_closed(),
            Answer::Numbered(recipient, _) => recipient.is_gone(),
        }
    }
}

/// Answers rows; those of one sink together.
fn answer_all(answers: Vec<(Answer, Result<Answered, Error>)>) {
    let numbered = answers
        .into_iter()
        .filter_map(|(answer, result)| match answer {
            Answer::One(answer) => {
                // Whoever asked may have gone meanwhile.
                let _ = answer.send(result);
                None
            }
            Answer::Numbered(recipient, answering) => {
                let result = result.map(|answered| answering.of_sequence(answered));
                Some((recipient, answering.conclude(result)))
            }
        });
    answers::answer_all(numbered);
}

/// The sequences of all keys of a subtask.
#[derive(Debug)]
pub(crate) struct KeyedSequences<T: SequenceTransport> {
    shared: Arc<Shared<T>>,
    timer: JoinHandle<()>,
    /// Looks at what several servers offer.
    watcher: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared<T> {
    open: Arc<CallContext>,
    transport: T,
    settings: Arc<SequenceSettings>,
    teller: Teller,
    state: Mutex<State>,
    runtime: Handle,
    workers: Mutex<JoinSet<()>>,
    /// A permit for every request that no worker has taken yet.
    ready: Semaphore,
    /// The time at which the machine wants to be woken has come nearer.
    sooner: Notify,
    /// A row was answered.
    answered: Notify,
    left: Arc<LeftBehind>,
}

#[derive(Debug)]
struct State {
    machine: Machine<Answer>,
    /// Requests that no worker has taken yet.
    requests: VecDeque<Request>,
    /// Those that only end what was left, which no row waits for.
    endings: VecDeque<Request>,
    /// How many workers there are, and how many of them wait for a request.
    workers: usize,
    resting: usize,
    /// Whether it was said what may be alive on the server.
    has_left: bool,
    /// What the timer is set to.
    wakes_at: Option<Instant>,
}

/// What is done once the machine is not locked any more.
#[derive(Debug, Default)]
struct ToDo {
    answers: Vec<(Answer, Result<Answered, Error>)>,
    reports: Vec<Report>,
    requests: usize,
    new_workers: usize,
    cancelled: Vec<Request>,
    wakes_sooner: bool,
}

impl<T: SequenceTransport> KeyedSequences<T> {
    /// No sequence yet. It starts a task within the current runtime.
    pub(crate) fn start(
        open: Arc<CallContext>,
        transport: T,
        settings: SequenceSettings,
        left: Arc<LeftBehind>,
    ) -> Self {
        let settings = Arc::new(settings);
        let ids = open.id_generator.clone();
        let limits = RecoveryLimits {
            retry: open.retry,
            budget: open.call_budget,
        };
        let now = Instant::now();
        let mut machine = Machine::new(Arc::clone(&settings), ids.clone(), limits, now);
        machine.hold_left_behind(now, &left.take());
        let shared = Arc::new(Shared {
            teller: Teller::new(&open, Arc::clone(&settings), ids),
            transport,
            settings,
            state: Mutex::new(State {
                machine,
                requests: VecDeque::new(),
                endings: VecDeque::new(),
                workers: 0,
                resting: 0,
                has_left: false,
                wakes_at: None,
            }),
            runtime: Handle::current(),
            workers: Mutex::default(),
            ready: Semaphore::new(0),
            sooner: Notify::new(),
            answered: Notify::new(),
            left,
            open,
        });
        let timer = tokio::spawn(keep_time(Arc::clone(&shared)));
        let several = shared.settings.several;
        let watcher = several.map(|several| {
            let watched = watch_servers(Arc::downgrade(&shared), several);
            tokio::spawn(watched)
        });
        Self {
            shared,
            timer,
            watcher,
        }
    }

    /// Puts a row behind those of its key that came before; the order of calls is the order of
    /// rows. Dropping the receiver gives the row up unless it is in flight.
    pub(crate) fn submit(&self, key: &SequenceKey, row: Row) -> Pending {
        let (answer, answered) = oneshot::channel();
        self.put(key, row, Answer::One(answer));
        answered
    }

    /// As [`submit`](Self::submit), for a row whose answer goes to a sink.
    pub(crate) fn submit_for(
        &self,
        key: &SequenceKey,
        row: Row,
        recipient: Recipient,
        answering: Arc<Answering>,
    ) {
        self.put(key, row, Answer::Numbered(recipient, answering));
    }

    fn put(&self, key: &SequenceKey, row: Row, answer: Answer) {
        let refused = self
            .shared
            .with(|machine, now| machine.submit(now, key, row, answer));
        // Its sink is told, which may hand over the next row.
        drop(refused);
    }

    /// How many sequences may be open at once.
    pub(crate) fn places(&self) -> SequencePlaces {
        let settings = &self.shared.settings;
        let machine = self.shared.lock();
        let limit = machine.machine.most_sequences();
        SequencePlaces {
            limit,
            server_idle: settings.server_forgets,
            held: machine.machine.held_places(),
        }
    }

    /// How many sequences are open.
    pub(crate) fn open_sequences(&self) -> usize {
        self.shared.lock().machine.open_sequences()
    }

    /// Every sequence that is known, while no row is in flight.
    pub(crate) fn snapshot(&self) -> Result<SequenceSnapshot, Error> {
        self.shared.with(|machine, now| machine.snapshot(now))
    }

    /// Takes the sequences of a snapshot, or nothing of it.
    pub(crate) fn restore(&self, snapshot: SequenceSnapshot) -> Result<(), Error> {
        self.shared
            .with(|machine, now| machine.restore(now, snapshot))
    }

    /// So many IDs may have been taken by an earlier run, and be alive.
    pub(crate) fn hold_reserved(&self, count: u64) {
        self.shared
            .with(|machine, now| machine.hold_reserved(now, count));
    }

    /// Refuses further rows, and waits until `deadline` for the answers to those that somebody
    /// still waits for.
    pub(crate) async fn close(&self, deadline: Instant) -> Result<(), Error> {
        // Whoever drops a row does not say so.
        const LOOK_AGAIN: Duration = Duration::from_millis(20);
        let shared = &self.shared;
        // Whoever gives the wait up gives up what is waited for.
        let _aborted = AbortedWhenDropped(self);
        shared.with(|machine, _| machine.close());
        let answered = async {
            // To look at every row is dear where there are many keys.
            while shared.lock().machine.is_wanted() {
                let looked = Instant::now();
                while shared.lock().machine.has_rows() && looked.elapsed() < LOOK_AGAIN {
                    let next = shared.answered.notified();
                    if shared.lock().machine.has_rows() {
                        let _ = timeout_at(looked + LOOK_AGAIN, next).await;
                    }
                }
            }
        };
        let is_finished = timeout_at(deadline, answered).await.is_ok();
        let left = self.open_sequences();
        if left > 0 {
            warn!(
                model = %shared.open.model,
                subtask = shared.open.subtask.index(),
                sequences = left,
                "closed with open sequences, which the server keeps until they idle out"
            );
        }
        if is_finished {
            return Ok(());
        }
        let message = "rows of sequences were still in flight when the time to close was up";
        Err(Error::new(ErrorKind::Close, message))
    }

    /// Gives up every row at once, and refuses further ones.
    pub(crate) fn abort(&self) {
        let shared = &self.shared;
        let ended = shared.open.ending.ended().unwrap_or(Ended::Closed);
        let error = || ended.error("before the row was answered");
        shared.leave_behind();
        shared.with(|machine, now| machine.abort(now, error));
        shared.lock().forget_requests();
        shared.ready.close();
        shared.lock_workers().abort_all();
        self.timer.abort();
        if let Some(watcher) = &self.watcher {
            watcher.abort();
        }
        shared.teller.is_over();
    }
}

/// Sequences that are given up when this is dropped.
struct AbortedWhenDropped<'a, T: SequenceTransport>(&'a KeyedSequences<T>);

impl<T: SequenceTransport> Drop for AbortedWhenDropped<'_, T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl<T: SequenceTransport> Drop for KeyedSequences<T> {
    fn drop(&mut self) {
        self.shared.leave_behind();
        self.timer.abort();
        if let Some(watcher) = &self.watcher {
            watcher.abort();
        }
        self.shared.ready.close();
        self.shared.lock_workers().abort_all();
        self.shared.teller.is_over();
    }
}

impl<T> Shared<T> {
    /// Says once what may be alive on the server, to whoever opens the function again.
    fn leave_behind(&self) {
        let left = {
            let mut state = self.lock();
            if std::mem::replace(&mut state.has_left, true) {
                return;
            }
            state.machine.left_behind(Instant::now())
        };
        self.left.add(left);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_workers(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: SequenceTransport> Shared<T> {
    /// Has the machine do something, and carries out what it wants.
    fn with<R>(self: &Arc<Self>, operation: impl FnOnce(&mut Machine<Answer>, Instant) -> R) -> R {
        let mut state = self.lock();
        let now = Instant::now();
        let result = operation(&mut state.machine, now);
        let to_do = state.take_effects(self.open.max_in_flight());
        self.teller.count(&state.machine.counts(now));
        let clashes = self.teller.note_owners(&to_do.reports);
        drop(state);
        for clash in clashes {
            self.teller.warn_of_clash(&clash);
        }
        for report in to_do.reports {
            self.teller.tell(report);
        }
        let has_answers = !to_do.answers.is_empty();
        let mut answers = to_do.answers;
        for (_, answer) in &mut answers {
            if let Ok(Answered {
                unseen: Some(mark), ..
            }) = answer
            {
                self.arm(mark);
            }
        }
        answer_all(answers);
        if to_do.requests > 0 {
            self.ready.add_permits(to_do.requests);
        }
        if to_do.new_workers > 0 {
            let mut workers = self.lock_workers();
            while workers.try_join_next().is_some() {}
            for _ in 0..to_do.new_workers {
                workers.spawn_on(worker::serve(Arc::clone(self)), &self.runtime);
            }
        }
        if to_do.wakes_sooner {
            self.sooner.notify_one();
        }
        if has_answers {
            self.answered.notify_waiters();
        }
        for request in to_do.cancelled {
            self.is_not_sent(&request);
        }
        result
    }
}

impl<T: SequenceTransport> Shared<T> {
    /// Has the next answer of the key say what nobody saw that this one says.
    fn arm(self: &Arc<Self>, mark: &mut UnseenMark) {
        let shared = Arc::downgrade(self);
        mark.arm(move |key| {
            if let Some(shared) = shared.upgrade() {
                shared.with(|machine, _| machine.mark_again(key));
            }
        });
    }

    /// A request was not sent, because its row was given up before.
    fn is_not_sent(self: &Arc<Self>, request: &Request) {
        let outcome = worker::not_sent(&self.open);
        self.with(|machine, now| machine.outcome(now, &request.key, request.number, outcome));
    }
}

impl State {
    /// The next request to be sent: rows come first, unless others wait for the places that an END frees.
    fn take_request(&mut self) -> Option<Request> {
        let (first, then) = match self.machine.waits_for_places() {
            true => (&mut self.endings, &mut self.requests),
            false => (&mut self.requests, &mut self.endings),
        };
        first.pop_front().or_else(|| then.pop_front())
    }

    fn forget_requests(&mut self) {
        self.requests.clear();
        self.endings.clear();
    }

    fn take_effects(&mut self, most_workers: usize) -> ToDo {
        let mut to_do = ToDo::default();
        while let Some(effect) = self.machine.next_effect() {
            match effect {
                Effect::Send(request) => {
                    match request.is_left {
                        true => self.endings.push_back(request),
                        false => self.requests.push_back(request),
                    }
                    to_do.requests += 1;
                }
                Effect::Cancel(number) => {
                    let place = self.requests.iter().position(|it| it.number == number);
                    let cancelled = place.and_then(|place| self.requests.remove(place));
                    to_do.cancelled.extend(cancelled);
                }
                Effect::Answer(answer, result) => {
                    if to_do.answers.is_empty() {
                        // Mostly there is no other.
                        to_do.answers.reserve_exact(1);
                    }
                    to_do.answers.push((answer, result));
                }
                Effect::Report(report) => to_do.reports.push(report),
            }
        }
        let waiting = self.requests.len() + self.endings.len();
        while self.resting < waiting && self.workers < most_workers {
            self.workers += 1;
            self.resting += 1;
            to_do.new_workers += 1;
        }
        let wakes_at = self.machine.wake_at();
        let is_sooner = |at: Instant| self.wakes_at.is_none_or(|set| at < set);
        to_do.wakes_sooner = wakes_at.is_some_and(is_sooner);
        if to_do.wakes_sooner {
            self.wakes_at = wakes_at;
        }
        to_do
    }
}

/// Tells the machine what several servers offer, whenever that changes.
async fn watch_servers<T: SequenceTransport>(shared: Weak<Shared<T>>, several: SeveralServers) {
    // What time does to a server is noticed so soon.
    const LOOK_AGAIN: Duration = Duration::from_secs(1);
    let mut told = Vec::new();
    loop {
        let Some(shared) = shared.upgrade() else {
            return;
        };
        let mut changes = shared.open.replicas.changes();
        let offers = several.offers(&shared.open.replicas);
        if offers != told {
            shared.with(|machine, now| machine.offered(now, &offers));
            told = offers;
        }
        drop(shared);
        let changed = async {
            match &mut changes {
                Some(changes) => changes.changed().await.is_ok(),
                None => std::future::pending().await,
            }
        };
        let _ = timeout(LOOK_AGAIN, changed).await;
    }
}

/// Wakes the machine when it has something to do, until it is aborted.
fn keep_time<T: SequenceTransport>(shared: Arc<Shared<T>>) -> impl Future<Output = ()> + Send {
    let task = Task(shared);
    async move { task.0.keep_time().await }
}

/// A task of the executor. When it ends, so does everything: the runtime is gone, or the function.
struct Task<T: SequenceTransport>(Arc<Shared<T>>);

impl<T: SequenceTransport> Drop for Task<T> {
    fn drop(&mut self) {
        self.0
            .with(|machine, now| machine.abort(now, runtime_ended));
        self.0.lock().forget_requests();
    }
}

fn runtime_ended() -> Error {
    let message = "the function was closed, or the runtime in which it was opened has ended, before \
                   the row was answered";
    Error::new(ErrorKind::State, message)
}

impl<T: SequenceTransport> Shared<T> {
    async fn keep_time(self: &Arc<Self>) {
        let shared = self;
        loop {
            let wakes_at = shared.lock().wakes_at;
            let sooner = shared.sooner.notified();
            match wakes_at {
                Some(at) => tokio::select! {
                    () = sleep_until(at) => {
                        shared.lock().wakes_at = None;
                        shared.with(|machine, now| machine.advance(now));
                    }
                    () = sooner => {}
                },
                None => sooner.await,
            }
        }
    }
}
