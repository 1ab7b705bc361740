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

/// The command line as it could be typed again, without secrets.
pub(crate) fn command_line() -> String {
    let arguments: Vec<String> = std::env::args_os()
        .skip(1)
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect();
    shown_line(&arguments)
}

fn shown_line(arguments: &[impl AsRef<str>]) -> String {
    let mut line = "triton".to_owned();
    for argument in arguments {
        let argument = argument.as_ref();
        let (flag, value) = flag_and_value(argument);
        let shown =
            loggable(value).map_or_else(|| argument.to_owned(), |value| format!("{flag}{value}"));
        let plain =
            |character: char| character.is_alphanumeric() || "-_./:=,@%+".contains(character);
        line.push(' ');
        match !shown.is_empty() && shown.chars().all(plain) {
            true => line.push_str(&shown),
            false => line.push_str(&format!("'{}'", shown.replace('\'', "'\\''"))),
        }
    }
    line
}

fn hide(text: &str, arguments: &[impl AsRef<str>]) -> String {
    let mut text = text.to_owned();
    let mut before_is_option = false;
    for argument in arguments {
        let argument = argument.as_ref();
        let (flag, value) = flag_and_value(argument);
        let is_option = flag.trim_end_matches('=').ends_with('O');
        let is_joined = is_option && !value.is_empty();
        let value = if value.is_empty() { argument } else { value };
        if let Some(shown) = loggable(value) {
            text = text.replace(value, &shown);
        } else if (before_is_option || is_joined)
            && !value.contains('=')
            && definition(value).is_none()
        {
            text = text.replace(&format!("'{value}'"), HIDDEN);
        }
        before_is_option = is_option && !is_joined;
    }
    text
}

/// The flags at the beginning of an argument, and the value of the last one behind them: `-qOkey=value`
/// says as much as `-q -O key=value`.
fn flag_and_value(argument: &str) -> (&str, &str) {
    const LONG: &str = "--endpoint=";
    if argument.starts_with(LONG) {
        return argument.split_at(LONG.len());
    }
    let is_short = argument.starts_with('-') && !argument.starts_with("--");
    // Whatever stands before is a flag without a value, or this is none of them.
    let place = argument.find(['O', 'e']).filter(|_| is_short);
    let flags = place.map(|place| place + 1);
    let flags = flags.filter(|end| argument[1..*end].bytes().all(|it| it.is_ascii_alphabetic()));
    let flags = flags.unwrap_or_default();
    // An equals sign behind a flag is none of its value.
    let has_sign = flags > 0 && argument[flags..].starts_with('=');
    argument.split_at(flags + usize::from(has_sign))
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
    fn a_command_line_can_be_typed_again_and_holds_no_secret() {
        let arguments = [
            "bench",
            "it's",
            "--assert",
            "p99<50ms",
            "-Oauth-token=canary",
            "-O",
            "custom-headers=X:canary",
            "-ehttp://u:canary@h",
            "-qOauth-token=canary",
            "-O=auth-token=canary",
            "",
        ];
        insta::assert_snapshot!(shown_line(&arguments), @r"triton bench 'it'\''s' --assert 'p99<50ms' '-Oauth-token=(hidden)' -O 'custom-headers=(hidden)' '-ehttp://(hidden)@h/' '-qOauth-token=(hidden)' '-O=auth-token=(hidden)' ''");
    }

    #[test]
    fn what_is_repeated_of_the_command_line_holds_no_secret() {
        for (arguments, shown) in [
            (&["-O", "auth-token:canary"][..], "'auth-token:(hidden)'"),
            (&["-Oauth-token:canary"], "'auth-token:(hidden)'"),
            (&["-O", "canary"], "(hidden)"),
            (&["-O", "timeout"], "'timeout'"),
            (&["http://u:canary@h"], "'http://(hidden)@h/'"),
            (&["-ehttp://u:canary@h"], "'http://(hidden)@h/'"),
            (&["-qOauth-token:canary"], "'auth-token:(hidden)'"),
            (&["-O=auth-token:canary"], "'auth-token:(hidden)'"),
            (&["-qO", "canary"], "(hidden)"),
            (&["-qehttp://u:canary@h"], "'http://(hidden)@h/'"),
            (&["--endpoint=http://u:canary@h"], "'http://(hidden)@h/'"),
            (&["endpoint=http://u:canary@h"], "'endpoint=(hidden)'"),
            (&["anomaly"], "'anomaly'"),
        ] {
            let (_, value) = flag_and_value(arguments.last().unwrap());
            let text = hide(&format!("invalid value '{value}'"), arguments);
            assert_eq!(text, format!("invalid value {shown}"));
        }
    }
}
