//! Packages the library crates as for a registry, and uses each of the packages by itself, as its
//! README says.

mod project;
mod readme;
mod rust_version;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use crate::command;
use crate::workspace::Workspace;
use project::{Project, Server};

/// The package whose program is the server of those whose programs are clients.
const SERVER: &str = "triton-embedded";

/// Files that every package has, apart from its code.
const EXPECTED_FILES: [&str; 3] = ["Cargo.toml", "LICENSE", "README.md"];

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

/// A package of this workspace.
#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    /// The registries that it may go to; nothing where all of them.
    publish: Option<Vec<String>>,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    /// `dev`, `build`, or nothing.
    kind: Option<String>,
}

pub(crate) fn run() -> Result<()> {
    let start = Instant::now();
    rust_version::check()?;
    let workspace = Workspace::find()?;
    let packages = published(&workspace.root)?;
    let folder = workspace.target_directory.join("packages");
    let archives = archive(&workspace, &packages)?;
    let unpacked = folder.join("unpacked");
    if unpacked.exists() {
        fs_err::remove_dir_all(&unpacked)?;
    }
    fs_err::create_dir_all(&unpacked)?;
    for archive in &archives {
        let mut tar = std::process::Command::new("tar");
        // Archives have one and the same time in them, by which nothing that changed would be built.
        tar.arg("-xzmf").arg(archive).arg("-C").arg(&unpacked);
        command::run_successfully(&mut tar)?;
    }
    let mut projects = Vec::new();
    for package in &packages {
        let source = unpacked.join(package.folder());
        check_files(&source).with_context(|| format!("the package {}", package.name))?;
        let needed = needed(package, &packages);
        let patches = needed
            .iter()
            .map(|package| (package.name.as_str(), unpacked.join(package.folder())));
        projects.push(Project::create(
            &package.name,
            &source,
            patches.collect(),
            &folder,
            &workspace.root,
        )?);
    }
    let server = projects.iter().find(|project| project.name == SERVER);
    let server = server.with_context(|| format!("{SERVER} is not among the packages"))?;
    let server = Server::start(server)?;
    for project in &projects {
        project.run(&server)?;
        println!("{}: its README's program runs", project.name);
    }
    println!(
        "{} packages can be used alone ({:.1} s)",
        projects.len(),
        start.elapsed().as_secs_f64()
    );
    Ok(())
}

impl Package {
    /// The folder in the archive.
    fn folder(&self) -> String {
        format!("{}-{}", self.name, self.version)
    }
}

/// The packages that may go to a registry.
fn published(root: &Path) -> Result<Vec<Package>> {
    let mut cargo = command::cargo();
    cargo.args(["metadata", "--no-deps", "--format-version", "1"]);
    let output = cargo.current_dir(root).output()?;
    let described = command::describe(&cargo);
    ensure!(output.status.success(), "`{described}` failed");
    let metadata: Metadata = serde_json::from_slice(&output.stdout)
        .with_context(|| format!("cannot read what `{described}` printed"))?;
    let mut packages = metadata.packages;
    packages.retain(|package| package.publish.as_ref().is_none_or(|to| !to.is_empty()));
    Ok(packages)
}

/// Lets cargo write the archives. It does not build them: the programs of their READMEs do.
fn archive(workspace: &Workspace, packages: &[Package]) -> Result<Vec<PathBuf>> {
    let mut cargo = command::cargo();
    cargo.args([
        "package",
        "--quiet",
        "--no-verify",
        "--allow-dirty",
        "--locked",
    ]);
    for package in packages {
        cargo.args(["--package", &package.name]);
    }
    command::run_successfully(cargo.current_dir(&workspace.root))?;
    let folder = workspace.target_directory.join("package");
    let archives = packages
        .iter()
        .map(|package| format!("{}.crate", package.folder()));
    Ok(archives.map(|name| folder.join(name)).collect())
}

/// The packages of this workspace that a package is built of, itself among them.
fn needed<'a>(package: &'a Package, packages: &'a [Package]) -> Vec<&'a Package> {
    let mut needed = vec![package];
    let mut next = 0;
    while let Some(package) = needed.get(next).copied() {
        next += 1;
        for dependency in &package.dependencies {
            let found = packages.iter().find(|other| other.name == dependency.name);
            // No dependency of a dependency is there for tests.
            let Some(found) = found.filter(|_| dependency.kind.as_deref() != Some("dev")) else {
                continue;
            };
            if needed.iter().all(|other| other.name != found.name) {
                needed.push(found);
            }
        }
    }
    needed
}

/// Fails where the package lacks a file, one that only its documentation includes among them.
fn check_files(source: &Path) -> Result<()> {
    for name in EXPECTED_FILES {
        ensure!(source.join(name).is_file(), "has no file {name}");
    }
    let mut folders = vec![source.join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs_err::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                for included in included(&fs_err::read_to_string(&path)?) {
                    ensure!(
                        folder.join(included).is_file(),
                        "lacks the file {included} that {} includes",
                        path.strip_prefix(source).unwrap_or(&path).display()
                    );
                }
            }
        }
    }
    Ok(())
}

/// The files that a source includes.
fn included(source: &str) -> impl Iterator<Item = &str> {
    let calls = ["include_str!(\"", "include_bytes!(\""];
    calls.into_iter().flat_map(move |call| {
        let after = source.split(call).skip(1);
        after.filter_map(|text| text.split('"').next())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, dependencies: &[(&str, Option<&str>)]) -> Package {
        let dependencies = dependencies.iter().map(|(name, kind)| Dependency {
            name: (*name).to_owned(),
            kind: kind.map(str::to_owned),
        });
        Package {
            name: name.to_owned(),
            version: "0.1.0".to_owned(),
            publish: None,
            dependencies: dependencies.collect(),
        }
    }

    #[test]
    fn what_only_tests_need_is_not_needed() {
        let packages = [
            package("a", &[]),
            package("b", &[("a", None), ("serde", None)]),
            package("c", &[("b", None), ("d", Some("dev"))]),
            package("d", &[("a", None)]),
        ];
        let names = needed(&packages[2], &packages);
        let names: Vec<_> = names.iter().map(|package| package.name.as_str()).collect();
        assert_eq!(names, ["c", "b", "a"]);
    }

    #[test]
    fn included_files_are_found() {
        let source =
            "#![doc = include_str!(\"../README.md\")]\nconst A: &[u8] = include_bytes!(\"a\");";
        assert_eq!(included(source).collect::<Vec<_>>(), ["../README.md", "a"]);
    }
}
