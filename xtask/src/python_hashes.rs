//! The hashes of all that is installed from PyPI: what is downloaded is what was looked at once, or it
//! is refused.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use crate::files::write_whole;
use crate::python::{Python, without_python_variables};
use crate::workspace::Workspace;
use crate::{bench, flink, moto, other_servers, triton};

/// A line for each file: the package in its version, and the SHA-256 of the file.
const HASHES: &str = include_str!("python_hashes.txt");

const PATH: &str = "xtask/src/python_hashes.txt";

/// Asks the index for them.
const SCRIPT: &str = include_str!("python_hashes.py");

/// The command that writes them.
const FIX: &str = "cargo xtask python-hashes";

/// These packages, as a file of requirements that pip takes with `--require-hashes`.
///
/// # Errors
///
/// Where a package has no hash.
pub(crate) fn requirements(packages: &[impl AsRef<str>]) -> Result<String> {
    let mut text = String::new();
    for package in packages {
        let package = package.as_ref();
        let pin = pin(package);
        text.push_str(package);
        let before = text.len();
        for (_, hash) in known().filter(|(known, _)| *known == pin) {
            write!(text, " --hash=sha256:{hash}")?;
        }
        ensure!(
            text.len() > before,
            "{package} has no hash in {PATH}; `{FIX}` writes those of all packages anew"
        );
        text.push('\n');
    }
    Ok(text)
}

/// Writes the hashes anew, of all packages that anything here installs.
pub(crate) fn write() -> Result<()> {
    let root = Workspace::find()?.root;
    let pins: Vec<_> = pins().into_iter().collect();
    let mut script = Command::new(Python::find()?.executable);
    script.args(["-c", SCRIPT]);
    script.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = without_python_variables(&mut script).spawn()?;
    let mut input = child.stdin.take().context("the input is a pipe")?;
    input.write_all(pins.join("\n").as_bytes())?;
    drop(input);
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "is the package index reachable?");
    write_whole(&root.join(PATH), &output.stdout)?;
    println!("{} packages have their hashes in {PATH}", pins.len());
    Ok(())
}

fn known() -> impl Iterator<Item = (&'static str, &'static str)> {
    HASHES.lines().filter_map(|line| line.split_once(' '))
}

/// Every package in every version that is installed anywhere here.
fn pins() -> BTreeSet<String> {
    let packages = triton::packages()
        .chain(flink::packages())
        .chain(other_servers::packages())
        .chain(moto::packages())
        .chain(bench::packages());
    packages.map(|package| pin(&package)).collect()
}

/// The name and the version alone: without what is chosen of the package, and for which Python it is.
fn pin(package: &str) -> String {
    let package = package.split(';').next().unwrap_or_default().trim();
    match package.split_once('[').zip(package.split_once(']')) {
        Some(((name, _), (_, version))) => format!("{name}{version}"),
        None => package.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_installed_has_its_hashes_and_nothing_else_has() {
        let known: BTreeSet<_> = known().map(|(pin, _)| pin.to_owned()).collect();
        let problems: Vec<_> = pins().symmetric_difference(&known).cloned().collect();
        assert!(
            problems.is_empty(),
            "{problems:?}: `{FIX}` writes them anew"
        );
    }

    #[test]
    fn a_package_that_nobody_looked_at_is_refused() {
        let error = requirements(&["numpy==0.0.1"]).unwrap_err().to_string();
        assert!(error.starts_with("numpy==0.0.1 has no hash"), "{error}");
        let text = requirements(&["tritonclient[http]==2.51.0"]).unwrap();
        assert!(
            text.starts_with("tritonclient[http]==2.51.0 --hash=sha256:"),
            "{text}"
        );
        assert_eq!(pin("a[b]==1 ; python_version < '3'"), "a==1");
    }
}
