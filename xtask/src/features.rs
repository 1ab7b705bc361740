//! Checks that every feature of the libraries compiles, and is tested, without the others.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};

use crate::command;
use crate::workspace::Workspace;

/// A package, and the only features that it is to have.
struct Choice {
    package: &'static str,
    features: &'static str,
    /// The tests to run with them; those of the tests that need a real Triton are not among them.
    tests: &'static [&'static str],
    /// Where those tests are.
    target: &'static [&'static str],
    /// What is looked at.
    linted: &'static str,
}

const fn choice(package: &'static str, features: &'static str) -> Choice {
    Choice {
        package,
        features,
        tests: &[],
        target: &["--test", "it"],
        // The tests are of all features together; those of a choice are built with them.
        linted: "--lib",
    }
}

/// What has features, with none and with one at a time. All of them together are what the other
/// steps of the CI have.
const CHOICES: &[Choice] = &[
    choice("triton-protocol", ""),
    choice("triton-protocol", "half"),
    choice("triton-protocol", "ndarray"),
    // Any other crate of a program can turn it on, and no number may be lost for that.
    Choice {
        tests: &["other_servers::", "contradictions::"],
        ..choice("triton-protocol", "serde_json/arbitrary_precision")
    },
    Choice {
        target: &["--lib"],
        tests: &["serialization::"],
        ..choice("triton-options", "serde_json/arbitrary_precision")
    },
    Choice {
        tests: CLIENT_TESTS,
        ..choice("triton-client", "")
    },
    Choice {
        tests: CLIENT_TESTS,
        ..choice("triton-client", "native-tls")
    },
    choice("triton-client", "compression"),
    choice("triton-client", "half"),
    choice("triton-client", "ndarray"),
    choice("triton-client", "metrics"),
    choice("triton-client", "opentelemetry"),
    choice("triton-client", "rustls"),
    choice("triton-model-fn", ""),
    choice("triton-model-fn", "arrow"),
    choice("triton-model-fn", "native-tls"),
    // The tests of the command read and write Parquet.
    Choice {
        linted: "--lib",
        ..choice("triton-cli", "")
    },
    Choice {
        linted: "--lib",
        ..choice("triton-cli", "arrow")
    },
    Choice {
        linted: "--lib",
        ..choice("triton-cli", "parquet")
    },
    Choice {
        linted: "--lib",
        ..choice("triton-cli", "object-store")
    },
];

/// The parts of the client's tests that features change.
const CLIENT_TESTS: &[&str] = &["features::", "proxy::", "tls::"];

/// How many crates whoever tries the command has to compile. Each takes a second or ten, and the
/// first command of the README is to be there before they have gone away.
const MOST_CRATES: usize = 210;

/// Checks every choice.
pub(crate) fn run() -> Result<()> {
    let root = Workspace::find()?.root;
    check_first_build(&root)?;
    for choice in CHOICES {
        let mut clippy = choice.cargo("clippy");
        clippy.args([choice.linted, "--", "-D", "warnings"]);
        run_one(clippy.current_dir(&root))?;
        if !choice.tests.is_empty() {
            let mut test = choice.cargo("test");
            test.args(choice.target).arg("--").args(choice.tests);
            run_one(test.current_dir(&root))?;
        }
    }
    println!("{} choices of features stand alone", CHOICES.len());
    Ok(())
}

/// Checks that a new dependency, or a feature of one, has not brought many others along.
fn check_first_build(root: &Path) -> Result<()> {
    let mut tree = command::cargo();
    tree.args(["tree", "--locked", "--package", "triton-cli"]);
    tree.args(["--edges", "normal,build", "--prefix", "none", "--no-dedupe"]);
    tree.args(["--format", "{p}"]);
    let output = tree.current_dir(root).output()?;
    ensure!(
        output.status.success(),
        "`{}` failed: {}",
        command::describe(&tree),
        String::from_utf8_lossy(&output.stderr)
    );
    let tree = String::from_utf8(output.stdout)?;
    let crates: BTreeSet<&str> = tree.lines().collect();
    ensure!(
        crates.len() <= MOST_CRATES,
        "`cargo run` compiles {} crates, and is to compile no more than {MOST_CRATES}: \
         `cargo tree --package triton-cli --edges normal,build` shows what brings them; use less \
         of it, or put it behind a feature",
        crates.len()
    );
    println!("{} crates are compiled for the command", crates.len());
    Ok(())
}

fn run_one(command: &mut Command) -> Result<()> {
    let arguments = command
        .get_args()
        .map(|argument| match argument.to_string_lossy() {
            // As one has to type it.
            empty if empty.is_empty() => "''".into(),
            argument => argument,
        });
    let arguments: Vec<_> = arguments.collect();
    println!("==> cargo {}", arguments.join(" "));
    command::run_successfully(command)
}

impl Choice {
    fn cargo(&self, subcommand: &str) -> Command {
        let mut cargo = command::cargo();
        cargo.args([subcommand, "--quiet", "--locked", "--package", self.package]);
        cargo.args(["--no-default-features", "--features", self.features]);
        cargo
    }
}
