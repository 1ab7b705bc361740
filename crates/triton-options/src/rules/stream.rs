//! What cannot go together with rows that are answered in a stream.

use super::problems::rule;
use crate::definitions::ReadValues;
use crate::{
    BATCH_SIZE, CACHE_MAX_BYTES, COMPRESSION, DECOUPLED, DEFAULT_VALUE, Decoupled, ON_ERROR,
    OptionDefinition, OptionError, OptionMap, PRIORITY, SEQUENCE_ID, SERVER_TIMEOUT, TENSOR_FORMAT,
    TensorFormat,
};

/// An option that a stream has no use for, and why.
struct Refused {
    definition: &'static OptionDefinition,
    is_set: fn(&ReadValues) -> bool,
    why: &'static str,
}

static REFUSED: &[Refused] = &[
    Refused {
        definition: BATCH_SIZE.definition(),
        is_set: |read| read.batch_size.is_some_and(|size| size.get() > 1),
        why: "its answers could not be told apart, so a request carries one row",
    },
    Refused {
        definition: SEQUENCE_ID.definition(),
        is_set: |read| matches!(read.sequence_id, Some(Some(_))),
        why: "the server takes no sequences there",
    },
    Refused {
        definition: DEFAULT_VALUE.definition(),
        is_set: |read| matches!(read.default_value, Some(Some(_))),
        why: "behind the answers of a stream that breaks, a default would look like one more of them",
    },
    Refused {
        definition: CACHE_MAX_BYTES.definition(),
        is_set: |read| {
            let size = read.cache_max_bytes.flatten();
            size.is_some_and(|size| size.bytes() > 0)
        },
        why: "answers that come one after the other are not kept",
    },
    Refused {
        definition: PRIORITY.definition(),
        is_set: |read| matches!(read.priority, Some(Some(_))),
        why: "the server takes none there",
    },
    Refused {
        definition: SERVER_TIMEOUT.definition(),
        is_set: |read| matches!(read.server_timeout, Some(Some(_))),
        why: "the server takes none there",
    },
    Refused {
        definition: COMPRESSION.definition(),
        is_set: |read| matches!(read.compression, Some(Some(_))),
        why: "the server takes no compressed requests there",
    },
    Refused {
        definition: TENSOR_FORMAT.definition(),
        is_set: |read| read.tensor_format == Some(TensorFormat::Binary),
        why: "requests and answers are JSON there",
    },
];

/// Every option that is given and cannot be served.
pub(super) fn check(map: &OptionMap, read: &ReadValues) -> Vec<OptionError> {
    if read.decoupled != Some(Decoupled::Stream) {
        return Vec::new();
    }
    let refused = REFUSED.iter().filter(|refused| (refused.is_set)(read));
    let refused = refused.map(
        |Refused {
             definition, why, ..
         }| {
            let (key, decoupled) = (definition.key, DECOUPLED.key());
            let instead = match key == DEFAULT_VALUE.key() {
                true => format!(", or set '{}' to 'column' in its place", ON_ERROR.key()),
                false => String::new(),
            };
            let given = map.iter().find(|(given, _)| *given == key);
            let value = given.map_or("", |(_, value)| value);
            let message = format!(
                "option '{key}' ({value}) cannot go with '{decoupled}' = 'stream': {why}; leave it \
             out{instead}"
            );
            rule(&[key, decoupled], message)
        },
    );
    refused.collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{parse, refusal};

    #[test]
    fn a_stream_refuses_what_it_cannot_serve() {
        let stream = ("decoupled", "stream");
        let options = [
            stream,
            ("batch-size", "2"),
            ("sequence-id", "s"),
            ("default-value", "0"),
            ("cache-max-bytes", "1 mb"),
            ("priority", "1"),
            ("server-timeout", "1 s"),
            ("compression", "gzip"),
            ("tensor-format", "binary"),
        ];
        insta::assert_snapshot!(refusal(&options), @"
        9 problems in the options:
          - option 'batch-size' (2) cannot go with 'decoupled' = 'stream': its answers could not be told apart, so a request carries one row; leave it out
          - option 'sequence-id' (s) cannot go with 'decoupled' = 'stream': the server takes no sequences there; leave it out
          - option 'default-value' (0) cannot go with 'decoupled' = 'stream': behind the answers of a stream that breaks, a default would look like one more of them; leave it out, or set 'on-error' to 'column' in its place
          - option 'cache-max-bytes' (1 mb) cannot go with 'decoupled' = 'stream': answers that come one after the other are not kept; leave it out
          - option 'priority' (1) cannot go with 'decoupled' = 'stream': the server takes none there; leave it out
          - option 'server-timeout' (1 s) cannot go with 'decoupled' = 'stream': the server takes none there; leave it out
          - option 'compression' (gzip) cannot go with 'decoupled' = 'stream': the server takes no compressed requests there; leave it out
          - option 'tensor-format' (binary) cannot go with 'decoupled' = 'stream': requests and answers are JSON there; leave it out
          - option 'cache-max-bytes' (1 mb) is set beside 'sequence-id': an answer within a sequence depends on more than its row, so it cannot be given again; leave one of the two out
        ");
        for fine in [
            &[stream][..],
            &[stream, ("batch-size", "1"), ("on-error", "column")],
            &[stream, ("row-deadline", "1 min"), ("tensor-format", "json")],
            &[("decoupled", "refuse"), ("priority", "1")],
        ] {
            assert_eq!(parse(fine), Ok(Vec::new()), "{fine:?}");
        }
    }
}
