//! Exit codes of the command, and the kinds of error of the client and of the model function.

use std::path::Path;

use anyhow::{Result, bail};

use super::super::exit_codes;
use super::{head, without_links};

/// Where the kinds are, below the workspace's root, and what the page calls them.
const KINDS: [(&str, &str, &str); 2] = [
    (
        "crates/triton-client/src/error.rs",
        "Kinds of the client's errors",
        "`triton_client::ErrorKind`, the label `outcome` of the [client's metrics](metrics.md#the-client).",
    ),
    (
        "crates/triton-model-fn/src/error.rs",
        "Kinds of the model function's errors",
        "`triton_model_fn::ErrorKind`. What of them becomes a row where `on-error` says so, is in [the \
         guide](../../guide/model-function.md#rows-that-say-what-happened-to-them).",
    ),
];

/// The page.
pub(super) fn page(root: &Path) -> Result<String> {
    let mut page = head(
        "Errors and exit codes",
        "the definitions of exit codes and of kinds of errors",
    );
    page.push_str(
        "What a message means, and what to do about it, is on the page about \
         [troubleshooting](../../guide/troubleshooting.md).\n",
    );
    page.push_str(&format!("\n## Exit codes\n\n{}", exit_codes::table()));
    for (path, title, sentence) in KINDS {
        let source = fs_err::read_to_string(root.join(path))?;
        let kinds = kinds(&source);
        if kinds.is_empty() {
            bail!("{path} has no `pub enum ErrorKind` with a sentence for each kind");
        }
        page.push_str(&format!("\n## {title}\n\n{sentence}\n\n"));
        page.push_str("| Kind | Name | What it says |\n| --- | --- | --- |\n");
        for (kind, what) in kinds {
            page.push_str(&format!(
                "| `{kind}` | `{}` | {what} |\n",
                snake_case(&kind)
            ));
        }
    }
    Ok(page)
}

/// Every kind of the file's `ErrorKind` with its documentation, in the order in which they stand there.
fn kinds(source: &str) -> Vec<(String, String)> {
    let lines = source
        .lines()
        .skip_while(|line| *line != "pub enum ErrorKind {")
        .skip(1)
        .take_while(|line| *line != "}");
    let (mut kinds, mut text) = (Vec::new(), String::new());
    for line in lines.map(str::trim) {
        if let Some(sentence) = line.strip_prefix("///") {
            text.push_str(sentence);
        } else if let Some(kind) = line.strip_suffix(',') {
            let what = without_links(std::mem::take(&mut text).trim());
            kinds.push((kind.to_owned(), what));
        }
    }
    kinds
}

/// `NotFound` as `not_found`, as metrics and logs name it.
fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for character in name.chars() {
        if character.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(character.to_ascii_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_sentence() {
        let source = "pub enum Other {\n    /// No.\n    No,\n}\n\
            pub enum ErrorKind {\n    /// It took\n    /// too long; see [`Error::x`](crate::Error::x).\n    TimeOut,\n\
            \x20   /// [`Broken`].\n    Tls,\n}\n";
        let expected = [
            ("TimeOut", "It took too long; see `Error::x`."),
            ("Tls", "`Broken`."),
        ];
        let found = kinds(source);
        let found: Vec<_> = found
            .iter()
            .map(|(kind, what)| (&**kind, &**what))
            .collect();
        assert_eq!(found, expected);
        assert_eq!(snake_case("TimeOut"), "time_out");
    }
}
