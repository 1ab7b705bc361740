//! The parallel subtasks of a run, each with a function of its own, and which rows they get.

use std::pin::Pin;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::anyhow;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use futures_util::TryFutureExt as _;
use tracing::subscriber::{NoSubscriber, with_default};
use triton_model_fn::{
    Error, ErrorKind, InferenceFunction, ModelFunction, Prediction, Schema, SequencePlaces,
    SequenceSnapshot, ServerWait, Subtask, Value,
};
use triton_options::{
    Decoupled, SEQUENCE_ID, SEQUENCE_ID_AUTO_INCREMENT, SEQUENCE_KEY, SequenceMode, TritonOptions,
};

use crate::failure::Failure;

/// The answers to a row, which are on their way.
///
/// There is one, unless they are a stream; one that breaks is an error as a whole, so that rows that
/// are run again are not in the output twice.
pub(super) type Answer = Pin<Box<dyn Future<Output = Result<Vec<Prediction>, Error>> + Send>>;

/// The functions of a run, one for each subtask.
pub(super) struct Subtasks {
    functions: Vec<InferenceFunction>,
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
    pub(super) async fn open(
        options: &TritonOptions,
        schema: &Schema,
        parallelism: u32,
        wait: ServerWait,
    ) -> Result<Self, Failure> {
        let mut subtasks = Self {
            functions: Vec::new(),
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
            if let Err(error) = function.open(subtask).await {
                subtasks.abort().await;
                return Err(match error.kind() {
                    ErrorKind::Options => Failure::usage(NotOpened(error)),
                    _ => Failure::server(NotOpened(error)),
                });
            }
            subtasks.functions.push(function);
        }
        Ok(subtasks)
    }

    /// Hands the next row over; `is_last` if it is the last one of its key.
    ///
    /// Its place among the rows of its key is settled when this returns.
    pub(super) fn submit(&mut self, values: &[Value], is_last: bool) -> Answer {
        let index = match self.has_keys {
            true => self.subtask_of(values),
            false => self.turns % self.functions.len(),
        };
        self.turns = self.turns.wrapping_add(1);
        let function = &self.functions[index];
        if self.is_streamed {
            return Box::pin(function.predict_all(values));
        }
        let only = |prediction| vec![prediction];
        match is_last {
            true => Box::pin(ModelFunction::submit_last(function, values).map_ok(only)),
            false => Box::pin(ModelFunction::submit(function, values).map_ok(only)),
        }
    }

    /// Tells the sequence of its key of a row that cannot be used: it may be the last one.
    pub(super) fn submit_unusable(
        &self,
        values: &[Value],
    ) -> impl Future<Output = ()> + Send + use<> {
        self.functions[self.subtask_of(values)].submit_unusable(values)
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
            .filter_map(InferenceFunction::sequence_places);
        places.map(|places| places.held).sum()
    }

    /// The number that no sequence ID of any subtask has taken yet, nor any above it.
    pub(super) fn next_counter(&self) -> u64 {
        let counters = self.functions.iter().map(InferenceFunction::next_counter);
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

/// How many rows may be in flight at once.
///
/// Requests of one sequence must arrive one after the other, so a sequence that all rows share
/// allows no concurrency at all.
pub(super) fn rows_in_flight(options: &TritonOptions, parallelism: u32) -> Result<usize, Failure> {
    match options.sequence_mode() {
        SequenceMode::Static { flags, .. } if !flags.are_both() => {
            if parallelism == 1 {
                return Ok(1);
            }
            Err(Failure::usage(anyhow!(
                "--parallelism {parallelism}: all subtasks would share the sequence of '{}', and \
                 the model would mix their states; use one subtask, or set '{}' to true",
                SEQUENCE_ID.key(),
                SEQUENCE_ID_AUTO_INCREMENT.key()
            )))
        }
        SequenceMode::PerKey { .. } => {
            let requests = options.max_in_flight.most().get() as usize;
            let rows = requests.saturating_mul(ROWS_BEHIND_REQUEST);
            Ok(rows.saturating_mul(parallelism as usize))
        }
        _ => {
            let requests = options.max_in_flight.most().get() as usize;
            let rows = match options.batch_size.get() as usize {
                1 => requests,
                // While all requests are in flight, the rows of the next ones gather.
                batch => batch.saturating_mul(requests.saturating_add(2)),
            };
            Ok(rows.saturating_mul(parallelism as usize))
        }
    }
}
