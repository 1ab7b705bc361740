//! Installs Triton from its Python package: the whole server is in there, so neither
//! Docker nor a GPU nor root is needed.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::command;
use crate::files::{remove_file_if_present, write_whole};
use crate::python::{Python, without_python_variables};

const PYTRITON: &str = "nvidia-pytriton==0.7.0";

/// With numpy 2 every output of a model has zero bytes, so this is the last numpy 1
/// that each Python has.
fn numpy(minor: u32) -> &'static str {
    if minor == 8 {
        "numpy==1.24.4"
    } else {
        "numpy==1.26.4"
    }
}

/// What an installation was made of; written last, so that half of one never counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Installation {
    packages: Vec<String>,
    python: Python,
    /// A virtual environment holds its own path, so one that was moved is of no use.
    environment: PathBuf,
}

impl Installation {
    fn new(folder: &Path, python: Python) -> Self {
        Self {
            packages: vec![PYTRITON.to_owned(), numpy(python.minor).to_owned()],
            environment: folder.join("environment"),
            python,
        }
    }

    pub(super) fn server(&self) -> PathBuf {
        self.package().join("bin/tritonserver")
    }

    pub(super) fn backends(&self) -> PathBuf {
        self.package().join("backends")
    }

    /// The server, in an environment where its models find this Python and no other.
    pub(super) fn command(&self) -> Result<Command> {
        let mut path = vec![self.environment.join("bin")];
        path.extend(std::env::split_paths(
            &std::env::var_os("PATH").unwrap_or_default(),
        ));
        let mut command = Command::new(self.server());
        without_python_variables(&mut command)
            .env(
                "PATH",
                std::env::join_paths(path).context("PATH holds a bad entry")?,
            )
            .env("LD_LIBRARY_PATH", &self.python.library_folder);
        Ok(command)
    }

    fn package(&self) -> PathBuf {
        let packages = format!("lib/python3.{}/site-packages", self.python.minor);
        self.environment
            .join(packages)
            .join("pytriton/tritonserver")
    }

    fn stub(&self) -> PathBuf {
        self.backends().join("python/triton_python_backend_stub")
    }

    fn is_complete(&self) -> bool {
        let python = self.environment.join("bin/python");
        [python, self.server(), self.stub()]
            .iter()
            .all(|path| path.exists())
    }
}

/// Installs Triton unless this very installation is there already.
pub(super) fn install(folder: &Path) -> Result<()> {
    let recorded = read(folder);
    // The Python of an installation that works stays, whatever is first on PATH today.
    if let Some(recorded) = &recorded
        && *recorded == Installation::new(folder, recorded.python.clone())
        && recorded.is_complete()
    {
        return Ok(());
    }

    let installation = Installation::new(folder, Python::find()?);
    let environment = &installation.environment;
    println!(
        "installing Triton ({PYTRITON}) into {}",
        environment.display()
    );
    remove_file_if_present(&marker(folder))?;
    if environment.exists() {
        fs_err::remove_dir_all(environment)?;
    }
    let mut venv = Command::new(&installation.python.executable);
    venv.args(["-m", "venv"]).arg(environment);
    command::run_successfully(without_python_variables(&mut venv))?;

    // The server needs none of the libraries that the package asks for on behalf of
    // its Python interface.
    let mut pip = Command::new(environment.join("bin/python"));
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ])
    .args(["--no-deps", "--only-binary", ":all:"])
    .args(&installation.packages);
    command::run_successfully(without_python_variables(&mut pip))
        .context("is the package index reachable, and is this Linux on x86-64 with glibc 2.35+?")?;

    let stub = installation.stub();
    let version = format!("python_backend_stubs/3.{}", installation.python.minor);
    let name = stub.file_name().context("the stub has a name")?;
    fs_err::copy(installation.package().join(version).join(name), &stub)?;
    for program in [stub, installation.server()] {
        fs_err::set_permissions(program, PermissionsExt::from_mode(0o755))?;
    }
    write_whole(&marker(folder), &serde_json::to_vec_pretty(&installation)?)
}

/// The installation that [`install`] made.
pub(super) fn installation(folder: &Path) -> Result<Installation> {
    let Some(installation) = read(folder) else {
        bail!("Triton is not installed; run `cargo xtask triton install`");
    };
    Ok(installation)
}

/// A marker that is absent, broken or of another form only means: install again.
fn read(folder: &Path) -> Option<Installation> {
    serde_json::from_slice(&fs_err::read(marker(folder)).ok()?).ok()
}

fn marker(folder: &Path) -> PathBuf {
    folder.join("installed.json")
}
