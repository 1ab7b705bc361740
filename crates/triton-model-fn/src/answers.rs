//! Where the answers to rows go: to whoever waits for one, or in groups to a sink, by number.

use std::fmt;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::sync::oneshot;
use tracing::error;

use crate::answering::Answering;
use crate::ending::Ended;
use crate::rows_in_words::rows_in_words;
use crate::{CallContext, Error, Prediction, Value};

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

/// The model's answers to rows that were handed over together, column by column.
///
/// Each is the last one of its row, and the row's status is
/// [`Answered`](crate::PredictionStatus::Answered).
#[derive(Debug)]
#[non_exhaustive]
pub struct AnsweredRows {
    /// The numbers of the rows, run by run.
    pub numbers: Vec<Range<u64>>,
    /// For each output column the values of the rows, in the order of `numbers`.
    pub columns: Vec<Vec<Value>>,
}

impl AnsweredRows {
    /// The answers as they come where rows are handed over one by one.
    fn one_by_one(self) -> Vec<RowAnswer> {
        let width = self.columns.len();
        let mut columns: Vec<_> = self.columns.into_iter().map(Vec::into_iter).collect();
        let mut next = |number: u64| {
            let mut row = Vec::with_capacity(width);
            row.extend(columns.iter_mut().filter_map(Iterator::next));
            RowAnswer::only(number, Ok(Prediction::new(row, None)))
        };
        let numbers = self.numbers.into_iter().flatten();
        numbers.map(&mut next).collect()
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

    /// Takes the model's answers to rows of one request, which were
    /// [handed over together](crate::InferenceFunction::submit_rows_to), without a value for each of
    /// them. A sink that says nothing of it gets them by [`take`](Self::take).
    fn take_rows(&self, answers: AnsweredRows) {
        self.take(answers.one_by_one());
    }

    /// Whether what it takes is handed to whoever asked only later.
    #[doc(hidden)]
    fn keeps_answers(&self) -> bool {
        false
    }
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
            parts => ended.error(&format!("after {} of the stream", rows_in_words(parts))),
        };
        self.open.metrics().row_failed(&error);
        let answer = RowAnswer {
            part: self.parts,
            ..RowAnswer::only(self.number, Err(error.in_subtask(self.open.subtask)))
        };
        tell(&*sink, vec![answer]);
    }
}

/// Rows of a sink whose numbers follow each other, with nothing kept for each of them. When it is
/// dropped, the sink is told that they are not answered.
pub(crate) struct Run {
    numbers: Range<u64>,
    /// Until the rows are answered, or are on their own.
    sink: Option<Arc<dyn AnswerSink>>,
    open: Arc<CallContext>,
}

impl Run {
    pub(crate) fn new(number: u64, sink: &Arc<dyn AnswerSink>, open: &Arc<CallContext>) -> Self {
        Self {
            numbers: number..number.saturating_add(1),
            sink: Some(Arc::clone(sink)),
            open: Arc::clone(open),
        }
    }

    pub(crate) fn len(&self) -> usize {
        (self.numbers.end - self.numbers.start) as usize
    }

    /// Takes a row in that follows the last one; otherwise it says false.
    #[inline]
    pub(crate) fn extend(&mut self, number: u64, sink: &Arc<dyn AnswerSink>) -> bool {
        let is_next = self.numbers.end == number
            && number < u64::MAX
            && self.sink.as_ref().is_some_and(|it| Arc::ptr_eq(it, sink));
        self.numbers.end += u64::from(is_next);
        is_next
    }

    /// Each row by itself.
    pub(crate) fn one_by_one(mut self) -> impl Iterator<Item = Recipient> {
        let (sink, open) = (self.sink.take(), Arc::clone(&self.open));
        let numbers = sink.is_some().then(|| self.numbers.clone());
        let rows = numbers.into_iter().flatten().zip(std::iter::repeat(sink));
        rows.map(move |(number, sink)| {
            Recipient::Numbered(Numbered {
                number,
                parts: 0,
                sink,
                open: Arc::clone(&open),
            })
        })
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if self.sink.is_some() {
            let numbers = self.numbers.clone();
            let left = Self {
                numbers,
                sink: self.sink.take(),
                open: Arc::clone(&self.open),
            };
            // Each of them tells the sink so.
            left.one_by_one().for_each(drop);
        }
    }
}

