//! The rules between options: the one place for them.
//!
//! A rule is silent about an option that could not even be read: that has been reported.

mod problems;
mod replicas;
mod security;
mod sequence;
mod sequence_ids;
mod stream;
mod switches;

use self::problems::{rule, warning};
use crate::definitions::ReadValues;
use crate::{
    BATCH_SIZE, BATCH_TIMEOUT, CACHE_MAX_BYTES, CATALOG, CIRCUIT_BREAKER_ENABLED,
    CONNECTION_POOL_MAX_IDLE, CONNECTION_POOL_MAX_TOTAL, CONNECTION_TIMEOUT, DEFAULT_VALUE,
    HEALTH_CHECK_ENABLED, ON_ERROR, OnError, OptionError, OptionMap, OptionValue as _,
    OptionWarning, RETRY_INITIAL_BACKOFF, RETRY_MAX_BACKOFF, ROW_DEADLINE, SEQUENCE_ID,
    SequenceMode, TIMEOUT,
};

/// Checks every rule and works out the sequence mode; without one, an error was recorded.
pub(crate) fn check(
    map: &OptionMap,
    read: &ReadValues,
    errors: &mut Vec<OptionError>,
) -> Option<SequenceMode> {
    errors.extend(backoff(read));
    errors.extend(pool(map, read));
    errors.extend(on_error(map, read));
    errors.extend(stream::check(map, read));
    errors.extend(cache(map, read));
    errors.extend(replicas::check(read));
    security::check(read, errors);
    sequence::mode(read, errors)
}

/// What is allowed but hardly meant.
pub(crate) fn warnings(map: &OptionMap, read: &ReadValues) -> Vec<OptionWarning> {
    let mut warnings = switches::warnings(map, read);
    if read.health_check_enabled == Some(true) && read.circuit_breaker_enabled == Some(false) {
        warnings.push(warning(
            &[HEALTH_CHECK_ENABLED.key(), CIRCUIT_BREAKER_ENABLED.key()],
            format!(
                "option '{}' is true but '{}' is false: health checks will be logged and nothing \
                 else comes of them",
                HEALTH_CHECK_ENABLED.key(),
                CIRCUIT_BREAKER_ENABLED.key()
            ),
        ));
    }
    if let (Some(size), Some(Some(_))) = (read.batch_size, &read.sequence_id)
        && size.get() > 1
    {
        warnings.push(warning(
            &[BATCH_SIZE.key(), SEQUENCE_ID.key()],
            format!(
                "option '{}' ({size}) has no effect beside '{}': a request of a sequence carries \
                 one row",
                BATCH_SIZE.key(),
                SEQUENCE_ID.key()
            ),
        ));
    }
    if let (Some(delay), Some(Some(deadline))) = (read.batch_timeout, read.row_deadline)
        && read.batch_size.is_some_and(|size| size.get() > 1)
        && delay >= deadline.get()
    {
        warnings.push(warning(
            &[BATCH_TIMEOUT.key(), ROW_DEADLINE.key()],
            format!(
                "option '{}' ({}) is not shorter than '{}' ({}): the rows of a batch that is not \
                 filled fail before it is sent",
                BATCH_TIMEOUT.key(),
                delay.canonical(),
                ROW_DEADLINE.key(),
                deadline.canonical()
            ),
        ));
    }
    if let (Some(connection), Some(total)) = (read.connection_timeout, read.timeout)
        && map.has(CONNECTION_TIMEOUT.definition())
        && connection > total
    {
        warnings.push(warning(
            &[CONNECTION_TIMEOUT.key(), TIMEOUT.key()],
            format!(
                "option '{}' ({}) is longer than '{}' ({}), which ends a call before",
                CONNECTION_TIMEOUT.key(),
                connection.canonical(),
                TIMEOUT.key(),
                total.canonical()
            ),
        ));
    }
    warnings.extend(sequence::unknown_key_beside_position(map, read));
    warnings.extend(replicas::warnings(map, read));
    warnings.extend(security::warnings(map, read));
    warnings
}

