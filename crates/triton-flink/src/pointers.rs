//! Values that an option only points to: `${NAME}` is a variable of the environment, and `@/path`
//! what is in a file.
//!
//! Both are read where a subtask runs, when it opens. So statements, catalogs, `SHOW CREATE MODEL`
//! and compiled plans hold where a secret is, and not the secret.

use std::fmt::Write as _;

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

/// An option with what its value points to.
#[derive(Debug)]
pub(crate) struct Followed {
    pub(crate) key: String,
    pub(crate) value: String,
    /// The value as it was written, if it points to something.
    pub(crate) written: Option<String>,
}

/// What stands for a variable while a query is planned, with a number of its own: a number is right in
/// most places, and addresses have to differ.
fn something(count: usize) -> String {
    count.to_string()
}

/// The option and its value with what it points to, where its value can be a secret.
///
/// A file of a token stays one: the option `auth-token-file` reads it again when it changes.
pub(crate) fn follow(key: String, value: String, place: Place<'_>) -> Result<Followed, String> {
    let Some(whole) = stand_in(&key) else {
        return Ok(Followed {
            key,
            value,
            written: None,
        });
    };
    if value.trim().starts_with("@/") {
        return file(key, value, whole, place);
    }
    let mut text = String::with_capacity(value.len());
    let mut rest = value.as_str();
    let mut literal = false;
    let mut variables = 0;
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
            variables += 1;
            let is_all = !literal && variables == 1 && behind.is_empty();
            let variable = match place {
                Place::Planning => something(variables),
                Place::Subtask(environment) => variable(&key, name, environment, is_all)?,
            };
            if is_address(&key) && is_before_host(behind) {
                percent_encode(&mut text, &variable);
            } else {
                text.push_str(&variable);
            }
            rest = behind;
        } else {
            text.push('$');
            literal = true;
        }
    }
    let is_only_variables = !literal && rest.is_empty() && variables > 0;
    if is_only_variables && matches!(place, Place::Planning) {
        whole.clone_into(&mut text);
    } else {
        text.push_str(rest);
    }
    Ok(Followed {
        key,
        value: text,
        written: (variables > 0).then_some(value),
    })
}

/// What stands for the whole value of an option while a query is planned, if it can be a secret.
fn stand_in(key: &str) -> Option<&'static str> {
    let known = [
        (ENDPOINT.key(), "http://localhost:1"),
        (PROXY.key(), "http://localhost:1"),
        (AUTH_TOKEN.key(), "1"),
        (CUSTOM_HEADERS.key(), "X-Something:1"),
    ];
    known
        .into_iter()
        .find_map(|(known, whole)| (known == key).then_some(whole))
}

fn file(key: String, written: String, whole: &str, place: Place<'_>) -> Result<Followed, String> {
    let path = written.trim().trim_start_matches('@').to_owned();
    if key == AUTH_TOKEN.key() {
        return Ok(Followed {
            key: AUTH_TOKEN_FILE.key().to_owned(),
            value: path,
            written: None,
        });
    }
    let text = match place {
        Place::Planning => whole.to_owned(),
        Place::Subtask(_) => {
            let text = std::fs::read_to_string(&path).map_err(|error| {
                format!(
                    "option '{key}' names '{path}', which cannot be read where the function runs: \
                     {error}"
                )
            })?;
            let text = text.trim_end_matches(['\r', '\n']);
            if text.is_empty() {
                return Err(format!(
                    "option '{key}' names '{path}', which is empty where the function runs: write \
                     the value into it"
                ));
            }
            if text.contains(char::is_control) {
                return Err(format!(
                    "option '{key}' names '{path}', and there is a control character in what it \
                     holds, such as a line break within: write the value in one line"
                ));
            }
            text.to_owned()
        }
    };
    Ok(Followed {
        key,
        value: text,
        written: Some(written),
    })
}

/// The value of a variable, which can be put among other text unless it `is_all` there is.
fn variable(
    key: &str,
    name: &str,
    environment: Environment<'_>,
    is_all: bool,
) -> Result<String, String> {
    let names = format!("option '{key}' names the variable '{name}' of the environment");
    let value = environment(name).ok_or_else(|| {
        format!("{names}, which is not set where the function runs: set it for the TaskManagers")
    })?;
    if value.is_empty() {
        return Err(format!(
            "{names}, which is empty where the function runs: set it for the TaskManagers"
        ));
    }
    if value.contains(char::is_control) {
        return Err(format!(
            "{names}, and there is a control character in its value, such as a line break: set it \
             without one"
        ));
    }
    let separates = value.contains([',', '"', '\'']) || value.trim() != value;
    if key == CUSTOM_HEADERS.key() && !is_all && separates {
        return Err(format!(
            "{names}, and in its value there is a comma or a quotation mark, or a blank at an end, \
             which would be those of the list of headers: let the whole of the headers be in a \
             variable or a file"
        ));
    }
    Ok(value)
}

