//! The crates that a lock file has, as cargo tells of them.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use crate::command;

#[derive(Deserialize)]
pub(super) struct Metadata {
    pub(super) packages: Vec<Package>,
}

#[derive(Deserialize)]
pub(super) struct Package {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) license: Option<String>,
    /// Where it comes from; nothing where it is one of this repository.
    pub(super) source: Option<String>,
    pub(super) dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
pub(super) struct Dependency {
    pub(super) name: String,
    pub(super) req: String,
    pub(super) path: Option<String>,
}

impl Metadata {
    /// All crates that a manifest leads to on the platform where this is built; fails where its lock
    /// file is stale.
    pub(super) fn read(root: &Path, manifest: &str) -> Result<Self> {
        let mut cargo = command::cargo();
        cargo
            .args([
                "metadata",
                "--locked",
                "--all-features",
                "--format-version",
                "1",
            ])
            .args(["--filter-platform", "x86_64-unknown-linux-gnu"])
            .args(["--manifest-path", manifest])
            .current_dir(root);
        let output = cargo.output()?;
        ensure!(
            output.status.success(),
            "{manifest}: {}; `cargo update --workspace --manifest-path {manifest}` writes the lock file",
            String::from_utf8_lossy(&output.stderr).trim()
        );
        serde_json::from_slice(&output.stdout)
            .with_context(|| format!("cannot read what `{}` printed", command::describe(&cargo)))
    }
}