fn backoff(read: &ReadValues) -> Option<OptionError> {
    let (initial, longest) = (read.retry_initial_backoff?, read.retry_max_backoff?);
    (read.max_retries? > 0 && longest < initial).then(|| {
        rule(
            &[RETRY_MAX_BACKOFF.key(), RETRY_INITIAL_BACKOFF.key()],
            format!(
                "option '{}' ({}) is shorter than '{}' ({}): the longest wait cannot be shorter \
                 than the first",
                RETRY_MAX_BACKOFF.key(),
                longest.canonical(),
                RETRY_INITIAL_BACKOFF.key(),
                initial.canonical()
            ),
        )
    })
}

fn pool(map: &OptionMap, read: &ReadValues) -> Option<OptionError> {
    let (idle, total) = (
        read.connection_pool_max_idle?,
        read.connection_pool_max_total?,
    );
    // A small pool alone is no mistake: the number of idle connections follows it down.
    let given = map.has(CONNECTION_POOL_MAX_IDLE.definition());
    (given && idle > total.get()).then(|| {
        rule(
            &[
                CONNECTION_POOL_MAX_IDLE.key(),
                CONNECTION_POOL_MAX_TOTAL.key(),
            ],
            format!(
                "option '{}' ({idle}) is more than '{}' ({total}): a pool cannot keep more \
                 connections than it may have",
                CONNECTION_POOL_MAX_IDLE.key(),
                CONNECTION_POOL_MAX_TOTAL.key()
            ),
        )
    })
}

/// What happens to a row that cannot be answered is said once.
fn on_error(map: &OptionMap, read: &ReadValues) -> Option<OptionError> {
    let (action, default) = (read.on_error?, read.default_value.as_ref()?);
    // A default alone says what it is for.
    let given = map.has(ON_ERROR.definition());
    let (on_error, default_value) = (ON_ERROR.key(), DEFAULT_VALUE.key());
    let message = match (action, default) {
        (OnError::Default, None) => format!(
            "option '{on_error}' is 'default', but there is no '{default_value}': set it, if only \
             to null"
        ),
        (OnError::Fail, Some(_)) if given => format!(
            "option '{on_error}' is 'fail', so nothing would get the '{default_value}': leave one of \
             them out"
        ),
        (OnError::Column, Some(_)) => format!(
            "option '{on_error}' is 'column', which leaves the columns of the model NULL, so nothing \
             would get the '{default_value}': leave it out, or set '{on_error}' to 'default', with \
             which the columns of the function say as much"
        ),
        _ => return None,
    };
    Some(rule(&[on_error, default_value], message))
}

/// An answer within a sequence depends on the rows before it, which no key of a cache has.
fn cache(map: &OptionMap, read: &ReadValues) -> Option<OptionError> {
    let size = read.cache_max_bytes?.filter(|size| size.bytes() > 0)?;
    let of_sequence = CATALOG
        .iter()
        .find(|definition| definition.key.starts_with("sequence-") && map.has(definition))?;
    Some(rule(
        &[CACHE_MAX_BYTES.key(), of_sequence.key],
        format!(
            "option '{}' ({}) is set beside '{}': an answer within a sequence depends on more than \
             its row, so it cannot be given again; leave one of the two out",
            CACHE_MAX_BYTES.key(),
            size.canonical(),
            of_sequence.key
        ),
    ))
}

#[cfg(test)]
mod tests {
    use crate::{OnError, OptionErrors, SequenceMode, TritonOptions};

    pub(super) const AUTO: (&str, &str) = ("sequence-id-auto-increment", "true");

    pub(super) fn sequence_mode(extra: &[(&str, &str)]) -> Result<SequenceMode, OptionErrors> {
        let base = [("endpoint", "http://localhost:8000"), ("model-name", "m")];
        TritonOptions::parse(base.iter().chain(extra).copied())
            .map(|options| options.sequence_mode().clone())
    }

