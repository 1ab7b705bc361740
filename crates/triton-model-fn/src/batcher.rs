//! Collects single rows of a stateless model into requests, by size and by delay.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use triton_options::{MAX_IN_FLIGHT, ROW_DEADLINE};

use crate::ending::Ended;
use crate::row_batch::{self, PartAnswer};
use crate::tensor_plan::{EncodedRow, TensorPlan};
use crate::{CallContext, Error, ErrorKind, Value};

/// A row that waits for its answer.
#[derive(Debug)]
struct Waiting {
    row: EncodedRow,
    /// By when it has to be answered.
    deadline: Option<Instant>,
    answer: oneshot::Sender<Result<Vec<Value>, Error>>,
}

/// Hands rows to the task that collects them.
#[derive(Debug)]
pub(crate) struct Batcher {
    open: Arc<CallContext>,
    rows: mpsc::Sender<Waiting>,
    stop: watch::Sender<bool>,
    /// The one task; it is aborted wherever this set is dropped.
    task: Mutex<JoinSet<()>>,
}

impl Batcher {
    /// Starts the task; it ends with [`close`](Self::close) or when this is dropped.
    pub(crate) fn start(open: Arc<CallContext>, plan: Arc<TensorPlan>, delay: Duration) -> Self {
        // One batch can wait while another is collected.
        let (rows, waiting) = mpsc::channel(plan.rows_per_request);
        let (stop, stopped) = watch::channel(false);
        let mut task = JoinSet::new();
        task.spawn(collect(Arc::clone(&open), plan, delay, waiting, stopped));
        Self {
            open,
            rows,
            stop,
            task: Mutex::new(task),
        }
    }

    /// Answers a row together with others, by its deadline.
    ///
    /// Dropping the future gives the row up; if its request has not left yet, it is left out, and
    /// a request that nobody waits for any more is given up.
    pub(crate) async fn answer(
        &self,
        row: EncodedRow,
        deadline: Option<Instant>,
    ) -> Result<Vec<Value>, Error> {
        let (answer, answered) = oneshot::channel();
        let ended = |before| {
            let ended = self.open.ending.ended().unwrap_or(Ended::Closed);
            ended.error(before)
        };
        let begun = Instant::now();
        let waiting = Waiting {
            row,
            deadline,
            answer,
        };
        let handed_over = self.rows.send(waiting);
        let handed_over = match deadline {
            Some(deadline) => timeout_at(deadline, handed_over).await,
            None => Ok(handed_over.await),
        };
        match handed_over {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return Err(ended("before the row was sent")),
            Err(_) => {
                let message = format!(
                    "nothing was sent: waited {:.1?} behind rows that wait for a request permit \
                     ('{}' = {})",
                    begun.elapsed(),
                    MAX_IN_FLIGHT.key(),
                    self.open.max_in_flight()
                );
                return Err(Error::new(ErrorKind::Call, message));
            }
        }
        let answered = match deadline {
            Some(deadline) => timeout_at(deadline, answered).await.map_err(|_| {
                let message = format!(
                    "the row was not answered by its deadline (option '{}')",
                    ROW_DEADLINE.key()
                );
                Error::new(ErrorKind::Call, message)
            })?,
            None => answered.await,
        };
        answered.map_err(|_| ended("before the row was answered"))?
    }

    /// Stops taking rows and waits for those in flight that somebody waits for, until `deadline`.
    ///
    /// Dropping the future gives all of them up.
    pub(crate) async fn close(&self, deadline: Instant) -> Result<(), Error> {
        self.stop.send_replace(true);
        let mut task = self.take_task();
        match timeout_at(deadline, task.join_next()).await {
            Ok(None | Some(Ok(()))) => Ok(()),
            Ok(Some(Err(failure))) => {
                let message = format!("the task that collects rows failed: {failure}");
                Err(Error::new(ErrorKind::Close, message))
            }
            Err(_) => {
                task.shutdown().await;
                let message = "rows were still being collected when the time to close was up";
                Err(Error::new(ErrorKind::Close, message))
            }
        }
    }

    /// Gives all rows up, and waits until nothing works on them any more.
    pub(crate) async fn abort(&self) {
        self.take_task().shutdown().await;
    }

    fn take_task(&self) -> JoinSet<()> {
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *task)
    }
}

