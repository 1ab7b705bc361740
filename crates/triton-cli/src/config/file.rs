//! The configuration file: TOML whose keys are those of the options, and profiles with further ones.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::anyhow;
use toml::{Spanned, Value};
use triton_options::{CATALOG, ColumnNames, ENDPOINT, OptionValue as _};

use super::Origin;
use crate::failure::Failure;
use crate::text_encoding;

/// The table of profiles.
const PROFILES: &str = "profile";

type Table = BTreeMap<String, Spanned<Value>>;

/// An option, what the file says of it, and where.
type Found = (String, String, Origin);

/// The options in a file, with those of a profile behind the others.
pub(super) fn read(path: &Path, profile: Option<&str>) -> Result<Vec<Found>, Failure> {
    let text = text_encoding::read_file(path).map_err(Failure::usage)?;
    let at = |offset: usize| {
        let line = text[..offset].matches('\n').count() as u64 + 1;
        Origin::File {
            path: path.to_owned(),
            line: Some(line),
        }
    };
    let unreadable = |error: toml::de::Error| {
        let place = at(error.span().map_or(0, |span| span.start));
        Failure::usage(anyhow!("{place}: {}", error.message()))
    };
    let values: BTreeMap<String, Spanned<Value>> = toml::from_str(&text).map_err(unreadable)?;
    let is_profiles =
        |(key, value): &(&String, &Spanned<Value>)| *key == PROFILES && value.get_ref().is_table();
    let own = values.iter().filter(|entry| !is_profiles(entry));
    let mut found = Vec::new();
    for (key, value) in own {
        let origin = at(value.span().start);
        let value = text_of(key, value.get_ref(), &origin)?;
        found.push((key.clone(), value, origin));
    }
    let profiles = values.iter().find(is_profiles);
    if let Some((_, profiles)) = profiles {
        let members = profiles.get_ref().as_table().into_iter().flatten();
        let mut stray = members.filter(|(_, value)| !value.is_table());
        if let Some((key, _)) = stray.next() {
            return Err(Failure::usage(anyhow!(
                "{}: '{key}' stands in [{PROFILES}], and so in no profile: write \
                 [{PROFILES}.NAME] above it",
                at(profiles.span().start)
            )));
        }
    }
    let Some(profile) = profile else {
        return Ok(found);
    };
    // Read again as tables of tables, because only then the places of their values are known.
    let profiles: Profiles = toml::from_str(&text).map_err(unreadable)?;
    let Some(table) = profiles.profile.get(profile) else {
        let names: Vec<&str> = profiles.profile.keys().map(String::as_str).collect();
        let there = match names.as_slice() {
            [] => "none".to_owned(),
            names => names.join(", "),
        };
        return Err(Failure::usage(anyhow!(
            "profile '{profile}': {} has no [profile.{profile}]; it has: {there}",
            path.display()
        )));
    };
    for (key, value) in table {
        let origin = at(value.span().start);
        let value = text_of(key, value.get_ref(), &origin)?;
        found.push((key.clone(), value, origin));
    }
    Ok(found)
}

/// The names of the profiles in a file.
pub(super) fn profiles(path: &Path) -> Result<Vec<String>, Failure> {
    let text = text_encoding::read_file(path).map_err(Failure::usage)?;
    let profiles: Profiles = toml::from_str(&text).map_err(Failure::usage)?;
    Ok(profiles.profile.into_keys().collect())
}

#[derive(serde::Deserialize)]
struct Profiles {
    #[serde(default)]
    profile: BTreeMap<String, Table>,
}

/// A value as the option's parser reads it.
fn text_of(key: &str, value: &Value, origin: &Origin) -> Result<String, Failure> {
    Ok(match value {
        Value::String(text) => text.clone(),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Boolean(truth) => truth.to_string(),
        Value::Table(_) if CATALOG.iter().all(|definition| definition.key != key) => {
            return Err(Failure::usage(anyhow!(
                "[{key}] from {origin}: options stand at the top of the file, and those of \
                 --profile {key} in [{PROFILES}.{key}]"
            )));
        }
        other => {
            let hint = match other.is_array() && takes_several(key) {
                true => "; several go into one text, with commas between them",
                false => "",
            };
            return Err(Failure::usage(anyhow!(
                "option '{key}' from {origin}: expected a text, a number, true or false, found a \
                 value of the type {}{hint}",
                other.type_str()
            )));
        }
    })
}

/// Whether an option takes several values, so that an array of them may be tried.
fn takes_several(key: &str) -> bool {
    let mut of_key = CATALOG.iter().filter(|definition| definition.key == key);
    let is_list = of_key.any(|definition| definition.type_name == ColumnNames::TYPE_NAME);
    is_list || key == ENDPOINT.key()
}
