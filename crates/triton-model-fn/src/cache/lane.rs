//! The way of rows through the cache, in front of the way to the model.

use std::sync::Arc;

use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, timeout_at};
use triton_options::{CACHE_MAX_BYTES, ROW_DEADLINE};

use super::{Found, Outcome, RowCache, Sending};
use crate::alone_tasks::AloneTasks;
use crate::answering::Answering;
use crate::answers::Recipient;
use crate::batcher::Pusher;
use crate::ending::Ended;
use crate::packed_row;
use crate::tensor_plan::EncodedRow;
use crate::{Error, ErrorKind, Prediction, Value};

/// The cache of an open function, and what works on rows of sinks that wait for it.
#[derive(Debug)]
pub(crate) struct CachedLane {
    pub(crate) rows: Arc<CachedRows>,
    pub(crate) tasks: AloneTasks,
}

/// What answers rows of a model without state.
#[derive(Debug)]
pub(crate) struct CachedRows {
    pub(crate) cache: Arc<RowCache>,
    answering: Arc<Answering>,
    /// `None` where each row has a request of its own.
    batcher: Option<Pusher>,
    /// How many rows wait, or have waited, for an equal one: they have no permit that shows them.
    waiting: watch::Sender<usize>,
}

/// One of the rows that wait.
struct Waiting<'a>(&'a watch::Sender<usize>);

impl<'a> Waiting<'a> {
    fn begin(waiting: &'a watch::Sender<usize>) -> Self {
        waiting.send_modify(|waiting| *waiting += 1);
        Self(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|waiting| *waiting -= 1);
    }
}

/// A row that is encoded, to be looked up.
#[derive(Debug)]
pub(crate) struct CachedRow {
    key: Box<[u8]>,
    encoded: EncodedRow,
    /// What a batcher takes.
    values: Vec<Value>,
    deadline: Option<Instant>,
}

impl CachedRow {
    #[cfg(feature = "arrow")]
    pub(crate) fn key(&self) -> &[u8] {
        &self.key
    }
}

impl CachedLane {
    pub(crate) fn new(limit: u64, answering: &Arc<Answering>, batcher: Option<Pusher>) -> Self {
        let cache = RowCache::new(limit, answering.open.metrics().of_cache());
        let rows = CachedRows {
            cache: Arc::new(cache),
            answering: Arc::clone(answering),
            batcher,
            waiting: watch::Sender::new(0),
        };
        Self {
            rows: Arc::new(rows),
            tasks: AloneTasks::new(),
        }
    }

    /// Waits for the rows that are there, until `deadline`: they may still need the lane.
    pub(crate) async fn close(&self, deadline: Instant) -> Result<(), Error> {
        let closed = self.tasks.close(deadline).await;
        let mut waiting = self.rows.waiting.subscribe();
        // What the time does not suffice for is given up by whoever closes.
        let _ = timeout_at(deadline, waiting.wait_for(|waiting| *waiting == 0)).await;
        closed
    }

    /// Takes a row whose answer goes to a sink: at once, where it is known.
    pub(crate) fn submit(&self, row: &[Value], recipient: Recipient) {
        let row = match self.rows.row(row) {
            Ok(row) => row,
            Err(error) => {
                let outcome = self.rows.answering.conclude(Err(error));
                return recipient.answer(outcome);
            }
        };
        let found = self.rows.cache.look_up(&row.key);
        if let Found::Answer(row) = found {
            let answer = Ok(Prediction::new(row, None));
            return recipient.answer(self.rows.answering.conclude(answer));
        }
        let rows = Arc::clone(&self.rows);
        self.tasks.spawn(Box::pin(async move {
            recipient.answer(rows.answer(row, Some(found)).await);
        }));
    }
}

impl CachedRows {
    /// Encodes a row; what is wrong with it is found here.
    pub(crate) fn row(&self, row: &[Value]) -> Result<CachedRow, Error> {
        let Answering { columns, plan, .. } = &*self.answering;
        let encoded = columns.encode(plan, row)?;
        let values = match self.batcher {
            Some(_) => row.to_vec(),
            None => Vec::new(),
        };
        Ok(CachedRow {
            values,
            ..self.encoded(encoded)
        })
    }

    /// A row that is encoded already, to be sent in a request of its own.
    pub(crate) fn encoded(&self, encoded: EncodedRow) -> CachedRow {
        CachedRow {
            key: packed_row::pack(&encoded),
            encoded,
            values: Vec::new(),
            deadline: self.answering.open.row_deadline(),
        }
    }

    /// The answer to a row, which is counted: the one that is known, that of an equal row in
    /// flight, or its own. `found` is what was found for it already.
    pub(crate) async fn answer(&self, row: CachedRow, mut found: Option<Found>) -> Outcome {
        let conclude = |outcome: Outcome| self.answering.conclude(outcome);
        let mut waiting = None;
        loop {
            let found = found.take().unwrap_or_else(|| self.cache.look_up(&row.key));
            match found {
                Found::Answer(row) => {
                    return conclude(Ok(Prediction::new(row, None)));
                }
                Found::InFlight(other) => {
                    waiting.get_or_insert_with(|| Waiting::begin(&self.waiting));
                    // Whoever sends the other row may do nothing for it any more.
                    let ending = &self.answering.open.ending;
                    let outcome = async { Ok(other.outcome().await) };
                    let outcome = ending.or("before the row was answered", outcome);
                    let outcome = match row.deadline {
                        Some(deadline) => timeout_at(deadline, outcome).await,
                        None => Ok(outcome.await),
                    };
                    match outcome {
                        Ok(Err(error)) => return conclude(Err(error)),
                        Ok(Ok(Some(outcome))) => {
                            self.cache.metrics.coalesced();
                            return conclude(outcome);
                        }
                        Ok(Ok(None)) => {}
                        Err(_) => return conclude(Err(waited_in_vain())),
                    }
                }
                Found::Missing(sending) => {
                    return conclude(self.send(row, Some(sending)).await);
                }
                Found::NoRoom => return conclude(self.send(row, None).await),
            }
        }
    }

    async fn send(&self, row: CachedRow, sending: Option<Sending>) -> Outcome {
        let CachedRow {
            encoded,
            values,
            deadline,
            ..
        } = row;
        let answering = &self.answering;
        let outcome = match &self.batcher {
            // A row of a record batch has no values.
            Some(batcher) if !values.is_empty() => {
                let (answer, answered) = oneshot::channel();
                batcher.push(&values, Recipient::Unconcluded(answer), deadline);
                answered.await.unwrap_or_else(|_| {
                    let ended = answering.open.ending.ended().unwrap_or(Ended::Closed);
                    Err(ended.error("before the row was answered"))
                })
            }
            _ => answering.answer_encoded(encoded, deadline).await,
        };
        if let Some(sending) = sending {
            sending.ends(&outcome);
        }
        outcome
    }
}

fn waited_in_vain() -> Error {
    let message = format!(
        "nothing was sent: the row waited until its deadline ('{}') for the answer to an equal row \
         that is in flight ('{}')",
        ROW_DEADLINE.key(),
        CACHE_MAX_BYTES.key()
    );
    Error::new(ErrorKind::Call, message)
}
