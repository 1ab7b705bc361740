//! Holds what this project is built of: licences and sources of crates, lock files, the compiler.
//!
//! The lists are those of `deny.toml`, which `cargo deny` reads too. It would take longer to install than
//! the CI has for all of this, so what needs no database is checked here; advisories are for `cargo deny`
//! by hand, before a release.

mod crates;
mod rules;

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;

use crate::command;
use crate::workspace::Workspace;
use crates::Metadata;
use rules::Rules;

/// Checks all of it, and says everything that is wrong.
pub(crate) fn run() -> Result<()> {
    let root = Workspace::find()?.root;
    let mut problems = Vec::new();
    problems.extend(other_toolchain(&root));
    problems.extend(floating_toolchain(&root)?);
    let manifests = manifests(&root)?;
    let rules = Rules::read(&root)?;
    let mut count = 0;
    for manifest in &manifests {
        match Metadata::read(&root, manifest) {
            Ok(metadata) => {
                count += metadata.packages.len();
                problems.extend(rules.problems(&metadata));
            }
            Err(error) => problems.push(format!("{error:#}")),
        }
    }
    problems.sort();
    problems.dedup();
    for problem in &problems {
        eprintln!("{problem}");
    }
    if !problems.is_empty() {
        bail!("what this is built of has {} problems", problems.len());
    }
    println!(
        "{count} crates in {} lock files have licences and sources of deny.toml",
        manifests.len()
    );
    Ok(())
}

/// The manifest beside each lock file that is committed.
fn manifests(root: &Path) -> Result<Vec<String>> {
    let mut git = Command::new("git");
    git.args(["ls-files", "--", "*Cargo.lock"])
        .current_dir(root);
    let output = git.output().context("cannot run `git`")?;
    ensure!(
        output.status.success(),
        "`{}` failed",
        command::describe(&git)
    );
    let files = String::from_utf8(output.stdout)?;
    let manifests: Vec<_> = files
        .lines()
        .map(|lock| lock.replace("Cargo.lock", "Cargo.toml"))
        .collect();
    ensure!(!manifests.is_empty(), "no lock file is committed");
    Ok(manifests)
}

/// The older name of the file that says which compiler it is, where rustup looks first.
const OLDER_NAME: &str = "rust-toolchain";

/// Why `rust-toolchain.toml` says nothing, if another file is heeded in its place.
fn other_toolchain(root: &Path) -> Option<String> {
    // A link without an end is one, too.
    let is_there = root.join(OLDER_NAME).symlink_metadata().is_ok();
    is_there.then(|| {
        format!("{OLDER_NAME}: rustup heeds it in place of rust-toolchain.toml: remove it")
    })
}

/// Why the compiler is not the same for everybody, if it is not.
fn floating_toolchain(root: &Path) -> Result<Option<String>> {
    #[derive(Deserialize)]
    struct File {
        toolchain: Toolchain,
    }
    #[derive(Deserialize)]
    struct Toolchain {
        channel: String,
    }
    let text = fs_err::read_to_string(root.join("rust-toolchain.toml"))?;
    let File {
        toolchain: Toolchain { channel },
    } = toml::from_str(&text)?;
    Ok((!is_release(&channel)).then(|| {
        format!(
            "rust-toolchain.toml: expected a release such as 1.95.0, found '{channel}', which moves"
        )
    }))
}

fn is_release(channel: &str) -> bool {
    let parts: Vec<_> = channel.split('.').collect();
    let is_number = |part: &&str| part.parse::<u32>().is_ok();
    parts.len() == 3 && parts.iter().all(is_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_heeded_in_place_of_the_checked_one_is_refused() {
        let folder = std::env::temp_dir().join(format!("xtask-supply-{}", std::process::id()));
        fs_err::create_dir_all(&folder).unwrap();
        fs_err::write(folder.join("rust-toolchain.toml"), "").unwrap();
        let alone = other_toolchain(&folder);
        fs_err::write(folder.join("rust-toolchain"), "nightly").unwrap();
        let heeded = other_toolchain(&folder);
        fs_err::remove_dir_all(&folder).unwrap();
        assert_eq!(alone, None);
        let problem = heeded.unwrap();
        assert!(problem.starts_with("rust-toolchain: "), "{problem}");
    }

    #[test]
    fn only_a_release_stands_still() {
        assert!(is_release("1.95.0"));
        for moving in ["stable", "1.95", "nightly-2026-01-01", "1.96.0-beta.1"] {
            assert!(!is_release(moving), "{moving}");
        }
    }
}
