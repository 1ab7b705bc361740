//! From a string map, as an SQL WITH clause gives it, to typed options.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;

use crate::definitions::ReadValues;
use crate::{
    CATALOG, ConfigOption, EndpointDiscovery, HIDDEN, OnError, OptionDefinition, OptionError,
    OptionErrors, OptionValue, OptionValues, OptionWarning, SEQUENCE_KEY, SequenceMode, rules,
};

/// Options as text, before anything is checked: setting one never fails.
///
/// ```
/// use triton_options::{ENDPOINT, MODEL_NAME, OptionMap};
///
/// let options = OptionMap::new()
///     .with(ENDPOINT.key(), "localhost:8000")
///     .with(MODEL_NAME.key(), "echo")
///     .parse()?;
/// assert_eq!(options.endpoint.to_string(), "http://localhost:8000/");
/// # Ok::<(), triton_options::OptionErrors>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct OptionMap(BTreeMap<String, String>);

impl OptionMap {
    /// A map without any option.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// This map with one option set; a value it had before is replaced.
    #[must_use]
    pub fn with(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.set(key, value);
        self
    }

    /// Sets one option; a value it had before is replaced and returned.
    pub fn set(&mut self, key: impl Into<String>, value: impl Into<String>) -> Option<String> {
        self.0.insert(key.into(), value.into())
    }

    /// The text of an option, when it was given.
    #[must_use]
    pub fn get<T>(&self, option: &ConfigOption<T>) -> Option<&str> {
        self.0.get(option.key()).map(String::as_str)
    }

    /// Every option that was given, by its key; secrets stand here as they are.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// This map with the units that Flink understands where a number has none: milliseconds for a
    /// duration, bytes for a size of memory.
    ///
    /// For a map that comes out of a statement of Flink, where `'timeout' = '3000'` has a meaning.
    /// Anywhere else [`parse`](Self::parse) refuses such a number, because it is as often meant to
    /// be seconds.
    ///
    /// ```
    /// use triton_options::OptionMap;
    ///
    /// let map: OptionMap = [("endpoint", "triton:8000"), ("model-name", "m"), ("timeout", "3000")]
    ///     .into_iter()
    ///     .collect();
    /// assert!(map.parse().is_err());
    /// assert_eq!(map.with_flink_units().parse()?.timeout.get().as_secs(), 3);
    /// # Ok::<(), triton_options::OptionErrors>(())
    /// ```
    #[must_use]
    pub fn with_flink_units(self) -> Self {
        self.with_flink_units_of(CATALOG)
    }

    /// As [`with_flink_units`](Self::with_flink_units), for options of a connector's own: see
    /// [`parse_known`](Self::parse_known).
    #[must_use]
    pub fn with_flink_units_of(mut self, own: &[&OptionDefinition]) -> Self {
        for (key, value) in &mut self.0 {
            let definition = own.iter().find(|definition| definition.key == key);
            let unit = definition.and_then(|definition| definition.unit_in_flink);
            let number = value.trim();
            if let Some(unit) = unit
                && !number.is_empty()
                && number.bytes().all(|c| c.is_ascii_digit())
            {
                *value = format!("{number} {unit}");
            }
        }
        self
    }

    /// Checks every option and the rules between them.
    ///
    /// # Errors
    ///
    /// [`OptionErrors`] with every problem found: missing, malformed and unknown options, and
    /// rules broken.
    pub fn parse(&self) -> Result<TritonOptions, OptionErrors> {
        self.parse_beside(&[], Vec::new())
    }

