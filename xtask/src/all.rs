//! Everything that can be run, one after the other: for the night before a release.

use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::command;
use crate::triton::ServerVersion;

/// The scripts of the soak that are run.
const SEEDS: &str = "1-200";

/// How many cases each property is tried with.
const CASES: &str = "100000";

/// How long each target is fuzzed, in seconds.
const FUZZED: &str = "180";

/// How long there is load: enough to see that all of it runs; what is published takes longer.
const LOAD: &str = "2m";

/// The tests that other runs leave out, because they need a release build or another release of Flink.
const IGNORED: [(&str, &str); 2] = [
    ("triton-cli", "release::"),
    ("triton-flink", "older_flink::"),
];

/// A command of this program, as one types it, and what it finds in its environment.
struct Part {
    arguments: Vec<String>,
    variable: Option<(&'static str, &'static str)>,
}

fn part(arguments: &[&str]) -> Part {
    Part {
        arguments: arguments.iter().map(ToString::to_string).collect(),
        variable: None,
    }
}

fn parts() -> Vec<Part> {
    let mut parts = vec![part(&["test"])];
    for version in ServerVersion::older() {
        parts.push(part(&["test", "--triton", &version.to_string()]));
    }
    parts.push(Part {
        variable: Some(("PROPTEST_CASES", CASES)),
        ..part(&[
            "test",
            "--",
            // Optimized, and with every assertion: so many take hours otherwise.
            "--profile",
            "fuzz",
            "-p",
            "triton-model-fn",
            "--lib",
            "--",
            "machine::",
            "circuit_breaker::",
        ])
    });
    for (package, tests) in IGNORED {
        let of_package = ["test", "--", "-p", package, "--test", "it", "--"];
        parts.push(part(&[&of_package[..], &["--ignored", tests]].concat()));
    }
    parts.push(part(&["supply"]));
    parts.push(part(&["features", "--tests"]));
    parts.push(part(&["package"]));
    parts.push(part(&["public-api", "--check"]));
    parts.push(part(&["bench", "--check", "--peer", "bare"]));
    parts.push(part(&["bench", "--of", "command", "--check"]));
    parts.push(part(&["models"]));
    parts.push(part(&["chaos", "--seeds", SEEDS]));
    parts.push(part(&["chaos", "--scenario", "all"]));
    parts.push(part(&["chaos", "--scenario", "clocks"]));
    parts.push(part(&["chaos", "--load", LOAD]));
    parts.push(part(&["replicas"]));
    parts.push(part(&["fuzz", "--seconds", FUZZED]));
    parts
}

/// Runs all of it, whatever fails, and says in the end what did.
pub(crate) fn run() -> Result<ExitCode> {
    let program = std::env::current_exe()?;
    let mut ran = Vec::new();
    for part in parts() {
        println!("==> {part}");
        let start = Instant::now();
        let mut command = Command::new(&program);
        command.args(&part.arguments).envs(part.variable);
        let status = command::run(&mut command)?;
        ran.push((part, status.success(), start.elapsed()));
    }
    let minutes = |time: Duration| time.as_secs_f64() / 60.0;
    println!("\n| Command | Result | Minutes |\n| --- | --- | --- |");
    for (part, passed, time) in &ran {
        let result = if *passed { "passed" } else { "failed" };
        println!("| `{part}` | {result} | {:.1} |", minutes(*time));
    }
    Ok(match ran.iter().all(|(_, passed, _)| *passed) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

impl std::fmt::Display for Part {
    /// The part as one types it in a shell.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some((name, value)) = self.variable {
            write!(formatter, "{name}={value} ")?;
        }
        write!(formatter, "cargo xtask {}", self.arguments.join(" "))
    }
}
