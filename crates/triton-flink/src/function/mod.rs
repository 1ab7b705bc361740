//! A model function in one subtask of Flink: calls that Java begins, and what happens to them.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{FutureExt as _, TryFutureExt as _};
use tokio::runtime::Handle;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;
use tracing::debug;
use tracing::subscriber::{NoSubscriber, with_default};
use triton_model_fn::{
    AnswerSink, Column, Error, ErrorKind, InferenceFunction, ModelFunction as _, Prediction,
    Subtask, Value,
};

use crate::description::{Description, SharedIds, shortly_before};
use crate::events::Events;
use crate::failure::Failure;
use crate::flink_metrics::{FunctionRecorder, Recorded};
use crate::replica_metrics;
use crate::row_name::RowName;
use crate::row_wire::{read_row, write_row};
use crate::runtime::{self, Lease};
use crate::wire::{Reader, put_count};

use gathered::{HeldRows, Sink};

mod gathered;
#[cfg(test)]
mod gathered_tests;
#[cfg(test)]
mod given_up_tests;
#[cfg(test)]
mod life_tests;
#[cfg(test)]
mod tests;

/// The call that opens the function; every other is the number of a row.
const OPENING: u64 = u64::MAX;

/// A function and its calls.
pub(crate) struct Function {
    shared: Arc<Shared>,
    /// Where answers go if rows share requests.
    sink: Option<Arc<dyn AnswerSink>>,
    runtime: Handle,
    calls: Mutex<Calls>,
}

/// Rows as Java handed them over.
struct ReadRows {
    bytes: Bytes,
    /// Where each of them begins.
    starts: Vec<usize>,
    /// Those of one row behind those of the other.
    values: Vec<Value>,
    /// Why some of the rows cannot be used.
    unusable: Vec<(usize, String)>,
}

impl ReadRows {
    fn read(
        count: usize,
        bytes: Bytes,
        columns: &[Column],
        histories: &[usize],
    ) -> Result<Self, Failure> {
        // Each value has a byte at least, whatever the count says.
        let most = count.min(bytes.len());
        let mut starts = Vec::with_capacity(most);
        let mut values = Vec::with_capacity((most * columns.len()).min(bytes.len()));
        let mut unusable = Vec::new();
        let mut reader = Reader::sharing(&bytes);
        for index in 0..count {
            starts.push(bytes.len() - reader.len());
            if let Some(problem) = read_row(&mut reader, columns, histories, &mut values)? {
                unusable.push((index, problem));
            }
        }
        if !reader.is_empty() {
            let problem = "the rows from Java are longer than their columns";
            return Err(Failure::new(problem));
        }
        Ok(Self {
            bytes,
            starts,
            values,
            unusable,
        })
    }
}

/// What the calls use.
#[derive(Debug)]
struct Shared {
    function: InferenceFunction,
    subtask: Subtask,
    inputs: Vec<Column>,
    /// Which of them only carry earlier rows.
    histories: Vec<usize>,
    shows_values: bool,
    shared_ids: Option<SharedIds>,
    model: String,
    row_timeout: Option<Duration>,
    /// Whether that is the deadline of the function's rows.
    is_deadline: bool,
    /// How much later Flink gives a row up.
    margin: Duration,
    events: Events,
    recorder: FunctionRecorder,
    held: Mutex<HeldRows>,
    /// Whether the model function may still work for rows that nobody waits for.
    has_given_up: AtomicBool,
}

