//! Single options, read from their texts.

use std::collections::BTreeMap;

use crate::{ConfigOption, OptionDefinition, OptionError, OptionValue};

/// Reads single options from a map and collects what is wrong with them.
pub(crate) struct OptionReader<'a> {
    texts: &'a BTreeMap<String, String>,
    /// Whether there are sequences of keys, for which some defaults are others.
    has_sequence_key: bool,
    /// What is wrong so far.
    pub(crate) errors: Vec<OptionError>,
}

impl<'a> OptionReader<'a> {
    pub(crate) fn new(
        texts: &'a BTreeMap<String, String>,
        has_sequence_key: bool,
        errors: Vec<OptionError>,
    ) -> Self {
        Self {
            texts,
            has_sequence_key,
            errors,
        }
    }

    /// A value that must be there, given or by default; `None` means an error was recorded.
    pub(crate) fn value<T: OptionValue>(&mut self, option: &ConfigOption<T>) -> Option<T> {
        let definition = option.definition();
        let default = || definition.default_value(self.has_sequence_key);
        match self.text(definition).or_else(default) {
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
        match self.text(option.definition()) {
            Some(text) => self.parse(option.definition(), text).map(Some),
            None => Some(None),
        }
    }

    fn text(&self, definition: &OptionDefinition) -> Option<&'a str> {
        self.texts.get(definition.key).map(String::as_str)
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
