//! Options that switch others on: what has no effect without them.

use super::problems::warning;
use crate::definitions::ReadValues;
use crate::{
    BATCH_SIZE, BATCH_TIMEOUT, CIRCUIT_BREAKER_ENABLED, CIRCUIT_BREAKER_FAILURE_THRESHOLD,
    CIRCUIT_BREAKER_HALF_OPEN_REQUESTS, CIRCUIT_BREAKER_TIMEOUT, CONNECTION_POOL_KEEP_ALIVE,
    CONNECTION_POOL_MAX_IDLE, CONNECTION_REUSE_ENABLED, HEALTH_CHECK_ENABLED,
    HEALTH_CHECK_INTERVAL, MAX_RETRIES, OptionDefinition, OptionMap, OptionWarning, RETRY_BUDGET,
    RETRY_INITIAL_BACKOFF, RETRY_MAX_BACKOFF, SEQUENCE_ABANDON, SEQUENCE_AFFINITY,
    SEQUENCE_END_COLUMN, SEQUENCE_HISTORY_COLUMNS, SEQUENCE_ID, SEQUENCE_ID_AUTO_INCREMENT,
    SEQUENCE_ID_COUNTER_INIT_STRATEGY, SEQUENCE_ID_SCOPE, SEQUENCE_ID_TYPE, SEQUENCE_IDLE_TIMEOUT,
    SEQUENCE_KEY, SEQUENCE_KEY_REDACTED, SEQUENCE_MAX_LENGTH, SEQUENCE_MAX_LOST, SEQUENCE_MAX_OPEN,
    SEQUENCE_MODEL_VERSION, SEQUENCE_POSITION_COLUMN, SEQUENCE_RECOVERY, SEQUENCE_REPLAY_COMPARE,
    SEQUENCE_REPLAY_LIMIT, SEQUENCE_REPLAY_MAX_BYTES, SEQUENCE_REPLAY_OVERFLOW,
    SEQUENCE_UNKNOWN_KEY, SequenceRecovery,
};

/// What was given although the option that it depends on is off.
pub(super) fn warnings(map: &OptionMap, read: &ReadValues) -> Vec<OptionWarning> {
    let switches = SWITCHES.iter();
    switches
        .flat_map(|switch| switch.idle_options(map, read))
        .collect()
}

/// An option without which others have no effect.
struct Switch {
    definition: &'static OptionDefinition,
    is_off: fn(&ReadValues) -> bool,
    off: &'static str,
    dependents: &'static [&'static OptionDefinition],
}

static SWITCHES: &[Switch] = &[
    Switch {
        definition: CIRCUIT_BREAKER_ENABLED.definition(),
        is_off: |read| read.circuit_breaker_enabled == Some(false),
        off: "false",
        dependents: &[
            CIRCUIT_BREAKER_FAILURE_THRESHOLD.definition(),
            CIRCUIT_BREAKER_TIMEOUT.definition(),
            CIRCUIT_BREAKER_HALF_OPEN_REQUESTS.definition(),
        ],
    },
    Switch {
        definition: HEALTH_CHECK_ENABLED.definition(),
        is_off: |read| read.health_check_enabled == Some(false),
        off: "false",
        dependents: &[HEALTH_CHECK_INTERVAL.definition()],
    },
    Switch {
        definition: MAX_RETRIES.definition(),
        is_off: |read| read.max_retries == Some(0),
        off: "0",
        dependents: &[
            RETRY_BUDGET.definition(),
            RETRY_INITIAL_BACKOFF.definition(),
            RETRY_MAX_BACKOFF.definition(),
        ],
    },
    Switch {
        definition: BATCH_SIZE.definition(),
        is_off: |read| read.batch_size.is_some_and(|size| size.get() == 1),
        off: "1",
        dependents: &[BATCH_TIMEOUT.definition()],
    },
    Switch {
        definition: CONNECTION_REUSE_ENABLED.definition(),
        is_off: |read| read.connection_reuse_enabled == Some(false),
        off: "false",
        dependents: &[
            CONNECTION_POOL_MAX_IDLE.definition(),
            CONNECTION_POOL_KEEP_ALIVE.definition(),
        ],
    },
    Switch {
        definition: SEQUENCE_ID_AUTO_INCREMENT.definition(),
        is_off: |read| read.sequence_id_auto_increment == Some(false),
        off: "false",
        dependents: &[
            SEQUENCE_ID_COUNTER_INIT_STRATEGY.definition(),
            SEQUENCE_ID_SCOPE.definition(),
        ],
    },
    Switch {
        definition: SEQUENCE_ID.definition(),
        is_off: |read| read.sequence_id == Some(None),
        off: "not set",
        dependents: &[SEQUENCE_ID_TYPE.definition()],
    },
    Switch {
        definition: SEQUENCE_KEY.definition(),
        is_off: |read| read.sequence_key == Some(None),
        off: "not set",
        dependents: &[
            SEQUENCE_END_COLUMN.definition(),
            SEQUENCE_MAX_LENGTH.definition(),
            SEQUENCE_IDLE_TIMEOUT.definition(),
            SEQUENCE_POSITION_COLUMN.definition(),
            SEQUENCE_HISTORY_COLUMNS.definition(),
            SEQUENCE_MAX_OPEN.definition(),
            SEQUENCE_AFFINITY.definition(),
            SEQUENCE_MODEL_VERSION.definition(),
            SEQUENCE_RECOVERY.definition(),
            SEQUENCE_UNKNOWN_KEY.definition(),
            SEQUENCE_ABANDON.definition(),
            SEQUENCE_MAX_LOST.definition(),
            SEQUENCE_KEY_REDACTED.definition(),
        ],
    },
    Switch {
        definition: SEQUENCE_RECOVERY.definition(),
        is_off: |read| {
            read.sequence_recovery
                .is_some_and(|recovery| recovery != SequenceRecovery::Replay)
        },
        off: "not 'replay'",
        dependents: &[
            SEQUENCE_REPLAY_LIMIT.definition(),
            SEQUENCE_REPLAY_MAX_BYTES.definition(),
            SEQUENCE_REPLAY_OVERFLOW.definition(),
            SEQUENCE_REPLAY_COMPARE.definition(),
        ],
    },
];

impl Switch {
    /// The options that were given although this switch is off.
    fn idle_options(&self, map: &OptionMap, read: &ReadValues) -> Vec<OptionWarning> {
        let given = self
            .dependents
            .iter()
            .filter(|dependent| map.has(dependent));
        given
            .filter(|_| (self.is_off)(read))
            .map(|dependent| {
                let message = format!(
                    "option '{}' has no effect while '{}' is {}",
                    dependent.key, self.definition.key, self.off
                );
                warning(&[dependent.key, self.definition.key], message)
            })
            .collect()
    }
}
