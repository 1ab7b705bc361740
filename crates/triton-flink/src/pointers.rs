//! Values that an option only points to: `${NAME}` is a variable of the environment, and `@/path`
//! what is in a file.
//!
//! Both are read where a subtask runs, when it opens. So statements, catalogs, `SHOW CREATE MODEL`
//! and compiled plans hold where a secret is, and not the secret.

use triton_options::{AUTH_TOKEN, AUTH_TOKEN_FILE, CUSTOM_HEADERS, ENDPOINT, PROXY};

/// Looks up a variable of the environment.
pub(crate) type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Where options are read.
#[derive(Clone, Copy)]
pub(crate) enum Place<'a> {
    /// While a query is planned: what is pointed to may not be there.
    Planning,
    /// Where the function runs.
    Subtask(Environment<'a>),
}

/// What stands for a variable while a query is planned: a number is right in most places.
const SOMETHING: &str = "1";

/// The option and its value with what it points to, where its value can be a secret.
///
/// A file of a token stays one: the option `auth-token-file` reads it again when it changes.
pub(crate) fn follow(
    key: String,
    value: String,
    place: Place<'_>,
) -> Result<(String, String), String> {
    let Some(whole) = stand_in(&key) else {
        return Ok((key, value));
    };
    if let Some(path) = value.trim().strip_prefix('@') {
        return file(key, path, whole, place);
    }
    let mut text = String::with_capacity(value.len());
    let mut rest = value.as_str();
    let mut literal = false;
    while let Some((before, behind)) = rest.split_once('$') {
        text.push_str(before);
        literal |= !before.is_empty();
        rest = behind;
        if let Some(behind) = behind.strip_prefix("${") {
            text.push_str("${");
            literal = true;
            rest = behind;
        } else if let Some(behind) = behind.strip_prefix('{') {
            let (name, behind) = behind.split_once('}').unwrap_or(("", behind));
            if !is_name(name) {
                return Err(format!(
                    "option '{key}': expected the name of a variable of the environment and '}}' \
                     behind '${{', such as '${{TRITON_TOKEN}}'; the characters themselves are \
                     written '$${{'"
                ));
            }
            text.push_str(&variable(&key, name, place)?);
            rest = behind;
        } else {
            text.push('$');
            literal = true;
        }
    }
    let is_only_variables = !literal && rest.is_empty() && !text.is_empty();
    if is_only_variables && matches!(place, Place::Planning) {
        return Ok((key, whole.to_owned()));
    }
    text.push_str(rest);
    Ok((key, text))
}

/// What stands for the whole value of an option while a query is planned, if it can be a secret.
fn stand_in(key: &str) -> Option<&'static str> {
    let known = [
        (ENDPOINT.key(), "http://localhost:1"),
        (PROXY.key(), "http://localhost:1"),
        (AUTH_TOKEN.key(), SOMETHING),
        (CUSTOM_HEADERS.key(), "X-Something:1"),
    ];
    known
        .into_iter()
        .find_map(|(known, whole)| (known == key).then_some(whole))
}

fn file(
    key: String,
    path: &str,
    whole: &str,
    place: Place<'_>,
) -> Result<(String, String), String> {
    if !path.starts_with('/') {
        return Err(format!(
            "option '{key}': expected the whole path of a file behind '@', such as '@/run/secrets/token'"
        ));
    }
    if key == AUTH_TOKEN.key() {
        return Ok((AUTH_TOKEN_FILE.key().to_owned(), path.to_owned()));
    }
    match place {
        Place::Planning => Ok((key, whole.to_owned())),
        Place::Subtask(_) => match std::fs::read_to_string(path) {
            Ok(text) => Ok((key, text.trim_end().to_owned())),
            Err(error) => Err(format!(
                "option '{key}' names '{path}', which cannot be read where the function runs: {error}"
            )),
        },
    }
}

fn variable(key: &str, name: &str, place: Place<'_>) -> Result<String, String> {
    match place {
        Place::Planning => Ok(SOMETHING.to_owned()),
        Place::Subtask(environment) => environment(name).ok_or_else(|| {
            format!(
                "option '{key}' names the variable '{name}' of the environment, which is not set \
                 where the function runs: set it for the TaskManagers"
            )
        }),
    }
}

/// A name as shells have it.
fn is_name(name: &str) -> bool {
    let is_first = |letter: char| letter.is_ascii_alphabetic() || letter == '_';
    name.starts_with(is_first)
        && name
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(name: &str) -> Option<String> {
        (name == "WORD").then(|| "canary".to_owned())
    }

    fn followed(key: &str, value: &str, place: Place<'_>) -> String {
        let followed = follow(key.to_owned(), value.to_owned(), place);
        match followed {
            Ok((key, value)) => format!("{key}={value}"),
            Err(problem) => problem,
        }
    }

    fn there(key: &str, value: &str) -> String {
        followed(key, value, Place::Subtask(&environment))
    }

    #[test]
    fn what_is_pointed_to_is_read_where_the_function_runs() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("headers");
        std::fs::write(&path, "X-Key:canary\n").unwrap();
        let path = path.display();
        assert_eq!(
            there("endpoint", "http://me:${WORD}@h:1"),
            "endpoint=http://me:canary@h:1"
        );
        assert_eq!(
            there("custom-headers", "X-A:${WORD},X-B:$${WORD}$1"),
            "custom-headers=X-A:canary,X-B:${WORD}$1"
        );
        assert_eq!(
            there("custom-headers", &format!("@{path}")),
            "custom-headers=X-Key:canary"
        );
        // It is read there again and again.
        assert_eq!(
            there("auth-token", "@/run/token"),
            "auth-token-file=/run/token"
        );
        // What is no secret is what is written.
        assert_eq!(there("default-value", "${WORD}"), "default-value=${WORD}");
        insta::assert_snapshot!(there("auth-token", "${OTHER}"), @"option 'auth-token' names the variable 'OTHER' of the environment, which is not set where the function runs: set it for the TaskManagers");
        insta::assert_snapshot!(there("proxy", "@/nowhere/at/all"), @"option 'proxy' names '/nowhere/at/all', which cannot be read where the function runs: No such file or directory (os error 2)");
    }

    #[test]
    fn while_a_query_is_planned_nothing_has_to_be_there() {
        let planned = |key: &str, value: &str| followed(key, value, Place::Planning);
        assert_eq!(planned("auth-token", "${TOKEN}"), "auth-token=1");
        assert_eq!(
            planned("endpoint", "${TRITON}"),
            "endpoint=http://localhost:1"
        );
        assert_eq!(
            planned("endpoint", "http://h:${PORT}"),
            "endpoint=http://h:1"
        );
        assert_eq!(
            planned("custom-headers", "@/nowhere"),
            "custom-headers=X-Something:1"
        );
        assert_eq!(planned("auth-token", ""), "auth-token=");
        insta::assert_snapshot!(planned("auth-token", "${to ken}"), @"option 'auth-token': expected the name of a variable of the environment and '}' behind '${', such as '${TRITON_TOKEN}'; the characters themselves are written '$${'");
        insta::assert_snapshot!(planned("custom-headers", "@headers"), @"option 'custom-headers': expected the whole path of a file behind '@', such as '@/run/secrets/token'");
    }
}
