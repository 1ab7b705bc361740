//! Where this workspace and its build results are, as cargo sees it.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::command;

#[derive(Deserialize)]
pub(crate) struct Workspace {
    #[serde(rename = "workspace_root")]
    pub(crate) root: PathBuf,
    pub(crate) target_directory: PathBuf,
}

impl Workspace {
    /// Asks cargo, which knows of `CARGO_TARGET_DIR` and of every configuration file.
    pub(crate) fn find() -> Result<Self> {
        let mut cargo = command::cargo();
        cargo.args(["metadata", "--no-deps", "--format-version", "1"]);
        let described = command::describe(&cargo);
        let output = cargo
            .output()
            .with_context(|| format!("cannot run `{described}`"))?;
        if !output.status.success() {
            let message = String::from_utf8_lossy(&output.stderr);
            bail!("`{described}` failed: {message}");
        }
        serde_json::from_slice(&output.stdout)
            .with_context(|| format!("cannot read what `{described}` printed"))
    }
}
