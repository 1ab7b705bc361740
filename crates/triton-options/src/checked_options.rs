//! From options as texts to typed ones that fit together.

use std::ops::Deref;
use std::sync::Arc;

use crate::definitions::ReadValues;
use crate::option_reader::OptionReader;
use crate::unknown_keys;
use crate::{
    EndpointDiscovery, OnError, OptionDefinition, OptionError, OptionErrors, OptionMap,
    OptionValues, OptionWarning, SEQUENCE_KEY, SequenceMode, rules,
};

impl OptionMap {
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
        let has_sequence_key = self.has(SEQUENCE_KEY.definition());
        let mut reader = OptionReader::new(self.texts(), has_sequence_key, errors);
        let read = ReadValues::read(&mut reader);
        let mut errors = reader.errors;
        let sequence_mode = rules::check(self, &read, &mut errors);
        let warnings = rules::warnings(self, &read);
        errors.extend(unknown_keys::errors(self.texts(), own));
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
