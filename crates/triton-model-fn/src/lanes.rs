//! The ways in which rows meet the model: alone, gathered, or within the sequence of their key.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::alone_tasks::AloneTasks;
use crate::answering::Answering;
use crate::answers::{AnswerSink, Numbered, Recipient};
use crate::batcher::Batcher;
use crate::cache::{CachedLane, CachedRow};
use crate::ending::Ended;
use crate::sequences::{
    Answered, KeyedSequences, ModelTransport, Pending, Row, SequenceColumns, SequenceKey,
};
use crate::streams::{self, RowStream};
use crate::tensor_plan::EncodedRow;
use crate::{CallContext, Error, ErrorKind, Prediction, RowCall, Value};

/// What `open` agreed with the server.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) answering: Arc<Answering>,
    pub(crate) lane: Lane,
    /// What rows of a stateless model go through before they take the lane, if they do.
    pub(crate) cached: Option<CachedLane>,
}

/// How rows reach the model.
#[derive(Debug)]
pub(crate) enum Lane {
    /// Each in a request of its own.
    Single(AloneTasks),
    /// Several in a request.
    Batched(Batcher),
    /// One after the other within the sequence of their key.
    Keyed(KeyedSequences<ModelTransport>),
    /// Each in a request of its own, whose answers come one after the other.
    Streamed(AloneTasks),
}

/// A row whose turn among the others is settled, so that its answer can be waited for.
pub(crate) enum Begun {
    Refused(Error),
    /// In a request of its own. In a box, as what sends it is large and would be a part of what waits
    /// for any row.
    Single(BoxFuture<'static, Result<Prediction, Error>>),
    /// In a request with others.
    Batched(oneshot::Receiver<Result<Prediction, Error>>),
    /// To be looked up in the cache.
    Cached(Box<CachedRow>),
    /// Behind those of its key.
    Queued(Pending),
}

/// A row for a request of its own.
pub(crate) struct Alone {
    row: EncodedRow,
    call: RowCall,
}

/// What of the columns of a row is about its sequence.
pub(crate) struct RowColumns<'a> {
    /// How many there are.
    pub(crate) count: usize,
    /// `None` where no option names a key.
    pub(crate) sequences: Option<&'a SequenceColumns>,
}

impl From<Error> for Begun {
    fn from(error: Error) -> Self {
        Begun::Refused(error)
    }
}

#[cfg(feature = "arrow")]
impl RowColumns<'_> {
    /// Whether what is said of a row's sequence depends on a column.
    pub(crate) fn needs(&self, index: usize) -> bool {
        self.sequences.is_some_and(|columns| columns.needs(index))
    }
}

impl Prepared {
    /// Waits for the rows that are there, until `deadline`.
    pub(crate) async fn close(&self, deadline: Instant) -> Result<(), Error> {
        let cached = match &self.cached {
            Some(cached) => cached.close(deadline).await,
            None => Ok(()),
        };
        let lane = match &self.lane {
            Lane::Single(alone) | Lane::Streamed(alone) => alone.close(deadline).await,
            Lane::Batched(batcher) => batcher.close(deadline).await,
            Lane::Keyed(sequences) => sequences.close(deadline).await,
        };
        cached.and(lane)
    }

    /// Gives all rows up.
    pub(crate) async fn abort(&self) {
        if let Some(cached) = &self.cached {
            cached.tasks.abort().await;
        }
        match &self.lane {
            Lane::Single(alone) | Lane::Streamed(alone) => alone.abort().await,
            Lane::Batched(batcher) => batcher.abort().await,
            Lane::Keyed(sequences) => sequences.abort(),
        }
    }

    /// Gives a row its turn that is encoded otherwise, for a model with sequences.
    #[cfg(feature = "arrow")]
    pub(crate) fn begin_encoded(
        &self,
        columns: &RowColumns<'_>,
        row: &[Value],
        encode: impl Fn() -> Result<EncodedRow, Error>,
    ) -> Begun {
        let keyed = self.begin_keyed(columns, row, false, &encode);
        keyed.unwrap_or_else(|| self.begin_alone(encode))
    }

