//! The file of `--config`: TOML whose keys are those of the options.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::anyhow;
use toml::{Spanned, Value};

use super::Origin;
use crate::failure::Failure;
use crate::text_encoding;

/// The options in a file.
pub(super) fn read(path: &Path) -> Result<Vec<(String, String, Origin)>, Failure> {
    let text = text_encoding::read_file(path).map_err(Failure::usage)?;
    let at = |offset: usize| {
        let line = text[..offset].matches('\n').count() as u64 + 1;
        Origin::File {
            path: path.to_owned(),
            line: Some(line),
        }
    };
    let values: BTreeMap<String, Spanned<Value>> = toml::from_str(&text).map_err(|error| {
        let place = at(error.span().map_or(0, |span| span.start));
        Failure::usage(anyhow!("{place}: {}", error.message()))
    })?;
    values
        .into_iter()
        .map(|(key, value)| {
            let origin = at(value.span().start);
            let value = match value.into_inner() {
                Value::String(text) => text,
                Value::Integer(number) => number.to_string(),
                Value::Float(number) => number.to_string(),
                Value::Boolean(truth) => truth.to_string(),
                other => {
                    return Err(Failure::usage(anyhow!(
                        "option '{key}' from {origin}: expected a text, a number, true or false, \
                         found a value of the type {}",
                        other.type_str()
                    )));
                }
            };
            Ok((key, value, origin))
        })
        .collect()
}
