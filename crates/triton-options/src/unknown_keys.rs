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
    let length = lowered.chars().count();
    known
        // To compare two texts takes as long as both of them together, many times over: of a key that is a
        // whole file it would be minutes.
        .filter(|definition| length.abs_diff(definition.key.len()) <= farthest(definition.key))
        .map(|definition| {
            (
                strsim::damerau_levenshtein(&lowered, definition.key),
                definition.key,
            )
        })
        .min()
        .filter(|(distance, nearest)| *distance <= farthest(nearest))
        .map(|(_, nearest)| nearest)
}

/// How many letters of a key a slip of the hand may concern.
fn farthest(key: &str) -> usize {
    2.max(key.len() / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_goes_on_is_like_none() {
        // Compared with each key, this would take minutes.
        assert_eq!(nearest_key(&"endpoint".repeat(50_000)), None);
        assert_eq!(nearest_key("Time_Outs"), Some("timeout"));
    }
}