    /// Gives a row its turn, for somebody who waits for its answer.
    pub(crate) fn begin(&self, columns: &RowColumns<'_>, row: &[Value], last: bool) -> Begun {
        let answering = &self.answering;
        let encode = || answering.columns.encode(&answering.plan, row);
        if let Some(cached) = &self.cached {
            return match cached.rows.row(row) {
                Ok(row) => Begun::Cached(Box::new(row)),
                Err(error) => Begun::Refused(error),
            };
        }
        if let Some(begun) = self.begin_keyed(columns, row, last, encode) {
            return begun;
        }
        if let Lane::Batched(batcher) = &self.lane {
            let (answer, answered) = oneshot::channel();
            let deadline = answering.open.row_deadline();
            let recipient = Recipient::One(answer);
            batcher.pusher().push(row, recipient, deadline);
            return Begun::Batched(answered);
        }
        if let Lane::Streamed(_) = &self.lane {
            return Begun::Refused(streams::wanted("predict_many, submit_to or predict_stream"));
        }
        self.begin_alone(encode)
    }

    fn begin_alone(&self, encode: impl Fn() -> Result<EncodedRow, Error>) -> Begun {
        match self.alone(encode) {
            Ok(alone) => {
                let answering = Arc::clone(&self.answering);
                Begun::Single(Box::pin(async move { answering.answer_alone(alone).await }))
            }
            Err(error) => Begun::Refused(error),
        }
    }

    /// Gives a row its turn, whose answer goes to a sink under a number.
    pub(crate) fn begin_for(
        &self,
        columns: &RowColumns<'_>,
        row: &[Value],
        last: bool,
        number: u64,
        sink: &Arc<dyn AnswerSink>,
    ) {
        let answering = &self.answering;
        let encode = || answering.columns.encode(&answering.plan, row);
        let numbered = || Numbered::new(number, Arc::clone(sink), Arc::clone(&answering.open));
        let recipient = || Recipient::Numbered(numbered());
        match (&self.lane, &self.cached) {
            (Lane::Streamed(tasks), _) => {
                let numbered = numbered();
                tasks.spawn(Box::pin(self.stream(row).tell(numbered)));
            }
            (_, Some(cached)) => cached.submit(row, recipient()),
            (Lane::Batched(batcher), None) => {
                let pusher = batcher.pusher();
                pusher.push(row, recipient(), answering.open.row_deadline());
            }
            (Lane::Keyed(keyed), None) => {
                let recipient = recipient();
                match keyed_row(answering, columns, row, last, encode) {
                    Ok((key, row)) => {
                        keyed.submit_for(&key, row, recipient, Arc::clone(answering));
                    }
                    Err(error) => recipient.answer(answering.conclude(Err(error))),
                }
            }
            (Lane::Single(tasks), None) => {
                let recipient = recipient();
                match self.alone(encode) {
                    Ok(alone) => {
                        let answering = Arc::clone(answering);
                        tasks.spawn(Box::pin(async move {
                            let answer = answering.answer_alone(alone).await;
                            recipient.answer(answering.conclude(answer));
                        }));
                    }
                    Err(error) => recipient.answer(answering.conclude(Err(error))),
                }
            }
        }
    }

    /// Gives rows their turns, whose numbers go on from `first`.
    pub(crate) fn begin_rows_for(
        &self,
        columns: &RowColumns<'_>,
        first: u64,
        values: &[Value],
        sink: &Arc<dyn AnswerSink>,
    ) {
        let rows = values.chunks(columns.count.max(1));
        if let (Lane::Batched(batcher), None) = (&self.lane, &self.cached) {
            let deadline = self.answering.open.row_deadline();
            return batcher.pusher().push_rows(first, rows, sink, deadline);
        }
        for (number, row) in (first..).zip(rows) {
            self.begin_for(columns, row, false, number, sink);
        }
    }

    /// Whether a row could be given its turn and sent.
    pub(crate) fn check(&self, columns: &RowColumns<'_>, row: &[Value]) -> Result<(), Error> {
        let answering = &self.answering;
        let encode = || answering.columns.encode(&answering.plan, row);
        let encoded = match &self.lane {
            Lane::Keyed(_) => {
                let (_, row) = keyed_row(answering, columns, row, false, encode)?;
                row.encoded.map(|_| ())
            }
            Lane::Single(_) | Lane::Batched(_) | Lane::Streamed(_) => encode().map(|_| ()),
        };
        encoded.map_err(|error| error.in_subtask(answering.open.subtask))
    }

    /// The answers to a row, one after the other.
    pub(crate) fn stream(&self, row: &[Value]) -> RowStream {
        let answering = &self.answering;
        let encoded = answering.columns.encode(&answering.plan, row);
        RowStream::new(Arc::clone(answering), encoded)
    }

