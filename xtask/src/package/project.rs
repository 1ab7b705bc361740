//! A throw-away project that depends on one package, and whose program is that of its README.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use super::readme::Readme;
use crate::command;

/// A program that runs a server until its standard input ends.
const SERVE: &str = r#"fn main() -> std::io::Result<()> {
    let server = triton_embedded::EmbeddedTriton::start()?;
    println!("{}", server.endpoint());
    std::io::stdin().read_line(&mut String::new()).map(drop)
}
"#;

pub(super) struct Project {
    pub(super) name: String,
    folder: PathBuf,
    /// Where every project is built, so that what they share is built once.
    target: PathBuf,
    readme: Readme,
}

impl Project {
    /// Writes the project for the package that was unpacked to `source`; `patches` are the packages
    /// that cargo would find in the registry, and where they are.
    pub(super) fn create(
        name: &str,
        source: &Path,
        patches: Vec<(&str, PathBuf)>,
        folder: &Path,
        root: &Path,
    ) -> Result<Self> {
        let readme = Readme::parse(&fs_err::read_to_string(source.join("README.md"))?)?;
        let project = Self {
            name: name.to_owned(),
            folder: folder.join("projects").join(name),
            target: folder.join("target"),
            readme,
        };
        let mut manifest = format!(
            "[package]\nname = \"readme-of-{name}\"\nedition = \"2024\"\ndefault-run = \
             \"readme-of-{name}\"\n\n[workspace]\n\n{}\n[patch.crates-io]\n",
            project.readme.dependencies
        );
        for (name, path) in patches {
            // A path is a literal string to TOML, whatever is in it but a quote.
            writeln!(manifest, "{name} = {{ path = '{}' }}", path.display())?;
        }
        let sources = project.folder.join("src");
        fs_err::create_dir_all(sources.join("bin"))?;
        fs_err::write(project.folder.join("Cargo.toml"), manifest)?;
        // The versions that everything else here is built and tested with.
        fs_err::copy(root.join("Cargo.lock"), project.folder.join("Cargo.lock"))?;
        fs_err::write(sources.join("main.rs"), &project.readme.program)?;
        Ok(project)
    }

    /// Builds the program and runs it to its end, against `server` if it wants one.
    pub(super) fn run(&self, server: &Server) -> Result<()> {
        if self.readme.wants_server {
            let program = self.readme.program_for(&server.endpoint);
            fs_err::write(self.folder.join("src/main.rs"), program)?;
        }
        command::run_successfully(self.cargo("run").current_dir(&self.folder))
            .with_context(|| format!("the program of {}'s README", self.name))
    }

    fn cargo(&self, subcommand: &str) -> Command {
        let mut cargo = command::cargo();
        cargo.args([subcommand, "--quiet"]);
        cargo.env("CARGO_TARGET_DIR", &self.target);
        // Nobody looks for faults in these programs, so they are built as fast as can be.
        cargo.env("CARGO_PROFILE_DEV_DEBUG", "none");
        cargo
    }
}

/// The server of the programs that want one, which is a package itself.
pub(super) struct Server {
    process: Child,
    endpoint: String,
}

impl Server {
    /// Builds the server from its package and starts it.
    pub(super) fn start(project: &Project) -> Result<Self> {
        fs_err::write(project.folder.join("src/bin/serve.rs"), SERVE)?;
        let mut build = project.cargo("build");
        build.args(["--bin", "serve"]).current_dir(&project.folder);
        command::run_successfully(&mut build)?;
        let mut process = Command::new(project.target.join("debug/serve"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = process.stdout.take().context("the server has no output")?;
        let mut server = Self {
            process,
            endpoint: String::new(),
        };
        BufReader::new(output).read_line(&mut server.endpoint)?;
        server.endpoint.truncate(server.endpoint.trim_end().len());
        ensure!(!server.endpoint.is_empty(), "the server has not started");
        Ok(server)
    }
}

impl Drop for Server {
    /// Ends its standard input, and so the server.
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        if let Err(error) = self.process.wait() {
            eprintln!("cannot wait for the end of the server: {error}");
        }
    }
}
