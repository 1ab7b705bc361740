//! Options as a map of texts, as an SQL WITH clause gives them.

use std::collections::BTreeMap;

use crate::{CATALOG, ConfigOption, HIDDEN, OptionDefinition};

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

    /// The texts of the options that were given, by their keys.
    pub(crate) fn texts(&self) -> &BTreeMap<String, String> {
        &self.0
    }

    /// Whether an option was given.
    pub(crate) fn has(&self, definition: &OptionDefinition) -> bool {
        self.0.contains_key(definition.key)
    }

    /// The text of an option, when it was given.
    pub(crate) fn text(&self, definition: &OptionDefinition) -> Option<&str> {
        self.0.get(definition.key).map(String::as_str)
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