    /// As [`parse`](Self::parse), beside options `own` that others [declare](ConfigOption::declare).
    pub(crate) fn parse_beside(
        &self,
        own: &[&'static OptionDefinition],
        errors: Vec<OptionError>,
    ) -> Result<TritonOptions, OptionErrors> {
        let mut reader = OptionReader { map: self, errors };
        let read = ReadValues::read(&mut reader);
        let mut errors = reader.errors;
        let sequence_mode = rules::check(self, &read, &mut errors);
        let warnings = rules::warnings(self, &read);
        errors.extend(self.unknown(own));
        OptionErrors::check(errors)?;
        let (Some(mut values), Some(sequence_mode)) = (read.complete(), sequence_mode) else {
            unreachable!("an option that could not be read was reported as an error")
        };
        if values.default_value.is_some() {
            // No rule lets it stand beside anything else.
            values.on_error = OnError::Default;
        }
        Ok(TritonOptions(Arc::new(Checked {
            values,
            sequence_mode,
            warnings,
        })))
    }

    /// Whether an option was given.
    pub(crate) fn has(&self, definition: &OptionDefinition) -> bool {
        self.0.contains_key(definition.key)
    }

    /// The text of an option, when it was given.
    pub(crate) fn text(&self, definition: &OptionDefinition) -> Option<&str> {
        self.0.get(definition.key).map(String::as_str)
    }

    fn unknown(&self, own: &[&'static OptionDefinition]) -> impl Iterator<Item = OptionError> {
        let known = move || CATALOG.iter().chain(own).copied();
        self.0
            .keys()
            .filter(move |key| known().all(|definition| definition.key != *key))
            .map(move |key| OptionError::Unknown {
                key: loggable_key(key, known()),
                nearest: nearest(key, known()),
            })
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for OptionMap {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(options: I) -> Self {
        let pairs = options.into_iter();
        Self(
            pairs
                .map(|(key, value)| (key.into(), value.into()))
                .collect(),
        )
    }
}

/// Shows the keys, and the values without their secrets.
impl std::fmt::Debug for OptionMap {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut map = formatter.debug_map();
        for (key, value) in &self.0 {
            match CATALOG.iter().find(|definition| definition.key == key) {
                Some(definition) => map.entry(key, &definition.loggable(value)),
                // Nobody knows whether the value of an unknown key is a secret.
                None => map.entry(key, &HIDDEN),
            };
        }
        map.finish()
    }
}

/// The checked options of a model: immutable, and cheap to clone.
///
/// It reads like a struct with one field per option: see [`OptionValues`]. The only way to get
/// one is to parse a map, so whoever holds one holds options that fit together.
#[derive(Debug, Clone, PartialEq)]
pub struct TritonOptions(Arc<Checked>);

#[derive(Debug, PartialEq)]
struct Checked {
    values: OptionValues,
    sequence_mode: SequenceMode,
    warnings: Vec<OptionWarning>,
}

impl TritonOptions {
    /// Checks options given as pairs of key and value; of a repeated key the last one counts.
    ///
    /// # Errors
    ///
    /// As [`OptionMap::parse`].
    pub fn parse<K, V>(options: impl IntoIterator<Item = (K, V)>) -> Result<Self, OptionErrors>
    where
        K: Into<String>,
        V: Into<String>,
    {
        options.into_iter().collect::<OptionMap>().parse()
    }

    /// How requests belong to sequences, as the options `sequence-…` together say.
    #[must_use]
    pub fn sequence_mode(&self) -> &SequenceMode {
        &self.0.sequence_mode
    }

    /// Whether they name more than one server, or a name that may stand for several.
    #[must_use]
    pub fn name_several_servers(&self) -> bool {
        self.endpoint.only().is_none() || self.endpoint_discovery != EndpointDiscovery::Static
    }

    /// What is allowed but hardly meant; whoever uses the options should log it.
    #[must_use]
    pub fn warnings(&self) -> &[OptionWarning] {
        &self.0.warnings
    }
}

impl Deref for TritonOptions {
    type Target = OptionValues;

    fn deref(&self) -> &OptionValues {
        &self.0.values
    }
}

/// Reads single options from a map and collects what is wrong with them.
pub(crate) struct OptionReader<'a> {
    map: &'a OptionMap,
    errors: Vec<OptionError>,
}

impl OptionReader<'_> {
    /// A value that must be there, given or by default; `None` means an error was recorded.
    pub(crate) fn value<T: OptionValue>(&mut self, option: &ConfigOption<T>) -> Option<T> {
        let definition = option.definition();
        let has_key = self.map.has(SEQUENCE_KEY.definition());
        let given = self.map.get(option);
        match given.or_else(|| definition.default_value(has_key)) {
            Some(text) => self.parse(definition, text),
            None => {
                self.errors.push(OptionError::Missing {
                    key: definition.key,
                    expected: T::EXPECTED,
                });
                None
            }
        }
    }

    /// A value that may be absent; the outer `None` means an error was recorded.
    pub(crate) fn optional<T: OptionValue>(
        &mut self,
        option: &ConfigOption<T>,
    ) -> Option<Option<T>> {
        match self.map.get(option) {
            Some(text) => self.parse(option.definition(), text).map(Some),
            None => Some(None),
        }
    }

    fn parse<T: OptionValue>(&mut self, definition: &OptionDefinition, text: &str) -> Option<T> {
        T::parse(text)
            .map_err(|invalid| {
                self.errors.push(OptionError::Invalid {
                    key: definition.key,
                    value: definition.loggable(text),
                    expected: invalid.expected,
                });
            })
            .ok()
    }
}

/// A key that nobody knows, without what may be a value that was written into it.
fn loggable_key(key: &str, mut known: impl Iterator<Item = &'static OptionDefinition>) -> String {
    if key.contains('@') {
        return HIDDEN.to_owned();
    }
    let (before, behind) = key.split_at(key.find([':', '=']).unwrap_or(key.len()));
    match known.any(|known| known.key == before.trim()) && !behind.is_empty() {
        true => format!("{}{HIDDEN}", &key[..=before.len()]),
        false => key.to_owned(),
    }
}

/// The known key most like `key`, when it is near enough to be a slip of the hand.
///
/// ```
/// assert_eq!(triton_options::nearest_key("endpoit"), Some("endpoint"));
/// assert_eq!(triton_options::nearest_key("colour"), None);
/// ```
#[must_use]
pub fn nearest_key(key: &str) -> Option<&'static str> {
    nearest(key, CATALOG.iter().copied())
}

fn nearest(
    key: &str,
    known: impl Iterator<Item = &'static OptionDefinition>,
) -> Option<&'static str> {
    let lowered = key.to_lowercase().replace('_', "-");
    known
        .map(|definition| {
            (
                strsim::damerau_levenshtein(&lowered, definition.key),
                definition.key,
            )
        })
        .min()
        .filter(|(distance, nearest)| *distance <= 2.max(nearest.len() / 4))
        .map(|(_, nearest)| nearest)
}