    /// Puts a row behind those of its key; `None` where rows belong to no sequence of others.
    pub(crate) fn begin_keyed(
        &self,
        columns: &RowColumns<'_>,
        row: &[Value],
        last: bool,
        encode: impl Fn() -> Result<EncodedRow, Error>,
    ) -> Option<Begun> {
        let Lane::Keyed(keyed) = &self.lane else {
            return None;
        };
        Some(
            match keyed_row(&self.answering, columns, row, last, encode) {
                Ok((key, row)) => Begun::Queued(keyed.submit(&key, row)),
                Err(error) => Begun::Refused(error),
            },
        )
    }

    fn alone(&self, encode: impl Fn() -> Result<EncodedRow, Error>) -> Result<Alone, Error> {
        let row = encode()?;
        let call = RowCall::begin(Arc::clone(&self.answering.open));
        // Here and now, and only for a row that can be sent: IDs follow the order of rows.
        call.sequence()?;
        Ok(Alone { row, call })
    }

    /// Waits for the answer to a row that has its turn.
    pub(crate) async fn answer(&self, begun: Begun) -> Result<Prediction, Error> {
        let answering = &self.answering;
        let answer = match begun {
            // It is concluded already.
            Begun::Batched(answered) => {
                let answered = answered.await.map_err(|_| gone(&answering.open));
                return answered.unwrap_or_else(|error| answering.conclude(Err(error)));
            }
            Begun::Cached(row) => match &self.cached {
                Some(cached) => return cached.rows.answer(*row, None).await,
                None => Err(gone(&answering.open)),
            },
            Begun::Refused(error) => Err(error),
            Begun::Single(answer) => answer.await,
            Begun::Queued(answer) => {
                let answered = answer.await.unwrap_or_else(|_| Err(gone(&answering.open)));
                answered.map(|answered| answering.of_sequence(answered))
            }
        };
        answering.conclude(answer)
    }
}

impl Answering {
    /// The answer of a stateless model to a row in a request of its own.
    pub(crate) async fn answer_encoded(
        &self,
        row: EncodedRow,
        deadline: Option<Instant>,
    ) -> Result<Prediction, Error> {
        let call = RowCall::begin_until(Arc::clone(&self.open), deadline);
        self.answer_alone(Alone { row, call }).await
    }

    async fn answer_alone(&self, alone: Alone) -> Result<Prediction, Error> {
        let Alone { row, call } = alone;
        let plan = &self.plan;
        let answer = async {
            let request = plan.request(self.open.model.clone(), plan.tensors(&row)?);
            let response = call.infer(request).await?;
            plan.row(&response)
        };
        match answer.await {
            Ok(row) => Ok(call.prediction(row)),
            Err(error) => Err(error.in_sequence(call.sequence_name())),
        }
    }

    /// The answer to a row of a sequence.
    pub(crate) fn of_sequence(&self, answered: Answered) -> Prediction {
        let mut prediction = Prediction::new(answered.values, Some(answered.sequence_id));
        prediction.sequence_restarted = answered.restarted;
        prediction.unseen = answered.unseen;
        prediction
    }
}

/// The key of a row, and the row as its sequence takes it.
fn keyed_row(
    answering: &Answering,
    columns: &RowColumns<'_>,
    row: &[Value],
    last: bool,
    encode: impl Fn() -> Result<EncodedRow, Error>,
) -> Result<(SequenceKey, Row), Error> {
    let expected = columns.count;
    if row.len() != expected {
        let message = format!("expected {expected} values, found {}", row.len());
        return Err(Error::new(ErrorKind::Input, message));
    }
    let Some(columns) = columns.sequences else {
        // All rows share one sequence, which the rows of other keys would be in as well.
        let row = Row {
            encoded: encode().map(Arc::new),
            last: false,
            position: None,
        };
        return Ok((SequenceKey::new(""), row));
    };
    let encode_later = || {
        let (columns, plan) = (Arc::clone(&answering.columns), Arc::clone(&answering.plan));
        move |row: &[Value]| columns.encode(&plan, row)
    };
    let key = columns.key(row)?;
    let position = columns.position(row, encode_later)?;
    let ends = columns.ends(row)?;
    let row = Row {
        encoded: encode().map(Arc::new),
        last: last || ends || columns.is_longest(position.as_ref()),
        position,
    };
    Ok((key, row))
}

/// The error of a row whose worker is gone.
fn gone(open: &CallContext) -> Error {
    let ended = open.ending.ended().unwrap_or(Ended::Closed);
    ended.error("before the row was answered")
}
