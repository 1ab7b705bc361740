//! What the options and the model say about the sequences of keys, agreed at open.

use std::time::Duration;

use tracing::{info, warn};
use triton_client::{ModelConfig, SequenceId};
use triton_options::{
    AbandonedSequence, ENDPOINT, EndpointDiscovery, OptionValue as _, PositiveDuration,
    ReplayOverflow, SEQUENCE_IDLE_TIMEOUT, SEQUENCE_MAX_OPEN, SEQUENCE_START, SEQUENCE_UNKNOWN_KEY,
    SequenceAffinity, SequenceMode, SequenceRecovery, StaticFlags, TritonOptions, UnknownKey,
};

use super::key::KeyDisplay;
use super::machine::{HistoryLimits, LostId, MostRecovering, Offer, Standing, quota, stable_hash};
use crate::replicas::{ReplicaPlaces, ReplicaStanding, ReplicaUse, Replicas};
use crate::sequence_id_generator::SequenceIdGenerator;
use crate::sequence_name::SequenceName;
use crate::{CallContext, Column, Error, ErrorKind, Schema, Subtask};

/// What is known of where rows come from.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SourceTraits {
    /// Whether the input has an end.
    pub(crate) bounded: bool,
    /// Whether time ends no sequence although the input may have no end.
    pub(crate) keeps_idle: bool,
    /// Whether the engine goes on after a failover without the state of sequences.
    pub(crate) without_state: bool,
}

/// A sequence that all rows share, whatever their keys.
#[derive(Debug, Clone)]
pub(crate) struct FixedSequence {
    pub(super) id: SequenceId,
    pub(super) flags: StaticFlags,
}

/// How the sequences of keys are kept.
#[derive(Debug)]
pub(crate) struct SequenceSettings {
    /// The one sequence there is, where rows have no keys.
    pub(super) fixed: Option<FixedSequence>,
    pub(super) max_length: Option<u64>,
    /// How long a key may be without a row before its sequence is over.
    pub(super) boundary: Option<Duration>,
    /// Whether nobody asked for that: the next row of a key that it ended is then marked.
    pub(super) marks_expired: bool,
    /// How long the server keeps a sequence without a request.
    pub(super) server_idle: Option<Duration>,
    /// When it has dropped it for certain: the steps of an ensemble forget at different times.
    pub(super) server_forgets: Option<Duration>,
    /// What the servers offer at the beginning.
    pub(super) offers: Vec<Offer>,
    /// The most sequences on all of them together.
    pub(super) most_open: usize,
    /// How many sequences may be recovered at once.
    pub(super) most_recovering: MostRecovering,
    /// Whether a hash of the key says which of several servers it goes to.
    pub(super) by_hash: bool,
    /// Whether the servers may change.
    pub(super) several: Option<SeveralServers>,
    pub(super) recovery: SequenceRecovery,
    pub(super) overflow: ReplayOverflow,
    pub(super) history: Option<HistoryLimits>,
    /// Whether sequences that are left before their end are ended on the server.
    pub(super) ends_abandoned: bool,
    /// The most lost sequences that are remembered.
    pub(super) most_lost: usize,
    /// How long a row may take with all its attempts, replays and waits.
    pub(super) row_deadline: Option<Duration>,
    /// Whether each row says which number it has among those of its key.
    pub(super) positions: bool,
    /// Whether a key that is not known here may have had rows before, in an execution that is gone.
    pub(super) has_run_before: bool,
    /// Whether the first row of a key that is not known here is marked.
    pub(super) marks_unknown: bool,
    /// Whether it is not even after a snapshot of a run that could not know its keys.
    pub(super) trusts_unknown: bool,
    pub(super) display: KeyDisplay,
    /// The columns of the key and the model's input columns, as a snapshot names them.
    pub(super) key_columns: Vec<String>,
    pub(super) columns: Vec<String>,
}

