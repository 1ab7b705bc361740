//! What the options of sequences mean together, and which of them contradict each other.

use super::rule;
use crate::definitions::ReadValues;
use crate::{
    CounterInitStrategy, MAX_SEQUENCE_ID_BYTES, OptionError, OptionMap, SEQUENCE_END, SEQUENCE_ID,
    SEQUENCE_ID_AUTO_INCREMENT, SEQUENCE_START, SequenceBase, SequenceMode, value,
};

/// Works out the sequence mode; without one, an error was recorded.
pub(super) fn mode(
    map: &OptionMap,
    read: &ReadValues,
    errors: &mut Vec<OptionError>,
) -> Option<SequenceMode> {
    let id = read.sequence_id.as_ref()?.as_deref();
    let auto_increment = read.sequence_id_auto_increment?;
    let flags = [
        (
            SEQUENCE_START.key(),
            read.sequence_start,
            map.get(&SEQUENCE_START),
        ),
        (
            SEQUENCE_END.key(),
            read.sequence_end,
            map.get(&SEQUENCE_END),
        ),
    ];
    let before = errors.len();
    let mode = match (id, auto_increment) {
        (Some(id), true) => per_request(id, read.sequence_id_counter_init_strategy, &flags, errors),
        (Some(id), false) => fixed(id, read.sequence_start?, read.sequence_end?, errors),
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
            for (key, _, _) in flags.iter().filter(|(_, flag, _)| *flag == Some(true)) {
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

type Flag<'a> = (&'static str, Option<bool>, Option<&'a str>);

fn per_request(
    id: &str,
    counter: Option<CounterInitStrategy>,
    flags: &[Flag<'_>],
    errors: &mut Vec<OptionError>,
) -> Option<SequenceMode> {
    for (key, flag, given) in flags {
        if given.is_some() && *flag == Some(false) {
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
    let base = SequenceBase::new(id);
    if base.is_none() {
        errors.push(bad_id(
            id,
            SequenceBase::MAX_BYTES,
            &format!(
                ", because generated IDs add the subtask index and a counter and the server takes \
                 {MAX_SEQUENCE_ID_BYTES} bytes"
            ),
        ));
    }
    let counter = counter?;
    base.map(|base| SequenceMode::PerRequest { base, counter })
}

fn fixed(id: &str, start: bool, end: bool, errors: &mut Vec<OptionError>) -> Option<SequenceMode> {
    if id.is_empty() || id.contains('\0') || id.len() > MAX_SEQUENCE_ID_BYTES {
        errors.push(bad_id(id, MAX_SEQUENCE_ID_BYTES, ", the server's limit"));
        return None;
    }
    Some(SequenceMode::Static {
        id: id.to_owned(),
        start,
        end,
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
    use crate::{CounterInitStrategy, OptionErrors, SequenceBase, SequenceMode, TritonOptions};

    fn parse(extra: &[(&str, &str)]) -> Result<SequenceMode, OptionErrors> {
        let base = [("endpoint", "http://localhost:8000"), ("model-name", "m")];
        TritonOptions::parse(base.iter().chain(extra).copied())
            .map(|options| options.sequence_mode().clone())
    }

    fn message(extra: &[(&str, &str)]) -> String {
        parse(extra).expect_err("must be refused").to_string()
    }

    const AUTO: (&str, &str) = ("sequence-id-auto-increment", "true");

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
        let mode = parse(&[("sequence-id", "call-7"), ("sequence-start", "true")]);
        let expected = SequenceMode::Static {
            id: "call-7".into(),
            start: true,
            end: false,
        };
        assert_eq!(mode, Ok(expected));
    }

    #[test]
    fn flags_left_out_or_true_fit_auto_increment() {
        let base = SequenceBase::new("job").unwrap();
        let counter = CounterInitStrategy::Zero;
        let expected = Ok(SequenceMode::PerRequest { base, counter });
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
    fn flags_need_a_sequence() {
        insta::assert_snapshot!(message(&[("sequence-start", "true")]), @"option 'sequence-start' is true but 'sequence-id' is not set, so there is no sequence it could speak of: set 'sequence-id' or leave 'sequence-start' out");
    }

    #[test]
    fn a_base_must_leave_room_for_subtask_and_counter() {
        let longest = "b".repeat(SequenceBase::MAX_BYTES);
        assert!(parse(&[("sequence-id", &longest), AUTO]).is_ok());
        let longer = "b".repeat(SequenceBase::MAX_BYTES + 1);
        insta::assert_snapshot!(message(&[("sequence-id", &longer), AUTO]), @"option 'sequence-id' is 97 bytes long: 'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb'; at most 96 bytes are possible, because generated IDs add the subtask index and a counter and the server takes 128 bytes");
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
}
