//! What crates may be, as `deny.toml` says.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Deserialize;
use spdx::Expression;
use spdx::expression::ExpressionReq;

use super::crates::{Metadata, Package};

#[derive(Deserialize)]
pub(super) struct Rules {
    licenses: Licenses,
    bans: Bans,
    sources: Sources,
}

#[derive(Deserialize)]
struct Licenses {
    allow: Vec<String>,
    #[serde(default)]
    exceptions: Vec<Exception>,
}

/// A licence that one crate alone may have.
#[derive(Deserialize)]
struct Exception {
    #[serde(rename = "crate")]
    name: String,
    allow: Vec<String>,
}

#[derive(Deserialize)]
struct Bans {
    deny: Vec<Banned>,
}

#[derive(Deserialize)]
struct Banned {
    #[serde(rename = "crate")]
    name: String,
    reason: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Sources {
    allow_registry: Vec<String>,
}

impl Rules {
    pub(super) fn read(root: &Path) -> Result<Self> {
        let text = fs_err::read_to_string(root.join("deny.toml"))?;
        toml::from_str(&text).context("deny.toml")
    }

    /// What crates are that they may not be, a line each.
    pub(super) fn problems(&self, metadata: &Metadata) -> Vec<String> {
        let packages = metadata.packages.iter();
        packages.flat_map(|package| self.of(package)).collect()
    }

    fn of(&self, package: &Package) -> Vec<String> {
        let Package { name, version, .. } = package;
        let mut problems = Vec::new();
        let banned = self.bans.deny.iter().find(|banned| banned.name == *name);
        problems.extend(banned.map(|banned| format!("is banned: it {}", banned.reason)));
        problems.extend(self.licence(package));
        let registries = &self.sources.allow_registry;
        let is_known = |source: &str| {
            let registry = source.strip_prefix("registry+");
            registry.is_some_and(|registry| registries.iter().any(|known| known == registry))
        };
        if let Some(source) = package.source.as_deref().filter(|source| !is_known(source)) {
            problems.push(format!(
                "comes from {source}, which is none of the registries allowed"
            ));
        }
        if package.source.is_none() {
            let wild = package.dependencies.iter();
            let wild = wild.filter(|it| it.req == "*" && it.path.is_none());
            problems.extend(wild.map(|it| format!("depends on {} in any version", it.name)));
        }
        let problems = problems.into_iter();
        problems
            .map(|problem| format!("{name} {version} {problem}"))
            .collect()
    }

    fn licence(&self, package: &Package) -> Option<String> {
        let Some(text) = &package.license else {
            return Some("names no licence".to_owned());
        };
        // As some crates still write "or".
        let expression = match Expression::parse(&text.replace('/', " OR ")) {
            Ok(expression) => expression,
            Err(error) => return Some(format!("has the licence '{text}': {}", error.reason)),
        };
        let exceptions = &self.licenses.exceptions;
        let own = exceptions.iter().filter(|it| it.name == package.name);
        let allowed: Vec<&String> = own
            .flat_map(|exception| &exception.allow)
            .chain(&self.licenses.allow)
            .collect();
        expression
            .evaluate_with_failures(|licence| {
                let licence = licence.to_string();
                // An exception to a licence only adds to what it allows.
                let base = licence.split(" WITH ").next().unwrap_or_default();
                allowed.iter().any(|allowed| *allowed == base)
            })
            .err()
            .map(|failed| {
                let failed = failed
                    .iter()
                    .map(|ExpressionReq { req, .. }| req.to_string());
                let failed: Vec<_> = failed.collect();
                format!(
                    "has the licence '{text}', and deny.toml does not allow {}",
                    failed.join(", ")
                )
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> Rules {
        let text = r#"
            [licenses]
            allow = ["MIT", "Apache-2.0"]
            exceptions = [{ crate = "b", allow = ["NCSA"] }]
            [bans]
            deny = [{ crate = "bad", reason = "hides things" }]
            [sources]
            allow-registry = ["https://index"]
        "#;
        toml::from_str(text).unwrap()
    }

    fn problems(name: &str, license: &str, source: Option<&str>) -> Vec<String> {
        let package = Package {
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            license: (!license.is_empty()).then(|| license.to_owned()),
            source: source.map(str::to_owned),
            dependencies: vec![super::super::crates::Dependency {
                name: "any".to_owned(),
                req: "*".to_owned(),
                path: None,
            }],
        };
        rules().of(&package)
    }

    #[test]
    fn what_is_not_allowed_is_told() {
        let source = Some("registry+https://index");
        for licence in [
            "MIT",
            "MIT OR GPL-3.0-only",
            "GPL-3.0-only/MIT",
            "Apache-2.0 WITH LLVM-exception",
        ] {
            assert_eq!(problems("a", licence, source), [""; 0], "{licence}");
        }
        assert_eq!(problems("b", "MIT AND NCSA", source), [""; 0]);
        assert_eq!(
            problems("a", "MIT AND NCSA", source),
            ["a 1.0.0 has the licence 'MIT AND NCSA', and deny.toml does not allow NCSA"]
        );
        assert_eq!(problems("a", "", source), ["a 1.0.0 names no licence"]);
        assert_eq!(
            problems("bad", "MIT", source),
            ["bad 1.0.0 is banned: it hides things"]
        );
        assert_eq!(
            problems("a", "MIT", Some("git+https://elsewhere")),
            ["a 1.0.0 comes from git+https://elsewhere, which is none of the registries allowed"]
        );
        assert_eq!(
            problems("a", "MIT", None),
            ["a 1.0.0 depends on any in any version"]
        );
    }
}
