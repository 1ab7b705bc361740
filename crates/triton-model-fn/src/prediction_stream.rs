//! A stream of rows as a stream of predictions.

use std::collections::VecDeque;
use std::fmt;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use futures_util::Stream;

use crate::{AnswerSink, Error, ModelFunction, Prediction, RowAnswer, Value};

/// Streams for every function.
pub trait PredictStream: ModelFunction {
    /// The predictions of a stream of rows, in its order.
    ///
    /// At most [`rows_in_flight`](ModelFunction::rows_in_flight) rows are handed over and not yielded
    /// yet; no further row is taken from `rows` until one is. So a slow server slows `rows` down, and so
    /// does whoever reads the predictions.
    ///
    /// A row that fails is an `Err` in its place, and the stream goes on. Dropping the stream takes
    /// no row back that was handed over.
    ///
    /// ```
    /// use futures_util::{StreamExt as _, stream};
    /// use triton_embedded::EmbeddedTriton;
    /// use triton_model_fn::{
    ///     DataType, InferenceFunction, ModelFunction as _, PredictStream as _, Schema, Subtask,
    ///     TritonOptions, Value,
    /// };
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let server = EmbeddedTriton::start()?;
    /// let options = [("endpoint", server.endpoint()), ("model-name", "echo".to_owned())];
    /// let schema = Schema::new([("value", DataType::Float)], [("echo", DataType::Float)]);
    /// let function = InferenceFunction::new(TritonOptions::parse(options)?, schema)?;
    /// function.open(Subtask::new(0, 1, 0)?).await?;
    ///
    /// let rows = stream::iter((0..1000).map(|number| vec![Value::Float(number as f32)]));
    /// let mut predictions = function.predict_stream(rows).enumerate();
    /// while let Some((number, prediction)) = predictions.next().await {
    ///     assert_eq!(prediction?.row, [Value::Float(number as f32)]);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    fn predict_stream<S>(&self, rows: S) -> PredictionStream<&Self, S>
    where
        S: Stream<Item = Vec<Value>>,
    {
        PredictionStream::new(self, rows)
    }
}

impl<F: ModelFunction + ?Sized> PredictStream for F {}

/// What [`predict_stream`](PredictStream::predict_stream) returns; made of an
/// [`Arc`] of a function, it can go to another task.
pub struct PredictionStream<F, S> {
    function: F,
    /// `None` once it has come to its end.
    rows: Option<Pin<Box<S>>>,
    /// The number of the next row.
    next: u64,
    /// How many rows are handed over and not yielded at most.
    limit: u64,
    answers: Arc<InOrder>,
    sink: Arc<dyn AnswerSink>,
}

impl<F, S> PredictionStream<F, S>
where
    F: Deref<Target: ModelFunction> + Unpin,
    S: Stream<Item = Vec<Value>>,
{
    /// The predictions of a stream of rows, as [`PredictStream::predict_stream`] describes them.
    pub fn new(function: F, rows: S) -> Self {
        let answers = Arc::new(InOrder::default());
        Self {
            rows: Some(Box::pin(rows)),
            next: 0,
            limit: function.rows_in_flight().max(1) as u64,
            sink: Arc::clone(&answers) as _,
            answers,
            function,
        }
    }

    /// Hands over rows until there is none, or there are as many as may be in flight.
    fn hand_over(&mut self, context: &mut Context<'_>) {
        while let Some(rows) = &mut self.rows
            && self.next - self.answers.yielded() < self.limit
        {
            match rows.as_mut().poll_next(context) {
                Poll::Ready(Some(row)) => {
                    self.function.submit_to(self.next, &row, &self.sink);
                    self.next += 1;
                }
                Poll::Ready(None) => self.rows = None,
                Poll::Pending => return,
            }
        }
    }
}

impl<F, S> Stream for PredictionStream<F, S>
where
    F: Deref<Target: ModelFunction> + Unpin,
    S: Stream<Item = Vec<Value>>,
{
    type Item = Result<Prediction, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.hand_over(context);
        match self.answers.poll_next(context) {
            Poll::Pending if self.rows.is_none() && self.answers.yielded() == self.next => {
                Poll::Ready(None)
            }
            polled => polled.map(Some),
        }
    }
}

impl<F, S> fmt::Debug for PredictionStream<F, S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("PredictionStream")
            .field("handed_over", &self.next)
            .field("yielded", &self.answers.yielded())
            .finish_non_exhaustive()
    }
}

/// Answers that wait for their turn.
#[derive(Debug, Default)]
struct InOrder(Mutex<Answers>);

#[derive(Debug, Default)]
struct Answers {
    /// How many rows were yielded, which is the number of the first that waits.
    yielded: u64,
    waiting: VecDeque<Waiting>,
    waker: Option<Waker>,
}

/// The answers to a row: one, but for those of a decoupled model.
#[derive(Debug, Default)]
struct Waiting {
    answers: VecDeque<Result<Prediction, Error>>,
    /// Whether no other follows.
    is_whole: bool,
}

impl Answers {
    /// The next answer, where it is there.
    fn next(&mut self) -> Option<Result<Prediction, Error>> {
        let first = self.waiting.front_mut()?;
        let answer = first.answers.pop_front()?;
        if first.is_whole && first.answers.is_empty() {
            self.waiting.pop_front();
            self.yielded += 1;
        }
        Some(answer)
    }
}

impl InOrder {
    fn lock(&self) -> MutexGuard<'_, Answers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn yielded(&self) -> u64 {
        self.lock().yielded
    }

    fn poll_next(&self, context: &mut Context<'_>) -> Poll<Result<Prediction, Error>> {
        let mut answers = self.lock();
        if let Some(answer) = answers.next() {
            return Poll::Ready(answer.map(Prediction::seen));
        }
        match &mut answers.waker {
            Some(waker) => waker.clone_from(context.waker()),
            none => *none = Some(context.waker().clone()),
        }
        Poll::Pending
    }
}

impl AnswerSink for InOrder {
    fn keeps_answers(&self) -> bool {
        true
    }

    fn take(&self, group: Vec<RowAnswer>) {
        let mut answers = self.lock();
        for answer in group {
            let place = (answer.number - answers.yielded) as usize;
            if answers.waiting.len() <= place {
                answers.waiting.resize_with(place + 1, Waiting::default);
            }
            let row = &mut answers.waiting[place];
            row.answers.push_back(answer.result);
            row.is_whole = answer.is_last;
        }
        let first = answers.waiting.front();
        let first_is_there = first.is_some_and(|row| !row.answers.is_empty());
        let waker = answers.waker.take_if(|_| first_is_there);
        drop(answers);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}
