//! The files that a pattern such as `data/**/*.parquet` matches, in the order of their names.
//!
//! The `glob` crate matches the names; it does not walk the folders, because it panics where a
//! name in them is no UTF-8.

use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use glob::{MatchOptions, Pattern};

/// As in a shell, what is hidden is not meant.
const OPTIONS: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: true,
};

/// Any number of folders.
const ANY_DEPTH: &str = "**";

/// The files that a pattern matches; folders are none.
pub(super) fn files(pattern: &str) -> anyhow::Result<Vec<PathBuf>> {
    let described = || format!("the pattern '{pattern}' cannot be read");
    let (root, rest) = match pattern.strip_prefix('/') {
        Some(rest) => (PathBuf::from("/"), rest),
        None => (PathBuf::new(), pattern),
    };
    let parts = rest.split('/').filter(|part| !part.is_empty());
    let parts: Vec<Part> = parts
        .map(|part| Part::new(part).with_context(described))
        .collect::<Result<_, _>>()?;
    let mut found = Vec::new();
    walk(&root, &parts, &mut found);
    found.sort();
    found.dedup();
    Ok(found)
}

/// The files in a folder and in those within it, but for what is hidden, and what others leave there
/// for themselves, such as `_SUCCESS`. A folder that cannot be read is an error: nobody knows which rows
/// are in it.
pub(super) fn files_within(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs_err::read_dir(folder)? {
        let entry = entry?;
        let (path, name) = (entry.path(), entry.file_name());
        if name.to_string_lossy().starts_with(['.', '_']) {
            continue;
        }
        match path.is_dir() {
            // A link may lead back to where it is.
            true if !path.is_symlink() => found.extend(files_within(&path)?),
            true => {}
            false if may_hold_rows(&path) => found.push(path),
            false => {}
        }
    }
    found.sort();
    Ok(found)
}

/// Whether what a folder has is meant when the folder is: a pipe or a socket waits for somebody who
/// may never come, unless it was named itself. A link to nothing is an error later.
fn may_hold_rows(path: &Path) -> bool {
    path.metadata().map_or(true, |found| found.is_file())
}

/// What a pattern says of one name on the way.
enum Part {
    Literal(String),
    Names(Pattern),
    AnyDepth,
}

impl Part {
    fn new(part: &str) -> Result<Self, glob::PatternError> {
        Ok(match part {
            ANY_DEPTH => Self::AnyDepth,
            part if part.contains(['*', '?', '[']) => Self::Names(Pattern::new(part)?),
            part => Self::Literal(part.to_owned()),
        })
    }
}

/// What cannot be read is passed over, as a shell does.
fn walk(folder: &Path, parts: &[Part], found: &mut Vec<PathBuf>) {
    match parts {
        [] => {}
        [Part::Literal(name), rest @ ..] => go_on(folder.join(name), rest, found),
        [Part::Names(pattern), rest @ ..] => {
            for (path, name) in entries(folder) {
                if pattern.matches_with(&name, OPTIONS) {
                    go_on(path, rest, found);
                }
            }
        }
        [Part::AnyDepth, rest @ ..] => {
            walk(folder, rest, found);
            for (path, name) in entries(folder) {
                // A link may lead back to where it is.
                if !name.starts_with('.') && path.is_dir() && !path.is_symlink() {
                    walk(&path, parts, found);
                }
            }
        }
    }
}

fn go_on(path: PathBuf, rest: &[Part], found: &mut Vec<PathBuf>) {
    match rest.is_empty() {
        true if path.exists() && may_hold_rows(&path) => found.push(path),
        true => {}
        false => walk(&path, rest, found),
    }
}

/// What is in a folder, and its name as far as it is text.
fn entries(folder: &Path) -> Vec<(PathBuf, String)> {
    let read = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    let entries = fs_err::read_dir(read).into_iter().flatten().flatten();
    let entries = entries.map(|entry| {
        let name = entry.file_name();
        (folder.join(&name), name.to_string_lossy().into_owned())
    });
    entries.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_a_shell() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for name in [
            "b.csv",
            "a.csv",
            ".c.csv",
            "d.txt",
            "in/e.csv",
            "in/deep/f.csv",
            "[g].csv",
        ] {
            std::fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
            std::fs::write(root.join(name), "").unwrap();
        }
        #[cfg(unix)]
        {
            use std::os::unix::ffi::OsStrExt as _;
            let name = std::ffi::OsStr::from_bytes(b"r\xe9sum\xe9.csv");
            std::fs::write(root.join(name), "").unwrap();
        }
        let made = std::process::Command::new("mkfifo")
            .args([root.join("in/pipe.csv"), root.join("a.pipe.csv")])
            .status();
        assert!(cfg!(not(unix)) || made.unwrap().success());
        let matched = |pattern: &str| {
            let pattern = format!("{}/{pattern}", root.display());
            let found = files(&pattern).unwrap();
            let names = found.iter().map(|path| {
                let name = path.strip_prefix(root).unwrap();
                name.to_string_lossy().into_owned()
            });
            names.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(matched("?.csv"), "a.csv b.csv");
        assert_eq!(matched("[ab].*"), "a.csv b.csv");
        assert_eq!(matched("*/*.csv"), "in/e.csv");
        assert_eq!(matched("in/**/*.csv"), "in/deep/f.csv in/e.csv");
        assert_eq!(matched("[[]g].csv"), "[g].csv");
        assert_eq!(matched("*.parquet"), "");
        assert!(matched("*.csv").contains("r\u{fffd}sum\u{fffd}.csv") || cfg!(not(unix)));
        assert!(files("a[").is_err());
        std::fs::write(root.join("in/_SUCCESS"), "").unwrap();
        let within = files_within(&root.join("in")).unwrap();
        let expected = ["in/deep/f.csv", "in/e.csv"].map(|name| root.join(name));
        assert_eq!(within, expected);
        assert!(files_within(&root.join("no_folder")).is_err());
    }
}
