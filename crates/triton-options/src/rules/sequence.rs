//! What the options of sequences mean together, and which of them contradict each other.

use super::problems::{rule, warning};
use super::sequence_ids::{fixed, self_numbering, static_flags};
use crate::definitions::ReadValues;
use crate::{
    ColumnNames, OptionError, OptionMap, OptionWarning, SEQUENCE_END, SEQUENCE_END_COLUMN,
    SEQUENCE_HISTORY_COLUMNS, SEQUENCE_ID, SEQUENCE_ID_AUTO_INCREMENT, SEQUENCE_IDLE_TIMEOUT,
    SEQUENCE_KEY, SEQUENCE_POSITION_COLUMN, SEQUENCE_RECOVERY, SEQUENCE_REPLAY_COMPARE,
    SEQUENCE_START, SEQUENCE_UNKNOWN_KEY, SequenceIdType, SequenceMode, SequenceRecovery,
};

/// Works out the sequence mode; without one, an error was recorded.
pub(super) fn mode(read: &ReadValues, errors: &mut Vec<OptionError>) -> Option<SequenceMode> {
    let id = read.sequence_id.as_ref()?.as_deref();
    let auto_increment = read.sequence_id_auto_increment?;
    // A flag that could not be read counts as left out: it has been reported.
    let flags = [
        (SEQUENCE_START.key(), read.sequence_start.flatten()),
        (SEQUENCE_END.key(), read.sequence_end.flatten()),
    ];
    let key = read.sequence_key.as_ref()?.as_ref();
    let before = errors.len();
    if key.is_some() && !auto_increment {
        errors.push(rule(
            &[SEQUENCE_KEY.key(), SEQUENCE_ID_AUTO_INCREMENT.key()],
            format!(
                "option '{}' is set but '{}' is not true: the sequences of keys take their IDs \
                 from its counter; set '{1}' to true",
                SEQUENCE_KEY.key(),
                SEQUENCE_ID_AUTO_INCREMENT.key()
            ),
        ));
    }
    let mode = match (id, auto_increment) {
        (Some(id), true) => {
            match key {
                Some(key) => {
                    no_flags_beside_keys(&flags, errors);
                    errors.extend(columns_beside_key(read, key));
                    errors.extend(position_beside_time(read));
                    errors.extend(history_without_replay(read));
                    errors.extend(history_beside_digests(read));
                }
                None => no_false_flags(&flags, errors),
            }
            self_numbering(id, read, errors).map(|ids| match key {
                Some(key) => SequenceMode::PerKey {
                    ids,
                    key: key.clone(),
                },
                None => SequenceMode::PerRequest { ids },
            })
        }
        (Some(id), false) => {
            let flags = static_flags(read.sequence_start?, read.sequence_end?);
            let is_number = read.sequence_id_type? == SequenceIdType::Number;
            fixed(id, flags, is_number, errors)
        }
        (None, true) => {
            errors.push(rule(
                &[SEQUENCE_ID_AUTO_INCREMENT.key(), SEQUENCE_ID.key()],
                format!(
                    "option '{}' is true but '{}' is not set: set '{1}' to the text that every \
                     generated ID begins with, for example 'my-job'",
                    SEQUENCE_ID_AUTO_INCREMENT.key(),
                    SEQUENCE_ID.key()
                ),
            ));
            None
        }
        (None, false) => {
            for (key, _) in flags.iter().filter(|(_, flag)| *flag == Some(true)) {
                errors.push(rule(
                    &[key, SEQUENCE_ID.key()],
                    format!(
                        "option '{key}' is true but '{}' is not set, so there is no sequence it \
                         could speak of: set '{0}' or leave '{key}' out",
                        SEQUENCE_ID.key()
                    ),
                ));
            }
            Some(SequenceMode::None)
        }
    };
    mode.filter(|_| errors.len() == before)
}

