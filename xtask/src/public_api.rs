//! What the libraries offer, as a listing that is committed: a change of it is seen where it is made.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use public_api::Builder;

use crate::command;
use crate::workspace::Workspace;

/// The crates whose interface others build on.
const LIBRARIES: [&str; 5] = [
    "triton-protocol",
    "triton-options",
    "triton-client",
    "triton-model-fn",
    "triton-embedded",
];

/// What is written of a crate, in its folder; it is in no package.
const FILE: &str = "public-api.txt";

/// The command that writes the listings.
const FIX: &str = "cargo xtask public-api";

/// `rustdoc` writes the JSON that says all of a crate only where unstable options are allowed. It alone
/// is told that they are: for the compiler that would be another build of everything.
const RUSTDOC: &str = "#!/bin/sh\nRUSTC_BOOTSTRAP=1 exec rustdoc \"$@\"\n";

/// Writes the listings or, with `check`, fails where one is not what would be written.
pub(crate) fn run(check: bool) -> Result<()> {
    let workspace = Workspace::find()?;
    let folder = workspace.target_directory.join("public-api");
    fs_err::create_dir_all(&folder)?;
    let rustdoc = folder.join("rustdoc");
    fs_err::write(&rustdoc, RUSTDOC)?;
    fs_err::set_permissions(&rustdoc, PermissionsExt::from_mode(0o755))?;
    let mut changed = Vec::new();
    for name in LIBRARIES {
        let found = listing(&workspace, &rustdoc, name)
            .with_context(|| format!("the interface of {name}"))?;
        let path = file(&workspace.root, name);
        if !check {
            fs_err::write(&path, found)?;
            continue;
        }
        let committed = fs_err::read_to_string(&path).unwrap_or_default();
        let lines = difference(&committed, &found);
        if !lines.is_empty() {
            changed.push(name);
            println!("{name}:\n{}", lines.join("\n"));
        }
    }
    if !changed.is_empty() {
        bail!(
            "the interfaces of {} are not those that are committed; if each line above is meant, \
             write them with `{FIX}`, and say in CHANGELOG.md what breaks",
            changed.join(", ")
        );
    }
    println!("the interfaces of {} libraries are listed", LIBRARIES.len());
    Ok(())
}

fn file(root: &Path, name: &str) -> PathBuf {
    root.join("crates").join(name).join(FILE)
}

/// A line for each item that a crate offers with all its features.
fn listing(workspace: &Workspace, rustdoc: &Path, name: &str) -> Result<String> {
    let mut cargo = command::cargo();
    cargo
        .args(["rustdoc", "--quiet", "--locked", "--all-features", "--lib"])
        .args(["--package", name])
        .args([
            "--",
            "-Zunstable-options",
            "--output-format",
            "json",
            "--cap-lints",
            "allow",
        ])
        .env("RUSTDOC", rustdoc)
        .current_dir(&workspace.root);
    command::run_successfully(&mut cargo)?;
    let json = format!("doc/{}.json", name.replace('-', "_"));
    let api = Builder::from_rustdoc_json(workspace.target_directory.join(json))
        // What every type has, or has by `derive`, would be most of the listing.
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true)
        .omit_auto_derived_impls(true)
        .build()?;
    Ok(format!("{api}"))
}

/// The lines that only one of the two has.
fn difference(committed: &str, found: &str) -> Vec<String> {
    let only = |one: &str, other: &str, sign: &str| -> Vec<String> {
        let others: std::collections::BTreeSet<&str> = other.lines().collect();
        let lines = one.lines().filter(|line| !others.contains(line));
        lines.map(|line| format!("{sign} {line}")).collect()
    };
    let mut lines = only(committed, found, "-");
    lines.extend(only(found, committed, "+"));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_and_what_went_is_told() {
        assert_eq!(difference("a\nb\n", "a\nb\n"), [""; 0]);
        assert_eq!(difference("a\nb\n", "b\nc\n"), ["- a", "+ c"]);
    }
}
