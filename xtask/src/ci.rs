//! Everything a change must pass, as commands that a person can repeat one by one.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};

use crate::workspace::Workspace;
use crate::{chaos, command};

/// How long all of it may take on two processors.
const MOST_TIME: Duration = Duration::from_secs(30 * 60);

struct Step {
    name: &'static str,
    /// The arguments of `cargo`.
    arguments: &'static [&'static str],
    variable: Option<(&'static str, &'static str)>,
}

/// What says at once that something is wrong, and builds what the tests need.
const FIRST: &[Step] = &[
    step("format", &["fmt", "--all", "--check"]),
    step("what this is built of", &["xtask", "supply"]),
    step(
        "build of the tests",
        &[
            "test",
            "--workspace",
            "--all-features",
            "--locked",
            "--no-run",
        ],
    ),
];

/// What compiles, whenever a processor has nothing else to do.
const COMPILING: &[Step] = &[
    step(
        "lints",
        &[
            "clippy",
            "--workspace",
            "--all-targets",
            "--all-features",
            "--locked",
            "--",
            "-D",
            "warnings",
        ],
    ),
    step("features", &["xtask", "features"]),
    step("generated pages", &["xtask", "docs", "--check"]),
    Step {
        variable: Some(("RUSTDOCFLAGS", "-D warnings")),
        ..step(
            "rustdoc",
            &[
                "doc",
                "--workspace",
                "--all-features",
                "--no-deps",
                "--locked",
            ],
        )
    },
    step(
        "what the libraries offer",
        &["xtask", "public-api", "--check"],
    ),
    step("packages", &["xtask", "package"]),
    step(
        "what is measured",
        &["xtask", "bench", "--check", "--peer", "bare"],
    ),
    step("models of concurrency", &["xtask", "models"]),
];

/// What waits for servers and for time most of its time, one after the other.
const WAITING: &[Step] = &[
    step(
        "faults on a real Triton",
        &[
            "xtask",
            "chaos",
            "--seeds",
            chaos::SEEDS,
            "--jobs",
            "3",
            "--ours-only",
        ],
    ),
    step(
        "tests on an older Triton",
        &["xtask", "test", "--triton", "2.39"],
    ),
    step("tests", &["xtask", "test"]),
];

const fn step(name: &'static str, arguments: &'static [&'static str]) -> Step {
    Step {
        name,
        arguments,
        variable: None,
    }
}

pub(crate) fn run() -> Result<()> {
    let root = Workspace::find()?.root;
    let start = Instant::now();
    run_steps(FIRST, &root, Step::command)?;
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| run_steps(WAITING, &root, Step::command));
        let compiled = run_steps(COMPILING, &root, |step| {
            command::behind_others(&step.command())
        });
        let waited = waiting.join();
        compiled?;
        waited.map_err(|_| anyhow!("the steps beside what compiles have panicked"))?
    })?;
    println!("{}", passed_in(start.elapsed()));
    Ok(())
}

/// What is printed at the end: a run that takes too long has passed all the same, on a machine that is busy too.
fn passed_in(time: Duration) -> String {
    let passed = format!(
        "everything passed in {:.1} minutes",
        time.as_secs_f64() / 60.0
    );
    match time > MOST_TIME {
        true => format!(
            "{passed}, which is more than the {} it may take",
            MOST_TIME.as_secs() / 60
        ),
        false => passed,
    }
}

/// Runs one after the other, as long as they pass.
fn run_steps(steps: &[Step], root: &Path, command: impl Fn(&Step) -> Command) -> Result<()> {
    for step in steps {
        println!("==> {}: {step}", step.name);
        let start = Instant::now();
        let status = command::run(command(step).current_dir(root))?;
        let seconds = start.elapsed().as_secs_f64();
        if !status.success() {
            bail!(
                "{} failed after {seconds:.1} s ({status}); repeat it with\n    {step}",
                step.name
            );
        }
        println!("    {} passed in {seconds:.1} s", step.name);
    }
    Ok(())
}

impl Step {
    fn command(&self) -> Command {
        let mut command = command::cargo();
        command.args(self.arguments).envs(self.variable);
        command
    }
}

impl std::fmt::Display for Step {
    /// The step as one types it in a shell.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some((name, value)) = self.variable {
            write!(formatter, "{name}=\"{value}\" ")?;
        }
        write!(formatter, "cargo {}", self.arguments.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_took_too_long_says_so() {
        let second = Duration::from_secs(1);
        assert_eq!(passed_in(MOST_TIME), "everything passed in 30.0 minutes");
        assert_eq!(
            passed_in(MOST_TIME * 2 + second * 6),
            "everything passed in 60.1 minutes, which is more than the 30 it may take"
        );
    }
}
