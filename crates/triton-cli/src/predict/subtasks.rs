//! The parallel subtasks of a run, each with a function of its own, and which rows they get.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::anyhow;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tracing::subscriber::{NoSubscriber, with_default};
use triton_model_fn::{
    AnswerSink, Error, ErrorKind, InferenceFunction, InputRows, InputRowsBuilder,
    ModelFunction as _, Prediction, PredictionStatus, RowAnswer, Schema, SequencePlaces,
    SequenceSnapshot, ServerWait, Subtask, Value,
};
use triton_options::{
    Decoupled, SEQUENCE_ID, SEQUENCE_ID_AUTO_INCREMENT, SEQUENCE_KEY, SequenceMode, TritonOptions,
};

use super::sendable::Sendable;
use crate::failure::Failure;
use crate::table::Answers;

/// The most bytes of a request that is filled with as many rows as the model takes: newer servers
/// refuse more than 64 MB, and what is in flight at once is a multiple of it.
const LARGEST_REQUEST: usize = 8 * 1024 * 1024;

/// The answers to rows that were handed over one by one, until they are taken.
#[derive(Debug, Default)]
struct Inbox {
    answers: Mutex<Vec<RowAnswer>>,
    filled: Notify,
}

impl AnswerSink for Inbox {
    fn take(&self, answers: Vec<RowAnswer>) {
        let mut waiting = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.is_empty() {
            self.filled.notify_one();
        }
        waiting.extend(answers);
    }
}

/// What happened to rows that were handed over together.
pub(super) struct Outcome {
    pub(super) answers: Answers,
    /// The rows of which something else became than the model's answer, in order.
    pub(super) statuses: Vec<(usize, PredictionStatus)>,
    /// The rows that failed, in order.
    pub(super) failures: Vec<(usize, Error)>,
    /// The rows that were not answered before they were given up, in order.
    pub(super) given_up: Vec<usize>,
}

/// The functions of a run, one for each subtask.
pub(super) struct Subtasks {
    functions: Vec<Arc<InferenceFunction>>,
    inbox: Arc<Inbox>,
    sink: Arc<dyn AnswerSink>,
    /// Rows that went to a subtask in turn.
    turns: usize,
    has_keys: bool,
    is_streamed: bool,
    /// What the functions know of the server together.
    pub(super) wait: ServerWait,
}

/// A name that no other run has.
fn run_name() -> String {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
    let nanos = since_1970.map_or(0, |time| time.as_nanos());
    format!("{nanos:x}-{:x}", fastrand::u64(..))
}

/// A subtask that says to which run it belongs, so that the sequence IDs of all of them are made
/// together: as numbers, too, no two are then equal.
fn subtask(index: u32, parallelism: u32, run: &str) -> Result<Subtask, Error> {
    let subtask = Subtask::new(index, parallelism, 0)?.in_job(run)?;
    subtask.in_operator("predict")?.in_execution("0")
}

impl Subtasks {
    /// Opens a function in each of `parallelism` subtasks; they wait for the server as `wait` says.
    ///
    /// `fills_requests` says that nobody has said how many rows of a stateless model go into one.
    pub(super) async fn open(
        options: &TritonOptions,
        schema: &Schema,
        parallelism: u32,
        wait: ServerWait,
        fills_requests: bool,
    ) -> Result<Self, Failure> {
        let inbox = Arc::new(Inbox::default());
        let mut subtasks = Self {
            functions: Vec::new(),
            sink: Arc::clone(&inbox) as Arc<dyn AnswerSink>,
            inbox,
            turns: 0,
            has_keys: matches!(options.sequence_mode(), SequenceMode::PerKey { .. }),
            is_streamed: options.decoupled == Decoupled::Stream,
            wait,
        };
        let run = run_name();
        for index in 0..parallelism {
            let subtask = subtask(index, parallelism, &run).map_err(Failure::usage)?;
            let function = || InferenceFunction::new(options.clone(), schema.clone());
            let function = match index {
                0 => function(),
                // What is odd about the options has been logged for the first one.
                _ => with_default(NoSubscriber::new(), function),
            };
            let function = function.map_err(Failure::usage)?;
            let function = function
                .for_bounded_input()
                .waiting_for_server(&subtasks.wait);
            let function = match fills_requests {
                true => function.with_full_requests(LARGEST_REQUEST),
                false => function,
            };
            if let Err(error) = function.open(subtask).await {
                subtasks.abort().await;
                return Err(match error.kind() {
                    ErrorKind::Options => Failure::usage(NotOpened(error)),
                    // It is no help where something else than a column is odd.
                    ErrorKind::Mismatch if error.to_string().contains(" column '") => {
                        Failure::server(NotOpened(error))
                            .with_hint("`triton describe MODEL --sql` writes a statement that fits")
                    }
                    _ => Failure::server(NotOpened(error)),
                });
            }
            subtasks.functions.push(Arc::new(function));
        }
        Ok(subtasks)
    }

