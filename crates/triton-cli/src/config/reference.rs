//! Values that stand in a file of their own, so that a secret need not stand on a command line, and
//! where the names of files start from.

use std::path::Path;

use anyhow::{Context as _, anyhow};
use triton_options::CATALOG;

use super::Origin;
use crate::failure::Failure;
use crate::text_encoding;

/// The value itself: where a secret option's value is `@FILE`, what that file holds.
///
/// A relative path starts from `relative_to`, or from the working directory.
pub(super) fn follow(
    key: &str,
    value: String,
    origin: Origin,
    relative_to: Option<&Path>,
) -> Result<(String, Origin), Failure> {
    let definition = CATALOG.iter().find(|definition| definition.key == key);
    let file = match (definition, value.strip_prefix('@')) {
        (Some(definition), Some(file)) if definition.is_secret() => file,
        _ => return Ok((value, origin)),
    };
    if file.is_empty() {
        return Err(Failure::usage(anyhow!(
            "option '{key}' from {origin}: expected the name of a file after '@'"
        )));
    }
    let file = relative_to.unwrap_or(Path::new("")).join(file);
    let text = text_encoding::read_file(&file)
        .with_context(|| format!("option '{key}' from {origin} cannot be read from its file"))?;
    let by = Box::new(origin);
    // Editors end a file with a line break, which is no part of the value.
    let value = text.trim_end_matches(['\r', '\n']).to_owned();
    Ok((value, Origin::Referenced { file, by }))
}

/// Whether the value of an option is the name of a file.
pub(super) fn is_file(key: &str) -> bool {
    let mut catalog = CATALOG.iter();
    catalog.any(|definition| definition.key == key && definition.is_file)
}

/// A value of a configuration file in `folder`: names of files start from there, so that the
/// configuration can lie beside its certificates and be used from anywhere.
pub(super) fn of_folder(key: &str, value: String, folder: Option<&Path>) -> String {
    match folder {
        // A path that is no text cannot be named by a text; it then starts where the others do.
        Some(folder) if is_file(key) && !value.is_empty() => match folder.join(&value).to_str() {
            Some(path) => path.to_owned(),
            None => value,
        },
        _ => value,
    }
}
