//! Installs the servers from PyPI, each into an environment of its own, because no one set of
//! packages suits them all.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::Kind;
use crate::files::{remove_file_if_present, write_whole};
use crate::python::{self, Python, without_python_variables};
use crate::{command, python_hashes};

/// What installs the packages: `pip` takes minutes where this takes seconds.
pub(super) const INSTALLER: &str = "uv==0.13.9";

/// The oldest Python 3 that all of them run on.
const OLDEST_MINOR: u32 = 10;

/// The Python of a kind's environment.
pub(super) fn python(folder: &Path, kind: &Kind) -> PathBuf {
    folder.join(kind.name).join("bin/python")
}

/// Installs those that are not there yet.
pub(super) fn install(folder: &Path, kinds: &[Kind]) -> Result<()> {
    let missing: Vec<_> = kinds
        .iter()
        .filter(|kind| !is_installed(folder, kind))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let base = Python::find_from(OLDEST_MINOR)?;
    let installer = folder.join("uv");
    if !installer.join("bin/uv").exists() {
        make_environment(&base, &installer, &[])?;
        python::install(
            &installer.join("bin/python"),
            &[INSTALLER],
            &["--no-compile", "--only-binary", ":all:"],
            &installer.join("requirements.txt"),
        )?;
    }
    for kind in missing {
        let environment = folder.join(kind.name);
        println!("installing {} into {}", kind.name, environment.display());
        remove_file_if_present(&marker(folder, kind))?;
        if environment.exists() {
            fs_err::remove_dir_all(&environment)?;
        }
        make_environment(&base, &environment, &["--without-pip"])?;
        let packages = folder.join(format!("{}.txt", kind.name));
        let list: Vec<_> = kind.list().collect();
        write_whole(&packages, python_hashes::requirements(&list)?.as_bytes())?;
        let mut uv = Command::new(installer.join("bin/uv"));
        uv.args(["pip", "install", "--quiet", "--no-deps", "--no-build"])
            .arg("--require-hashes")
            .arg("--python")
            .arg(python(folder, kind))
            .arg("--requirement")
            .arg(&packages);
        command::run_successfully(without_python_variables(&mut uv))
            .context("is the package index reachable?")?;
        write_whole(&marker(folder, kind), description(folder, kind).as_bytes())?;
    }
    Ok(())
}

fn make_environment(base: &Python, environment: &Path, arguments: &[&str]) -> Result<()> {
    let mut venv = Command::new(&base.executable);
    venv.args(["-m", "venv"]).args(arguments).arg(environment);
    command::run_successfully(without_python_variables(&mut venv))
}

fn is_installed(folder: &Path, kind: &Kind) -> bool {
    let recorded = fs_err::read(marker(folder, kind)).unwrap_or_default();
    recorded == description(folder, kind).as_bytes() && python(folder, kind).exists()
}

/// The path belongs to it, because a virtual environment that was moved is of no use.
fn description(folder: &Path, kind: &Kind) -> String {
    format!("{}\n{}", folder.join(kind.name).display(), kind.packages)
}

fn marker(folder: &Path, kind: &Kind) -> PathBuf {
    folder.join(format!("{}.installed", kind.name))
}
