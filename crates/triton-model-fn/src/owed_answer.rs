//! The answer that is owed to a sink, for functions that leave sinks to the default of the trait.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt as _;
use tokio::runtime::Handle;

use crate::{AnswerSink, Error, ErrorKind, Prediction, PredictionFuture, RowAnswer, answers};

/// Waits for an answer in a task of the current runtime, and hands it to a sink.
///
/// Without a runtime, or where it ends before the row, the sink is told so.
pub(crate) fn spawn(number: u64, answer: PredictionFuture, sink: &Arc<dyn AnswerSink>) {
    let mut owed = OwedAnswer {
        number,
        sink: Arc::clone(sink),
        is_told: false,
    };
    let Ok(runtime) = Handle::try_current() else {
        return;
    };
    let mut answer = AssertUnwindSafe(answer).catch_unwind();
    // Here and now it asks for its permit, so that a function that is closed next waits for it.
    match (&mut answer).now_or_never() {
        Some(Ok(result)) => owed.tell(result),
        // The sink hears of a panic when `owed` is dropped.
        Some(Err(_)) => {}
        None => drop(runtime.spawn(async move {
            if let Ok(result) = answer.await {
                owed.tell(result);
            }
        })),
    }
}

/// When it is dropped before it is told, the sink hears of it all the same.
struct OwedAnswer {
    number: u64,
    sink: Arc<dyn AnswerSink>,
    is_told: bool,
}

impl OwedAnswer {
    fn tell(&mut self, result: Result<Prediction, Error>) {
        self.is_told = true;
        self.send(result);
    }

    fn send(&self, result: Result<Prediction, Error>) {
        answers::tell(&*self.sink, vec![RowAnswer::only(self.number, result)]);
    }
}

impl Drop for OwedAnswer {
    fn drop(&mut self) {
        if !self.is_told {
            let message = "what worked on the row has ended before the row was answered: the tokio \
                           runtime is gone, or the function has panicked";
            self.send(Err(Error::new(ErrorKind::State, message)));
        }
    }
}
