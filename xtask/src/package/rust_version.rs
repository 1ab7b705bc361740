//! Holds that no dependency wants a newer Rust than the packages of this workspace promise.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use crate::command;

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_members: BTreeSet<String>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    rust_version: Option<String>,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<Kind>,
}

#[derive(Deserialize)]
struct Kind {
    /// `dev`, `build`, or nothing.
    kind: Option<String>,
}

/// Asks cargo for everything that is depended on, on this platform and with all features.
pub(super) fn check() -> Result<()> {
    let mut rustc = Command::new("rustc");
    rustc.arg("-vV");
    let described = String::from_utf8(output(&mut rustc)?)?;
    let host = described
        .lines()
        .find_map(|line| line.strip_prefix("host: "));
    let host = host.context("`rustc -vV` names no host")?;
    let mut cargo = command::cargo();
    cargo.args([
        "metadata",
        "--locked",
        "--format-version",
        "1",
        "--all-features",
    ]);
    cargo.args(["--filter-platform", host]);
    let problems = problems(&serde_json::from_slice(&output(&mut cargo)?)?)?;
    if !problems.is_empty() {
        bail!(
            "the `rust-version` of these packages is too low:\n  {}",
            problems.join("\n  ")
        );
    }
    Ok(())
}

fn output(command: &mut Command) -> Result<Vec<u8>> {
    let described = command::describe(command);
    let output = command.output();
    let output = output.with_context(|| format!("cannot run `{described}`"))?;
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr);
        bail!("`{described}` failed: {message}");
    }
    Ok(output.stdout)
}

fn problems(metadata: &Metadata) -> Result<Vec<String>> {
    let packages: BTreeMap<_, _> = metadata.packages.iter().map(|p| (&p.id, p)).collect();
    let nodes: BTreeMap<_, _> = metadata.resolve.nodes.iter().map(|n| (&n.id, n)).collect();
    let mut problems = Vec::new();
    for member in &metadata.workspace_members {
        let package = packages[member];
        let own = version(package)?;
        let mut seen = BTreeSet::new();
        let mut open = vec![member];
        while let Some(id) = open.pop() {
            if !seen.insert(id) {
                continue;
            }
            let is_needed = |dependency: &&Dependency| {
                let mut kinds = dependency.dep_kinds.iter();
                // What only tests need is no matter of those who depend on the package.
                kinds.any(|kind| kind.kind.as_deref() != Some("dev"))
            };
            open.extend(nodes[id].deps.iter().filter(is_needed).map(|d| &d.pkg));
            let dependency = packages[id];
            if version(dependency)? > own {
                problems.push(format!(
                    "{} {}, because {} {} needs Rust {}",
                    package.name,
                    package.rust_version.as_deref().unwrap_or("(none)"),
                    dependency.name,
                    dependency.version,
                    dependency.rust_version.as_deref().unwrap_or("(none)"),
                ));
            }
        }
    }
    Ok(problems)
}

/// The parts of a `rust-version`; nothing where there is none.
fn version(package: &Package) -> Result<Vec<u32>> {
    let text = package.rust_version.as_deref().unwrap_or_default();
    let mut parts = text
        .split_terminator('.')
        .map(|part| {
            part.parse()
                .with_context(|| format!("'{text}' is no version"))
        })
        .collect::<Result<Vec<u32>>>()?;
    // `1.89` and `1.89.0` are the same.
    while parts.last() == Some(&0) {
        parts.pop();
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(own: &str, kind: &str) -> Vec<String> {
        let json = format!(
            r#"{{
                "packages": [
                    {{"id": "a", "name": "ours", "version": "0.1.0", "rust_version": "{own}"}},
                    {{"id": "b", "name": "between", "version": "1.2.3", "rust_version": null}},
                    {{"id": "c", "name": "theirs", "version": "4.5.6", "rust_version": "1.90.0"}}
                ],
                "workspace_members": ["a"],
                "resolve": {{"nodes": [
                    {{"id": "a", "deps": [{{"pkg": "b", "dep_kinds": [{{"kind": {kind}}}]}}]}},
                    {{"id": "b", "deps": [{{"pkg": "c", "dep_kinds": [{{"kind": "build"}}]}}]}},
                    {{"id": "c", "deps": []}}
                ]}}
            }}"#
        );
        problems(&serde_json::from_str(&json).unwrap()).unwrap()
    }

    #[test]
    fn a_newer_dependency_is_named_however_far_down() {
        assert_eq!(
            found("1.89", "null"),
            ["ours 1.89, because theirs 4.5.6 needs Rust 1.90.0"]
        );
        assert_eq!(found("1.9", "null").len(), 1);
        assert_eq!(found("1.90", "null"), [""; 0]);
        assert_eq!(found("1.89", r#""dev""#), [""; 0]);
    }
}
