//! Where the answers to rows go: to whoever waits for one, or in groups to a sink, by number.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::sync::oneshot;
use tracing::error;

use crate::answering::Answering;
use crate::ending::Ended;
use crate::{CallContext, Error, Prediction, streams};

/// The answer to a row that was handed over under a number.
#[derive(Debug)]
#[non_exhaustive]
pub struct RowAnswer {
    /// The number that the caller gave the row.
    pub number: u64,
    /// What [`predict`](crate::ModelFunction::predict) would have returned.
    pub result: Result<Prediction, Error>,
    /// The number of this answer among those of the row, from 0 on.
    pub part: u64,
    /// Whether nothing more comes for the row: an error is always the last.
    pub is_last: bool,
}

impl RowAnswer {
    /// The answer to a row that has no other.
    pub(crate) fn only(number: u64, result: Result<Prediction, Error>) -> Self {
        Self {
            number,
            result,
            part: 0,
            is_last: true,
        }
    }
}

/// Takes the answers to rows, in groups as they come.
///
/// Each row that was handed over is answered exactly once; where the option `decoupled` is `stream`,
/// any number of times, in order, of which exactly one is [the last](RowAnswer::is_last): a row for
/// which the model has no answer has one with the status
/// [`Empty`](crate::PredictionStatus::Empty). A function that is closed, given up or
/// dropped answers what is left with [`ErrorKind::State`](crate::ErrorKind::State).
pub trait AnswerSink: Send + Sync {
    /// Takes the answers to rows of one request, in the order of their numbers only where
    /// they were handed over in that order.
    ///
    /// It is called from within the tasks of the function, or from within the call that handed the
    /// row over where the row is refused at once; so it must return soon, and not wait for anything.
    /// A panic within it is logged, and costs no answers but those that it was given.
    fn take(&self, answers: Vec<RowAnswer>);
}

/// An unbounded channel is a sink; answers that nobody receives any more are dropped.
impl AnswerSink for tokio::sync::mpsc::UnboundedSender<Vec<RowAnswer>> {
    fn take(&self, answers: Vec<RowAnswer>) {
        // Whoever asked may have gone meanwhile.
        let _ = self.send(answers);
    }
}

/// Whoever waits for the answer to a row.
pub(crate) enum Recipient {
    One(oneshot::Sender<Result<Prediction, Error>>),
    /// One that concludes the answer itself, because it is that of several rows.
    Unconcluded(oneshot::Sender<Result<Prediction, Error>>),
    Numbered(Numbered),
}

/// A row of a sink. When it is dropped without an answer, the sink is told so.
pub(crate) struct Numbered {
    number: u64,
    /// How many answers it has had.
    parts: u64,
    /// Until the row is answered.
    sink: Option<Arc<dyn AnswerSink>>,
    open: Arc<CallContext>,
}

impl Numbered {
    pub(crate) fn new(number: u64, sink: Arc<dyn AnswerSink>, open: Arc<CallContext>) -> Self {
        Self {
            number,
            parts: 0,
            sink: Some(sink),
            open,
        }
    }

    /// Hands over an answer that others follow, or the last one.
    pub(crate) fn tell_part(&mut self, result: Result<Prediction, Error>, is_last: bool) {
        let sink = match is_last {
            true => self.sink.take(),
            false => self.sink.clone(),
        };
        let Some(sink) = sink else { return };
        let answer = RowAnswer {
            number: self.number,
            result,
            part: self.parts,
            is_last,
        };
        self.parts += 1;
        tell(&*sink, vec![answer]);
    }
}

impl Drop for Numbered {
    fn drop(&mut self) {
        let Some(sink) = self.sink.take() else { return };
        let ended = self.open.ending.ended().unwrap_or(Ended::Closed);
        let error = match self.parts {
            0 => ended.error("before the row was answered"),
            parts => ended.error(&format!("after {} of the stream", streams::rows(parts))),
        };
        self.open.metrics().row_failed(&error);
        let answer = RowAnswer {
            part: self.parts,
            ..RowAnswer::only(self.number, Err(error.in_subtask(self.open.subtask)))
        };
        tell(&*sink, vec![answer]);
    }
}

impl Recipient {
    /// Whether nobody waits any more.
    pub(crate) fn is_gone(&self) -> bool {
        match self {
            Recipient::One(answer) | Recipient::Unconcluded(answer) => answer.is_closed(),
            Recipient::Numbered(_) => false,
        }
    }

    /// Ready once nobody waits any more.
    pub(crate) fn poll_gone(&mut self, context: &mut Context<'_>) -> Poll<()> {
        match self {
            Recipient::One(answer) | Recipient::Unconcluded(answer) => answer.poll_closed(context),
            Recipient::Numbered(_) => Poll::Pending,
        }
    }

    /// The answer as this one takes it.
    pub(crate) fn conclude(
        &self,
        answering: &Answering,
        result: Result<Prediction, Error>,
    ) -> Result<Prediction, Error> {
        match self {
            Recipient::Unconcluded(_) => result,
            Recipient::One(_) | Recipient::Numbered(_) => answering.conclude(result),
        }
    }

    /// Answers this one row.
    pub(crate) fn answer(self, result: Result<Prediction, Error>) {
        answer_all([(self, result)]);
    }
}

/// Answers rows; those of one sink that follow each other go to it together.
pub(crate) fn answer_all(
    answers: impl IntoIterator<Item = (Recipient, Result<Prediction, Error>)>,
) {
    let mut group: Option<(Arc<dyn AnswerSink>, Vec<RowAnswer>)> = None;
    let answers = answers.into_iter();
    // Rows of a request are mostly of one sink.
    let mut room = answers.size_hint().1.unwrap_or_default();
    for (recipient, result) in answers {
        let mut numbered = match recipient {
            Recipient::One(answer) | Recipient::Unconcluded(answer) => {
                // Whoever asked may have gone meanwhile.
                let _ = answer.send(result);
                continue;
            }
            Recipient::Numbered(numbered) => numbered,
        };
        let Some(sink) = numbered.sink.take() else {
            continue;
        };
        let answer = RowAnswer::only(numbered.number, result);
        match &mut group {
            Some((of, answers)) if Arc::ptr_eq(of, &sink) => answers.push(answer),
            group => {
                let mut answers = Vec::with_capacity(std::mem::take(&mut room));
                answers.push(answer);
                let before = group.replace((sink, answers));
                if let Some((sink, answers)) = before {
                    tell(&*sink, answers);
                }
            }
        }
    }
    if let Some((sink, answers)) = group {
        tell(&*sink, answers);
    }
}

/// Hands answers to a sink, whose panic is nothing to the other rows.
pub(crate) fn tell(sink: &dyn AnswerSink, answers: Vec<RowAnswer>) {
    let rows = answers.len();
    if catch_unwind(AssertUnwindSafe(|| sink.take(answers))).is_err() {
        error!(rows, "a sink of answers has panicked");
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Recipient::One(_) | Recipient::Unconcluded(_) => formatter.write_str("One"),
            Recipient::Numbered(numbered) => write!(formatter, "Numbered({})", numbered.number),
        }
    }
}
