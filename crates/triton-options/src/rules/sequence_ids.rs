//! The IDs of sequences: the one that is given, or what generated ones begin with.

use super::problems::rule;
use crate::definitions::ReadValues;
use crate::{
    CounterInitStrategy, MAX_SEQUENCE_ID_BYTES, OptionError, SEQUENCE_ID,
    SEQUENCE_ID_COUNTER_INIT_STRATEGY, SEQUENCE_ID_SCOPE, SEQUENCE_ID_TYPE, SequenceBase,
    SequenceIdScope, SequenceIdType, SequenceIds, SequenceMode, StaticFlags, sequence_number,
    value,
};

pub(super) fn self_numbering(
    id: &str,
    read: &ReadValues,
    errors: &mut Vec<OptionError>,
) -> Option<SequenceIds> {
    let (scope, counter) = (
        read.sequence_id_scope?,
        read.sequence_id_counter_init_strategy?,
    );
    if read.sequence_id_type? == SequenceIdType::Number && counter == CounterInitStrategy::NanoTime
    {
        errors.push(rule(
            &[
                SEQUENCE_ID_COUNTER_INIT_STRATEGY.key(),
                SEQUENCE_ID_TYPE.key(),
            ],
            format!(
                "option '{}' is 'NANO_TIME' but '{}' is 'number': a number has 48 bits for its \
                 counter, and nanoseconds since 1970 take 61; set '{0}' to 'EPOCH_MILLIS', or \
                 leave it out and set '{}' to 'run'",
                SEQUENCE_ID_COUNTER_INIT_STRATEGY.key(),
                SEQUENCE_ID_TYPE.key(),
                SEQUENCE_ID_SCOPE.key()
            ),
        ));
    }
    let base = SequenceBase::new(id, scope);
    if base.is_none() {
        let adds = match scope {
            SequenceIdScope::Subtask => "the subtask index and a counter".to_owned(),
            SequenceIdScope::Run => format!(
                "the run (option '{}'), the subtask index and a counter",
                SEQUENCE_ID_SCOPE.key()
            ),
        };
        errors.push(bad_id(
            id,
            SequenceBase::max_bytes(scope),
            &format!(
                ", because generated IDs add {adds} and the server takes {MAX_SEQUENCE_ID_BYTES} \
                 bytes"
            ),
        ));
    }
    Some(SequenceIds {
        base: base?,
        scope,
        counter,
    })
}

pub(super) fn static_flags(start: Option<bool>, end: Option<bool>) -> StaticFlags {
    match (start, end) {
        (None, None) => StaticFlags::FirstRow,
        _ => StaticFlags::Given {
            start: start == Some(true),
            end: end == Some(true),
        },
    }
}

pub(super) fn fixed(
    id: &str,
    flags: StaticFlags,
    is_number: bool,
    errors: &mut Vec<OptionError>,
) -> Option<SequenceMode> {
    if id.is_empty() || id.contains('\0') || id.len() > MAX_SEQUENCE_ID_BYTES {
        errors.push(bad_id(id, MAX_SEQUENCE_ID_BYTES, ", the server's limit"));
        return None;
    }
    if is_number && sequence_number(id).is_none() {
        let key = SEQUENCE_ID.key();
        errors.push(rule(
            &[key, SEQUENCE_ID_TYPE.key()],
            format!(
                "option '{key}' is {} but '{}' is 'number': expected digits, from 1 to {} and \
                 without zeros before them; set '{key}' to such a number, or leave '{1}' out",
                value::quoted(id),
                SEQUENCE_ID_TYPE.key(),
                u64::MAX
            ),
        ));
        return None;
    }
    Some(SequenceMode::Static {
        id: id.to_owned(),
        flags,
    })
}

fn bad_id(id: &str, limit: usize, reason: &str) -> OptionError {
    let key = SEQUENCE_ID.key();
    let message = if id.is_empty() {
        format!(
            "option '{key}' is empty, which the server takes as no sequence at all: set it to a \
             text or leave it out"
        )
    } else if id.contains('\0') {
        format!(
            "option '{key}' holds a NUL character in {}: the server cuts an ID there, so that \
             different sequences would share their state; remove it",
            value::quoted(id)
        )
    } else {
        format!(
            "option '{key}' is {} bytes long: {}; at most {limit} bytes are possible{reason}",
            id.len(),
            value::quoted(id)
        )
    };
    rule(&[key], message)
}

#[cfg(test)]
mod tests {
    use crate::SequenceBase;
    use crate::rules::tests::{AUTO, refusal as message, sequence_mode as parse};

