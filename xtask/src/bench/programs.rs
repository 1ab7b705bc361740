//! Builds and installs the programs that are measured.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::peer::Peer;
use super::perf_analyzer::PerfAnalyzer;
use crate::command;
use crate::triton::Triton;
use crate::workspace::Workspace;

/// Where the programs are, of the peers that were asked for.
pub(super) struct Programs {
    ours: PathBuf,
    function: Option<PathBuf>,
    script: PathBuf,
    /// For files of a run.
    pub(super) folder: PathBuf,
    truston: Option<PathBuf>,
    python: Option<PathBuf>,
    perf_analyzer: Option<PerfAnalyzer>,
}

impl Programs {
    /// Builds and installs what the peers need, without optimizations where nothing is measured.
    pub(super) fn prepare(
        workspace: &Workspace,
        folder: &Path,
        peers: &[Peer],
        is_measured: bool,
    ) -> Result<Self> {
        let sources = workspace.root.join("xtask/bench");
        // Each by itself, so that no feature that one needs is in the other.
        let build = |package: &str| {
            let mut cargo = command::cargo();
            cargo.args(["build", "--locked", "--package", package]);
            let profile = match is_measured {
                true => {
                    cargo.arg("--release");
                    "release"
                }
                false => "debug",
            };
            command::run_successfully(cargo.current_dir(&workspace.root))?;
            Ok::<_, anyhow::Error>(workspace.target_directory.join(profile).join(package))
        };
        let ours = build("bench-peers")?;
        let has = |peer: Peer| peers.contains(&peer);
        let function = has(Peer::Function).then(|| build("bench-function"));
        let truston = has(Peer::Truston).then(|| truston(&sources, folder));
        let python = has(Peer::Tritonclient).then(|| Triton::find()?.install_python_client());
        let perf_analyzer = has(Peer::PerfAnalyzer).then(|| PerfAnalyzer::install(folder));
        Ok(Self {
            ours,
            function: function.transpose()?,
            script: sources.join("tritonclient_peer.py"),
            folder: folder.to_owned(),
            truston: truston.transpose()?,
            python: python.transpose()?,
            perf_analyzer: perf_analyzer.transpose()?,
        })
    }

    /// The program that is the instant server, the client and the bare POST.
    pub(super) fn ours(&self) -> &Path {
        &self.ours
    }

    /// The program that is the model function, and the client beside it.
    pub(super) fn function(&self) -> Result<&Path> {
        let program = self.function.as_deref();
        program.context("the function was not asked for")
    }

    pub(super) fn script(&self) -> &Path {
        &self.script
    }

    pub(super) fn truston(&self) -> Result<&Path> {
        let program = self.truston.as_deref();
        program.context("`truston` was not asked for")
    }

    pub(super) fn python(&self) -> Result<&Path> {
        let program = self.python.as_deref();
        program.context("`tritonclient` was not asked for")
    }

    pub(super) fn perf_analyzer(&self) -> Result<&PerfAnalyzer> {
        let program = self.perf_analyzer.as_ref();
        program.context("`perf_analyzer` was not asked for")
    }
}

fn truston(sources: &Path, folder: &Path) -> Result<PathBuf> {
    let target = folder.join("truston");
    let mut cargo = command::cargo();
    cargo
        .args(["build", "--locked", "--release", "--target-dir"])
        .arg(&target)
        .current_dir(sources.join("truston"));
    command::run_successfully(&mut cargo).context(
        "cannot build the peer `truston`; among others it needs the headers of OpenSSL (Debian's \
         libssl-dev and pkg-config)",
    )?;
    Ok(target.join("release/bench-truston"))
}
