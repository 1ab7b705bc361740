//! The option catalog: every option of a model, defined once.
//!
//! One entry below makes the constant, the place in [`CATALOG`], the field of [`OptionValues`]
//! and the parser for it. The doc comment is the option's text everywhere: in rustdoc, in the
//! generated pages and on the command line.

use std::time::Duration;

use crate::option_map::OptionReader;
use crate::{
    ConfigOption, Endpoint, ModelName, ModelVersion, OptionDefinition, OptionValue, Presence,
    Section,
};

macro_rules! define_options {
    ($(
        $(#[doc = $text:literal])+
        $section:ident $constant:ident = $key:literal as $field:ident: $type:ty,
        $presence:ident $($default:literal)?;
    )+) => {
        $(
            $(#[doc = $text])+
            pub const $constant: ConfigOption<$type> = ConfigOption::new(OptionDefinition {
                key: $key,
                section: Section::$section,
                presence: define_options!(@presence $presence $($default)?),
                type_name: <$type as OptionValue>::TYPE_NAME,
                field: stringify!($field),
                text: concat!($($text, "\n"),+),
                canonical: |text| <$type as OptionValue>::parse(text).map(|value| value.canonical()),
                loggable: <$type as OptionValue>::loggable,
            });
        )+

        /// Every option, in the order of its definition.
        pub static CATALOG: &[&OptionDefinition] = &[$($constant.definition()),+];

        /// The typed values of all options.
        #[derive(Debug, Clone, PartialEq)]
        #[non_exhaustive]
        pub struct OptionValues {
            $( $(#[doc = $text])+ pub $field: define_options!(@field $presence $type), )+
        }

        /// The options as far as they could be read: `None` stands where an error was recorded.
        pub(crate) struct ReadValues {
            $( pub(crate) $field: Option<define_options!(@field $presence $type)>, )+
        }

        impl ReadValues {
            pub(crate) fn read(reader: &mut OptionReader<'_>) -> Self {
                Self { $( $field: define_options!(@read $presence reader $constant), )+ }
            }

            pub(crate) fn complete(self) -> Option<OptionValues> {
                Some(OptionValues { $( $field: self.$field?, )+ })
            }
        }
    };
    (@presence required) => { Presence::Required };
    (@presence optional) => { Presence::Optional };
    (@presence default $text:literal) => { Presence::Default($text) };
    (@field optional $type:ty) => { Option<$type> };
    (@field $presence:ident $type:ty) => { $type };
    (@read optional $reader:ident $constant:ident) => { $reader.optional(&$constant) };
    (@read $presence:ident $reader:ident $constant:ident) => { $reader.value(&$constant) };
}

define_options! {
    /// Address of the Triton server: `http://` or `https://`, host and port. A bare
    /// `host:port` and an address that ends in `/v2` or `/v2/models` name the same server.
    /// User name and password in the address are sent as basic authentication and never shown.
    /// The `triton` command also takes `embedded` and then starts a small server of its own.
    Common ENDPOINT = "endpoint" as endpoint: Endpoint, required;

    /// Name of the model on the server, as `POST /v2/repository/index` lists it.
    Common MODEL_NAME = "model-name" as model_name: ModelName, required;

    /// Version of the model that answers: a version number, or `latest` to leave the choice to
    /// the model's
    /// [version policy](https://docs.nvidia.com/deeplearning/triton-inference-server/user-guide/docs/user_guide/model_configuration.html#version-policy)
    /// on the server. A number keeps answers comparable while a new version is rolled out.
    Common MODEL_VERSION = "model-version" as model_version: ModelVersion, default "latest";

    /// The longest time one call to the server may take, from connecting until the whole answer
    /// is read. The server is not told and may finish the work all the same. Raise it for models
    /// that are slow or wait long in a queue.
    Common TIMEOUT = "timeout" as timeout: Duration, default "30 s";

    /// ID of the sequence that requests to a
    /// [stateful model](https://docs.nvidia.com/deeplearning/triton-inference-server/user-guide/docs/user_guide/architecture.html#stateful-models)
    /// belong to; the model keeps one state for each ID. Sent as a string of at most 128 bytes.
    /// With `sequence-id-auto-increment` it is what every generated ID begins with, and may have
    /// at most 96 bytes.
    Advanced SEQUENCE_ID = "sequence-id" as sequence_id: String, optional;

    /// Gives every request a sequence ID of its own, `{sequence-id}-{subtask-index}-{counter}`,
    /// so that parallel subtasks never share the state of a model. The counter begins at 0
    /// whenever a subtask is opened; a restarted job therefore repeats the IDs of its
    /// predecessor, which is safe because each request starts its sequence anew. Needs
    /// `sequence-id`.
    Advanced SEQUENCE_ID_AUTO_INCREMENT = "sequence-id-auto-increment" as sequence_id_auto_increment: bool, default "false";

    /// Marks every request as the first one of its sequence: the model forgets what it knew of
    /// the ID. With `sequence-id-auto-increment` it counts as true unless given, and cannot be
    /// set to false, because the server refuses a new ID that does not start.
    Advanced SEQUENCE_START = "sequence-start" as sequence_start: bool, default "false";

    /// Marks every request as the last one of its sequence: the server frees the slot of the ID.
    /// With `sequence-id-auto-increment` it counts as true unless given, and cannot be set to
    /// false, because each ID is used once and would hold its slot until it idles out.
    Advanced SEQUENCE_END = "sequence-end" as sequence_end: bool, default "false";
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Piece;

    #[test]
    fn keys_are_unique_kebab_case_and_named_like_their_field() {
        let mut seen = std::collections::BTreeSet::new();
        for definition in CATALOG {
            assert!(
                seen.insert(definition.key),
                "{} is defined twice",
                definition.key
            );
            assert_eq!(definition.field.replace('_', "-"), definition.key);
            let kebab = |word: &str| {
                !word.is_empty()
                    && word
                        .chars()
                        .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
            };
            assert!(definition.key.split('-').all(kebab), "{}", definition.key);
        }
    }

    #[test]
    fn defaults_parse_back_to_themselves() {
        for definition in CATALOG {
            if let Presence::Default(text) = definition.presence {
                assert_eq!(
                    definition.canonical(text).as_deref(),
                    Ok(text),
                    "{}",
                    definition.key
                );
            }
        }
    }

    #[test]
    fn texts_are_whole_sentences_whose_marks_are_closed() {
        for definition in CATALOG {
            let description = definition.description();
            assert!(!description.paragraphs.is_empty(), "{}", definition.key);
            for piece in description.paragraphs.iter().flatten() {
                if let Piece::Text(text) = piece {
                    assert!(
                        !text.contains(['`', '[', ']']),
                        "{}: {text}",
                        definition.key
                    );
                }
            }
            let text = definition.text.trim();
            assert!(text.ends_with('.'), "{}: {text}", definition.key);
        }
    }

    #[test]
    fn texts_do_not_restate_the_default_column() {
        for definition in CATALOG {
            let text = definition.text.to_lowercase();
            for phrase in ["default", "by default", "if not set,"] {
                assert!(!text.contains(phrase), "{} says '{phrase}'", definition.key);
            }
        }
    }
}