/// The key of a flag, and what was given for it.
type Flag = (&'static str, Option<bool>);

fn no_false_flags(flags: &[Flag], errors: &mut Vec<OptionError>) {
    for (key, flag) in flags {
        if *flag == Some(false) {
            errors.push(rule(
                &[key, SEQUENCE_ID_AUTO_INCREMENT.key()],
                format!(
                    "option '{key}' is false but '{}' is true: every generated ID is used for one \
                     request, which must both start and end its sequence; leave '{key}' out or \
                     set it to true",
                    SEQUENCE_ID_AUTO_INCREMENT.key()
                ),
            ));
        }
    }
}

fn no_flags_beside_keys(flags: &[Flag], errors: &mut Vec<OptionError>) {
    for (key, flag) in flags {
        if flag.is_some() {
            errors.push(rule(
                &[key, SEQUENCE_KEY.key()],
                format!(
                    "option '{key}' is set beside '{}': the first row of each key's sequence \
                     starts it and its last one ends it, so leave '{key}' out",
                    SEQUENCE_KEY.key()
                ),
            ));
        }
    }
}

fn columns_beside_key(read: &ReadValues, key: &ColumnNames) -> Vec<OptionError> {
    let named = [
        (
            SEQUENCE_END_COLUMN.key(),
            &read.sequence_end_column,
            "what ends a sequence",
        ),
        (
            SEQUENCE_POSITION_COLUMN.key(),
            &read.sequence_position_column,
            "what counts the rows of a sequence",
        ),
    ];
    let named = named
        .into_iter()
        .filter_map(|(option, column, what)| Some((option, column.as_ref()?.as_deref()?, what)));
    named
        .filter(|(_, column, _)| key.iter().any(|name| name == *column))
        .map(|(option, column, what)| {
            rule(
                &[option, SEQUENCE_KEY.key()],
                format!(
                    "option '{option}' names the column '{column}', which '{}' names too: {what} \
                     cannot be what tells sequences apart",
                    SEQUENCE_KEY.key()
                ),
            )
        })
        .collect()
}

fn position_beside_time(read: &ReadValues) -> Option<OptionError> {
    read.sequence_idle_timeout.as_ref()?.as_ref()?;
    let option = position_option(read)?;
    Some(rule(
        &[SEQUENCE_IDLE_TIMEOUT.key(), option],
        format!(
            "option '{}' is set beside '{option}': a row's number says whether it starts a \
             sequence, so time cannot say it too; leave '{0}' out",
            SEQUENCE_IDLE_TIMEOUT.key()
        ),
    ))
}

/// A column that says which row of its key a row is says of an unknown key, too, what it is.
pub(super) fn unknown_key_beside_position(
    map: &OptionMap,
    read: &ReadValues,
) -> Option<OptionWarning> {
    map.get(&SEQUENCE_UNKNOWN_KEY)?;
    read.sequence_key.as_ref()?.as_ref()?;
    let option = position_option(read)?;
    Some(warning(
        &[SEQUENCE_UNKNOWN_KEY.key(), option],
        format!(
            "option '{}' has no effect beside '{option}': a row's number says whether its key is \
             new",
            SEQUENCE_UNKNOWN_KEY.key()
        ),
    ))
}

/// The option that has rows say which of their key they are.
fn position_option(read: &ReadValues) -> Option<&'static str> {
    if read.sequence_position_column.as_ref()?.is_some() {
        return Some(SEQUENCE_POSITION_COLUMN.key());
    }
    read.sequence_history_columns.as_ref()?.as_ref()?;
    Some(SEQUENCE_HISTORY_COLUMNS.key())
}

fn history_without_replay(read: &ReadValues) -> Option<OptionError> {
    read.sequence_history_columns.as_ref()?.as_ref()?;
    (read.sequence_recovery? != SequenceRecovery::Replay).then(|| {
        rule(
            &[SEQUENCE_HISTORY_COLUMNS.key(), SEQUENCE_RECOVERY.key()],
            format!(
                "option '{}' is set but '{}' is not 'replay': nothing else would use the rows; \
                 set '{1}' to 'replay'",
                SEQUENCE_HISTORY_COLUMNS.key(),
                SEQUENCE_RECOVERY.key()
            ),
        )
    })
}