    /// Hands the next row over under a number; `is_last` if it is the last one of its key.
    ///
    /// Its place among the rows of its key is settled when this returns.
    pub(super) fn submit(&mut self, number: u64, values: &[Value], is_last: bool) {
        let index = match self.has_keys {
            true => self.subtask_of(values),
            false => self.turns % self.functions.len(),
        };
        self.turns = self.turns.wrapping_add(1);
        let function = &self.functions[index];
        match is_last {
            true => function.submit_last_to(number, values, &self.sink),
            false => function.submit_to(number, values, &self.sink),
        }
    }

    /// The answers to a row of a model that has any number of them, when the last one has come; `None`
    /// where rows are to be [submitted](Self::submit).
    pub(super) fn stream(
        &mut self,
        values: &[Value],
    ) -> Option<impl Future<Output = Result<Vec<Prediction>, Error>> + Send + use<>> {
        if !self.is_streamed {
            return None;
        }
        let function = &self.functions[self.turns % self.functions.len()];
        self.turns = self.turns.wrapping_add(1);
        Some(function.predict_all(values))
    }

    /// Ready once there may be answers to rows that were handed over one by one.
    pub(super) fn answered(&self) -> Notified<'_> {
        self.inbox.filled.notified()
    }

    /// The answers to rows that were handed over one by one, as far as they are there. They go to
    /// `answers`, which is empty.
    pub(super) fn take_answers(&self, answers: &mut Vec<RowAnswer>) {
        let waiting = self.inbox.answers.lock();
        std::mem::swap(
            &mut *waiting.unwrap_or_else(PoisonError::into_inner),
            answers,
        );
    }

    /// What makes rows that are handed over together, if they can be.
    pub(super) fn input_rows(&self) -> Result<Option<InputRowsBuilder>, Error> {
        self.functions[0].input_rows()
    }

    /// Hands rows over together, until `stop` comes; their answers are arrays if `as_arrays` says so.
    pub(super) fn predict<Stop: Future<Output = ()> + Send + 'static>(
        &mut self,
        rows: InputRows,
        as_arrays: bool,
        stop: Stop,
    ) -> impl Future<Output = Result<Outcome, Error>> + Send + use<Stop> {
        let function = Arc::clone(&self.functions[self.turns % self.functions.len()]);
        self.turns = self.turns.wrapping_add(1);
        async move {
            #[cfg(feature = "arrow")]
            if as_arrays {
                let prediction = function.predict_rows_to_arrow(&rows, stop).await?;
                return Ok(Outcome {
                    answers: Answers::Arrays(prediction.outputs),
                    statuses: prediction.statuses,
                    failures: prediction.failures,
                    given_up: prediction.given_up,
                });
            }
            #[cfg(not(feature = "arrow"))]
            let _ = as_arrays;
            let prediction = function.predict_rows(&rows, stop).await?;
            Ok(Outcome {
                answers: Answers::Values(prediction.columns),
                statuses: prediction.statuses,
                failures: prediction.failures,
                given_up: prediction.given_up,
            })
        }
    }

    /// Tells the sequence of its key of a row that cannot be used: it may be the last one.
    pub(super) fn submit_unusable(
        &self,
        values: &[Value],
    ) -> impl Future<Output = ()> + Send + use<> {
        self.functions[self.subtask_of(values)].submit_unusable(values)
    }

    /// Whether a row could be sent; or why not.
    pub(super) fn check(&self, values: &[Value]) -> Result<(), Error> {
        self.functions[0].check_row(values)
    }

    /// Which rows can be sent, for whoever looks at them before they are handed over.
    pub(super) fn sendable(&self) -> Sendable {
        Sendable::to(&self.functions[0])
    }

    /// What the function of a row's subtask makes of it although it cannot be used.
    pub(super) fn conclude_unusable(
        &self,
        values: &[Value],
        text: String,
    ) -> Result<Prediction, Error> {
        let index = match self.has_keys {
            true => self.subtask_of(values),
            false => self.turns % self.functions.len(),
        };
        let error = Error::new(ErrorKind::Input, text);
        self.functions[index].conclude_unusable(error)
    }

    /// The subtask that the rows of a key go to: the same one in every run of as many.
    pub(super) fn subtask_of(&self, values: &[Value]) -> usize {
        let key = self.functions[0].sequence_key(values).unwrap_or_default();
        subtask_of_key(&key, self.functions.len())
    }

    pub(super) fn count(&self) -> usize {
        self.functions.len()
    }

    /// Whether rows of one key wait for each other.
    pub(super) fn has_keys(&self) -> bool {
        self.has_keys
    }

    /// How many sequences each subtask may have open, where rows have keys.
    pub(super) fn places(&self) -> Option<SequencePlaces> {
        self.functions.first()?.sequence_places()
    }

    /// How many places are held for sequences that are over here.
    pub(super) fn held_places(&self) -> usize {
        let places = self
            .functions
            .iter()
            .filter_map(|function| function.sequence_places());
        places.map(|places| places.held).sum()
    }

    /// The number that no sequence ID of any subtask has taken yet, nor any above it.
    pub(super) fn next_counter(&self) -> u64 {
        let counters = self
            .functions
            .iter()
            .map(|function| function.next_counter());
        counters.max().unwrap_or_default()
    }

    /// The open sequences of every subtask; nothing is in flight.
    pub(super) fn snapshots(&self) -> Result<Vec<String>, Failure> {
        let snapshots = self.functions.iter().map(|function| {
            let snapshot = function.snapshot().map_err(Failure::internal)?;
            Ok(BASE64.encode(snapshot.to_bytes()))
        });
        snapshots.collect()
    }

    /// Takes the sequences that an earlier run left open, before the first row; that run may have
    /// had another number of subtasks. Its IDs, all below `first_counter`, are not taken again.
    pub(super) fn restore(&self, snapshots: &[String], first_counter: u64) -> anyhow::Result<()> {
        for snapshot in snapshots {
            let snapshot = SequenceSnapshot::from_bytes(&BASE64.decode(snapshot)?)?;
            for (index, function) in self.functions.iter().enumerate() {
                let mut own = snapshot.clone();
                own.retain(|key| subtask_of_key(key, self.functions.len()) == index);
                function.restore(own)?;
            }
        }
        for function in &self.functions {
            function.advance_counter(first_counter)?;
        }
        Ok(())
    }

    /// How many sequences are open in all subtasks together.
    pub(super) fn open_sequences(&self) -> usize {
        let functions = self.functions.iter();
        functions.map(|function| function.open_sequences()).sum()
    }

    /// Closes every function, also after one that fails to.
    pub(super) async fn close(&self) -> Result<(), Failure> {
        let mut result = Ok(());
        for function in &self.functions {
            let closed = function.close().await.map_err(Failure::server);
            result = result.and(closed);
        }
        result
    }

    /// Gives up whatever every function is still doing.
    pub(super) async fn abort(&self) {
        for function in &self.functions {
            function.abort().await;
        }
    }
}

