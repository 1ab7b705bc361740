//! What a README promises: the dependencies that it names, and the program that it shows.

use anyhow::{Context as _, Result};

/// Where the snippets of clients expect a server.
const ENDPOINT: &str = "http://localhost:8000";

/// How READMEs name the place of the crates, as long as there is no registry that has them.
const REPOSITORY: &str = r#"git = "REPOSITORY""#;

/// The parts of a README that a program can be made of.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Readme {
    /// The `[dependencies]` of a manifest.
    pub(super) dependencies: String,
    pub(super) program: String,
    pub(super) wants_server: bool,
}

impl Readme {
    pub(super) fn parse(text: &str) -> Result<Self> {
        let program = block(text, "rust").context("README.md shows no program in Rust")?;
        let dependencies = block(text, "toml").context("README.md names no dependencies")?;
        Ok(Self {
            // What a registry will have, the project patches with the packages that it tries.
            dependencies: dependencies.replace(REPOSITORY, r#"version = "*""#),
            wants_server: program.contains(ENDPOINT),
            program,
        })
    }

    /// The program, talking to another server than the one it names.
    pub(super) fn program_for(&self, endpoint: &str) -> String {
        self.program.replace(ENDPOINT, endpoint)
    }
}

/// The first fenced block of a language, whatever attributes follow its name.
fn block(text: &str, language: &str) -> Option<String> {
    let mut lines = text.lines();
    lines.find(|line| {
        let attributes = line.strip_prefix("```").unwrap_or_default();
        attributes.split(',').next() == Some(language)
    })?;
    let block: Vec<_> = lines.take_while(|line| *line != "```").collect();
    Some(block.join("\n") + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_blocks_are_taken() {
        let text = "# a\n```toml\n[dependencies]\na = { git = \"REPOSITORY\" }\n```\n\n```rust,no_run\nfn main() {\n    \
                    ask(\"http://localhost:8000\");\n}\n```\n```rust\nother\n```\n";
        let readme = Readme::parse(text).unwrap();
        assert_eq!(
            readme.dependencies,
            "[dependencies]\na = { version = \"*\" }\n"
        );
        assert!(readme.wants_server);
        assert_eq!(
            readme.program_for("http://127.0.0.1:1"),
            "fn main() {\n    ask(\"http://127.0.0.1:1\");\n}\n"
        );
        assert!(Readme::parse("```rust\n```\n").is_err());
    }
}