    pub(super) fn parse(extra: &[(&str, &str)]) -> Result<Vec<String>, String> {
        let base = [("endpoint", "http://triton:8000"), ("model-name", "m")];
        let options = base
            .iter()
            .chain(extra)
            .copied()
            .collect::<crate::OptionMap>();
        let parsed: Result<TritonOptions, _> = options.parse();
        parsed
            .map(|options| options.warnings().iter().map(ToString::to_string).collect())
            .map_err(|errors| errors.to_string())
    }

    pub(super) fn refusal(extra: &[(&str, &str)]) -> String {
        parse(extra).expect_err("must be refused")
    }

    #[test]
    fn the_defaults_are_at_peace_with_each_other() {
        assert_eq!(parse(&[]), Ok(Vec::new()));
        assert_eq!(parse(&[("connection-pool-max-total", "5")]), Ok(Vec::new()));
        assert_eq!(parse(&[("timeout", "1 s")]), Ok(Vec::new()));
    }

    #[test]
    fn the_longest_backoff_is_not_shorter_than_the_first() {
        let backoff = [("retry-initial-backoff", "40 s"), ("max-retries", "2")];
        insta::assert_snapshot!(refusal(&backoff), @"option 'retry-max-backoff' (30 s) is shorter than 'retry-initial-backoff' (40 s): the longest wait cannot be shorter than the first");
        // Without retries it does not matter, but is told.
        assert_eq!(parse(&backoff[..1]).map(|warnings| warnings.len()), Ok(1));
    }

    #[test]
    fn a_pool_keeps_no_more_than_it_may_have() {
        let pool = [
            ("connection-pool-max-idle", "20"),
            ("connection-pool-max-total", "10"),
        ];
        insta::assert_snapshot!(refusal(&pool), @"option 'connection-pool-max-idle' (20) is more than 'connection-pool-max-total' (10): a pool cannot keep more connections than it may have");
    }

    #[test]
    fn a_cache_is_refused_beside_sequences() {
        let cache = [("cache-max-bytes", "1 mb"), ("sequence-id", "s")];
        insta::assert_snapshot!(refusal(&cache), @"option 'cache-max-bytes' (1 mb) is set beside 'sequence-id': an answer within a sequence depends on more than its row, so it cannot be given again; leave one of the two out");
        let off = [("cache-max-bytes", "0"), ("sequence-id", "s")];
        assert_eq!(parse(&off), Ok(Vec::new()));
        assert_eq!(parse(&cache[..1]), Ok(Vec::new()));
    }

    #[test]
    fn what_becomes_of_a_row_that_fails_is_said_once() {
        for fine in [
            &[("default-value", "0")][..],
            &[("default-value", "0"), ("on-error", "default")],
            &[("on-error", "fail")],
            &[("on-error", "COLUMN")],
        ] {
            assert_eq!(parse(fine), Ok(Vec::new()), "{fine:?}");
        }
        let written = [
            ("endpoint", "h"),
            ("model-name", "m"),
            ("default-value", "0"),
        ];
        let read = TritonOptions::parse(written).unwrap();
        assert_eq!(read.on_error, OnError::Default);
        let with_default = |action| refusal(&[("on-error", action), ("default-value", "0")]);
        insta::assert_snapshot!(refusal(&[("on-error", "default")]), @"option 'on-error' is 'default', but there is no 'default-value': set it, if only to null");
        insta::assert_snapshot!(with_default("fail"), @"option 'on-error' is 'fail', so nothing would get the 'default-value': leave one of them out");
        insta::assert_snapshot!(with_default("column"), @"option 'on-error' is 'column', which leaves the columns of the model NULL, so nothing would get the 'default-value': leave it out, or set 'on-error' to 'default', with which the columns of the function say as much");
        insta::assert_snapshot!(refusal(&[("on-error", "skip")]), @"option 'on-error': expected 'fail', 'default' or 'column', found 'skip'");
    }

