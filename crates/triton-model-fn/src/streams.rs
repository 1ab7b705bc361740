//! Rows that a model answers any number of times, one answer after the other.
//!
//! Whoever wants the answers reads them: where nobody does, nothing is read from the server either.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::stream::{self, Stream, StreamExt};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout_at};
use triton_client::{
    Client, ErrorKind as ClientErrorKind, GenerateRequest, GenerateStream, Generated,
};
use triton_options::{DECOUPLED, ROW_DEADLINE};

use crate::answering::Answering;
use crate::answers::Numbered;
use crate::call::GRACE;
use crate::ending::Ended;
use crate::metrics::{OpenStream, StreamMetrics};
use crate::tensor_plan::EncodedRow;
use crate::{CallContext, Error, ErrorKind, Prediction, PredictionStatus, RequestPermit, Value};

/// The answers to a row: see [`predict_many`](crate::InferenceFunction::predict_many).
///
/// It is over after the [last](Prediction::is_last) answer, or after an error.
pub struct AnswerStream(Pin<Box<dyn Stream<Item = Result<Prediction, Error>> + Send>>);

impl AnswerStream {
    pub(crate) fn of_row(row: RowStream) -> Self {
        let answers = stream::unfold(row, |mut row| async move {
            let answer = row.next().await?;
            Some((answer, row))
        });
        Self(Box::pin(answers))
    }

    pub(crate) fn of_one(
        answer: impl Future<Output = Result<Prediction, Error>> + Send + 'static,
    ) -> Self {
        Self(Box::pin(stream::once(answer)))
    }
}

impl AnswerStream {
    /// The next answer; `None` after the last one, after an error, and for a row without answers.
    ///
    /// Dropping the future loses nothing: the answer comes from the next call.
    ///
    /// # Errors
    ///
    /// What the row fails with, which is the last that comes.
    pub async fn next(&mut self) -> Option<Result<Prediction, Error>> {
        StreamExt::next(self).await
    }
}

impl Stream for AnswerStream {
    type Item = Result<Prediction, Error>;

    fn poll_next(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.as_mut().poll_next(task)
    }
}

impl fmt::Debug for AnswerStream {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = formatter.debug_struct("AnswerStream");
        debug.finish_non_exhaustive()
    }
}

/// The error of a call that gives a row one answer.
pub(crate) fn wanted(calls: &str) -> Error {
    let message = format!(
        "option '{}' is 'stream', so a row may have any number of answers, and this call has room \
         for one: call {calls}",
        DECOUPLED.key()
    );
    Error::new(ErrorKind::Options, message)
}

/// A row whose answers are being read.
pub(crate) struct RowStream {
    answering: Arc<Answering>,
    deadline: Option<Instant>,
    state: State,
    /// The answer that came last: whether others follow is known only once one does.
    held: Option<Vec<Value>>,
    /// How many answers were given out.
    given: u64,
}

enum State {
    /// It is not sent yet.
    Waiting(GenerateRequest),
    Reading(Reading),
    Failed(Error),
    Over,
}

/// A stream, with what it holds until it has ended.
struct Reading {
    answers: GenerateStream,
    first: Option<Generated>,
    _connection: OwnedSemaphorePermit,
    _permit: RequestPermit,
    /// Counts it as open.
    open: Option<OpenStream>,
}

impl RowStream {
    /// For a row, whose deadline begins now.
    pub(crate) fn new(answering: Arc<Answering>, row: Result<EncodedRow, Error>) -> Self {
        let members = row.and_then(|row| answering.plan.members(&row));
        let state = match members {
            Ok(members) => {
                let request = GenerateRequest::new(answering.open.model.clone());
                let inputs = members.into_iter();
                State::Waiting(
                    inputs.fold(request, |request, (name, value)| request.input(name, value)),
                )
            }
            Err(error) => State::Failed(error),
        };
        Self {
            deadline: answering.open.row_deadline(),
            answering,
            state,
            held: None,
            given: 0,
        }
    }

    /// The next answer; `None` after the last one, and for a row that has none.
    pub(crate) async fn next(&mut self) -> Option<Result<Prediction, Error>> {
        loop {
            if matches!(self.state, State::Over) {
                return None;
            }
            match self.read().await {
                Ok(Some(row)) => {
                    if let Some(before) = self.held.replace(row) {
                        return Some(Ok(self.answer(before, false)));
                    }
                }
                Ok(None) => {
                    self.state = State::Over;
                    self.answering.open.metrics().row_answered();
                    let last = self.held.take()?;
                    return Some(Ok(self.answer(last, true)));
                }
                Err(error) => {
                    let Some(before) = self.held.take() else {
                        self.state = State::Over;
                        return Some(self.failed(error));
                    };
                    self.state = State::Failed(error);
                    return Some(Ok(self.answer(before, false)));
                }
            }
        }
    }

