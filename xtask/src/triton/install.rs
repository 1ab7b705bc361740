//! Installs Triton from its Python package: the whole server is in there, so neither
//! Docker nor a GPU nor root is needed.
//!
//! Older servers are in older packages of that name. Each has an environment of its own.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::command;
use crate::files::{remove_file_if_present, write_whole};
use crate::python::{self, Python, without_python_variables};

/// The servers that were started this way, each with the version of the package that holds it; the
/// first is the one that all tests run against.
const SERVERS: &[(&str, &str)] = &[
    ("2.51", "0.7.0"),
    ("2.50", "0.5.12"),
    ("2.48", "0.5.10"),
    ("2.46", "0.5.8"),
    ("2.45", "0.5.7"),
    ("2.44", "0.5.6"),
    ("2.43", "0.5.3"),
    ("2.39", "0.4.2"),
    ("2.36", "0.3.1"),
];

/// The version of a server, as `2.51`, that can be installed here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ServerVersion(usize);

impl ServerVersion {
    /// The newest, which all tests run against.
    pub(crate) const DEFAULT: Self = Self(0);

    /// All others, the newest first.
    pub(crate) fn older() -> impl Iterator<Item = Self> {
        (1..SERVERS.len()).map(Self)
    }

    fn server(self) -> &'static str {
        SERVERS[self.0].0
    }

    fn package(self) -> String {
        format!("nvidia-pytriton=={}", SERVERS[self.0].1)
    }

    /// What its files are named after: nothing for the default.
    fn suffix(self) -> String {
        match self {
            Self::DEFAULT => String::new(),
            _ => format!("-{}", self.server()),
        }
    }
}

impl std::fmt::Display for ServerVersion {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.server())
    }
}

impl std::str::FromStr for ServerVersion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let position = SERVERS.iter().position(|(server, _)| *server == text);
        position.map(Self).ok_or_else(|| {
            let known: Vec<_> = SERVERS.iter().map(|(server, _)| *server).collect();
            format!(
                "no package is known to hold it; there are {}",
                known.join(", ")
            )
        })
    }
}

/// With numpy 2 every output of a model has zero bytes, so this is the last numpy 1
/// that each Python has: that of Python 3.8, and of all others.
const NUMPY: [&str; 2] = ["numpy==1.24.4", "numpy==1.26.4"];

fn numpy(minor: u32) -> &'static str {
    NUMPY[usize::from(minor > 8)]
}

/// All that is installed for any server and any Python.
pub(super) fn packages() -> impl Iterator<Item = String> {
    let servers = (0..SERVERS.len()).map(|server| ServerVersion(server).package());
    servers.chain(NUMPY.map(str::to_owned))
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
    fn new(folder: &Path, version: ServerVersion, python: Python) -> Self {
        Self {
            packages: vec![version.package(), numpy(python.minor).to_owned()],
            environment: folder.join(format!("environment{}", version.suffix())),
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
pub(super) fn install(folder: &Path, version: ServerVersion) -> Result<()> {
    let recorded = read(folder, version);
    // The Python of an installation that works stays, whatever is first on PATH today.
    if let Some(recorded) = &recorded
        && *recorded == Installation::new(folder, version, recorded.python.clone())
        && recorded.is_complete()
    {
        return Ok(());
    }

    let installation = Installation::new(folder, version, Python::find()?);
    let environment = &installation.environment;
    println!(
        "installing Triton {version} ({}) into {}",
        version.package(),
        environment.display()
    );
    remove_file_if_present(&marker(folder, version))?;
    if environment.exists() {
        fs_err::remove_dir_all(environment)?;
    }
    let mut venv = Command::new(&installation.python.executable);
    venv.args(["-m", "venv"]).arg(environment);
    command::run_successfully(without_python_variables(&mut venv))?;

    // The server needs none of the libraries that the package asks for on behalf of
    // its Python interface.
    python::install(
        &environment.join("bin/python"),
        &installation.packages,
        &["--only-binary", ":all:"],
        &environment.join("requirements.txt"),
    )
    .context("is this Linux on x86-64 with glibc 2.35+?")?;

    let stub = installation.stub();
    let stubs = format!("python_backend_stubs/3.{}", installation.python.minor);
    let name = stub.file_name().context("the stub has a name")?;
    fs_err::copy(installation.package().join(stubs).join(name), &stub)
        .with_context(|| format!("Triton {version} has no part for this version of Python"))?;
    for program in [stub, installation.server()] {
        fs_err::set_permissions(program, PermissionsExt::from_mode(0o755))?;
    }
    write_whole(
        &marker(folder, version),
        &serde_json::to_vec_pretty(&installation)?,
    )
}

/// The installation that [`install`] made.
pub(super) fn installation(folder: &Path, version: ServerVersion) -> Result<Installation> {
    let Some(installation) = read(folder, version) else {
        bail!(
            "Triton {version} is not installed; run `cargo xtask triton install --server-version \
             {version}`"
        );
    };
    Ok(installation)
}

/// A marker that is absent, broken or of another form only means: install again.
fn read(folder: &Path, version: ServerVersion) -> Option<Installation> {
    serde_json::from_slice(&fs_err::read(marker(folder, version)).ok()?).ok()
}

fn marker(folder: &Path, version: ServerVersion) -> PathBuf {
    folder.join(format!("installed{}.json", version.suffix()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_no_package_holds_is_refused_with_those_that_there_are() {
        assert_eq!("2.51".parse(), Ok(ServerVersion::DEFAULT));
        let error = "2.40".parse::<ServerVersion>().unwrap_err();
        assert_eq!(
            error,
            "no package is known to hold it; there are 2.51, 2.50, 2.48, 2.46, 2.45, 2.44, 2.43, \
             2.39, 2.36"
        );
    }
}
