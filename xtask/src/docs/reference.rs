//! Pages of reference that are made here: options by subject, metrics, errors with exit codes. Each comes
//! from the definition that the programs themselves have.

mod errors;
mod metrics;
mod subjects;

use std::path::Path;

use anyhow::Result;

use super::FOLDER;
use super::compare::first_difference;

/// A generated page, by its path below the workspace's root.
pub(super) struct Page {
    pub(super) path: String,
    pub(super) text: String,
}

/// Every page, in the order of their names.
pub(super) fn pages(root: &Path) -> Result<Vec<Page>> {
    let page = |name: &str, text: String| Page {
        path: format!("{FOLDER}/{name}"),
        text,
    };
    Ok(vec![
        page("errors.md", errors::page(root)?),
        page("metrics.md", metrics::page(root)?),
        page("options_by_subject.md", subjects::page()),
    ])
}

/// What is wrong with the file of a page; `None` if nothing is.
pub(super) fn problem(page: &Page, found: Option<&[u8]>) -> Option<String> {
    let path = &page.path;
    let Some(found) = found else {
        return Some(format!("{path}: is missing"));
    };
    if found == page.text.as_bytes() {
        return None;
    }
    Some(match std::str::from_utf8(found) {
        Ok(found) => format!("{path}: is stale: {}", first_difference(&page.text, found)),
        Err(_) => format!("{path}: is not UTF-8 text"),
    })
}

/// Says who writes a page, in a comment that readers do not see.
fn head(title: &str, sources: &str) -> String {
    format!("# {title}\n\n<!-- `cargo xtask docs` writes this page from {sources}. -->\n\n")
}

/// Without links to names of Rust, which lead nowhere on a page: `[x](y)` and `[x]` become `x`.
fn without_links(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('[') {
        let Some((label, after)) = behind.split_once(']') else {
            break;
        };
        plain.push_str(before);
        plain.push_str(label);
        let link = after
            .strip_prefix('(')
            .and_then(|link| link.split_once(')'));
        rest = link.map_or(after, |(_, behind)| behind);
    }
    plain + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Workspace;

    #[test]
    fn what_was_just_written_has_no_problem_and_what_was_changed_has_one() {
        let root = Workspace::find().unwrap().root;
        for page in pages(&root).unwrap() {
            assert_eq!(problem(&page, Some(page.text.as_bytes())), None);
            let changed = page.text.replacen('`', "*", 3);
            let found = problem(&page, Some(changed.as_bytes())).unwrap();
            assert!(found.contains("is stale: line "), "{found}");
            assert_eq!(
                problem(&page, None),
                Some(format!("{}: is missing", page.path))
            );
        }
    }

    #[test]
    fn links_to_names_of_rust_become_words() {
        assert_eq!(
            without_links("the [`metrics`] facade, by [name](ErrorKind::name) of a kind"),
            "the `metrics` facade, by name of a kind"
        );
    }
}
