//! Runs the models of concurrency: tests in which loom goes through every interleaving of threads.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use crate::command;
use crate::named_tests::Filters;
use crate::workspace::Workspace;

/// The package that has them.
const PACKAGE: &str = "triton-model-fn";

/// What the names of these tests begin with.
const PREFIX: &str = "loom_";

/// How often a thread may be interrupted where it could go on. Nearly every fault shows with two, and
/// without a bound some models would run for hours.
const MOST_PREEMPTIONS: &str = "3";

/// One line of what cargo prints.
#[derive(Deserialize)]
struct Message {
    reason: String,
    executable: Option<PathBuf>,
}

pub(crate) fn run() -> Result<()> {
    let root = Workspace::find()?.root;
    let mut build = command::cargo();
    // The flag is for this one package, so that what it depends on is that of every other test. With
    // the usual `--cfg loom` for all of them, tokio would leave out what the HTTP client needs.
    build
        .args([
            "rustc",
            "--quiet",
            "--locked",
            "--all-features",
            "--package",
            PACKAGE,
        ])
        .args(["--lib", "--profile", "test", "--message-format=json"])
        .args(["--", "--cfg", "triton_loom"])
        .stderr(std::process::Stdio::inherit())
        .current_dir(&root);
    let output = build.output()?;
    let described = command::describe(&build);
    ensure!(output.status.success(), "`{described}` failed");
    let printed = String::from_utf8(output.stdout)?;
    let messages = printed.lines().map(serde_json::from_str::<Message>);
    let messages = messages.collect::<Result<Vec<_>, _>>()?;
    let program = messages
        .into_iter()
        .filter(|message| message.reason == "compiler-artifact")
        .find_map(|message| message.executable)
        .with_context(|| format!("`{described}` has built no tests"))?;
    Filters::parts(&[PREFIX]).check(&mut Command::new(&program))?;
    let mut tests = Command::new(program);
    tests
        .args([PREFIX, "--nocapture"])
        .env("LOOM_MAX_PREEMPTIONS", MOST_PREEMPTIONS)
        .current_dir(root.join("crates").join(PACKAGE));
    command::run_successfully(&mut tests)
}
