//! Options whose values are only pointed to, once they are read: what an error shows of them, and
//! what stands for them while a query is planned and nobody knows them.

use std::collections::BTreeMap;

use triton_options::{ENDPOINT, OptionError, OptionErrors, OptionMap};

use crate::pointers::Place;

/// The options that point to their values: what was written, and the value.
pub(crate) type Pointed = BTreeMap<String, (String, String)>;

/// Whether an error is about an option that points to its value.
pub(crate) fn is_about(error: &OptionError, pointed: &Pointed) -> bool {
    error.keys().iter().any(|key| pointed.contains_key(*key))
}

/// The options with addresses of several kinds in place of one that is not known yet, as rules between
/// options ask for a scheme, for a name, or for one address or several.
pub(crate) fn addresses(map: &OptionMap, pointed: &Pointed) -> impl Iterator<Item = OptionMap> {
    let tried = [
        "http://localhost:1",
        "https://localhost:1",
        "http://name.example:1",
        "https://name.example:1",
        "http://localhost:1,http://localhost:2",
        "https://localhost:1,https://localhost:2",
    ];
    let is_pointed = |key: &str| pointed.contains_key(key);
    let others = map.iter().filter(|(key, _)| !is_pointed(key));
    let others = others.fold(OptionMap::new(), |map, (key, value)| map.with(key, value));
    let has_endpoint = !is_pointed(ENDPOINT.key());
    tried.into_iter().map(move |address| match has_endpoint {
        true => others.clone(),
        false => others.clone().with(ENDPOINT.key(), address),
    })
}

/// The errors with what was written in place of values that were only pointed to. While a query is
/// planned these are not known, and no error is about them.
pub(crate) fn as_written(errors: &OptionErrors, pointed: &Pointed, place: Place<'_>) -> String {
    if !errors.iter().any(|error| is_about(error, pointed)) {
        return errors.to_string();
    }
    let is_planned = matches!(place, Place::Planning);
    let told = errors
        .iter()
        .filter(|error| !(is_planned && is_about(error, pointed)));
    let told = told.map(|error| {
        let of = |key: &str| pointed.get(key);
        let hide = |text: &str| {
            let keys = error.keys();
            let concerned = keys.iter().filter_map(|key| of(key));
            concerned.fold(text.to_owned(), |text, (written, value)| {
                text.replace(value, written)
            })
        };
        match error {
            OptionError::Invalid { key, expected, .. } if of(key).is_some() => {
                let written = of(key).map_or("", |(written, _)| written);
                let expected = hide(expected);
                format!("option '{key}': expected {expected}, found what '{written}' stands for")
            }
            other => hide(&other.to_string()),
        }
    });
    let told: Vec<_> = told.collect();
    match told.as_slice() {
        [only] => only.clone(),
        several => {
            let lines = several.iter().map(|line| format!("\n  - {line}"));
            format!(
                "{} problems in the options:{}",
                several.len(),
                lines.collect::<String>()
            )
        }
    }
}
