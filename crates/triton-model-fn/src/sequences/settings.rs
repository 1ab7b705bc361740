//! What the options and the model say about the sequences of keys, agreed at open.

use std::time::Duration;

use tokio::sync::Semaphore;
use tracing::warn;
use triton_client::ModelConfig;
use triton_options::{
    OptionValue as _, ReplayOverflow, SEQUENCE_IDLE_TIMEOUT, SEQUENCE_MAX_OPEN, SequenceMode,
    SequenceRecovery, TritonOptions,
};

use super::history::HistoryLimits;
use super::key::KeyDisplay;
use crate::{Error, ErrorKind, Schema, Subtask};

/// What is known of where rows come from.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SourceTraits {
    /// Whether the input has an end.
    pub(crate) bounded: bool,
    /// Whether the engine goes on after a failover without the state of sequences.
    pub(crate) without_state: bool,
}

/// How the sequences of keys are kept.
#[derive(Debug)]
pub(crate) struct SequenceSettings {
    pub(super) max_length: Option<u64>,
    /// How long a key may be without a row before its sequence is over.
    pub(super) boundary: Option<Duration>,
    /// How long the server keeps a sequence without a request.
    pub(super) server_idle: Option<Duration>,
    pub(super) max_open: usize,
    pub(super) recovery: SequenceRecovery,
    pub(super) overflow: ReplayOverflow,
    pub(super) history: Option<HistoryLimits>,
    /// Whether each row says which number it has among those of its key.
    pub(super) positions: bool,
    /// Whether a key that is not known here may have had rows in an earlier attempt.
    pub(super) may_lack_rows: bool,
    pub(super) display: KeyDisplay,
    /// The model's input columns, as a snapshot names them.
    pub(super) columns: Vec<String>,
}

impl SequenceSettings {
    /// The settings, or `None` where the options name no key.
    ///
    /// `schema` is that of the model. Bounded input ends its sequences itself, so that time does
    /// so only where the options ask for it.
    pub(crate) fn agree(
        options: &TritonOptions,
        schema: &Schema,
        config: &ModelConfig,
        subtask: Subtask,
        source: SourceTraits,
    ) -> Result<Option<Self>, Error> {
        if !matches!(options.sequence_mode(), SequenceMode::PerKey { .. }) {
            return Ok(None);
        }
        let server_idle = config
            .sequence_batching
            .as_ref()
            .map(|batching| batching.max_sequence_idle());
        let given = options.sequence_idle_timeout;
        if let (Some(given), Some(server)) = (given, server_idle)
            && given.get() >= server
        {
            let message = format!(
                "option '{}' ({}) is not shorter than the time after which the server drops an \
                 idle sequence of model '{}' (max_sequence_idle_microseconds, {server:?}): shorten \
                 the one or raise the other",
                SEQUENCE_IDLE_TIMEOUT.key(),
                given.canonical(),
                options.model_name,
            );
            return Err(Error::new(ErrorKind::Mismatch, message));
        }
        let carried = options.sequence_history_columns.is_some();
        let positions = carried || options.sequence_position_column.is_some();
        let boundary = match given {
            Some(given) => Some(given.get()),
            None if source.bounded || positions => None,
            None => server_idle.map(|idle| idle * 3 / 4),
        };
        let replays = options.sequence_recovery == SequenceRecovery::Replay;
        Ok(Some(Self {
            max_length: options.sequence_max_length.map(|rows| rows.get().into()),
            boundary,
            server_idle,
            max_open: max_open(options, config, subtask),
            recovery: options.sequence_recovery,
            overflow: options.sequence_replay_overflow,
            history: (replays && !carried).then(|| HistoryLimits {
                rows: options.sequence_replay_limit.get() as usize,
                bytes: options.sequence_replay_max_bytes.get() as usize,
                digests: options.sequence_replay_compare,
            }),
            positions,
            may_lack_rows: source.without_state && subtask.attempt() > 0 && !positions,
            display: KeyDisplay::new(options.sequence_key_redacted),
            columns: schema
                .inputs
                .iter()
                .map(|column| format!("{} {}", column.name, column.data_type))
                .collect(),
        }))
    }

    /// How long a call may take before the idle clock stops.
    pub(super) fn patience(&self) -> Duration {
        self.shortest_idle() / 10
    }

    /// The shortest time after which something is done about an idle sequence.
    pub(super) fn shortest_idle(&self) -> Duration {
        const WITHOUT: Duration = Duration::from_secs(20);
        [self.boundary, self.server_idle]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or(WITHOUT)
    }
}

/// The most sequences that this subtask may have open at once.
fn max_open(options: &TritonOptions, config: &ModelConfig, subtask: Subtask) -> usize {
    const UNLIMITED: usize = Semaphore::MAX_PERMITS;
    let kept = config.concurrent_sequences();
    let subtasks = u64::from(subtask.parallelism());
    match (options.sequence_max_open, kept) {
        (Some(given), kept) => {
            let all = u64::from(given.get()) * subtasks;
            if let Some(kept) = kept.filter(|kept| all > *kept) {
                warn!(
                    model = %options.model_name,
                    "{subtasks} subtasks with '{}' = {given} may open {all} sequences, but the \
                     model keeps {kept} at once: the server will hold further ones back without \
                     saying so",
                    SEQUENCE_MAX_OPEN.key()
                );
            }
            given.get() as usize
        }
        (None, Some(kept)) => usize::try_from((kept / subtasks).max(1)).unwrap_or(UNLIMITED),
        (None, None) => UNLIMITED,
    }
}