    #[test]
    fn what_has_no_effect_is_warned_of() {
        let options = [
            ("circuit-breaker-failure-threshold", "0.1"),
            ("circuit-breaker-timeout", "1 s"),
            ("circuit-breaker-half-open-requests", "1"),
            ("health-check-interval", "1 s"),
            ("retry-initial-backoff", "1 s"),
            ("retry-max-backoff", "1 s"),
            ("connection-reuse-enabled", "false"),
            ("connection-pool-max-idle", "1"),
            ("connection-pool-keep-alive", "1 s"),
            ("sequence-id-counter-init-strategy", "NANO_TIME"),
            ("connection-timeout", "31 s"),
            ("batch-timeout", "1 s"),
        ];
        insta::assert_snapshot!(parse(&options).unwrap().join("\n"), @"
        option 'circuit-breaker-failure-threshold' has no effect while 'circuit-breaker-enabled' is false
        option 'circuit-breaker-timeout' has no effect while 'circuit-breaker-enabled' is false
        option 'circuit-breaker-half-open-requests' has no effect while 'circuit-breaker-enabled' is false
        option 'health-check-interval' has no effect while 'health-check-enabled' is false
        option 'retry-initial-backoff' has no effect while 'max-retries' is 0
        option 'retry-max-backoff' has no effect while 'max-retries' is 0
        option 'batch-timeout' has no effect while 'batch-size' is 1
        option 'connection-pool-max-idle' has no effect while 'connection-reuse-enabled' is false
        option 'connection-pool-keep-alive' has no effect while 'connection-reuse-enabled' is false
        option 'sequence-id-counter-init-strategy' has no effect while 'sequence-id-auto-increment' is false
        option 'connection-timeout' (31 s) is longer than 'timeout' (30 s), which ends a call before
        ");
        let options = [
            ("sequence-id-scope", "run"),
            ("sequence-max-length", "5"),
            ("sequence-unknown-key", "mark"),
            ("sequence-abandon", "end"),
            ("sequence-max-lost", "5"),
            ("sequence-replay-limit", "5"),
        ];
        insta::assert_snapshot!(parse(&options).unwrap().join("\n"), @"
        option 'sequence-id-scope' has no effect while 'sequence-id-auto-increment' is false
        option 'sequence-max-length' has no effect while 'sequence-key' is not set
        option 'sequence-unknown-key' has no effect while 'sequence-key' is not set
        option 'sequence-abandon' has no effect while 'sequence-key' is not set
        option 'sequence-max-lost' has no effect while 'sequence-key' is not set
        option 'sequence-replay-limit' has no effect while 'sequence-recovery' is not 'replay'
        ");
        let options = [
            ("batch-size", "2"),
            ("batch-timeout", "5 s"),
            ("row-deadline", "3 s"),
        ];
        insta::assert_snapshot!(parse(&options).unwrap().join("\n"), @"option 'batch-timeout' (5 s) is not shorter than 'row-deadline' (3 s): the rows of a batch that is not filled fail before it is sent");
        let options = [("batch-size", "2"), ("sequence-id", "s")];
        insta::assert_snapshot!(parse(&options).unwrap().join("\n"), @"option 'batch-size' (2) has no effect beside 'sequence-id': a request of a sequence carries one row");
        let per_key = [
            ("sequence-id", "s"),
            ("sequence-id-auto-increment", "true"),
            ("sequence-key", "k"),
            ("sequence-unknown-key", "mark"),
        ];
        assert_eq!(parse(&per_key), Ok(Vec::new()));
        let options = [&per_key[..], &[("sequence-position-column", "n")]].concat();
        insta::assert_snapshot!(parse(&options).unwrap().join("\n"), @"option 'sequence-unknown-key' has no effect beside 'sequence-position-column': a row's number says whether its key is new");
        let history = [
            ("sequence-history-columns", "x:xs"),
            ("sequence-recovery", "replay"),
        ];
        let options = [&per_key[..], &history].concat();
        insta::assert_snapshot!(parse(&options).unwrap().join("\n"), @"option 'sequence-unknown-key' has no effect beside 'sequence-history-columns': a row's number says whether its key is new");
        let options = [("health-check-enabled", "true")];
        insta::assert_snapshot!(parse(&options).unwrap().join("\n"), @"option 'health-check-enabled' is true but 'circuit-breaker-enabled' is false: health checks will be logged and nothing else comes of them");
    }
}
