//! The lifecycle that every model function has, whatever it does with a row.

use std::sync::Arc;

use async_trait::async_trait;

use crate::{AnswerSink, Error, PredictionFuture, SequenceSnapshot, Subtask, Value, owed_answer};

/// A function that a pipeline opens in each subtask, calls for its rows, and closes.
///
/// Whoever runs functions can write against this trait, or against `dyn ModelFunction`. Whoever writes
/// one says how it opens, what happens to a row, and how it ends; the rest is made of that, as it is
/// right for a function that keeps nothing between rows. [`FunctionBase`](crate::FunctionBase) shows
/// one, and [`PredictStream`](crate::PredictStream) adds streams to each.
///
/// Where the option `sequence-key` is set, rows of one key are answered in the order in which
/// [`submit`](Self::submit), [`predict`](Self::predict) and the others are *called*, however the futures
/// are polled. None of them is an `async fn` for that reason, so the order holds through the trait, too.
#[async_trait]
pub trait ModelFunction: Send + Sync {
    /// Makes the function ready to predict in `subtask`.
    ///
    /// A function that was closed can be opened again.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::State`](crate::ErrorKind::State) when it is open already, and whatever the
    /// function finds wrong with its surroundings, or because it is closed meanwhile; it then is
    /// not open.
    async fn open(&self, subtask: Subtask) -> Result<(), Error>;

    /// Hands over a row, whose values are in the order of the input columns, and whose place among the
    /// others is settled when this returns.
    ///
    /// Any number of rows may be handed over at once; the option `max-in-flight` bounds how
    /// many are sent. Dropping the future gives the row up; the server may execute it all the same.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::State`](crate::ErrorKind::State) when the function is not open, and
    /// whatever keeps this row from being answered; other rows are not affected.
    fn submit(&self, row: &[Value]) -> PredictionFuture;

    /// Refuses further rows, lets those in flight that somebody waits for finish for as long as the
    /// option `timeout` says, and gives up the others and what `open` took. An `open` that is not
    /// finished is cancelled. Closing a function that is not open does nothing.
    ///
    /// # Errors
    ///
    /// Every failure on the way; the function is closed all the same.
    async fn close(&self) -> Result<(), Error>;

    /// Gives everything up at once, whatever the function is doing: opening, predicting or closing.
    ///
    /// Rows that are not answered fail with [`ErrorKind::State`](crate::ErrorKind::State). When this
    /// returns, nothing of the function works any more, and it can be opened again. Aborting a function
    /// that is not open does nothing.
    async fn abort(&self);

    /// Answers one row: the same as [`submit`](Self::submit), for whoever waits at once.
    ///
    /// # Errors
    ///
    /// As [`submit`](Self::submit).
    fn predict(&self, row: &[Value]) -> PredictionFuture {
        self.submit(row)
    }

    /// Hands over a row that is the last one of its key, which ends the key's sequence.
    ///
    /// The same as [`submit`](Self::submit) for a function without sequences of keys.
    ///
    /// # Errors
    ///
    /// As [`submit`](Self::submit).
    fn submit_last(&self, row: &[Value]) -> PredictionFuture {
        self.submit(row)
    }

    /// Hands over a row whose answer goes to `sink`, under the caller's `number`.
    ///
    /// The order of calls is the order of rows. Whatever is wrong with a row or the function, and what
    /// [`submit`](Self::submit) would return, goes to the sink, exactly once. There is no limit to how
    /// many rows wait: the caller has to bound those that are not answered yet.
    ///
    /// A function that does not say otherwise makes a task of the current tokio runtime for the row;
    /// without a runtime the sink is told so.
    fn submit_to(&self, number: u64, row: &[Value], sink: &Arc<dyn AnswerSink>) {
        owed_answer::spawn(number, self.submit(row), sink);
    }

    /// As [`submit_to`](Self::submit_to), for a row that is the last one of its key: see
    /// [`submit_last`](Self::submit_last).
    fn submit_last_to(&self, number: u64, row: &[Value], sink: &Arc<dyn AnswerSink>) {
        owed_answer::spawn(number, self.submit_last(row), sink);
    }

    /// How many rows keep the function busy: so many are handed over before the first one is answered
    /// where rows come from a stream.
    ///
    /// A function that does not say otherwise has the default of the option `max-in-flight`.
    fn rows_in_flight(&self) -> usize {
        32
    }

    /// What the function keeps between rows, to be stored with a checkpoint of the engine.
    ///
    /// Call it when every row handed over is answered. It is empty for a function that keeps nothing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::State`](crate::ErrorKind::State) when the function is not open, or rows are in
    /// flight.
    fn snapshot(&self) -> Result<SequenceSnapshot, Error> {
        Ok(SequenceSnapshot::default())
    }

    /// Takes what a snapshot has, after `open` and before any row.
    ///
    /// A function that keeps nothing takes a snapshot without sequences of keys, and refuses others.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::State`](crate::ErrorKind::State) when the function is not open, and
    /// [`ErrorKind::Snapshot`](crate::ErrorKind::Snapshot) when the snapshot cannot be used.
    fn restore(&self, snapshot: SequenceSnapshot) -> Result<(), Error> {
        snapshot.check_without_keys()
    }
}
