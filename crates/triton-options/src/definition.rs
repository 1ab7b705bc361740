//! What one option is: the facts that the parser, the errors and the documentation all read.

use std::fmt;
use std::marker::PhantomData;

use crate::{Description, InvalidValue, OptionValue};
use triton_protocol::HIDDEN;

/// The part of the documentation an option belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Section {
    /// What every model needs.
    Common,
    /// What only some models or deployments need.
    Advanced,
}

impl Section {
    /// Every section, in the order in which documentation lists them.
    pub const ALL: &'static [Section] = &[Section::Common, Section::Advanced];

    /// The name used in file names: `common` or `advanced`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Section::Common => "common",
            Section::Advanced => "advanced",
        }
    }
}

/// Whether an option must be given, and what holds when it is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Presence {
    /// The option must be given.
    Required,
    /// The option may be left out and then has no value.
    Optional,
    /// The option may be left out and then has this value, in the text form a user would write.
    Default(&'static str),
}

/// One entry of the [`CATALOG`](crate::CATALOG): the facts of an option without its Rust type.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct OptionDefinition {
    /// The key as users write it, for example `model-name`.
    pub key: &'static str,
    /// Where the documentation lists the option.
    pub section: Section,
    /// Whether the option must be given.
    pub presence: Presence,
    /// What holds in place of the default where the option `sequence-key` is set, if that is
    /// something else.
    pub with_sequence_key: Option<&'static str>,
    /// What `triton predict` takes where the option is left out, if that is something else: files
    /// can wait and be read again, which a stream of rows cannot.
    pub in_predict: Option<&'static str>,
    /// The type as the documentation names it, for example `Duration`.
    pub type_name: &'static str,
    /// The name of the option's field in [`OptionValues`](crate::OptionValues).
    pub field: &'static str,
    /// Whether the value is the name of a file, which is read where the options are used.
    pub is_file: bool,
    pub(crate) unit_in_flink: Option<&'static str>,
    pub(crate) expected: &'static str,
    pub(crate) text: &'static str,
    pub(crate) canonical: fn(&str) -> Result<String, InvalidValue>,
    pub(crate) loggable: fn(&str) -> String,
}

impl OptionDefinition {
    /// What the option does, as pieces of text, code and links.
    #[must_use]
    pub fn description(&self) -> Description {
        Description::parse(self.text)
    }

    /// What holds where the option is left out, as the text of a value; `has_key` says whether the
    /// option `sequence-key` is set.
    ///
    /// ```
    /// use triton_options::SEQUENCE_ID_SCOPE;
    ///
    /// let scope = SEQUENCE_ID_SCOPE.definition();
    /// assert_eq!(scope.default_value(false), Some("subtask"));
    /// assert_eq!(scope.default_value(true), Some("run"));
    /// ```
    #[must_use]
    pub fn default_value(&self, has_key: bool) -> Option<&'static str> {
        match self.presence {
            Presence::Required | Presence::Optional => None,
            Presence::Default(text) => Some(match self.with_sequence_key {
                Some(with_key) if has_key => with_key,
                _ => text,
            }),
        }
    }

    /// The text of a default as documentation shows it: `(none)` without one, strings quoted,
    /// and behind it the default beside `sequence-key` or in `triton predict` where that is another
    /// one.
    #[must_use]
    pub fn default_text(&self) -> String {
        let shown = |text: &str| match self.type_name == String::TYPE_NAME {
            true => format!("\"{text}\""),
            false => text.to_owned(),
        };
        let default = match self.presence {
            Presence::Required | Presence::Optional => "(none)".to_owned(),
            Presence::Default(text) => shown(text),
        };
        let others = [
            (self.with_sequence_key, "with sequence-key"),
            (self.in_predict, "in triton predict"),
        ];
        let others = others
            .into_iter()
            .filter_map(|(text, place)| Some(format!(" ({} {place})", shown(text?))));
        others.fold(default, |text, other| text + &other)
    }

    /// Parses `text` as a value of this option and writes it back in its canonical form.
    ///
    /// # Errors
    ///
    /// [`InvalidValue`] when `text` is no value of this option.
    pub fn canonical(&self, text: &str) -> Result<String, InvalidValue> {
        (self.canonical)(text)
    }

    /// Whether nothing of a value may be shown.
    ///
    /// ```
    /// use triton_options::{AUTH_TOKEN, TIMEOUT};
    ///
    /// assert!(AUTH_TOKEN.definition().is_secret() && !TIMEOUT.definition().is_secret());
    /// ```
    #[must_use]
    pub fn is_secret(&self) -> bool {
        self.loggable("") == HIDDEN
    }

    /// `text` as it may stand in a log or an error: without secrets.
    #[must_use]
    pub fn loggable(&self, text: &str) -> String {
        (self.loggable)(text)
    }
}

impl fmt::Debug for OptionDefinition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("OptionDefinition")
            .field("key", &self.key)
            .field("type_name", &self.type_name)
            .field("presence", &self.presence)
            .finish_non_exhaustive()
    }
}

/// An option and the Rust type of its value.
///
/// ```
/// use triton_options::SEQUENCE_ID;
///
/// assert_eq!(SEQUENCE_ID.key(), "sequence-id");
/// ```
pub struct ConfigOption<T> {
    definition: OptionDefinition,
    value: PhantomData<fn() -> T>,
}

impl<T: OptionValue> ConfigOption<T> {
    /// An option of your own, to be read beside those of a model: see
    /// [`OptionMap::parse_known`](crate::OptionMap::parse_known).
    ///
    /// `text` says what it does: whole sentences, in which `` `code` `` and `[links](https://…)` are
    /// marked as in Markdown. Documentation lists it among the advanced ones, unless
    /// [`common`](Self::common) says otherwise.
    ///
    /// ```
    /// use triton_options::{ConfigOption, Presence};
    ///
    /// const LANES: ConfigOption<u32> =
    ///     ConfigOption::declare("lanes", Presence::Default("4"), "How many lanes read the topic.");
    /// assert_eq!(LANES.key(), "lanes");
    /// ```
    #[must_use]
    pub const fn declare(key: &'static str, presence: Presence, text: &'static str) -> Self {
        Self::new(OptionDefinition {
            key,
            section: Section::Advanced,
            presence,
            with_sequence_key: None,
            in_predict: None,
            type_name: T::TYPE_NAME,
            field: "",
            is_file: T::IS_FILE,
            unit_in_flink: T::UNIT_IN_FLINK,
            expected: T::EXPECTED,
            text,
            canonical: canonical::<T>,
            loggable: T::loggable,
        })
    }

    /// This option for the section of what everybody needs.
    #[must_use]
    pub const fn common(mut self) -> Self {
        self.definition.section = Section::Common;
        self
    }
}

fn canonical<T: OptionValue>(text: &str) -> Result<String, InvalidValue> {
    T::parse(text).map(|value| value.canonical())
}

impl<T> ConfigOption<T> {
    /// The key as users write it.
    #[must_use]
    pub const fn key(&self) -> &'static str {
        self.definition.key
    }

    /// Every fact of the option.
    #[must_use]
    pub const fn definition(&self) -> &OptionDefinition {
        &self.definition
    }

    pub(crate) const fn new(definition: OptionDefinition) -> Self {
        Self {
            definition,
            value: PhantomData,
        }
    }
}

impl<T> fmt::Debug for ConfigOption<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.definition.fmt(formatter)
    }
}
