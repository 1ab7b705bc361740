//! Gathers single rows of a stateless model into requests, by shape, by size and by delay.

mod gathered;
mod group;

use std::future::poll_fn;
use std::slice::Chunks;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout_at};
use triton_options::{BATCH_TIMEOUT, MAX_IN_FLIGHT, ROW_DEADLINE};

use crate::answering::Answering;
use crate::answers::{AnswerSink, Numbered, Recipient, Recipients};
use crate::{Error, ErrorKind, Value};

use gathered::{Gathered, Next, PushedRow};
use group::{OneOfSeveral, Waiting};

/// Takes rows, which its one task sends.
#[derive(Debug)]
pub(crate) struct Batcher {
    pusher: Pusher,
    /// The one task; it is aborted wherever this set is dropped.
    task: Mutex<JoinSet<()>>,
}

/// What hands rows to a batcher, and does not keep it alive.
#[derive(Debug, Clone)]
pub(crate) struct Pusher(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    answering: Arc<Answering>,
    gathered: Mutex<Gathered>,
    /// The task has to look again: a group is full, the first row came, or it is to stop.
    changed: Notify,
    /// A task for each request that is being made. They end with the one that gathers rows; whoever
    /// ends that one can wait for them here.
    requests: Mutex<JoinSet<()>>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Gathered> {
        self.gathered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn requests(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until no request is being made.
    async fn requests_end(&self) {
        while poll_fn(|context| self.requests().poll_join_next(context))
            .await
            .is_some()
        {}
    }
}

impl Pusher {
    /// Puts a row among others, to be answered by its deadline.
    ///
    /// A row that nobody waits for any more is left out if its request has not left yet, and a
    /// request that nobody waits for any more is given up.
    pub(crate) fn push(&self, row: &[Value], recipient: Recipient, deadline: Option<Instant>) {
        let waiting = Waiting {
            recipients: Recipients::One(recipient),
            deadline,
        };
        let shared = &self.0;
        let answering = &shared.answering;
        let now = Instant::now;
        let pushed = match answering.plan.is_of_scalars {
            true => {
                let row = PushedRow::Scalars(row);
                shared.lock().push(&answering.plan, row, waiting, now)
            }
            false => match answering.plan.encode(row) {
                Ok(row) => {
                    let row = PushedRow::Encoded(&row);
                    shared.lock().push(&answering.plan, row, waiting, now)
                }
                Err(error) => Err((waiting, error)),
            },
        };
        match pushed {
            Ok(is_due) if is_due => shared.changed.notify_one(),
            Ok(_) => {}
            Err((waiting, error)) => waiting.recipients.fail(answering, &error),
        }
    }

    /// Puts rows of so many values each among others, all to be answered by one deadline; their
    /// numbers go on from `first`.
    pub(crate) fn push_rows(
        &self,
        first: u64,
        rows: Chunks<'_, Value>,
        sink: &Arc<dyn AnswerSink>,
        deadline: Option<Instant>,
    ) {
        let shared = &self.0;
        let answering = &shared.answering;
        let plan = &answering.plan;
        let numbered = (first..).zip(rows);
        // Not while others wait for the lock.
        let encoded: Vec<_> = match plan.is_of_scalars {
            true => Vec::new(),
            false => numbered.clone().map(|(_, row)| plan.encode(row)).collect(),
        };
        let mut encoded = encoded.iter();
        let mut refused = Vec::new();
        let mut is_due = false;
        let mut gathered = shared.lock();
        for (number, row) in numbered {
            let row = match encoded.next() {
                None => PushedRow::Scalars(row),
                Some(Ok(row)) => PushedRow::Encoded(row),
                Some(Err(error)) => {
                    refused.push((number, error.clone()));
                    continue;
                }
            };
            let waits = OneOfSeveral {
                number,
                sink,
                open: &answering.open,
                deadline,
            };
            match gathered.push(plan, row, waits, Instant::now) {
                Ok(looks_again) => is_due |= looks_again,
                Err((_, error)) => refused.push((number, error)),
            }
        }
        drop(gathered);
        if is_due {
            shared.changed.notify_one();
        }
        for (number, error) in refused {
            let open = Arc::clone(&answering.open);
            let numbered = Numbered::new(number, Arc::clone(sink), open);
            Recipients::One(Recipient::Numbered(numbered)).fail(answering, &error);
        }
    }
}

impl Batcher {
    /// Starts the task; it ends with [`close`](Self::close) or when this is dropped.
    pub(crate) fn start(answering: Arc<Answering>, delay: Duration) -> Self {
        let shared = Arc::new(Shared {
            gathered: Mutex::new(Gathered::new(&answering.plan, delay)),
            changed: Notify::new(),
            requests: Mutex::default(),
            answering,
        });
        let mut task = JoinSet::new();
        task.spawn(collect(Arc::clone(&shared)));
        Self {
            pusher: Pusher(shared),
            task: Mutex::new(task),
        }
    }

    /// What hands rows over to it.
    pub(crate) fn pusher(&self) -> &Pusher {
        &self.pusher
    }

    /// Stops taking rows and waits for those in flight that somebody waits for, until `deadline`.
    ///
    /// Dropping the future gives all of them up.
    pub(crate) async fn close(&self, deadline: Instant) -> Result<(), Error> {
        let Pusher(shared) = &self.pusher;
        shared.lock().close();
        shared.changed.notify_one();
        let mut task = self.take_task();
        match timeout_at(deadline, task.join_next()).await {
            Ok(None | Some(Ok(()))) => Ok(()),
            Ok(Some(Err(failure))) => {
                let message = format!("the task that collects rows failed: {failure}");
                Err(Error::new(ErrorKind::Close, message))
            }
            Err(_) => {
                task.shutdown().await;
                shared.requests_end().await;
                let message = "rows were still being collected when the time to close was up";
                Err(Error::new(ErrorKind::Close, message))
            }
        }
    }

    /// Gives all rows up, and waits until nothing works on them any more.
    pub(crate) async fn abort(&self) {
        self.take_task().shutdown().await;
        // What this task has given up is over, and its rows have been told, when it is dropped.
        self.pusher.0.requests_end().await;
    }

    fn take_task(&self) -> JoinSet<()> {
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *task)
    }
}

/// Drops what was gathered when the task ends, however that comes about: its rows learn of it.
struct Task(Arc<Shared>);

impl Drop for Task {
    fn drop(&mut self) {
        let left = {
            let mut gathered = self.0.lock();
            gathered.close();
            gathered.take_all()
        };
        // Not while they are locked: a sink is told.
        drop(left);
        self.0.requests().abort_all();
    }
}

fn collect(shared: Arc<Shared>) -> impl Future<Output = ()> + Send {
    let task = Task(shared);
    async move { task.collect().await }
}

impl Task {
    async fn collect(&self) {
        let Self(shared) = self;
        loop {
            let changed = shared.changed.notified();
            let next = shared.lock().next();
            let first_deadline = match next {
                Next::Over => break,
                Next::Nothing => {
                    changed.await;
                    continue;
                }
                Next::At(at) if at > Instant::now() => {
                    let deadline = shared.lock().first_deadline().filter(|it| *it < at);
                    tokio::select! {
                        () = sleep_until(deadline.unwrap_or(at)) => {}
                        () = changed => continue,
                    }
                    if deadline.is_some() {
                        self.refuse_late_rows(&format!(
                            "the row waited until its deadline for others to join it (options \
                             '{}' and '{}')",
                            ROW_DEADLINE.key(),
                            BATCH_TIMEOUT.key()
                        ));
                    }
                    continue;
                }
                Next::At(_) | Next::Now => shared.lock().first_deadline(),
            };
            // While all requests are busy, rows gather for the next one. Nobody's deadline is
            // before that of the row that came first.
            let open = &shared.answering.open;
            let begun = Instant::now();
            let permit = match open.request_permit(first_deadline).await {
                Ok(permit) => permit,
                Err(error) if error.kind() == ErrorKind::Call => {
                    self.refuse_late_rows(&format!(
                        "waited {:.1?} for a request permit ('{}' = {})",
                        begun.elapsed(),
                        MAX_IN_FLIGHT.key(),
                        open.requests
                    ));
                    continue;
                }
                Err(_) => break,
            };
            let group = shared.lock().take_next(Instant::now());
            if let Some(group) = group {
                let answering = Arc::clone(&shared.answering);
                let request = async move { group.answer(&answering, permit).await };
                shared.requests().spawn(request);
            }
            while shared.requests().try_join_next().is_some() {}
        }
        shared.requests_end().await;
    }

    /// Answers the rows whose deadline has come before they could be sent.
    fn refuse_late_rows(&self, why: &str) {
        let Self(shared) = self;
        let answering = &shared.answering;
        let late = shared.lock().take_late(Instant::now());
        let error = Error::new(ErrorKind::Call, format!("nothing was sent: {why}"));
        for Waiting { recipients, .. } in late {
            recipients.fail(answering, &error);
        }
    }
}
