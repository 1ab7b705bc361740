//! `--print-config`: the options as a TOML file in whose comments their origins stand.

use std::fmt::Write as _;

use toml::Value;
use triton_options::{
    CATALOG, EMBEDDED_ENDPOINT, ENDPOINT, HIDDEN, OptionDefinition, SEQUENCE_KEY,
};

use super::{Layered, LayeredOptions, Origin};
use crate::failure::Failure;
use crate::output::print;

/// The column at which comments begin, where values are not longer.
const COMMENT_COLUMN: usize = 48;

impl LayeredOptions {
    /// Shows every option and its origin, then checks them.
    ///
    /// What is shown can be read as the file of `--config`; secrets stand in comments.
    pub(crate) fn print(mut self) -> Result<(), Failure> {
        let mut text = String::new();
        let has_key = self.is_set(SEQUENCE_KEY.key());
        for definition in CATALOG {
            let default = definition.default_value(has_key);
            let line = match (self.options.get(definition.key), default) {
                (Some(layered), _) => given(definition, layered),
                (None, Some(value)) => {
                    let origin = match definition.with_sequence_key {
                        Some(_) if has_key => "default with sequence-key",
                        _ => "default",
                    };
                    assignment(definition.key, value, origin)
                }
                (None, None) => format!("# {} is not set", definition.key),
            };
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{line}");
        }
        print(&text)?;
        if self.get(&ENDPOINT) == Some(EMBEDDED_ENDPOINT) {
            // The server would only be started by a command that does something.
            self.set(ENDPOINT.key(), "localhost", Origin::Embedded);
        }
        self.parse().map(drop)
    }
}

fn given(definition: &OptionDefinition, layered: &Layered) -> String {
    let Layered { value, origin } = layered;
    let key = definition.key;
    if *origin == Origin::NotNeeded {
        return format!("# {key} is not needed");
    }
    let shown = definition.loggable(value);
    let canonical = definition.canonical(value);
    let whole = match &canonical {
        Ok(_) => !shown.contains(HIDDEN),
        // Whatever was left out of a value that cannot be read may be a secret.
        Err(_) => shown == format!("'{value}'"),
    };
    let origin = origin.to_string();
    if whole {
        let value = canonical.as_ref().unwrap_or(value);
        assignment(key, &from_anywhere(definition, value), &origin)
    } else {
        commented(&format!("# {key} = {shown}"), &origin)
    }
}

/// The value for a file that may lie in any folder, from which the names of files in it start.
fn from_anywhere(definition: &OptionDefinition, value: &str) -> String {
    let path = match definition.is_file {
        true => std::path::absolute(value).ok(),
        false => None,
    };
    let path = path.as_deref().and_then(std::path::Path::to_str);
    path.unwrap_or(value).to_owned()
}

fn assignment(key: &str, value: &str, origin: &str) -> String {
    commented(&format!("{key} = {}", Value::from(value)), origin)
}

fn commented(assignment: &str, origin: &str) -> String {
    format!("{assignment:COMMENT_COLUMN$}  # {origin}")
}
