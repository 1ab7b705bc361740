//! A model function in one subtask of Flink: calls that Java begins, and what becomes of them.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::{FutureExt as _, TryFutureExt as _};
use tokio::runtime::Handle;
use tokio::task::{AbortHandle, JoinSet};
use tracing::debug;
use tracing::subscriber::{NoSubscriber, with_default};
use triton_model_fn::{
    Column, Error, ErrorKind, InferenceFunction, ModelFunction as _, Prediction, Subtask,
};

use crate::description::Description;
use crate::events::Events;
use crate::failure::Failure;
use crate::flink_metrics::{FunctionRecorder, Recorded};
use crate::row_wire::{read_row, write_row};
use crate::runtime::{self, Lease};
use crate::wire::put_count;

#[cfg(test)]
mod tests;

/// The call that opens the function; every other is the number of a row.
const OPENING: u64 = u64::MAX;

/// A function and its calls.
#[derive(Debug)]
pub(crate) struct Function {
    shared: Arc<Shared>,
    runtime: Handle,
    calls: Mutex<Calls>,
}

/// What the calls use.
#[derive(Debug)]
struct Shared {
    function: InferenceFunction,
    subtask: Subtask,
    inputs: Vec<Column>,
    row_timeout: Option<Duration>,
    events: Events,
    recorder: FunctionRecorder,
}

/// The calls in flight.
#[derive(Debug)]
struct Calls {
    tasks: JoinSet<()>,
    by_number: HashMap<u64, AbortHandle>,
    /// Given back when the function is closed.
    lease: Option<Lease>,
}

impl Function {
    pub(crate) fn new(description: Description, subtask: Subtask) -> Result<Self, Failure> {
        let function = match subtask.index() {
            0 => description.function(),
            // What is odd about the options has been logged for the first one.
            _ => with_default(NoSubscriber::new(), || description.function()),
        }?;
        let (runtime, lease) = runtime::lease()?;
        let shared = Shared {
            function,
            subtask,
            inputs: description.schema.inputs,
            row_timeout: description.row_timeout.map(shortly_before),
            events: Events::default(),
            recorder: FunctionRecorder::new(),
        };
        let calls = Calls {
            tasks: JoinSet::new(),
            by_number: HashMap::new(),
            lease: Some(lease),
        };
        Ok(Self {
            shared: Arc::new(shared),
            runtime,
            calls: Mutex::new(calls),
        })
    }

    pub(crate) fn events(&self) -> &Events {
        &self.shared.events
    }

    pub(crate) fn recorder(&self) -> &FunctionRecorder {
        &self.shared.recorder
    }

    /// Begins to open; the event of the call [`OPENING`] tells how it ended.
    pub(crate) fn open(&self) -> Result<(), Failure> {
        let shared = Arc::clone(&self.shared);
        let opening = async move {
            let opened = shared.function.open(shared.subtask);
            let opened = caught(opened.map_err(Failure::from)).await;
            let nothing = |()| |_: &mut Vec<u8>| Ok(());
            shared.events.push(OPENING, opened.map(nothing));
        };
        self.spawn(
            OPENING,
            Recorded::new(self.shared.recorder.clone(), opening),
        )
    }

    /// Begins to answer a row; an event tells how it ended.
    ///
    /// Rows keep the order in which this is called, whatever the threads of the runtime do: the
    /// function learns of the row here and now.
    pub(crate) fn predict(&self, row_number: u64, row: &[u8]) -> Result<(), Failure> {
        let row = read_row(row, &self.shared.inputs)?;
        let _within = self.runtime.enter();
        let recorder = self.shared.recorder.clone();
        let shared = Arc::clone(&self.shared);
        let answers = recorder.during(|| self.shared.function.predict_all(&row));
        let answering = async move {
            let answers = caught(shared.in_time(row_number, answers)).await;
            shared.events.push(row_number, answers.map(written));
        };
        self.spawn(row_number, Recorded::new(recorder, answering))
    }

    /// Gives a call up; no event will tell of it.
    pub(crate) fn cancel(&self, call: u64) {
        if let Some(task) = self.lock().by_number.remove(&call) {
            task.abort();
        }
    }

    /// Gives up all calls and ends the function; doing it twice does nothing.
    ///
    /// Flink waits for every answer where a job comes to its end. Where it does not, the task was
    /// cancelled or has failed, and whatever still works for its rows is given up, too.
    pub(crate) fn close(&self) -> Result<(), Failure> {
        let (mut tasks, lease) = {
            let mut calls = self.lock();
            calls.by_number.clear();
            (std::mem::take(&mut calls.tasks), calls.lease.take())
        };
        let Some(lease) = lease else {
            return Ok(());
        };
        while tasks.try_join_next().is_some() {}
        let is_cancelled = !tasks.is_empty();
        let closed = self.runtime.block_on(async {
            tasks.shutdown().await;
            if is_cancelled {
                self.shared.function.abort().await;
                return Ok(());
            }
            self.shared.function.close().await
        });
        self.shared.events.close();
        drop(lease);
        closed.map_err(Failure::from)
    }

    fn spawn(
        &self,
        call: u64,
        future: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), Failure> {
        let mut calls = self.lock();
        if calls.lease.is_none() {
            return Err(Failure::new("the function is closed"));
        }
        while calls.tasks.try_join_next().is_some() {}
        if calls.by_number.len() > 2 * calls.tasks.len() + 64 {
            calls.by_number.retain(|_, task| !task.is_finished());
        }
        let task = calls.tasks.spawn_on(future, &self.runtime);
        calls.by_number.insert(call, task);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes the answers to a row, of which there can be several.
fn written(answers: Vec<Prediction>) -> impl FnOnce(&mut Vec<u8>) -> Result<(), Failure> {
    move |buffer| {
        put_count(buffer, answers.len())?;
        answers
            .iter()
            .try_for_each(|answer| write_row(buffer, &answer.row))
    }
}

impl Shared {
    /// Waits for the answers to a row as long as Flink does, which takes them together.
    async fn in_time(
        &self,
        row_number: u64,
        answers: impl Future<Output = Result<Vec<Prediction>, Error>>,
    ) -> Result<Vec<Prediction>, Failure> {
        let answered = match self.row_timeout {
            Some(limit) => {
                let in_time = tokio::time::timeout(limit, answers).await;
                in_time.unwrap_or_else(|_| {
                    let message = "it was not answered before Flink would have given it up; raise \
                                   'table.exec.async-ml-predict.timeout', or lower the options \
                                   'timeout' and 'max-retries' of the model";
                    let error = Error::new(ErrorKind::Call, message);
                    Ok(vec![self.function.conclude_unusable(error)?])
                })
            }
            None => answers.await,
        };
        let predictions = answered.map_err(|error| Failure::of_row(&error, row_number))?;
        for prediction in &predictions {
            debug!(
                row = row_number,
                subtask = self.subtask.index(),
                attempt = self.subtask.attempt(),
                sequence_id = prediction.sequence_id,
                "answered"
            );
        }
        Ok(predictions)
    }
}

/// So that the error of this library comes first, which names the row.
fn shortly_before(limit: Duration) -> Duration {
    limit - (limit / 10).min(Duration::from_millis(500))
}

/// A panic becomes a failure: a task that ends by one would leave its call without an event.
async fn caught<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let outcome = AssertUnwindSafe(future).catch_unwind().await;
    outcome.unwrap_or_else(|panic| Err(Failure::of_panic(&*panic)))
}
