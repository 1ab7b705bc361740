//! Options that a connector has beside those of a model: read, refused and documented in one go.

use std::collections::BTreeMap;

use crate::{
    CATALOG, ConfigOption, OptionDefinition, OptionError, OptionErrors, OptionMap, OptionValue,
    Piece, Presence, TritonOptions,
};

/// The values of options that were [declared](ConfigOption::declare) outside of this crate.
///
/// They were checked when the map was parsed.
#[derive(Clone, PartialEq, Eq)]
pub struct OwnOptions(BTreeMap<&'static str, String>);

impl OwnOptions {
    /// The value of an option: what was given, or its default. `None` where neither is there, or the
    /// option was not among those that were parsed.
    #[must_use]
    pub fn get<T: OptionValue>(&self, option: &ConfigOption<T>) -> Option<T> {
        T::parse(self.0.get(option.key())?).ok()
    }
}

/// Shows the keys alone: which of the values are secrets is known to their types.
impl std::fmt::Debug for OwnOptions {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_set().entries(self.0.keys()).finish()
    }
}

impl OptionMap {
    /// Checks every option and the rules between them, where some options are a connector's `own`.
    ///
    /// Everything that is wrong with either kind is in one error, and a key that neither kind has is
    /// refused with the key that is spelled most alike among both.
    ///
    /// The same definitions are documented like those of a model: [`render::html::table`] and
    /// [`render::markdown::table`] take them. What they write depends on nothing else, so a test that
    /// compares it with a committed page holds that no option is missing there, too many, or other
    /// than it says; [`check_definitions`] holds the definitions themselves.
    ///
    /// ```
    /// use triton_options::{
    ///     ConfigOption, MemorySize, OptionDefinition, OptionMap, Presence, check_definitions, render,
    /// };
    ///
    /// const TOPIC: ConfigOption<String> =
    ///     ConfigOption::declare("topic", Presence::Required, "The topic whose rows are read.");
    /// const FETCH: ConfigOption<MemorySize> =
    ///     ConfigOption::declare("fetch-size", Presence::Default("1 mb"), "How much is read at once.");
    /// static OWN: &[&OptionDefinition] = &[TOPIC.definition(), FETCH.definition()];
    /// assert!(check_definitions(OWN).is_empty());
    ///
    /// let map = OptionMap::new()
    ///     .with("endpoint", "localhost:8000")
    ///     .with("model-name", "echo")
    ///     .with("topic", "readings");
    /// let (options, own) = map.parse_known(OWN)?;
    /// assert_eq!(options.model_name.to_string(), "echo");
    /// assert_eq!(own.get(&TOPIC).as_deref(), Some("readings"));
    /// assert_eq!(own.get(&FETCH).map(MemorySize::bytes), Some(1 << 20));
    ///
    /// let errors = map.with("fetch-sise", "2 mb").parse_known(OWN).unwrap_err();
    /// assert_eq!(errors.to_string(), "unknown option 'fetch-sise'; did you mean 'fetch-size'?");
    ///
    /// let page = render::markdown::table(OWN);
    /// assert!(page.contains("| `fetch-size` | 1 mb | MemorySize | How much is read at once. |"));
    /// # Ok::<(), triton_options::OptionErrors>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`parse`](Self::parse); and an option that a model has, too, cannot be a connector's own, nor
    /// can two be of one key.
    ///
    /// [`render::html::table`]: crate::render::html::table
    /// [`render::markdown::table`]: crate::render::markdown::table
    pub fn parse_known(
        &self,
        own: &[&'static OptionDefinition],
    ) -> Result<(TritonOptions, OwnOptions), OptionErrors> {
        let mut errors = Vec::new();
        let mut values = BTreeMap::new();
        for (place, definition) in own.iter().enumerate() {
            if own[..place].iter().any(|other| other.key == definition.key) {
                errors.push(OptionError::Rule {
                    keys: vec![definition.key],
                    message: format!(
                        "option '{}' is declared twice by the connector: rename or remove one of \
                         the two",
                        definition.key
                    ),
                });
                continue;
            }
            if CATALOG.iter().any(|ours| ours.key == definition.key) {
                errors.push(OptionError::Rule {
                    keys: vec![definition.key],
                    message: format!(
                        "option '{}' is declared by the connector, but a model has an option of \
                         that name: rename the connector's",
                        definition.key
                    ),
                });
                continue;
            }
            let given = self.text(definition);
            match given.or_else(|| definition.default_value(false)) {
                Some(text) => match definition.canonical(text) {
                    Ok(canonical) => {
                        values.insert(definition.key, canonical);
                    }
                    Err(invalid) => errors.push(OptionError::Invalid {
                        key: definition.key,
                        value: definition.loggable(text),
                        expected: invalid.expected,
                    }),
                },
                None if definition.presence == Presence::Required => {
                    errors.push(OptionError::Missing {
                        key: definition.key,
                        expected: definition.expected,
                    });
                }
                None => {}
            }
        }
        let options = self.parse_beside(own, errors)?;
        Ok((options, OwnOptions(values)))
    }
}

/// What is wrong with definitions of your own, for a test that holds them to what holds for those
/// of a model: keys in kebab case that nobody else has, defaults in the form in which documentation
/// writes them, and texts of whole sentences whose marks are closed.
///
/// ```
/// use triton_options::{ConfigOption, Presence, check_definitions};
///
/// const BAD: ConfigOption<u32> =
///     ConfigOption::declare("batch-size", Presence::Default("two"), "How many `rows");
/// assert_eq!(check_definitions(&[BAD.definition()]), [
///     "batch-size: there is another option of this key",
///     "batch-size: its default 'two' is no value: expected a whole number from 0 to 4294967295",
///     "batch-size: its text does not end with a full stop",
///     "batch-size: a mark in its text is not closed",
/// ]);
/// ```
#[must_use]
pub fn check_definitions(own: &[&OptionDefinition]) -> Vec<String> {
    let mut problems = Vec::new();
    for (place, definition) in own.iter().enumerate() {
        let key = definition.key;
        let mut report = |problem: String| problems.push(format!("{key}: {problem}"));
        let mut others = own[..place].iter().map(|other| other.key);
        if others.any(|other| other == key) || CATALOG.iter().any(|ours| ours.key == key) {
            report("there is another option of this key".to_owned());
        }
        let is_kebab = |word: &str| {
            let mut characters = word.chars();
            !word.is_empty() && characters.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
        };
        if !key.split('-').all(is_kebab) {
            report("it is not of lower-case words with hyphens between them".to_owned());
        }
        if let Presence::Default(text) = definition.presence {
            match definition.canonical(text) {
                Ok(canonical) if canonical == text => {}
                Ok(canonical) => report(format!("its default '{text}' is written '{canonical}'")),
                Err(invalid) => report(format!(
                    "its default '{text}' is no value: expected {}",
                    invalid.expected
                )),
            }
        }
        if !definition.text.trim().ends_with('.') {
            report("its text does not end with a full stop".to_owned());
        }
        let paragraphs = definition.description().paragraphs;
        let mut pieces = paragraphs.iter().flatten();
        if pieces.any(|piece| matches!(piece, Piece::Text(text) if text.contains(['`', '[', ']'])))
        {
            report("a mark in its text is not closed".to_owned());
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{PositiveDuration, render};

    const LANES: ConfigOption<u32> =
        ConfigOption::declare("lanes", Presence::Default("4"), "How many `lanes` read.").common();
    const POLL: ConfigOption<PositiveDuration> = ConfigOption::declare(
        "poll-interval",
        Presence::Optional,
        "Time between two looks.",
    );
    const TOPIC: ConfigOption<String> =
        ConfigOption::declare("topic", Presence::Required, "The topic.");
    static OWN: &[&OptionDefinition] = &[LANES.definition(), POLL.definition(), TOPIC.definition()];

    #[test]
    fn problems_of_both_kinds_are_told_at_once() {
        let map: OptionMap = [
            ("model-name", "m"),
            ("lanes", "many"),
            ("max-retrys", "3"),
            ("pol-interval", "1 s"),
        ]
        .into_iter()
        .collect();
        let errors = map.parse_known(OWN).unwrap_err();
        insta::assert_snapshot!(errors, @"
        5 problems in the options:
          - option 'lanes': expected a whole number from 0 to 4294967295, found 'many'
          - option 'topic' is required: set it to text
          - option 'endpoint' is required: set it to the http or https address of a Triton server, such as 'http://localhost:8000'
          - unknown option 'max-retrys'; did you mean 'max-retries'?
          - unknown option 'pol-interval'; did you mean 'poll-interval'?
        ");
        // Without them, all of these are unknown.
        let alone = map.parse().unwrap_err().to_string();
        assert!(alone.contains("unknown option 'lanes'"), "{alone}");
    }

    #[test]
    fn a_model_keeps_its_own_options() {
        const TIMEOUT: ConfigOption<u32> =
            ConfigOption::declare("timeout", Presence::Optional, "Mine.");
        static TAKEN: &[&OptionDefinition] = &[TIMEOUT.definition()];
        let map = OptionMap::new()
            .with("endpoint", "h:1")
            .with("model-name", "m");
        let errors = map.parse_known(TAKEN).unwrap_err();
        insta::assert_snapshot!(errors, @"option 'timeout' is declared by the connector, but a model has an option of that name: rename the connector's");
    }

    #[test]
    fn a_key_is_declared_once() {
        const LINES: ConfigOption<String> =
            ConfigOption::declare("lanes", Presence::Optional, "Mine, too.");
        static TWICE: &[&OptionDefinition] = &[LANES.definition(), LINES.definition()];
        let map = OptionMap::new()
            .with("endpoint", "h:1")
            .with("model-name", "m");
        let errors = map.parse_known(TWICE).unwrap_err();
        insta::assert_snapshot!(errors, @"option 'lanes' is declared twice by the connector: rename or remove one of the two");
    }

    #[test]
    fn numbers_of_flink_have_its_units_in_options_of_both_kinds() {
        let map = OptionMap::new()
            .with("endpoint", "h:1")
            .with("model-name", "m")
            .with("topic", "t")
            .with("timeout", "3000")
            .with("poll-interval", "200");
        assert!(map.clone().with_flink_units().parse_known(OWN).is_err());
        let map = map.with_flink_units().with_flink_units_of(OWN);
        let (options, own) = map.parse_known(OWN).unwrap();
        assert_eq!(options.timeout.get().as_millis(), 3000);
        assert_eq!(own.get(&POLL).map(|poll| poll.get().as_millis()), Some(200));
    }

    #[test]
    fn values_and_pages_come_from_the_definitions() {
        assert_eq!(check_definitions(OWN), Vec::<String>::new());
        let map = OptionMap::new()
            .with("endpoint", "h:1")
            .with("model-name", "m")
            .with("topic", "t");
        let (_, own) = map.parse_known(OWN).unwrap();
        assert_eq!((own.get(&LANES), own.get(&POLL)), (Some(4), None));
        assert_eq!(format!("{own:?}"), r#"{"lanes", "topic"}"#);
        insta::assert_snapshot!(render::markdown::table(OWN), @"
        | Key | Default | Type | Description |
        | --- | --- | --- | --- |
        | `lanes` | 4 | Integer | How many `lanes` read. |
        | `poll-interval` | (none) | Duration | Time between two looks. |
        | `topic` | (none) | String | The topic. |
        ");
        let html = render::html::table(OWN);
        assert!(
            OWN.iter()
                .all(|own| html.contains(&format!("id=\"{}\"", own.key)))
        );
    }
}