/// Why a function could not be opened: in which subtask, only where there are several.
#[derive(Debug)]
struct NotOpened(Error);

impl std::error::Error for NotOpened {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}

impl std::fmt::Display for NotOpened {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0.subtask() {
            Some(subtask) if subtask.parallelism() > 1 => write!(formatter, "{}", self.0),
            _ => formatter.write_str(self.0.message()),
        }
    }
}

fn subtask_of_key(key: &str, subtasks: usize) -> usize {
    crc32fast::hash(key.as_bytes()) as usize % subtasks
}

/// Refuses checkpoints where a run cannot go on from one.
pub(super) fn check_checkpoints(
    options: &TritonOptions,
    has_checkpoints: bool,
) -> Result<(), Failure> {
    let SequenceMode::Static { flags, .. } = options.sequence_mode() else {
        return Ok(());
    };
    if !has_checkpoints || flags.are_both() {
        return Ok(());
    }
    Err(Failure::usage(anyhow!(
        "--checkpoint: all rows share the sequence of '{}', whose state the model loses when the run \
         ends, so that a run could not go on from there; leave --checkpoint out, or give each entity \
         a sequence of its own by '{}' and '{}'",
        SEQUENCE_ID.key(),
        SEQUENCE_ID_AUTO_INCREMENT.key(),
        SEQUENCE_KEY.key()
    )))
}

/// How many times as many rows with keys are in flight as requests: most wait for others.
const ROWS_BEHIND_REQUEST: usize = 16;

impl Subtasks {
    /// How many rows may be in flight at once.
    ///
    /// Requests of one sequence must arrive one after the other, so a sequence that all rows share
    /// allows no concurrency at all.
    pub(super) fn rows_in_flight(&self, options: &TritonOptions) -> usize {
        if shares_sequence(options) {
            return 1;
        }
        let requests = options.max_in_flight.most().get() as usize;
        let rows = match (self.has_keys, self.rows_in_request(options)) {
            (true, _) => requests.saturating_mul(ROWS_BEHIND_REQUEST),
            (false, 1) => requests,
            // While all requests are in flight, the rows of the next ones gather.
            (false, full) => full.saturating_mul(requests.saturating_add(2)),
        };
        rows.saturating_mul(self.functions.len())
    }

    /// How many rows make a full request.
    pub(super) fn rows_in_request(&self, options: &TritonOptions) -> usize {
        let requests = options.max_in_flight.most().get() as usize;
        let rows = self
            .functions
            .first()
            .map(|function| function.rows_in_flight());
        (rows.unwrap_or_default() / requests).max(1)
    }
}

/// Whether all rows are in one sequence, of which requests follow each other.
fn shares_sequence(options: &TritonOptions) -> bool {
    let mode = options.sequence_mode();
    matches!(mode, SequenceMode::Static { flags, .. } if !flags.are_both())
}

/// Refuses several subtasks for a sequence that all rows share.
pub(super) fn check_parallelism(options: &TritonOptions, parallelism: u32) -> Result<(), Failure> {
    if parallelism == 1 || !shares_sequence(options) {
        return Ok(());
    }
    Err(Failure::usage(anyhow!(
        "--parallelism {parallelism}: all subtasks would share the sequence of '{}', and the model \
         would mix their states; use one subtask, or set '{}' to true",
        SEQUENCE_ID.key(),
        SEQUENCE_ID_AUTO_INCREMENT.key()
    )))
}
