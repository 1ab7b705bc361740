//! The links between the pages: each leads to a file that is there, and to a heading that it has.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use anyhow::Result;
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

/// Where pages are, below the workspace's root; of the root itself only the pages in it.
const FOLDERS: [&str; 5] = ["", "docs", "crates", "examples", "xtask"];

/// How many links there are, and those that lead nowhere; the links of the page `rustdoc` are names of
/// Rust, which rustdoc checks.
pub(super) fn check(root: &Path, rustdoc: &str) -> Result<(usize, Vec<String>)> {
    let mut pages = BTreeMap::new();
    for folder in FOLDERS {
        pages_below(root, Path::new(folder), !folder.is_empty(), &mut pages)?;
    }
    pages.remove(Path::new(rustdoc));
    Ok(problems(&pages, |path| root.join(path).exists()))
}

/// The pages in a folder, by their paths below the root.
fn pages_below(
    root: &Path,
    folder: &Path,
    also_deeper: bool,
    pages: &mut BTreeMap<PathBuf, String>,
) -> Result<()> {
    for entry in fs_err::read_dir(root.join(folder))? {
        let entry = entry?;
        let path = folder.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            if also_deeper {
                pages_below(root, &path, true, pages)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "md") {
            pages.insert(path, fs_err::read_to_string(entry.path())?);
        }
    }
    Ok(())
}

/// What a page leads to, and what can be led to on it.
#[derive(Default)]
struct Page {
    links: Vec<String>,
    anchors: BTreeSet<String>,
}

impl Page {
    fn read(text: &str) -> Self {
        let mut page = Self::default();
        let mut heading = None;
        for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
            match event {
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    page.links.push(dest_url.into_string());
                }
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::End(TagEnd::Heading(_)) => {
                    let heading = heading.take().unwrap_or_default();
                    page.add_anchor(&anchor(&heading));
                }
                Event::Text(text) | Event::Code(text) => {
                    if let Some(heading) = &mut heading {
                        heading.push_str(&text);
                    }
                }
                _ => {}
            }
        }
        page
    }

    /// The second heading of one text gets a number, as GitHub gives it.
    fn add_anchor(&mut self, anchor: &str) {
        if self.anchors.insert(anchor.to_owned()) {
            return;
        }
        let numbered = (1..).map(|number| format!("{anchor}-{number}"));
        for candidate in numbered {
            if self.anchors.insert(candidate) {
                return;
            }
        }
    }
}

/// The name by which a heading is linked to, as GitHub makes it.
fn anchor(heading: &str) -> String {
    let kept = heading
        .trim()
        .chars()
        .filter_map(|character| match character {
            ' ' => Some('-'),
            '-' | '_' => Some(character),
            _ if character.is_alphanumeric() => Some(character),
            _ => None,
        });
    kept.flat_map(char::to_lowercase).collect()
}

fn problems(
    pages: &BTreeMap<PathBuf, String>,
    exists: impl Fn(&Path) -> bool,
) -> (usize, Vec<String>) {
    let read: BTreeMap<&Path, Page> = pages
        .iter()
        .map(|(path, text)| (path.as_path(), Page::read(text)))
        .collect();
    let (mut count, mut problems) = (0, Vec::new());
    for (path, page) in &read {
        let inner = page.links.iter().filter(|link| is_inner(link));
        for link in inner {
            count += 1;
            let (file, fragment) = link.split_once('#').unwrap_or((link, ""));
            let target = match file {
                "" => Some(path.to_path_buf()),
                file => beside(path, file),
            };
            let Some(target) = target.filter(|target| exists(target)) else {
                problems.push(format!(
                    "{}: the link '{link}' leads to no file",
                    path.display()
                ));
                continue;
            };
            let leads_to_page = read.get(target.as_path());
            if !fragment.is_empty()
                && leads_to_page.is_some_and(|page| !page.anchors.contains(fragment))
            {
                problems.push(format!(
                    "{}: the link '{link}' leads to no heading of {}",
                    path.display(),
                    target.display()
                ));
            }
        }
    }
    (count, problems)
}

/// Whether a link stays in the repository; others are not followed.
fn is_inner(link: &str) -> bool {
    !link.contains("://") && !link.starts_with("mailto:")
}

/// The path of `file` as a page names it; `None` where that is outside of the repository.
fn beside(page: &Path, file: &str) -> Option<PathBuf> {
    let mut path = page.parent()?.to_path_buf();
    for component in Path::new(file).components() {
        match component {
            Component::Normal(name) => path.push(name),
            Component::CurDir => {}
            Component::ParentDir => {
                if !path.pop() {
                    return None;
                }
            }
            _ => return None,
        }
    }
    Some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(pages: &[(&str, &str)]) -> (usize, Vec<String>) {
        let pages: BTreeMap<PathBuf, String> = pages
            .iter()
            .map(|(path, text)| (PathBuf::from(path), (*text).to_owned()))
            .collect();
        let exists = |path: &Path| pages.contains_key(path) || path == Path::new("examples");
        problems(&pages, exists)
    }

    #[test]
    fn links_to_files_and_headings_that_are_there_are_fine() {
        let (count, problems) = checked(&[
            (
                "README.md",
                "[a](docs/a.md) [b](docs/a.md#what-triton_x-is) [c](examples) [d](https://x/y)",
            ),
            (
                "docs/a.md",
                "# What `triton_x` is\n[up](../README.md)\n\n# Twice\n# Twice\n[second](#twice-1)",
            ),
        ]);
        assert_eq!((count, problems), (5, Vec::new()));
    }

    #[test]
    fn links_that_lead_nowhere_are_named() {
        let (_, problems) = checked(&[
            (
                "README.md",
                "[a](docs/gone.md) [b](docs/a.md#gone) [c](../../outside)",
            ),
            ("docs/a.md", "# Here\n```\n[not](a-link.md)\n```"),
        ]);
        assert_eq!(
            problems,
            [
                "README.md: the link 'docs/gone.md' leads to no file",
                "README.md: the link 'docs/a.md#gone' leads to no heading of docs/a.md",
                "README.md: the link '../../outside' leads to no file",
            ]
        );
    }
}
