//! Options in the environment: `TRITON_` and the key in upper snake case.

use std::ffi::OsString;

use anyhow::anyhow;
use tracing::warn;
use triton_options::{CATALOG, nearest_key};

use super::lookup;
use super::origin::Origin;
use crate::failure::Failure;

const PREFIX: &str = "TRITON_";

/// Variables that say where this project's own tests find a server.
const TEST_PREFIX: &str = "TRITON_TEST_";

/// The variable that sets an option.
pub(super) fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.to_uppercase().replace('-', "_"))
}

/// The options among `variables`; one that is empty counts as not set, as in a shell script that
/// has nothing to say.
pub(super) fn read(
    variables: impl Iterator<Item = (OsString, OsString)>,
) -> Result<Vec<(&'static str, String, Origin)>, Failure> {
    let mut options = Vec::new();
    for (name, value) in variables {
        let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else {
            continue;
        };
        let known = CATALOG
            .iter()
            .find(|definition| variable(definition.key) == name);
        let Some(definition) = known else {
            warn_of_slip(name);
            continue;
        };
        if value.is_empty() {
            continue;
        }
        let value = value.into_string().map_err(|_| {
            Failure::usage(anyhow!(
                "the environment variable {name}: expected text in UTF-8"
            ))
        })?;
        let origin = Origin::Environment(name.to_owned());
        options.push((definition.key, value, origin));
    }
    Ok(options)
}

/// Triton's images and other programs have variables of this prefix too, so that only one that
/// looks like a slip of the hand is worth a word.
fn warn_of_slip(name: &str) {
    if name.starts_with(TEST_PREFIX) || [lookup::VARIABLE, lookup::PROFILE_VARIABLE].contains(&name)
    {
        return;
    }
    if let Some(nearest) = nearest_key(&name[PREFIX.len()..]) {
        let meant = variable(nearest);
        warn!("the environment variable {name} sets no option; did you mean {meant}?");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(variables: &[(&str, &str)]) -> Vec<(&'static str, String)> {
        let variables = variables
            .iter()
            .map(|(name, value)| (OsString::from(name), OsString::from(value)));
        let Ok(options) = read(variables) else {
            panic!("must be read");
        };
        options
            .into_iter()
            .map(|(key, value, _)| (key, value))
            .collect()
    }

    #[test]
    fn only_variables_of_options_are_taken() {
        let found = keys(&[
            ("TRITON_AUTH_TOKEN", "t"),
            ("TRITON_TEST_ENDPOINT", "localhost:1"),
            ("TRITON_SERVER_VERSION", "2.51.0"),
            ("TRITON_TIMEOUT", ""),
            ("triton_endpoint", "localhost:2"),
            ("ENDPOINT", "localhost:3"),
        ]);
        assert_eq!(found, [("auth-token", "t".to_owned())]);
    }

    #[test]
    fn no_option_has_the_name_of_a_variable_for_something_else() {
        for definition in CATALOG {
            let variable = variable(definition.key);
            assert!(!variable.starts_with(TEST_PREFIX));
            assert!(![lookup::VARIABLE, lookup::PROFILE_VARIABLE].contains(&variable.as_str()));
        }
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_text_is_refused() {
        use std::os::unix::ffi::OsStringExt as _;
        let value = OsString::from_vec(vec![0xff]);
        let variables = [(OsString::from("TRITON_TIMEOUT"), value)];
        assert!(read(variables.into_iter()).is_err());
    }
}