impl SequenceSettings {
    /// The settings, or `None` where each request is a sequence of its own, or has none.
    ///
    /// `schema` is that of the rows, `model` that of the model. Bounded input ends its sequences
    /// itself, so that time does so only where the options ask for it.
    pub(crate) fn agree(
        options: &TritonOptions,
        schema: &Schema,
        model: &Schema,
        config: &ModelConfig,
        open: &CallContext,
        source: SourceTraits,
    ) -> Result<Option<Self>, Error> {
        let server_idle = config
            .sequence_batching
            .as_ref()
            .map(|batching| batching.max_sequence_idle());
        let described = |columns: &[Column]| -> Vec<String> {
            columns
                .iter()
                .map(|column| format!("{} {}", column.name, column.data_type))
                .collect()
        };
        let common = Self {
            fixed: None,
            max_length: None,
            boundary: None,
            marks_expired: false,
            server_idle,
            server_forgets: config.longest_sequence_idle(),
            offers: Vec::new(),
            most_open: usize::MAX,
            most_recovering: MostRecovering::any(),
            by_hash: options.sequence_affinity == SequenceAffinity::Hash,
            several: None,
            recovery: SequenceRecovery::Fail,
            overflow: ReplayOverflow::Fail,
            history: None,
            ends_abandoned: false,
            most_lost: options.sequence_max_lost.get() as usize,
            row_deadline: options.row_deadline.map(PositiveDuration::get),
            positions: false,
            has_run_before: false,
            marks_unknown: false,
            trusts_unknown: options.sequence_unknown_key == UnknownKey::New,
            display: KeyDisplay::new(options.sequence_key_redacted),
            key_columns: Vec::new(),
            columns: described(&model.inputs),
        };
        let has_run_before = source.without_state && open.ran_before.is_some();
        let key = match options.sequence_mode() {
            SequenceMode::PerKey { key, .. } => key,
            SequenceMode::Static { id, flags } => {
                let common = Self {
                    has_run_before,
                    // Where options say of each row whether it starts, whoever set them knows.
                    marks_unknown: has_run_before && *flags == StaticFlags::FirstRow,
                    ..common
                };
                return fixed(common, open.static_id(id)?, *flags, open);
            }
            _ => return Ok(None),
        };
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
            None if source.bounded || source.keeps_idle || positions => None,
            None => server_idle.map(|idle| idle * 3 / 4),
        };
        let replays = options.sequence_recovery == SequenceRecovery::Replay;
        let marks_unknown = match options.sequence_unknown_key {
            UnknownKey::Mark => true,
            UnknownKey::New => false,
            _ => has_run_before,
        };
        if !positions && (source.without_state || marks_unknown) {
            tell_of_unknown_keys(options, open, marks_unknown);
        }
        let servers = servers(options, config, open)?;
        let is_key = |column: &&Column| key.iter().any(|name| name == column.name);
        let keys: Vec<Column> = schema.inputs.iter().filter(is_key).cloned().collect();
        Ok(Some(Self {
            max_length: options.sequence_max_length.map(|rows| rows.get().into()),
            boundary,
            marks_expired: source.without_state && given.is_none() && boundary.is_some(),
            offers: servers.offers,
            most_open: servers.most_open,
            // Where the input has an end, nobody waits for one row more than for another.
            most_recovering: most_recovering(options, open, source.bounded, server_idle),
            several: servers.several,
            recovery: options.sequence_recovery,
            overflow: options.sequence_replay_overflow,
            history: (replays && !carried).then(|| HistoryLimits {
                rows: options.sequence_replay_limit.get() as usize,
                bytes: options.sequence_replay_max_bytes.get() as usize,
                digests: options.sequence_replay_compare,
            }),
            ends_abandoned: options.sequence_abandon == AbandonedSequence::End,
            positions,
            has_run_before,
            marks_unknown: marks_unknown && !positions,
            key_columns: described(&keys),
            ..common
        }))
    }

    /// How long the server keeps a sequence for certain, where that is known.
    pub(crate) fn server_forgets(&self) -> Option<Duration> {
        self.server_forgets
    }

    /// Whether no row ever starts the one sequence there is.
    pub(super) fn never_starts(&self) -> bool {
        !self.flags(0, false).0
    }

    /// Whether answers of a replay are compared with those that were given before.
    pub(super) fn compares(&self) -> bool {
        self.history.is_some_and(|limits| limits.digests)
    }

    /// Whether options say of every row whether it starts and ends the one sequence there is.
    pub(super) fn flags_are_given(&self) -> bool {
        let fixed = self.fixed.as_ref();
        fixed.is_some_and(|fixed| matches!(fixed.flags, StaticFlags::Given { .. }))
    }

    /// START and END of a row that has so many rows of its sequence before it.
    pub(super) fn flags(&self, before: u64, is_last: bool) -> (bool, bool) {
        match &self.fixed {
            Some(FixedSequence {
                flags: StaticFlags::Given { start, end },
                ..
            }) => (*start, *end),
            _ => {
                let is_longest = self.max_length.is_some_and(|most| before + 1 >= most);
                (before == 0, is_last || is_longest)
            }
        }
    }

    /// What a sequence is called, where that is known.
    pub(super) fn name(
        &self,
        ids: Option<&SequenceIdGenerator>,
        id: &LostId,
    ) -> Option<SequenceName> {
        match (id, &self.fixed, ids) {
            // Its text and what is sent have the same digits.
            (LostId::Own(_), Some(fixed), _) => Some(SequenceName {
                text: fixed.id.to_string(),
                number: None,
            }),
            (LostId::Own(counter), None, Some(ids)) => Some(ids.name(*counter)),
            (LostId::Restored(name), ..) => Some((**name).clone()),
            (LostId::Own(_) | LostId::Unknown, ..) => None,
        }
    }

    /// The ID as it is sent of the sequence that has the counter.
    pub(super) fn sent_id(
        &self,
        ids: Option<&SequenceIdGenerator>,
        counter: u64,
    ) -> Result<SequenceId, Error> {
        match (&self.fixed, ids) {
            (Some(fixed), _) => Ok(fixed.id.clone()),
            (None, Some(ids)) => ids.name(counter).into_id(),
            (None, None) => {
                let message = "a sequence of a key has no ID, which is a fault of this program";
                Err(Error::new(ErrorKind::Internal, message))
            }
        }
    }

    /// The most bytes of rows that are kept of lost sequences together.
    pub(super) fn most_lost_bytes(&self) -> usize {
        const SEQUENCES: usize = 64;
        self.history
            .map_or(0, |limits| limits.bytes.saturating_mul(SEQUENCES))
    }

    /// How often idle sequences are looked for.
    pub(super) fn tick(&self) -> Duration {
        let (shortest, longest) = (Duration::from_millis(10), Duration::from_secs(1));
        (self.shortest_idle() / 20).clamp(shortest, longest)
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

/// The settings of a sequence that all rows share.
fn fixed(
    common: SequenceSettings,
    id: SequenceId,
    flags: StaticFlags,
    open: &CallContext,
) -> Result<Option<SequenceSettings>, Error> {
    // Each request is a sequence of its own: they go side by side.
    if flags.are_both() {
        return Ok(None);
    }
    // After a loss, START has to wait until the server has certainly dropped what there was.
    let limit = match flags {
        StaticFlags::FirstRow => 1,
        _ => usize::MAX,
    };
    let mut common = common;
    common.offers = vec![Offer::only(limit, 0)];
    if open.replicas.are_several() {
        if let StaticFlags::Given { start: false, .. } = flags {
            let message = format!(
                "'{}' is false, so the sequence '{id}' was begun elsewhere, and '{}' ({}) stands for \
                 several servers, of which one has it: name that one",
                SEQUENCE_START.key(),
                ENDPOINT.key(),
                open.options().endpoint
            );
            return Err(Error::new(ErrorKind::Options, message));
        }
        let several = SeveralServers {
            quota: Quota::Each(limit),
            subtask: open.subtask,
        };
        common.offers = several.offers(&open.replicas);
        common.several = Some(several);
    }
    Ok(Some(SequenceSettings {
        fixed: Some(FixedSequence { id, flags }),
        ..common
    }))
}

/// Says in the log what the first row of a key is taken for, which only users can judge.
fn tell_of_unknown_keys(options: &TritonOptions, open: &CallContext, marks_unknown: bool) {
    let model = &options.model_name;
    let key = SEQUENCE_UNKNOWN_KEY.key();
    match (options.sequence_unknown_key, &open.ran_before) {
        (UnknownKey::Auto, Some(ran_before)) if marks_unknown => info!(
            %model,
            %ran_before,
            "the job has run before: the first row of each key is marked as restarted, because the \
             key may have had rows that the model no longer knows ('{key}' = 'auto')"
        ),
        _ if marks_unknown => info!(
            %model,
            "the first row of each key is marked as restarted, because the key may have had rows \
             that the model does not know ('{key}' = 'mark')"
        ),
        (unknown, _) => info!(
            %model,
            "each key that has not been seen is taken for a new one ('{key}' = '{}'); where the job \
             is restored from a savepoint, set '{key}' to 'mark'",
            unknown.canonical()
        ),
    }
}

/// Several servers, as one subtask uses them.
#[derive(Debug, Clone, Copy)]
pub(super) struct SeveralServers {
    quota: Quota,
    subtask: Subtask,
}

/// How many places of a server a subtask uses.
#[derive(Debug, Clone, Copy)]
enum Quota {
    /// So many of each.
    Each(usize),
    /// Its part of those that the server has; an eighth, and no more than so many, is left for
    /// sequences that are recovered.
    Share {
        most_room: usize,
        /// How many places the first server has that was asked: others are alike, until they say so.
        usual: Option<u64>,
    },
}

impl SeveralServers {
    /// What the servers offer now.
    pub(super) fn offers(&self, replicas: &Replicas) -> Vec<Offer> {
        let standings = replicas.standings();
        standings.iter().map(|it| self.offer(it)).collect()
    }

    fn offer(&self, standing: &ReplicaStanding) -> Offer {
        let name_hash = stable_hash(&standing.label);
        let (limit, room) = match self.quota {
            Quota::Each(limit) => (limit, 0),
            Quota::Share { most_room, usual } => {
                let places = match standing.places {
                    ReplicaPlaces::Unknown => usual,
                    ReplicaPlaces::Unlimited => None,
                    ReplicaPlaces::Limited(places) => Some(places),
                };
                let (index, parallelism) = (self.subtask.index(), self.subtask.parallelism());
                let limit = places.map(|places| quota(places, index, parallelism, name_hash));
                let limit = limit.and_then(|limit| usize::try_from(limit).ok());
                limit.map_or((usize::MAX, 0), |limit| {
                    (limit, (limit / ROOM_SHARE).min(most_room))
                })
            }
        };
        Offer {
            id: standing.id,
            name_hash,
            limit,
            room,
            standing: match standing.use_of {
                ReplicaUse::TakesNew => Standing::Takes,
                ReplicaUse::TakesOne => Standing::Tries,
                ReplicaUse::KeepsOld => Standing::Keeps,
                ReplicaUse::IsLeft => Standing::Leaves,
            },
        }
    }
}

/// What is agreed about the servers of a subtask.
struct Servers {
    offers: Vec<Offer>,
    most_open: usize,
    several: Option<SeveralServers>,
}

fn servers(
    options: &TritonOptions,
    config: &ModelConfig,
    open: &CallContext,
) -> Result<Servers, Error> {
    let most_in_flight = options.max_in_flight.most().get() as usize;
    if !open.replicas.are_several() {
        let (places, room) = places(options, config, open.subtask);
        return Ok(Servers {
            offers: vec![Offer::only(places, room)],
            most_open: usize::MAX,
            several: None,
        });
    }
    let several = SeveralServers {
        quota: Quota::Share {
            most_room: match options.sequence_max_open {
                Some(_) => 0,
                None => most_in_flight,
            },
            usual: config.concurrent_sequences(),
        },
        subtask: open.subtask,
    };
    let offers = several.offers(&open.replicas);
    if !offers.is_empty() && offers.iter().all(|offer| offer.limit == 0) {
        let message = format!(
            "the {} servers of '{}' have no place for a sequence of this subtask, because model '{}' \
             keeps too few of them at once: use fewer subtasks, or raise its max_candidate_sequences",
            offers.len(),
            ENDPOINT.key(),
            options.model_name,
        );
        // Where a name says which servers there are, further ones may come.
        if options.endpoint_discovery == EndpointDiscovery::Static {
            return Err(Error::new(ErrorKind::Mismatch, message));
        }
        let (subtask, subtasks) = (open.subtask.index(), open.subtask.parallelism());
        warn!(
            subtask,
            subtasks, "{message}; until a further server comes, its rows wait"
        );
    }
    Ok(Servers {
        offers,
        most_open: options
            .sequence_max_open
            .map_or(usize::MAX, |most| most.get() as usize),
        several: Some(several),
    })
}

/// How many sequences a subtask may recover at once.
fn most_recovering(
    options: &TritonOptions,
    open: &CallContext,
    is_bounded: bool,
    idle: Option<Duration>,
) -> MostRecovering {
    // So that a server that is lost does not keep the others from their work.
    const RECOVERING_SHARE: usize = 4;
    let in_flight = options.max_in_flight.most().get() as usize;
    MostRecovering {
        in_turn: match open.replicas.are_several() {
            true => (in_flight / RECOVERING_SHARE).max(1),
            false => in_flight,
        },
        side_by_side: in_flight,
        is_side_by_side: is_bounded,
        idle,
    }
}

/// The part of the places that is left for recoveries.
const ROOM_SHARE: usize = 8;

/// How many IDs this subtask may have alive on the server, and how many of them only to recover
/// sequences.
fn places(options: &TritonOptions, config: &ModelConfig, subtask: Subtask) -> (usize, usize) {
    let kept = config.concurrent_sequences();
    let subtasks = u64::from(subtask.parallelism());
    let places = match (options.sequence_max_open, kept) {
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
            return (given.get() as usize, 0);
        }
        (None, Some(kept)) => usize::try_from((kept / subtasks).max(1)).unwrap_or(usize::MAX),
        (None, None) => return (usize::MAX, 0),
    };
    let most_room = options.max_in_flight.most().get() as usize;
    (places, (places / ROOM_SHARE).min(most_room))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replicas::ReplicaId;

    // Holds S10, S65.
    #[test]
    fn a_server_that_was_not_asked_yet_has_the_places_of_the_others() {
        let several = SeveralServers {
            quota: Quota::Share {
                most_room: 8,
                usual: Some(64),
            },
            subtask: Subtask::new(0, 4, 0).unwrap(),
        };
        let limit = |places| {
            let standing = ReplicaStanding {
                id: ReplicaId::ONLY,
                label: "http://a:8000/".to_owned(),
                places,
                use_of: ReplicaUse::KeepsOld,
            };
            several.offer(&standing).limit
        };
        assert_eq!(limit(ReplicaPlaces::Unknown), 16);
        assert_eq!(limit(ReplicaPlaces::Limited(32)), 8);
        assert_eq!(limit(ReplicaPlaces::Unlimited), usize::MAX);
    }

    // Holds S11.
    #[test]
    fn an_eighth_of_what_the_model_keeps_is_left_for_recoveries() {
        let places_of = |kept: u64, parallelism, extra: &[(&str, &str)]| {
            let common = [("endpoint", "http://localhost:8000"), ("model-name", "m")];
            let keyed = [
                ("sequence-id", "job"),
                ("sequence-id-auto-increment", "true"),
                ("sequence-key", "key"),
            ];
            let options = common.iter().chain(&keyed).chain(extra).copied();
            let options = TritonOptions::parse(options).unwrap();
            let config: ModelConfig = serde_json::from_value(serde_json::json!({
                "name": "m",
                "sequence_batching": {"oldest": {"max_candidate_sequences": kept}},
            }))
            .unwrap();
            let subtask = Subtask::new(0, parallelism, 0).unwrap();
            places(&options, &config, subtask)
        };
        assert_eq!(places_of(64, 1, &[]), (64, 8));
        assert_eq!(places_of(64, 4, &[]), (16, 2));
        assert_eq!(places_of(4, 1, &[]), (4, 0));
        assert_eq!(places_of(1024, 1, &[("max-in-flight", "5")]), (1024, 5));
        assert_eq!(places_of(64, 1, &[("sequence-max-open", "16")]), (16, 0));
    }
}
