//! Keys that no option has, and which one was probably meant.

use std::collections::BTreeMap;

use crate::{CATALOG, HIDDEN, OptionDefinition, OptionError};

/// The errors of keys that are neither in the catalog nor among options `own` of others.
pub(crate) fn errors(
    texts: &BTreeMap<String, String>,
    own: &[&'static OptionDefinition],
) -> impl Iterator<Item = OptionError> {
    let known = move || CATALOG.iter().chain(own).copied();
    texts
        .keys()
        .filter(move |key| known().all(|definition| definition.key != *key))
        .map(move |key| OptionError::Unknown {
            key: loggable_key(key, known()),
            nearest: nearest(key, known()),
        })
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
