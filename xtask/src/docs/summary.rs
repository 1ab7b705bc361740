//! The table of contents: `docs/SUMMARY.md` lists every page of the guide, each once.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use pulldown_cmark::{Event, Parser, Tag};

/// The table of contents, below the workspace's root.
const PATH: &str = "docs/SUMMARY.md";

/// The folder of the pages, in which it lies.
const FOLDER: &str = "docs";

/// What is wrong with it, a line each.
pub(super) fn check(root: &Path) -> Result<Vec<String>> {
    let summary = fs_err::read_to_string(root.join(PATH))?;
    let mut pages = Vec::new();
    pages_below(&root.join(FOLDER), "", &mut pages)?;
    Ok(problems(&summary, &pages))
}

/// The pages in a folder and those within it, by their paths below the first one.
fn pages_below(folder: &Path, prefix: &str, pages: &mut Vec<String>) -> Result<()> {
    for entry in fs_err::read_dir(folder)? {
        let entry = entry?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            pages_below(&entry.path(), &format!("{name}/"), pages)?;
        } else if name.ends_with(".md") && name != "SUMMARY.md" {
            pages.push(name);
        }
    }
    pages.sort();
    Ok(())
}

fn problems(summary: &str, pages: &[String]) -> Vec<String> {
    let mut listed = BTreeMap::<String, u32>::new();
    for event in Parser::new(summary) {
        if let Event::Start(Tag::Link { dest_url, .. }) = event {
            *listed.entry(dest_url.into_string()).or_default() += 1;
        }
    }
    let missing = pages
        .iter()
        .filter(|page| !listed.contains_key(*page))
        .map(|page| format!("{PATH}: does not list {page}: add a line for it, where readers look"));
    let twice = listed
        .iter()
        .filter(|(_, times)| **times > 1)
        .map(|(page, times)| format!("{PATH}: lists {page} {times} times: mdBook takes it once"));
    // Links that lead nowhere are found with those of all other pages.
    missing.chain(twice).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_is_listed_once() {
        let pages = ["a.md".to_owned(), "guide/b.md".to_owned()];
        let whole = "# The guide\n\n[First](a.md)\n\n- [Second](guide/b.md)\n";
        assert_eq!(problems(whole, &pages), Vec::<String>::new());
        assert_eq!(
            problems("[First](a.md)\n\n- [Again](a.md)\n", &pages),
            [
                "docs/SUMMARY.md: does not list guide/b.md: add a line for it, where readers look",
                "docs/SUMMARY.md: lists a.md 2 times: mdBook takes it once",
            ]
        );
    }
}