    #[test]
    fn a_base_must_leave_room_for_subtask_and_counter() {
        let longest = "b".repeat(SequenceBase::MAX_BYTES);
        assert!(parse(&[("sequence-id", &longest), AUTO]).is_ok());
        let longer = "b".repeat(SequenceBase::MAX_BYTES + 1);
        insta::assert_snapshot!(message(&[("sequence-id", &longer), AUTO]), @"option 'sequence-id' is 97 bytes long: 'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb'; at most 96 bytes are possible, because generated IDs add the subtask index and a counter and the server takes 128 bytes");
        let run = ("sequence-id-scope", "run");
        let longer = "b".repeat(SequenceBase::MAX_BYTES_IN_RUN + 1);
        insta::assert_snapshot!(message(&[("sequence-id", &longer), AUTO, run]), @"option 'sequence-id' is 70 bytes long: 'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb'; at most 69 bytes are possible, because generated IDs add the run (option 'sequence-id-scope'), the subtask index and a counter and the server takes 128 bytes");
        // A key has the run in its IDs without a word.
        let key = ("sequence-key", "sensor");
        let within_run = "b".repeat(SequenceBase::MAX_BYTES_IN_RUN);
        assert!(parse(&[("sequence-id", &within_run), AUTO, key]).is_ok());
        let id = ("sequence-id", longer.as_str());
        assert_eq!(message(&[id, AUTO, key]), message(&[id, AUTO, run]));
        let within_subtask = [
            ("sequence-id", longest.as_str()),
            AUTO,
            key,
            ("sequence-id-scope", "subtask"),
        ];
        assert!(parse(&within_subtask).is_ok());
        // Bytes count, not characters.
        let accented = "é".repeat(SequenceBase::MAX_BYTES / 2 + 1);
        assert!(parse(&[("sequence-id", &accented), AUTO]).is_err());
    }

    #[test]
    fn a_static_id_has_the_whole_length_to_itself() {
        assert!(parse(&[("sequence-id", &"i".repeat(128))]).is_ok());
        insta::assert_snapshot!(message(&[("sequence-id", &"i".repeat(129))]), @"option 'sequence-id' is 129 bytes long: 'iiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiii…' (129 bytes); at most 128 bytes are possible, the server's limit");
    }

    #[test]
    fn an_empty_id_or_one_with_a_nul_is_refused_in_both_modes() {
        insta::assert_snapshot!(message(&[("sequence-id", "")]), @"option 'sequence-id' is empty, which the server takes as no sequence at all: set it to a text or leave it out");
        insta::assert_snapshot!(message(&[("sequence-id", "a\0b")]), @r"option 'sequence-id' holds a NUL character in 'a\0b': the server cuts an ID there, so that different sequences would share their state; remove it");
        assert_eq!(
            message(&[("sequence-id", ""), AUTO]),
            message(&[("sequence-id", "")])
        );
        assert_eq!(
            message(&[("sequence-id", "a\0b"), AUTO]),
            message(&[("sequence-id", "a\0b")])
        );
    }

    #[test]
    fn a_number_has_to_be_one_and_to_leave_room_for_its_counter() {
        let number = ("sequence-id-type", "number");
        let fixed = |id| parse(&[("sequence-id", id), number]);
        for id in ["1", "18446744073709551615"] {
            assert!(fixed(id).is_ok(), "{id}");
        }
        for id in ["0", "007", "-1", "1.0", "18446744073709551616", " 1"] {
            assert!(fixed(id).is_err(), "{id}");
        }
        insta::assert_snapshot!(fixed("call-7").unwrap_err(), @"option 'sequence-id' is 'call-7' but 'sequence-id-type' is 'number': expected digits, from 1 to 18446744073709551615 and without zeros before them; set 'sequence-id' to such a number, or leave 'sequence-id-type' out");
        let counter = |strategy| {
            let counter = ("sequence-id-counter-init-strategy", strategy);
            parse(&[("sequence-id", "job"), AUTO, number, counter])
        };
        assert!(counter("ZERO").is_ok() && counter("EPOCH_MILLIS").is_ok());
        insta::assert_snapshot!(counter("NANO_TIME").unwrap_err(), @"option 'sequence-id-counter-init-strategy' is 'NANO_TIME' but 'sequence-id-type' is 'number': a number has 48 bits for its counter, and nanoseconds since 1970 take 61; set 'sequence-id-counter-init-strategy' to 'EPOCH_MILLIS', or leave it out and set 'sequence-id-scope' to 'run'");
    }
}
