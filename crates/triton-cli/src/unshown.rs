//! What of the command line must not be repeated in an error: secrets that were written where none is
//! expected.

use triton_options::{CATALOG, Endpoint, HIDDEN, OptionDefinition};

/// An error's text, with what it repeats of the command line in a form that can be shown.
pub(crate) fn without_secrets(text: &str) -> String {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let arguments: Vec<_> = arguments
        .iter()
        .map(|text| text.to_string_lossy())
        .collect();
    hide(text, &arguments)
}

fn hide(text: &str, arguments: &[impl AsRef<str>]) -> String {
    let mut text = text.to_owned();
    let mut before = "";
    for argument in arguments {
        let argument = argument.as_ref();
        let joined = argument.strip_prefix("-O").filter(|rest| !rest.is_empty());
        let endpoint = ["--endpoint=", "-e"]
            .iter()
            .find_map(|flag| argument.strip_prefix(flag));
        let value = joined.or(endpoint).unwrap_or(argument);
        if let Some(shown) = loggable(value) {
            text = text.replace(value, &shown);
        } else if (before == "-O" || joined.is_some())
            && !value.contains('=')
            && definition(value).is_none()
        {
            text = text.replace(&format!("'{value}'"), HIDDEN);
        }
        before = argument;
    }
    text
}

/// What can be shown of an argument that may hold a secret; nothing where it holds none.
pub(crate) fn loggable(argument: &str) -> Option<String> {
    let (key, _) = argument.split_once([':', '='])?;
    match definition(key) {
        Some(definition) if may_be_secret(definition) => {
            Some(format!("{}{HIDDEN}", &argument[..=key.len()]))
        }
        _ if argument.contains("://") && argument.contains('@') => {
            Some(Endpoint::loggable(argument).trim_matches('\'').to_owned())
        }
        _ => None,
    }
}

/// Whether the value of an option can hold a secret; of an unknown one nobody knows.
pub(crate) fn value_may_be_secret(key: &str) -> bool {
    definition(key).is_none_or(may_be_secret)
}

fn may_be_secret(definition: &OptionDefinition) -> bool {
    // Of an address, what stands behind a '?' is never shown.
    definition.loggable("?").contains(HIDDEN)
}

fn definition(key: &str) -> Option<&'static OptionDefinition> {
    let mut catalog = CATALOG.iter().copied();
    catalog.find(|definition| definition.key == key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_repeated_of_the_command_line_holds_no_secret() {
        for (arguments, shown) in [
            (&["-O", "auth-token:canary"][..], "'auth-token:(hidden)'"),
            (&["-Oauth-token:canary"], "'auth-token:(hidden)'"),
            (&["-O", "canary"], "(hidden)"),
            (&["-O", "timeout"], "'timeout'"),
            (&["http://u:canary@h"], "'http://(hidden)@h/'"),
            (&["-ehttp://u:canary@h"], "'http://(hidden)@h/'"),
            (&["--endpoint=http://u:canary@h"], "'http://(hidden)@h/'"),
            (&["endpoint=http://u:canary@h"], "'endpoint=(hidden)'"),
            (&["anomaly"], "'anomaly'"),
        ] {
            let value = arguments.last().unwrap().trim_start_matches("-O");
            let value = value.trim_start_matches("-e");
            let value = value.trim_start_matches("--endpoint=");
            let text = hide(&format!("invalid value '{value}'"), arguments);
            assert_eq!(text, format!("invalid value {shown}"));
        }
    }
}