fn is_address(key: &str) -> bool {
    key == ENDPOINT.key() || key == PROXY.key()
}

/// Whether what stands before this in a list of addresses is the user or the password.
fn is_before_host(behind: &str) -> bool {
    let end = behind.find(['/', ',', '?', '#']);
    behind[..end.unwrap_or(behind.len())].contains('@')
}

/// Appends a user or a password, or both with the colon between them.
fn percent_encode(text: &mut String, value: &str) {
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:".contains(&byte) {
            text.push(char::from(byte));
        } else {
            // Writing to a text cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
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
        let value = match name {
            "WORD" => "canary",
            "EMPTY" => "",
            "LINES" => "a\nb",
            "LIST" => "X-A:1,X-B:2",
            "ODD" => "p@ss/w:rd%",
            "QUOTE" => "it's",
            "BLANK" => "canary ",
            _ => return None,
        };
        Some(value.to_owned())
    }

    fn followed(key: &str, value: &str, place: Place<'_>) -> String {
        match follow(key.to_owned(), value.to_owned(), place) {
            Ok(followed) => format!("{}={}", followed.key, followed.value),
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
        std::fs::write(&path, "X-Key: canary \r\n\n").unwrap();
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
            "custom-headers=X-Key: canary "
        );
        // It is read there again and again.
        assert_eq!(
            there("auth-token", "@/run/token"),
            "auth-token-file=/run/token"
        );
        // Only a whole path is one.
        assert_eq!(there("auth-token", "@abc"), "auth-token=@abc");
        // What is no secret is what is written.
        assert_eq!(there("default-value", "${WORD}"), "default-value=${WORD}");
        insta::assert_snapshot!(there("auth-token", "${OTHER}"), @"option 'auth-token' names the variable 'OTHER' of the environment, which is not set where the function runs: set it for the TaskManagers");
        insta::assert_snapshot!(there("proxy", "@/nowhere/at/all"), @"option 'proxy' names '/nowhere/at/all', which cannot be read where the function runs: No such file or directory (os error 2)");
    }

    #[test]
    fn what_cannot_be_meant_is_refused_by_name_and_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("headers");
        let read = |text: &str| {
            std::fs::write(&path, text).unwrap();
            there("custom-headers", &format!("@{}", path.display()))
                .replace(&path.display().to_string(), "/run/headers")
        };
        insta::assert_snapshot!(there("auth-token", "${EMPTY}"), @"option 'auth-token' names the variable 'EMPTY' of the environment, which is empty where the function runs: set it for the TaskManagers");
        insta::assert_snapshot!(there("auth-token", "${LINES}"), @"option 'auth-token' names the variable 'LINES' of the environment, and there is a control character in its value, such as a line break: set it without one");
        for name in ["LIST", "QUOTE", "BLANK"] {
            let refused = there("custom-headers", &format!("X-C:${{{name}}},X-D:1"));
            insta::allow_duplicates! {
                insta::assert_snapshot!(refused.replace(name, "NAME"), @"option 'custom-headers' names the variable 'NAME' of the environment, and in its value there is a comma or a quotation mark, or a blank at an end, which would be those of the list of headers: let the whole of the headers be in a variable or a file");
            }
        }
        assert_eq!(
            there("custom-headers", "${LIST}"),
            "custom-headers=X-A:1,X-B:2"
        );
        insta::assert_snapshot!(read("\n"), @"option 'custom-headers' names '/run/headers', which is empty where the function runs: write the value into it");
        insta::assert_snapshot!(read("X-A:1\nX-B:2\n"), @"option 'custom-headers' names '/run/headers', and there is a control character in what it holds, such as a line break within: write the value in one line");
    }

    #[test]
    fn a_password_in_an_address_may_have_any_character() {
        assert_eq!(
            there("endpoint", "http://me:${ODD}@h:1,https://${WORD}:1/@"),
            "endpoint=http://me:p%40ss%2Fw:rd%25@h:1,https://canary:1/@"
        );
        assert_eq!(there("auth-token", "${ODD}@"), "auth-token=p@ss/w:rd%@");
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
            planned("endpoint", "http://${A}:8000,http://${B}:8000"),
            "endpoint=http://1:8000,http://2:8000"
        );
        assert_eq!(
            planned("custom-headers", "@/nowhere"),
            "custom-headers=X-Something:1"
        );
        assert_eq!(planned("auth-token", ""), "auth-token=");
        insta::assert_snapshot!(planned("auth-token", "${to ken}"), @"option 'auth-token': expected the name of a variable of the environment and '}' behind '${', such as '${TRITON_TOKEN}'; the characters themselves are written '$${'");
    }
}
