//! Everything a change must pass, as commands that a person can repeat one by one.

use std::process::Command;
use std::time::Instant;

use anyhow::{Result, bail};

use crate::command;
use crate::workspace::Workspace;

struct Step {
    name: &'static str,
    /// The arguments of `cargo`.
    arguments: &'static [&'static str],
    variable: Option<(&'static str, &'static str)>,
}

const STEPS: &[Step] = &[
    Step {
        name: "format",
        arguments: &["fmt", "--all", "--check"],
        variable: None,
    },
    Step {
        name: "what this is built of",
        arguments: &["xtask", "supply"],
        variable: None,
    },
    Step {
        name: "lints",
        arguments: &[
            "clippy",
            "--workspace",
            "--all-targets",
            "--all-features",
            "--locked",
            "--",
            "-D",
            "warnings",
        ],
        variable: None,
    },
    Step {
        name: "features",
        arguments: &["xtask", "features"],
        variable: None,
    },
    Step {
        name: "generated pages",
        arguments: &["xtask", "docs", "--check"],
        variable: None,
    },
    Step {
        name: "rustdoc",
        arguments: &[
            "doc",
            "--workspace",
            "--all-features",
            "--no-deps",
            "--locked",
        ],
        variable: Some(("RUSTDOCFLAGS", "-D warnings")),
    },
    Step {
        name: "what the libraries offer",
        arguments: &["xtask", "public-api", "--check"],
        variable: None,
    },
    Step {
        name: "packages",
        arguments: &["xtask", "package"],
        variable: None,
    },
    Step {
        name: "what is measured",
        arguments: &["xtask", "bench", "--check", "--peer", "bare"],
        variable: None,
    },
    Step {
        name: "what the command costs",
        arguments: &["xtask", "bench", "--of", "command", "--check"],
        variable: None,
    },
    Step {
        name: "models of concurrency",
        arguments: &["xtask", "models"],
        variable: None,
    },
    Step {
        name: "tests",
        arguments: &["xtask", "test"],
        variable: None,
    },
    Step {
        name: "faults on a real Triton",
        arguments: &[
            "xtask",
            "chaos",
            "--seeds",
            "1-10",
            "--jobs",
            "3",
            "--ours-only",
        ],
        variable: None,
    },
    Step {
        name: "tests on an older Triton",
        arguments: &["xtask", "test", "--triton", "2.39"],
        variable: None,
    },
];

pub(crate) fn run() -> Result<()> {
    let root = Workspace::find()?.root;
    let start = Instant::now();
    for step in STEPS {
        println!("==> {}: {step}", step.name);
        let step_start = Instant::now();
        let status = command::run(step.command().current_dir(&root))?;
        let seconds = step_start.elapsed().as_secs_f64();
        if !status.success() {
            bail!(
                "{} failed after {seconds:.1} s ({status}); repeat it with\n    {step}",
                step.name
            );
        }
        println!("    {} passed in {seconds:.1} s", step.name);
    }
    println!(
        "everything passed in {:.1} s",
        start.elapsed().as_secs_f64()
    );
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
