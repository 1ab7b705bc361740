//! Installs Flink from its Python packages: the whole of it is in there, except for the SQL
//! client's jars.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use super::version::Version;
use crate::command;
use crate::files::{remove_file_if_present, write_whole};
use crate::python::{self, Python, without_python_variables};

/// Flink, as its packages lay it out.
#[derive(Clone, Debug)]
pub(crate) struct Installation {
    home: PathBuf,
}

impl Installation {
    pub(super) fn script(&self, name: &str) -> PathBuf {
        self.home.join("bin").join(name)
    }

    pub(super) fn configuration(&self) -> PathBuf {
        self.home.join("conf")
    }

    /// Every jar of the `lib` folder.
    pub(super) fn jars(&self) -> Result<Vec<PathBuf>> {
        let mut jars = Vec::new();
        for entry in fs_err::read_dir(self.home.join("lib"))? {
            jars.push(entry?.path());
        }
        jars.sort();
        Ok(jars)
    }
}

/// What is installed for a version.
pub(super) fn packages(version: Version) -> [String; 2] {
    ["apache-flink", "apache-flink-libraries"]
        .map(|package| format!("{package}=={}", version.number()))
}

/// Installs Flink unless it is there already.
pub(super) fn install(folder: &Path, version: Version) -> Result<Installation> {
    let environment = folder.join(format!("environment-{}", version.number()));
    let packages = packages(version);
    // The path belongs to it, because a virtual environment that was moved is of no use.
    let description = format!("{}\n{}\n", environment.display(), packages.join("\n"));
    let marker = folder.join(format!("installed-{}", version.number()));
    let recorded = fs_err::read(&marker).unwrap_or_default();
    if recorded == description.as_bytes()
        && let Ok(installation) = find(&environment)
    {
        return Ok(installation);
    }

    println!(
        "installing Flink ({}) into {}",
        packages[0],
        environment.display()
    );
    remove_file_if_present(&marker)?;
    if environment.exists() {
        fs_err::remove_dir_all(&environment)?;
    }
    let mut venv = Command::new(Python::find()?.executable);
    venv.args(["-m", "venv"]).arg(&environment);
    command::run_successfully(without_python_variables(&mut venv))?;
    // Without what the packages need to run Python functions: their jars are all that is used.
    python::install(
        &environment.join("bin/python"),
        &packages,
        &[],
        &environment.join("requirements.txt"),
    )?;
    let installation = find(&environment)?;
    write_whole(&marker, description.as_bytes())?;
    Ok(installation)
}

/// The folder of the packages, below that of whichever Python installed them.
fn find(environment: &Path) -> Result<Installation> {
    for entry in fs_err::read_dir(environment.join("lib"))? {
        let home = entry?.path().join("site-packages/pyflink");
        if home.join("lib").exists() && home.join("bin/flink").exists() {
            return Ok(Installation { home });
        }
    }
    bail!("{} holds no Flink", environment.display());
}
