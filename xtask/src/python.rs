//! Finds a Python that the server can embed.
//!
//! Triton's python backend is built once per minor version of Python and links to
//! that version's shared library, so not every Python will do.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::files::{remove_file_if_present, write_whole};
use crate::{command, python_hashes};

/// The minor versions of Python 3 for which the server has a stub and numpy 1 a wheel.
const OLDEST_MINOR: u32 = 8;
const NEWEST_MINOR: u32 = 12;

/// Prints what [`Python`] holds. `LIBDIR` may be that of the machine which built this
/// Python, hence the second place to look.
const PROBE: &str = r#"
import json, os, sys, sysconfig
import ensurepip, venv
name = sysconfig.get_config_var("INSTSONAME") or ""
folders = [sysconfig.get_config_var("LIBDIR") or "", os.path.join(sys.base_prefix, "lib")]
found = [f for f in folders if ".so" in name and os.path.exists(os.path.join(f, name))]
print(json.dumps({
    "executable": sys.executable,
    "major": sys.version_info[0],
    "minor": sys.version_info[1],
    "library_folder": found[0] if found else None,
}))
"#;

/// A Python that can run Triton's python backend.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Python {
    pub(crate) executable: PathBuf,
    pub(crate) minor: u32,
    pub(crate) library_folder: PathBuf,
}

impl Python {
    /// The usual `python3` if it fits, otherwise the newest that does.
    pub(crate) fn find() -> Result<Self> {
        Self::find_from(OLDEST_MINOR)
    }

    /// As [`find`](Self::find), but none before this minor version.
    pub(crate) fn find_from(oldest_minor: u32) -> Result<Self> {
        let versioned = (oldest_minor..=NEWEST_MINOR).rev();
        let names = std::iter::once("python3".into())
            .chain(versioned.map(|minor| format!("python3.{minor}")));
        let mut reasons = Vec::new();
        for name in names {
            match probe(Path::new(&name)) {
                Ok(python) if python.minor < oldest_minor => {
                    reasons.push(format!("  {name}: is Python 3.{}", python.minor));
                }
                Ok(python) => return Ok(python),
                Err(reason) => reasons.push(format!("  {name}: {reason}")),
            }
        }
        bail!(
            "this needs Python 3.{oldest_minor} to 3.{NEWEST_MINOR} with its shared library \
             and the venv module; install one and put it on PATH. Tried:\n{}",
            reasons.join("\n")
        );
    }
}

#[derive(Deserialize)]
struct Probed {
    executable: PathBuf,
    major: u32,
    minor: u32,
    library_folder: Option<PathBuf>,
}

fn probe(program: &Path) -> Result<Python, String> {
    let output = without_python_variables(&mut Command::new(program))
        .args(["-c", PROBE])
        .output()
        .map_err(|error| error.to_string())?;
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr);
        let last_line = message.trim().lines().last().unwrap_or("failed");
        return Err(last_line.to_owned());
    }
    let probed = serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())?;
    judge(probed)
}

fn judge(probed: Probed) -> Result<Python, String> {
    let Probed {
        executable,
        major,
        minor,
        library_folder,
    } = probed;
    if major != 3 || !(OLDEST_MINOR..=NEWEST_MINOR).contains(&minor) {
        return Err(format!("is Python {major}.{minor}"));
    }
    let library_folder = library_folder.ok_or_else(|| {
        format!(
            "{} was built without a shared library",
            executable.display()
        )
    })?;
    Ok(Python {
        executable,
        minor,
        library_folder,
    })
}

/// The Python of an environment of that name that has these packages; installs it unless it is there
/// already.
pub(crate) fn environment(
    base: &Python,
    folder: &Path,
    name: &str,
    packages: &[&str],
) -> Result<PathBuf> {
    let environment = folder.join(name);
    let python = environment.join("bin/python");
    // The path belongs to it, because a virtual environment that was moved is of no use.
    let description = format!("{}\n{}\n", environment.display(), packages.join("\n"));
    let marker = folder.join(format!("{name}.installed"));
    let recorded = fs_err::read(&marker).unwrap_or_default();
    if recorded == description.as_bytes() && python.exists() {
        return Ok(python);
    }

    println!(
        "installing {} into {}",
        packages.join(", "),
        environment.display()
    );
    remove_file_if_present(&marker)?;
    if environment.exists() {
        fs_err::remove_dir_all(&environment)?;
    }
    fs_err::create_dir_all(folder)?;
    let mut venv = Command::new(&base.executable);
    venv.args(["-m", "venv"]).arg(&environment);
    command::run_successfully(without_python_variables(&mut venv))?;
    install(
        &python,
        packages,
        &["--only-binary", ":all:"],
        &environment.join("requirements.txt"),
    )?;
    write_whole(&marker, description.as_bytes())?;
    Ok(python)
}

/// Installs packages with the pip of a Python, and nothing that is not among them; their list goes
/// into `file`.
pub(crate) fn install(
    python: &Path,
    packages: &[impl AsRef<str>],
    arguments: &[&str],
    file: &Path,
) -> Result<()> {
    write_whole(file, python_hashes::requirements(packages)?.as_bytes())?;
    let mut pip = Command::new(python);
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ])
    .args(["--no-deps", "--require-hashes"])
    .args(arguments)
    .arg("--requirement")
    .arg(file);
    command::run_successfully(without_python_variables(&mut pip))
        .context("is the package index reachable, and has it a file for this Python?")
}

/// These would make one Python load the modules of another.
pub(crate) fn without_python_variables(command: &mut Command) -> &mut Command {
    command.env_remove("PYTHONHOME").env_remove("PYTHONPATH")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probed(minor: u32, library_folder: Option<&str>) -> Probed {
        Probed {
            executable: "/python".into(),
            major: 3,
            minor,
            library_folder: library_folder.map(Into::into),
        }
    }

    #[test]
    fn only_versions_with_a_stub_and_a_shared_library_fit() {
        assert_eq!(judge(probed(7, Some("/lib"))), Err("is Python 3.7".into()));
        assert_eq!(
            judge(probed(13, Some("/lib"))),
            Err("is Python 3.13".into())
        );
        assert_eq!(
            judge(probed(11, None)),
            Err("/python was built without a shared library".into())
        );
        assert!(judge(probed(8, Some("/lib"))).is_ok());
        assert!(judge(probed(12, Some("/lib"))).is_ok());
    }
}