fn history_beside_digests(read: &ReadValues) -> Option<OptionError> {
    read.sequence_history_columns.as_ref()?.as_ref()?;
    read.sequence_replay_compare?.then(|| {
        rule(
            &[
                SEQUENCE_REPLAY_COMPARE.key(),
                SEQUENCE_HISTORY_COLUMNS.key(),
            ],
            format!(
                "option '{}' is true beside '{}': nothing of earlier rows is kept that answers \
                 could be compared with; leave '{0}' out",
                SEQUENCE_REPLAY_COMPARE.key(),
                SEQUENCE_HISTORY_COLUMNS.key()
            ),
        )
    })
}

#[cfg(test)]
mod tests {
    use crate::rules::tests::{AUTO, refusal as message, sequence_mode as parse};
    use crate::{
        ColumnNames, CounterInitStrategy, OptionValue as _, SequenceBase, SequenceIdScope,
        SequenceIds, SequenceMode, StaticFlags,
    };

    fn ids(base: &str, scope: SequenceIdScope) -> SequenceIds {
        SequenceIds {
            base: SequenceBase::new(base, scope).unwrap(),
            scope,
            counter: CounterInitStrategy::Zero,
        }
    }

    #[test]
    fn without_a_sequence_id_there_is_no_sequence() {
        assert_eq!(parse(&[]), Ok(SequenceMode::None));
        assert_eq!(
            parse(&[("sequence-start", "false")]),
            Ok(SequenceMode::None)
        );
    }

    #[test]
    fn a_static_id_sends_its_flags_as_configured() {
        let flags = |extra: &[(&str, &str)]| {
            let mode = parse(&[&[("sequence-id", "call-7")], extra].concat()).unwrap();
            let SequenceMode::Static { id, flags } = mode else {
                panic!("{mode:?}");
            };
            assert_eq!(id, "call-7");
            flags
        };
        let given = |start, end| StaticFlags::Given { start, end };
        let (start, end) = (("sequence-start", "true"), ("sequence-end", "true"));
        assert_eq!(flags(&[start]), given(true, false));
        assert_eq!(flags(&[end]), given(false, true));
        assert_eq!(flags(&[start, end]), given(true, true));
        assert!(given(true, true).are_both() && !given(true, false).are_both());
        // One that is given says something of the other one, too.
        assert_eq!(flags(&[("sequence-start", "false")]), given(false, false));
        assert_eq!(flags(&[("sequence-end", "FALSE")]), given(false, false));
        assert_eq!(flags(&[]), StaticFlags::FirstRow);
        assert!(!StaticFlags::FirstRow.are_both());
    }

    #[test]
    fn flags_left_out_or_true_fit_auto_increment() {
        let ids = ids("job", SequenceIdScope::Subtask);
        let expected = Ok(SequenceMode::PerRequest { ids });
        assert_eq!(parse(&[("sequence-id", "job"), AUTO]), expected);
        let flags = [("sequence-start", "true"), ("sequence-end", "true")];
        assert_eq!(
            parse(&[("sequence-id", "job"), AUTO, flags[0], flags[1]]),
            expected
        );
    }

    #[test]
    fn auto_increment_needs_a_base() {
        insta::assert_snapshot!(message(&[AUTO]), @"option 'sequence-id-auto-increment' is true but 'sequence-id' is not set: set 'sequence-id' to the text that every generated ID begins with, for example 'my-job'");
    }

