//! Installs NVIDIA's Python client, which the embedded server has to satisfy.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::command;
use crate::files::{remove_file_if_present, write_whole};
use crate::python::{Python, without_python_variables};

/// The client of the server's own release, and what it is known to work with.
const PACKAGES: &[&str] = &[
    "tritonclient[http]==2.51.0",
    "geventhttpclient==2.0.2",
    "numpy==1.26.4",
];

/// The Python of an environment that has the client; installs it unless it is there already.
pub(super) fn install(folder: &Path) -> Result<PathBuf> {
    let environment = folder.join("python-client");
    let python = environment.join("bin/python");
    // The path belongs to it, because a virtual environment that was moved is of no use.
    let description = format!("{}\n{}\n", environment.display(), PACKAGES.join("\n"));
    let marker = folder.join("python-client.installed");
    let recorded = fs_err::read(&marker).unwrap_or_default();
    if recorded == description.as_bytes() && python.exists() {
        return Ok(python);
    }

    println!(
        "installing the Python client ({}) into {}",
        PACKAGES[0],
        environment.display()
    );
    remove_file_if_present(&marker)?;
    if environment.exists() {
        fs_err::remove_dir_all(&environment)?;
    }
    let mut venv = Command::new(Python::find()?.executable);
    venv.args(["-m", "venv"]).arg(&environment);
    command::run_successfully(without_python_variables(&mut venv))?;
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--quiet"])
        .args(["--disable-pip-version-check", "--only-binary", ":all:"])
        .args(PACKAGES);
    command::run_successfully(without_python_variables(&mut pip))
        .context("is the package index reachable?")?;
    write_whole(&marker, description.as_bytes())?;
    Ok(python)
}