    /// Hands all answers to the sink of a row.
    pub(crate) async fn tell(mut self, mut numbered: Numbered) {
        while let Some(answer) = self.next().await {
            let is_last = answer.as_ref().map_or(true, |answer| answer.is_last);
            numbered.tell_part(answer, is_last);
            if is_last {
                return;
            }
        }
        numbered.tell_part(Ok(self.empty()), true);
    }

    /// The row of the next answer.
    async fn read(&mut self) -> Result<Option<Vec<Value>>, Error> {
        if let State::Waiting(request) = &self.state {
            let mut reading = ask(&self.answering.open, request, self.deadline).await?;
            reading.open = self.answering.streams.as_ref().map(StreamMetrics::begins);
            self.state = State::Reading(reading);
        }
        let came = self.given + u64::from(self.held.is_some());
        let reading = match &mut self.state {
            State::Reading(reading) => reading,
            State::Failed(_) => {
                return match std::mem::replace(&mut self.state, State::Over) {
                    State::Failed(error) => Err(error),
                    _ => Ok(None),
                };
            }
            State::Waiting(_) | State::Over => return Ok(None),
        };
        let answer = match reading.first.take() {
            Some(first) => Some(first),
            None => {
                reading
                    .next(&self.answering.open, self.deadline, came)
                    .await?
            }
        };
        let row = answer.map(|answer| self.answering.plan.generated_row(&answer));
        row.transpose().map_err(|error| match came {
            0 => error,
            came => {
                let message = format!("after {}: {}", rows(came), error.message());
                error.with_kind(ErrorKind::Output, &message)
            }
        })
    }

    fn answer(&mut self, row: Vec<Value>, is_last: bool) -> Prediction {
        if let Some(streams) = &self.answering.streams {
            streams.answer();
        }
        self.filled(Prediction::new(row, None), is_last)
    }

    fn failed(&mut self, error: Error) -> Result<Prediction, Error> {
        self.answering.open.metrics().row_failed(&error);
        let stand_in = self.answering.in_place_of(error)?;
        Ok(self.filled(stand_in, true))
    }

    /// What tells of a row without answers, in the columns of the schema.
    fn empty(&mut self) -> Prediction {
        let nulls = vec![Value::Null; self.answering.columns.schema.outputs.len()];
        let mut prediction = Prediction::new(nulls, None);
        prediction.status = PredictionStatus::Empty;
        self.filled(prediction, true)
    }

    fn filled(&mut self, mut prediction: Prediction, is_last: bool) -> Prediction {
        (prediction.part, prediction.is_last) = (self.given, is_last);
        self.given += 1;
        self.answering.columns.filled.fill(&mut prediction);
        prediction
    }
}

impl Reading {
    /// The next answer, after so many that `came`.
    async fn next(
        &mut self,
        open: &CallContext,
        deadline: Option<Instant>,
        came: u64,
    ) -> Result<Option<Generated>, Error> {
        let before = format!("after {} of the stream", rows(came));
        // A server that always has something to say must not keep the end from being seen.
        if let Some(ended) = open.ending.ended() {
            return Err(Ended::error(ended, &before));
        }
        let late = || {
            let message = format!(
                "the stream was not over by the row's deadline (option '{}'), after {}",
                ROW_DEADLINE.key(),
                rows(came)
            );
            Error::new(ErrorKind::Call, message)
        };
        let answer = async {
            let answer = match deadline {
                None => self.answers.next().await,
                Some(deadline) => {
                    let answer = timeout_at(deadline, self.answers.next()).await;
                    answer.map_err(|_| late())?
                }
            };
            answer.transpose().map_err(|error| {
                // The client has no more time than the row, and may be the first to notice.
                let is_late = |deadline| Instant::now() + GRACE >= deadline;
                if error.kind() == ClientErrorKind::Timeout && deadline.is_some_and(is_late) {
                    return late();
                }
                let message = format!(
                    "the stream broke after {}; what came is given out, so the row is not sent \
                     again",
                    rows(came)
                );
                Error::call(message, error)
            })
        };
        open.ending.or(&before, answer).await
    }
}

/// Sends a row, again where that helps, until its first answer is there.
async fn ask(
    open: &CallContext,
    request: &GenerateRequest,
    deadline: Option<Instant>,
) -> Result<Reading, Error> {
    let permit = open.request_permit(deadline).await?;
    let begin = |client: Client, connection: OwnedSemaphorePermit| async move {
        let mut answers = client.generate_stream(request).await?;
        let first = answers.next().await.transpose()?;
        Ok((answers, first, connection))
    };
    let (answers, first, _connection) = open.call_holding(deadline, begin).await?;
    Ok(Reading {
        answers,
        first,
        _connection,
        _permit: permit,
        open: None,
    })
}

/// So many rows, in words.
pub(crate) fn rows(count: u64) -> String {
    match count {
        1 => "1 row".to_owned(),
        count => format!("{count} rows"),
    }
}
