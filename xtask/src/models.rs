//! Runs the models of concurrency: tests in which loom goes through every interleaving of threads.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use crate::command;
use crate::workspace::Workspace;

/// The package that has them.
const PACKAGE: &str = "triton-model-fn";

/// What the names of these tests begin with.
const PREFIX: &str = "loom_";

/// All of them: one whose module is lost to a condition would be missed by nobody. A new one belongs here, and into
/// the table of `docs/contribute/proofs.md`.
const MODELS: [&str; 10] = [
    "batcher::group::loom_tests::loom_each_row_is_answered_once_by_its_answer_or_by_its_deadline",
    "circuit_breaker::loom_tests::loom_a_permit_of_an_earlier_era_never_counts",
    "circuit_breaker::loom_tests::loom_a_success_and_a_failure_on_trial_end_open",
    "circuit_breaker::loom_tests::loom_answers_that_refuse_close_it_and_questions_hold_nothing",
    "circuit_breaker::loom_tests::loom_health_checks_and_calls_leave_it_usable",
    "circuit_breaker::loom_tests::loom_trials_never_exceed_their_number_and_cancelled_ones_never_wedge",
    "request_limit::loom_tests::loom_no_more_permits_are_given_than_the_limit_after_it_has_changed",
    "retry::budget::loom_tests::loom_no_more_is_spent_than_there_is_and_no_more_given_back",
    "sequence_id_generator::loom_tests::loom_no_counter_is_taken_twice",
    "sequence_id_generator::loom_tests::loom_no_number_is_held_twice",
];

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
        .stderr(Stdio::inherit())
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
    let listed = listed(&mut Command::new(&program))?;
    let wrong = differences(&listed);
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    let mut tests = Command::new(program);
    tests
        .args([PREFIX, "--nocapture"])
        .env("LOOM_MAX_PREEMPTIONS", MOST_PREEMPTIONS)
        .current_dir(root.join("crates").join(PACKAGE));
    command::run_successfully(&mut tests)
}

/// What a program of tests says that it has.
fn listed(tests: &mut Command) -> Result<String> {
    let output = tests.arg("--list").stderr(Stdio::inherit()).output()?;
    let described = command::describe(tests);
    ensure!(output.status.success(), "`{described}` failed");
    Ok(String::from_utf8(output.stdout)?)
}

/// Models that are not among those listed, or are and have no name here.
fn differences(listed: &str) -> Vec<String> {
    let found = listed
        .lines()
        .filter_map(|line| line.strip_suffix(": test"));
    let found: Vec<_> = found.filter(|name| name.contains(PREFIX)).collect();
    let missing = MODELS.iter().filter(|model| !found.contains(model));
    let missing = missing.map(|model| format!("there is no model '{model}' any more"));
    let unknown = found.iter().filter(|name| !MODELS.contains(name));
    let unknown = unknown.map(|name| format!("'{name}' is not among the models of {}", file!()));
    missing.chain(unknown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_that_is_lost_and_one_that_is_new_are_found() {
        let lines = MODELS.map(|model| format!("{model}: test"));
        assert!(differences(&(lines.join("\n") + "\nother::a: test\n")).is_empty());
        let lost = differences(&lines[1..].join("\n"));
        assert!(lost.len() == 1 && lost[0].contains(MODELS[0]), "{lost:?}");
        let new = differences(&(lines.join("\n") + "\nnew::loom_tests::loom_a: test"));
        assert!(
            new.len() == 1 && new[0].contains("new::loom_tests::loom_a"),
            "{new:?}"
        );
    }
}
