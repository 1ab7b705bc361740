//! Collects single rows of a stateless model into requests, by size and by delay.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, timeout_at};

use crate::row_batch::{self, PartAnswer};
use crate::tensor_plan::{EncodedRow, TensorPlan};
use crate::{Error, ErrorKind, OpenSubtask, Value};

/// A row that waits for its answer.
#[derive(Debug)]
struct Waiting {
    row: EncodedRow,
    answer: oneshot::Sender<Result<Vec<Value>, Error>>,
}

/// Hands rows to the task that collects them.
#[derive(Debug)]
pub(crate) struct Batcher {
    rows: mpsc::Sender<Waiting>,
    stop: watch::Sender<bool>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Batcher {
    /// Starts the task; it ends with [`close`](Self::close) or when this is dropped.
    pub(crate) fn start(open: Arc<OpenSubtask>, plan: Arc<TensorPlan>, delay: Duration) -> Self {
        // One batch can wait while another is collected.
        let (rows, waiting) = mpsc::channel(plan.rows_per_request);
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(collect(open, plan, delay, waiting, stopped));
        Self {
            rows,
            stop,
            task: Mutex::new(Some(task)),
        }
    }

    /// Answers a row together with others.
    ///
    /// Dropping the future gives the row up; if its request has not left yet, it is left out.
    pub(crate) async fn answer(&self, row: EncodedRow) -> Result<Vec<Value>, Error> {
        let (answer, answered) = oneshot::channel();
        let closed = || {
            Error::new(
                ErrorKind::State,
                "the function was closed before the row was sent",
            )
        };
        self.rows
            .send(Waiting { row, answer })
            .await
            .map_err(|_| closed())?;
        answered.await.map_err(|_| closed())?
    }

    /// Stops taking rows and waits for those under way, until `deadline`.
    pub(crate) async fn close(&self, deadline: Instant) -> Result<(), Error> {
        self.stop.send_replace(true);
        let task = self
            .task
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some(mut task) = task else {
            return Ok(());
        };
        match timeout_at(deadline, &mut task).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(failure)) => {
                let message = format!("the task that collects rows failed: {failure}");
                Err(Error::new(ErrorKind::Close, message))
            }
            Err(_) => {
                task.abort();
                let message = "rows were still being collected when the time to close was up";
                Err(Error::new(ErrorKind::Close, message))
            }
        }
    }
}

impl Drop for Batcher {
    fn drop(&mut self) {
        let task = self.task.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(task) = task {
            task.abort();
        }
    }
}

async fn collect(
    open: Arc<OpenSubtask>,
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
        let deadline = Instant::now() + delay;
        // While all requests are busy, rows gather for the next one.
        let Ok(slot) = open.slot().await else { break };
        let mut batch = vec![first];
        while batch.len() < plan.rows_per_request {
            // Rows that wait already are taken even after the deadline.
            match waiting.try_recv() {
                Ok(row) => batch.push(row),
                Err(_) => tokio::select! {
                    row = timeout_at(deadline, waiting.recv()) => match row {
                        Ok(Some(row)) => batch.push(row),
                        Ok(None) | Err(_) => break,
                    },
                    () = stopped(&mut stop) => break,
                },
            }
        }
        let (open, plan) = (Arc::clone(&open), Arc::clone(&plan));
        requests.spawn(async move {
            let _slot = slot;
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

async fn answer_group(open: &OpenSubtask, plan: &TensorPlan, group: Vec<Waiting>) {
    let (rows, answers): (Vec<_>, Vec<_>) = group
        .into_iter()
        .map(|waiting| (waiting.row, waiting.answer))
        .unzip();
    let rows: Vec<&EncodedRow> = rows.iter().collect();
    let mut answers = answers.into_iter();
    for PartAnswer { range, result } in row_batch::answer(open, plan, rows.as_slice()).await {
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