/// The calls in flight.
#[derive(Debug)]
struct Calls {
    tasks: JoinSet<()>,
    by_number: HashMap<u64, AbortHandle>,
    /// What gives up rows whose time is over.
    watch: Option<AbortHandle>,
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
        let gathers = description.gathers();
        let (runtime, lease) = runtime::lease()?;
        let row_timeout = description.row_timeout.map(shortly_before);
        let margin = description.row_timeout.zip(row_timeout);
        let deadline = description.options.row_deadline.map(|it| it.get());
        let shared = Shared {
            function,
            shows_values: description.shows_values,
            histories: description.histories(),
            shared_ids: description.shared_ids(subtask.index()),
            model: description.model().to_owned(),
            subtask,
            inputs: description.schema.inputs,
            row_timeout,
            is_deadline: deadline == row_timeout,
            margin: margin.map_or(Duration::ZERO, |(flinks, ours)| flinks - ours),
            events: Events::default(),
            recorder: FunctionRecorder::new(),
            held: Mutex::default(),
            has_given_up: AtomicBool::new(false),
        };
        let calls = Calls {
            tasks: JoinSet::new(),
            by_number: HashMap::new(),
            watch: None,
            lease: Some(lease),
        };
        let shared = Arc::new(shared);
        let sink = gathers.then(|| {
            let sink: Arc<dyn AnswerSink> = Arc::new(Sink(Arc::clone(&shared)));
            sink
        });
        Ok(Self {
            shared,
            sink,
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

    /// The sequence IDs that others may send as well, if anybody can.
    pub(crate) fn shared_ids(&self) -> Option<&SharedIds> {
        self.shared.shared_ids.as_ref()
    }

    /// The name of the model, as metrics have it.
    pub(crate) fn model(&self) -> &str {
        &self.shared.model
    }

    /// The replicas that serve it, as far as metrics have them: none where there is one server.
    pub(crate) fn replicas(&self) -> Vec<String> {
        let mut replicas = self.shared.function.replicas();
        let counted = replica_metrics::of_model(&self.shared.model);
        replicas.retain(|replica| counted.contains(replica));
        replicas
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
        )?;
        if let (Some(_), Some(time)) = (&self.sink, self.shared.row_timeout) {
            let grace = self.shared.margin / 2;
            let watch = gathered::give_up_overdue(Arc::downgrade(&self.shared), time, grace);
            let watch = Recorded::new(self.shared.recorder.clone(), watch);
            self.lock().watch = Some(self.runtime.spawn(watch).abort_handle());
        }
        Ok(())
    }

    /// Whether rows share requests.
    pub(crate) fn gathers(&self) -> bool {
        self.sink.is_some()
    }

    /// Whether errors keep the values of rows, or their keys, to themselves.
    pub(crate) fn hides_values(&self) -> bool {
        !self.shared.shows_values
    }

    /// Begins to answer rows, whose numbers go on from `first`; events tell how that ended.
    ///
    /// Rows keep the order in which this is called, whatever the threads of the runtime do: the
    /// function learns of them here and now.
    pub(crate) fn predict(&self, first: u64, count: usize, rows: Bytes) -> Result<(), Failure> {
        let rows = ReadRows::read(count, rows, &self.shared.inputs, &self.shared.histories)?;
        let _within = self.runtime.enter();
        let mut unusable = rows.unusable.into_iter().peekable();
        let width = self.shared.inputs.len().max(1);
        let mut index = 0;
        while index < count {
            let row = || rows.values[index * width..(index + 1) * width].to_vec();
            let number = first + index as u64;
            if let Some((_, problem)) = unusable.next_if(|(at, _)| *at == index) {
                self.refuse(number, row(), problem)?;
                index += 1;
            } else if let Some(sink) = &self.sink {
                let end = unusable.peek().map_or(count, |(at, _)| *at);
                let held = (rows.bytes.clone(), &rows.starts[index..end]);
                let time = self.shared.row_timeout;
                self.shared.held().add(number, held.0, held.1, time);
                let values = &rows.values[index * width..end * width];
                let function = &self.shared.function;
                let recorder = &self.shared.recorder;
                recorder.during(|| function.submit_rows_to(number, values, sink));
                index = end;
            } else {
                self.predict_alone(number, row())?;
                index += 1;
            }
        }
        Ok(())
    }

    fn predict_alone(&self, row_number: u64, row: Vec<Value>) -> Result<(), Failure> {
        let shared = Arc::clone(&self.shared);
        let recorder = shared.recorder.clone();
        let came = Instant::now();
        let answers = recorder.during(|| self.shared.function.predict_all(&row));
        let answering = async move {
            let answers = caught(shared.in_time(came, row_number, &row, answers)).await;
            shared.events.push(row_number, answers.map(written));
        };
        self.spawn(row_number, Recorded::new(recorder, answering))
    }

    /// Answers a row that cannot be used, which takes its place among those of its key.
    fn refuse(&self, row_number: u64, row: Vec<Value>, problem: String) -> Result<(), Failure> {
        let shared = Arc::clone(&self.shared);
        let recorder = shared.recorder.clone();
        let came = Instant::now();
        let told = recorder.during(|| shared.function.submit_unusable(&row));
        let refusing = async move {
            let answers = async {
                told.await;
                let error = Error::new(ErrorKind::Input, problem);
                Ok(vec![shared.function.conclude_unusable(error)?])
            };
            let answers = caught(shared.in_time(came, row_number, &row, answers)).await;
            shared.events.push(row_number, answers.map(written));
        };
        self.spawn(row_number, Recorded::new(recorder, refusing))
    }

    /// Gives a call up; no event will tell of it.
    pub(crate) fn cancel(&self, call: u64) {
        if let Some(task) = self.lock().by_number.remove(&call) {
            task.abort();
        }
        if self.shared.held().take(call).is_some() {
            self.shared.has_given_up.store(true, Ordering::Relaxed);
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
            if let Some(watch) = calls.watch.take() {
                watch.abort();
            }
            (std::mem::take(&mut calls.tasks), calls.lease.take())
        };
        let Some(lease) = lease else {
            return Ok(());
        };
        // Whatever happens here, the thread that waits for events is to end.
        let closing = ClosesEvents(&self.shared.events);
        while tasks.try_join_next().is_some() {}
        // Nor is anybody to wait for rows that were given up: the server may never answer them.
        let is_cancelled = !tasks.is_empty()
            || !self.shared.held().is_empty()
            || self.shared.has_given_up.load(Ordering::Relaxed);
        // No event tells of what is given up.
        self.shared.held().clear();
        let closed = self.runtime.block_on(async {
            tasks.shutdown().await;
            if is_cancelled {
                self.shared.function.abort().await;
                return Ok(());
            }
            self.shared.function.close().await
        });
        drop(closing);
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

/// Closes the events when it is dropped.
struct ClosesEvents<'a>(&'a Events);

impl Drop for ClosesEvents<'_> {
    fn drop(&mut self) {
        self.0.close();
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
    /// Waits for the answers to a row that `came` as long as Flink does, which takes them together.
    async fn in_time(
        &self,
        came: Instant,
        row_number: u64,
        row: &[Value],
        answers: impl Future<Output = Result<Vec<Prediction>, Error>>,
    ) -> Result<Vec<Prediction>, Failure> {
        // A little later than the model function gives the row up where it knows how: it keeps the
        // answers of a stream that have come, and its sequences have to know what they lack.
        let given_up_at = self.row_timeout.and_then(|time| came.checked_add(time));
        let answered = match self.row_timeout.map(|time| time + self.margin / 2) {
            Some(limit) => {
                let in_time = tokio::time::timeout(limit, answers).await;
                in_time.unwrap_or_else(|_| Ok(vec![self.function.conclude_unusable(gave_up())?]))
            }
            None => answers.await,
        };
        let is_late = given_up_at.is_some_and(|time| time <= Instant::now());
        let told = self.told(row_number, row, answered);
        // An error that says so has the advice.
        told.map_err(|failure| match is_late {
            true => failure.advised(ADVICE),
            false => failure,
        })
    }

    /// What happened to a row, as Java is told of it.
    fn told(
        &self,
        row_number: u64,
        row: &[Value],
        answered: Result<Vec<Prediction>, Error>,
    ) -> Result<Vec<Prediction>, Failure> {
        let predictions = answered.map_err(|error| {
            let row = RowName {
                number: row_number,
                values: self.shows_values.then_some((&self.inputs, row)),
            };
            let failure = Failure::of_row(&error, &row);
            match error.is_of_deadline() && self.is_deadline {
                true => failure.advised(ADVICE),
                false => failure,
            }
        })?;
        for prediction in &predictions {
            self.log_answered(row_number, prediction.sequence_id.as_deref());
        }
        Ok(predictions)
    }

    fn log_answered(&self, row_number: u64, sequence_id: Option<&str>) {
        debug!(
            row = row_number,
            subtask = self.subtask.index(),
            attempt = self.subtask.attempt(),
            sequence_id,
            "answered"
        );
    }

    fn held(&self) -> MutexGuard<'_, HeldRows> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What to do about a row that Flink would give up next.
const ADVICE: &str = "raise 'table.exec.async-ml-predict.timeout', or lower the options 'timeout' \
                      and 'max-retries' of the model";

/// The error of a row that Flink would give up next.
fn gave_up() -> Error {
    let message = format!("it was not answered before Flink would have given it up; {ADVICE}");
    Error::new(ErrorKind::Call, message)
}

/// A panic becomes a failure: a task that ends by one would leave its call without an event.
async fn caught<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let outcome = AssertUnwindSafe(future).catch_unwind().await;
    outcome.unwrap_or_else(|panic| Err(Failure::of_panic(&*panic)))
}
