//! The messages that the page about troubleshooting quotes: each still occurs in the sources, or in what
//! tests have recorded of them.

use std::path::Path;

use anyhow::Result;

/// The page, below the workspace's root.
const PATH: &str = "docs/guide/troubleshooting.md";

/// Where messages are written, and where tests record them.
const FOLDER: &str = "crates";

/// How a table of messages begins.
const HEADING: &str = "| Message |";

/// What stands in a quotation for what differs from case to case.
const ANYTHING: char = '…';

/// How many messages the page quotes, and those that occur nowhere.
pub(super) fn check(root: &Path) -> Result<(usize, Vec<String>)> {
    let page = fs_err::read_to_string(root.join(PATH))?;
    let mut sources = Vec::new();
    sources_below(&root.join(FOLDER), &mut sources)?;
    Ok(problems(&page, &sources))
}

fn sources_below(folder: &Path, sources: &mut Vec<String>) -> Result<()> {
    for entry in fs_err::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            sources_below(&path, sources)?;
        } else if path.extension().is_some_and(|extension| {
            extension == "rs" || extension == "java" || extension == "snap"
        }) {
            sources.push(on_one_line(&fs_err::read_to_string(&path)?));
        }
    }
    Ok(())
}

/// A source with its literals as they are printed: a literal that goes on in the next line is one text, and
/// so is a message that a snapshot has in several.
fn on_one_line(source: &str) -> String {
    let mut text = String::with_capacity(source.len());
    for line in source.lines() {
        let line = line.trim();
        match line.strip_suffix('\\') {
            Some(begun) => text.push_str(begun),
            None => {
                text.push_str(line);
                text.push(' ');
            }
        }
    }
    text.replace("\\\"", "\"")
}

fn problems(page: &str, sources: &[String]) -> (usize, Vec<String>) {
    let (mut count, mut problems) = (0, Vec::new());
    for (line, message) in messages(page) {
        count += 1;
        let parts: Vec<_> = message
            .split(ANYTHING)
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .collect();
        if !sources.iter().any(|source| contains_all(source, &parts)) {
            problems.push(format!(
                "{PATH}:{line}: no source and no test says `{message}` any more: quote what is said now, with \
                 … for what differs, or take the line out"
            ));
        }
    }
    (count, problems)
}

/// The first cell of each line of the tables of messages, where it is a quotation, with its line.
fn messages(page: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut is_table = false;
    let lines = (1..).zip(page.lines());
    lines.filter_map(move |(number, line)| {
        is_table = line.starts_with(HEADING) || is_table && line.starts_with('|');
        let quoted = line.strip_prefix("| `").filter(|_| is_table)?;
        let (message, _) = quoted.split_once('`')?;
        Some((number, message))
    })
}

/// Whether the parts occur in this order.
fn contains_all(source: &str, parts: &[&str]) -> bool {
    let mut rest = source;
    parts.iter().all(|part| match rest.split_once(part) {
        Some((_, behind)) => {
            rest = behind;
            true
        }
        None => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_nothing_says_any_more_is_named() {
        let page = "| Message | Cause |\n| --- | --- |\n| `no model '…' is found` | a typing error |\n\
            | `gone` | – |\n\n| You see | Do |\n| --- | --- |\n| `not a message` | – |\n";
        let source = "error!(\n    \"no model '{name}' is \\\n     found\"\n)";
        let (count, problems) = problems(page, &[on_one_line(source)]);
        assert_eq!(count, 2);
        assert_eq!(
            problems,
            [
                "docs/guide/troubleshooting.md:4: no source and no test says `gone` any more: quote what is said \
                 now, with … for what differs, or take the line out"
            ]
        );
    }
}
