//! Checks that every feature of the libraries compiles, and is tested, without the others; and that what
//! no feature turns on, the fuzzer, compiles as well.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};
use serde::Deserialize;

use crate::command;
use crate::fuzz;
use crate::named_tests::Filters;
use crate::workspace::Workspace;

/// A package, and the only features that it is to have.
struct Choice {
    package: &'static str,
    features: &'static str,
    /// The tests to run with them; those of the tests that need a real Triton are not among them.
    tests: &'static [&'static str],
    /// Where those tests are.
    target: &'static [&'static str],
    /// Whether all that they depend on has to be built for them.
    is_dear: bool,
}

const fn choice(package: &'static str, features: &'static str) -> Choice {
    Choice {
        package,
        features,
        tests: &[],
        target: &["--test", "it"],
        is_dear: false,
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
        // Those of TLS are not there without it.
        tests: &["features::", "proxy::"],
        is_dear: true,
        ..choice("triton-client", "")
    },
    Choice {
        tests: &["features::", "proxy::", "tls::"],
        is_dear: true,
        ..choice("triton-client", "native-tls")
    },
    choice("triton-client", "compression"),
    choice("triton-client", "metrics"),
    choice("triton-client", "opentelemetry"),
    choice("triton-client", "rustls"),
    choice("triton-model-fn", ""),
    choice("triton-model-fn", "arrow"),
    choice("triton-model-fn", "opentelemetry"),
    // The tests of the command read and write Parquet.
    choice("triton-cli", ""),
    choice("triton-cli", "arrow"),
    choice("triton-cli", "parquet"),
    choice("triton-cli", "object-store"),
];

/// How many crates whoever tries the command has to compile. Each takes a second or ten, and the
/// first command of the README is to be there before they have gone away.
const MOST_CRATES: usize = 210;

/// Checks every choice, and runs its tests, unless they are dear and not asked for.
pub(crate) fn run(with_dear_tests: bool) -> Result<()> {
    let root = Workspace::find()?.root;
    check_choices(&root)?;
    check_first_build(&root)?;
    for choice in CHOICES {
        let mut check = choice.cargo("check");
        // The tests are of all features together; those of a choice are built with them.
        check_without_warnings(check.arg("--lib").current_dir(&root))?;
        let is_tested = !choice.tests.is_empty() && (with_dear_tests || !choice.is_dear);
        if is_tested {
            let tests = || {
                let mut test = choice.cargo("test");
                test.args(choice.target).arg("--");
                test
            };
            Filters::parts(choice.tests).check(tests().current_dir(&root))?;
            let mut test = tests();
            test.args(choice.tests);
            run_one(test.current_dir(&root))?;
        }
    }
    fuzz::check(&root)?;
    println!(
        "{} choices of features stand alone, and the fuzzer compiles",
        CHOICES.len()
    );
    Ok(())
}

/// Features that are no choice: they stand for others, or are for tests of this project.
const NO_CHOICES: [&str; 2] = ["default", "fuzzing"];

/// Features of the project's own programs, which run with what their command gives them.
const OF_PROGRAMS: [(&str, &str); 1] = [("bench-rounds", "loop")];

/// Whether a feature has something of its own to compile: one that only turns on features of others is
/// checked where those are.
fn is_own(turned_on: &[String]) -> bool {
    turned_on.is_empty() || turned_on.iter().any(|it| it.starts_with("dep:"))
}

/// Checks that each feature of each package is a choice, or is named as none.
fn check_choices(root: &Path) -> Result<()> {
    #[derive(Deserialize)]
    struct Metadata {
        packages: Vec<Package>,
    }
    #[derive(Deserialize)]
    struct Package {
        name: String,
        features: BTreeMap<String, Vec<String>>,
    }
    let mut cargo = command::cargo();
    cargo.args(["metadata", "--no-deps", "--locked", "--format-version", "1"]);
    let output = cargo.current_dir(root).output()?;
    ensure!(
        output.status.success(),
        "`{}` failed",
        command::describe(&cargo)
    );
    let metadata: Metadata = serde_json::from_slice(&output.stdout)?;
    let mut missing = Vec::new();
    for package in &metadata.packages {
        let ours = CHOICES
            .iter()
            .filter(|choice| choice.package == package.name);
        let chosen: BTreeSet<&str> = ours.map(|choice| choice.features).collect();
        let own = package.features.iter().filter(|(_, it)| is_own(it));
        let features = own.map(|(name, _)| name.as_str()).filter(|name| {
            let is_of_program = OF_PROGRAMS.contains(&(package.name.as_str(), name));
            !NO_CHOICES.contains(name) && !is_of_program && !chosen.contains(name)
        });
        missing.extend(features.map(|name| format!("{} of {}", name, package.name)));
    }
    ensure!(
        missing.is_empty(),
        "no choice in xtask/src/features.rs has these features alone: {}",
        missing.join(", ")
    );
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

/// Checks one, whose warnings are errors: what a feature leaves unused, above all. (`-D warnings` in
/// `RUSTFLAGS` would have everything that it depends on compiled again; `clippy` takes longer.)
fn check_without_warnings(check: &mut Command) -> Result<()> {
    print_command(check);
    let output = check.output()?;
    let printed = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success() && printed.trim().is_empty(),
        "`{}` failed, or warned:\n{printed}",
        command::describe(check)
    );
    Ok(())
}

fn run_one(command: &mut Command) -> Result<()> {
    print_command(command);
    command::run_successfully(command)
}

fn print_command(command: &Command) {
    let arguments = command
        .get_args()
        .map(|argument| match argument.to_string_lossy() {
            // As one has to type it.
            empty if empty.is_empty() => "''".into(),
            argument => argument,
        });
    let arguments: Vec<_> = arguments.collect();
    println!("==> cargo {}", arguments.join(" "));
}

impl Choice {
    fn cargo(&self, subcommand: &str) -> Command {
        let mut cargo = command::cargo();
        cargo.args([subcommand, "--quiet", "--locked", "--package", self.package]);
        cargo.args(["--no-default-features", "--features", self.features]);
        cargo
    }
}