async fn collect(
    open: Arc<CallContext>,
    plan: Arc<TensorPlan>,
    delay: Duration,
    mut waiting: mpsc::Receiver<Waiting>,
    mut stop: watch::Receiver<bool>,
) {
    // Dropped with this task, which aborts the requests of a function that is gone.
    let mut requests = JoinSet::new();
    loop {
        let first = tokio::select! {
            first = waiting.recv() => first,
            // What was handed over before is still answered; then `recv` finds the end.
            () = stopped(&mut stop) => {
                waiting.close();
                waiting.recv().await
            }
        };
        let Some(first) = first else { break };
        let collected = Instant::now() + delay;
        // While all requests are busy, rows gather for the next one. Nobody's deadline is before
        // that of the row that came first.
        let permit = match open.request_permit(first.deadline).await {
            Ok(permit) => permit,
            Err(error) if error.kind() == ErrorKind::Call => {
                // Whoever asked may have gone meanwhile.
                let _ = first.answer.send(Err(error));
                continue;
            }
            Err(_) => break,
        };
        let mut batch = vec![first];
        while batch.len() < plan.rows_per_request {
            // Rows that wait already are taken even after the deadline.
            match waiting.try_recv() {
                Ok(row) => batch.push(row),
                Err(_) => tokio::select! {
                    row = timeout_at(collected, waiting.recv()) => match row {
                        Ok(Some(row)) => batch.push(row),
                        Ok(None) | Err(_) => break,
                    },
                    () = stopped(&mut stop) => break,
                },
            }
        }
        let (open, plan) = (Arc::clone(&open), Arc::clone(&plan));
        requests.spawn(async move {
            let _permit = permit;
            for group in by_shape(batch) {
                answer_group(&open, &plan, group).await;
            }
        });
        while requests.try_join_next().is_some() {}
    }
    while requests.join_next().await.is_some() {}
}

/// Waits until the batcher is told to stop, or is dropped.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    // What it returns holds a lock, so it is dropped at once.
    let _ = stop.wait_for(|stop| *stop).await.is_ok();
}

/// Rows of one shape each; rows that nobody waits for any more are left out.
fn by_shape(batch: Vec<Waiting>) -> Vec<Vec<Waiting>> {
    let mut groups: Vec<Vec<Waiting>> = Vec::new();
    for waiting in batch
        .into_iter()
        .filter(|waiting| !waiting.answer.is_closed())
    {
        match groups
            .iter_mut()
            .find(|group| group[0].row.has_shape_of(&waiting.row))
        {
            Some(group) => group.push(waiting),
            None => groups.push(vec![waiting]),
        }
    }
    groups
}

/// Answers rows of one shape, for as long as anybody waits for one of them.
async fn answer_group(open: &CallContext, plan: &TensorPlan, group: Vec<Waiting>) {
    // A row whose own deadline is earlier is given up by itself.
    let deadlines: Option<Vec<Instant>> = group.iter().map(|waiting| waiting.deadline).collect();
    let deadline = deadlines.and_then(|deadlines| deadlines.into_iter().max());
    let (rows, mut answers): (Vec<_>, Vec<_>) = group
        .into_iter()
        .map(|waiting| (waiting.row, waiting.answer))
        .unzip();
    let rows: Vec<&EncodedRow> = rows.iter().collect();
    let parts = tokio::select! {
        biased;
        parts = row_batch::answer(open, plan, rows.as_slice(), deadline) => parts,
        () = all_given_up(&mut answers) => return,
    };
    let mut answers = answers.into_iter();
    for PartAnswer { range, result } in parts {
        let decoded = result.and_then(|response| plan.rows(&response, range.len()));
        let mut decoded = decoded.map(Vec::into_iter);
        for answer in answers.by_ref().take(range.len()) {
            let row = match &mut decoded {
                Ok(rows) => rows.next().ok_or_else(|| {
                    Error::new(
                        ErrorKind::Output,
                        "the answer has fewer rows than the request",
                    )
                }),
                Err(error) => Err(error.clone()),
            };
            // Whoever asked may have gone meanwhile.
            let _ = answer.send(row);
        }
    }
}

/// Waits until nobody waits for any of the answers.
async fn all_given_up(answers: &mut [oneshot::Sender<Result<Vec<Value>, Error>>]) {
    for answer in answers {
        answer.closed().await;
    }
}