    #[test]
    fn auto_increment_contradicts_false_flags() {
        let flags = [("sequence-start", "false"), ("sequence-end", "FALSE")];
        insta::assert_snapshot!(message(&[("sequence-id", "job"), AUTO, flags[0], flags[1]]), @"
        2 problems in the options:
          - option 'sequence-start' is false but 'sequence-id-auto-increment' is true: every generated ID is used for one request, which must both start and end its sequence; leave 'sequence-start' out or set it to true
          - option 'sequence-end' is false but 'sequence-id-auto-increment' is true: every generated ID is used for one request, which must both start and end its sequence; leave 'sequence-end' out or set it to true
        ");
    }

    #[test]
    fn a_key_makes_sequences_of_its_own() {
        let key = ("sequence-key", "site;sensor");
        let expected = |scope| SequenceMode::PerKey {
            ids: ids("job", scope),
            key: ColumnNames::parse("site;sensor").unwrap(),
        };
        let per_key = [("sequence-id", "job"), AUTO, key];
        assert_eq!(parse(&per_key), Ok(expected(SequenceIdScope::Run)));
        let scope = |scope| parse(&[&per_key[..], &[("sequence-id-scope", scope)]].concat());
        assert_eq!(scope("run"), Ok(expected(SequenceIdScope::Run)));
        assert_eq!(scope("subtask"), Ok(expected(SequenceIdScope::Subtask)));
        insta::assert_snapshot!(message(&[("sequence-id", "job"), key]), @"option 'sequence-key' is set but 'sequence-id-auto-increment' is not true: the sequences of keys take their IDs from its counter; set 'sequence-id-auto-increment' to true");
        insta::assert_snapshot!(message(&[AUTO, key]), @"option 'sequence-id-auto-increment' is true but 'sequence-id' is not set: set 'sequence-id' to the text that every generated ID begins with, for example 'my-job'");
        let flag = ("sequence-end", "true");
        insta::assert_snapshot!(message(&[("sequence-id", "job"), AUTO, key, flag]), @"option 'sequence-end' is set beside 'sequence-key': the first row of each key's sequence starts it and its last one ends it, so leave 'sequence-end' out");
        let end = ("sequence-end-column", "sensor");
        insta::assert_snapshot!(message(&[("sequence-id", "job"), AUTO, key, end]), @"option 'sequence-end-column' names the column 'sensor', which 'sequence-key' names too: what ends a sequence cannot be what tells sequences apart");
    }

    #[test]
    fn what_a_row_says_of_its_place_must_not_be_contradicted() {
        let refused = |extra: &[(&str, &str)]| {
            let key = [("sequence-id", "job"), AUTO, ("sequence-key", "sensor")];
            message(&[&key, extra].concat())
        };
        let (position, history) = (
            ("sequence-position-column", "n"),
            ("sequence-history-columns", "x:xs"),
        );
        let replay = ("sequence-recovery", "replay");
        let idle = ("sequence-idle-timeout", "1 s");
        insta::assert_snapshot!(refused(&[("sequence-position-column", "sensor")]), @"option 'sequence-position-column' names the column 'sensor', which 'sequence-key' names too: what counts the rows of a sequence cannot be what tells sequences apart");
        insta::assert_snapshot!(refused(&[position, idle]), @"option 'sequence-idle-timeout' is set beside 'sequence-position-column': a row's number says whether it starts a sequence, so time cannot say it too; leave 'sequence-idle-timeout' out");
        insta::assert_snapshot!(refused(&[history, replay, idle]), @"option 'sequence-idle-timeout' is set beside 'sequence-history-columns': a row's number says whether it starts a sequence, so time cannot say it too; leave 'sequence-idle-timeout' out");
        insta::assert_snapshot!(refused(&[history]), @"option 'sequence-history-columns' is set but 'sequence-recovery' is not 'replay': nothing else would use the rows; set 'sequence-recovery' to 'replay'");
        let compare = ("sequence-replay-compare", "true");
        insta::assert_snapshot!(refused(&[history, replay, compare]), @"option 'sequence-replay-compare' is true beside 'sequence-history-columns': nothing of earlier rows is kept that answers could be compared with; leave 'sequence-replay-compare' out");
    }

    #[test]
    fn flags_need_a_sequence() {
        insta::assert_snapshot!(message(&[("sequence-start", "true")]), @"option 'sequence-start' is true but 'sequence-id' is not set, so there is no sequence it could speak of: set 'sequence-id' or leave 'sequence-start' out");
    }
}
