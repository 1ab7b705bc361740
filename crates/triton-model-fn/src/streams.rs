//! Rows that a model answers any number of times, one answer after the other.
//!
//! Whoever wants the answers reads them: where nobody does, nothing is read from the server either.

mod reading;
mod whole;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::stream::{self, Stream, StreamExt};
use tokio::time::Instant;
use triton_client::GenerateRequest;
use triton_options::DECOUPLED;

use self::reading::{Given, Reading};
use crate::answering::Answering;
use crate::answers::Numbered;
use crate::rows_in_words::rows_in_words;
use crate::tensor_plan::EncodedRow;
use crate::{Error, ErrorKind, Prediction, PredictionStatus, Value};

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
            let came = self.given + u64::from(self.held.is_some());
            match self.read(came, Given::AsTheyCome).await {
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

    /// The row of the next answer, after so many that `came` and were `given` out.
    async fn read(&mut self, came: u64, given: Given) -> Result<Option<Vec<Value>>, Error> {
        if let State::Waiting(request) = &self.state {
            let counted = self.answering.streams.as_ref();
            let reading =
                Reading::begin(&self.answering.open, request, self.deadline, counted).await?;
            self.state = State::Reading(reading);
        }
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
        let answer = reading
            .next(&self.answering.open, self.deadline, came, given)
            .await?;
        if let (Some(wait), Some(_)) = (&self.answering.open.server_wait, &answer) {
            wait.hears();
        }
        let row = answer.map(|answer| self.answering.plan.generated_row(&answer));
        row.transpose().map_err(|error| match came {
            0 => error,
            came => {
                let message = format!("after {}: {}", rows_in_words(came), error.message());
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