/// Whoever waits for the answers to one row or several of one request.
pub(crate) enum Recipients {
    One(Recipient),
    Run(Run),
}

impl Recipients {
    /// How many rows they wait for.
    pub(crate) fn rows(&self) -> usize {
        match self {
            Recipients::One(_) => 1,
            Recipients::Run(run) => run.len(),
        }
    }

    /// Whether nobody waits any more.
    pub(crate) fn are_gone(&self) -> bool {
        match self {
            Recipients::One(recipient) => recipient.is_gone(),
            Recipients::Run(_) => false,
        }
    }

    /// Ready once nobody waits any more.
    pub(crate) fn poll_gone(&mut self, context: &mut Context<'_>) -> Poll<()> {
        match self {
            Recipients::One(recipient) => recipient.poll_gone(context),
            Recipients::Run(_) => Poll::Pending,
        }
    }

    /// Each row by itself.
    pub(crate) fn one_by_one(self) -> impl Iterator<Item = Recipient> {
        let (one, run) = match self {
            Recipients::One(recipient) => (Some(recipient), None),
            Recipients::Run(run) => (None, Some(run.one_by_one())),
        };
        one.into_iter().chain(run.into_iter().flatten())
    }

    /// Answers every row with an error, or what stands in for its answer. One that nobody waits for
    /// was given up, and is counted nowhere.
    pub(crate) fn fail(self, answering: &Answering, error: &Error) {
        let waiting = self.one_by_one().filter(|recipient| !recipient.is_gone());
        answer_all(waiting.map(|recipient| {
            let result = recipient.conclude(answering, Err(error.clone()));
            (recipient, result)
        }));
    }
}

/// Hands the answers to all rows of a request to the one sink of their runs, column by column.
///
/// # Errors
///
/// The recipients, where not all of them are runs of one sink.
pub(crate) fn answer_rows(
    recipients: Vec<Recipients>,
    columns: impl FnOnce() -> Option<Vec<Vec<Value>>>,
) -> Result<(), Vec<Recipients>> {
    let mut sinks = recipients.iter().map(|it| match it {
        Recipients::Run(run) => run.sink.as_ref(),
        Recipients::One(_) => None,
    });
    let Some(Some(sink)) = sinks.next().map(|first| first.cloned()) else {
        return Err(recipients);
    };
    let is_same = |it: Option<&Arc<_>>| it.is_some_and(|it| Arc::ptr_eq(it, &sink));
    if !sinks.all(is_same) {
        return Err(recipients);
    }
    let Some(columns) = columns() else {
        return Err(recipients);
    };
    let numbers = recipients.into_iter().filter_map(|it| match it {
        Recipients::Run(mut run) => run.sink.take().map(|_| run.numbers.clone()),
        Recipients::One(_) => None,
    });
    let numbers: Vec<Range<u64>> = numbers.collect();
    let rows: u64 = numbers.iter().map(|it| it.end - it.start).sum();
    let answers = AnsweredRows { numbers, columns };
    if catch_unwind(AssertUnwindSafe(|| sink.take_rows(answers))).is_err() {
        error!(rows, "a sink of answers has panicked");
    }
    Ok(())
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
pub(crate) fn tell(sink: &dyn AnswerSink, mut answers: Vec<RowAnswer>) {
    let rows = answers.len();
    if !sink.keeps_answers() {
        let predictions = answers.iter_mut().filter_map(|it| it.result.as_mut().ok());
        let marks = predictions.filter_map(|prediction| prediction.unseen.take());
        marks.for_each(|mark| mark.seen());
    }
    if catch_unwind(AssertUnwindSafe(|| sink.take(answers))).is_err() {
        error!(rows, "a sink of answers has panicked");
    }
}

impl fmt::Debug for Recipients {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Recipients::One(recipient) => recipient.fmt(formatter),
            Recipients::Run(run) => write!(formatter, "Run({:?})", run.numbers),
        }
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
