//! Runs child processes so that none outlives an interrupted `cargo xtask`.

use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::{interrupt, poll};

/// A child may itself have a server to stop, which takes a few seconds.
const TIME_TO_END: Duration = Duration::from_secs(30);

/// The cargo that runs this program, as if it was typed in a shell.
///
/// What `cargo run` tells this program about itself is not passed on: build scripts such as that of
/// `ring` look at it, so that whatever depends on them would be compiled again after each
/// `cargo build` that somebody types.
pub(crate) fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars_os() {
        let of_this_program = ["CARGO_PKG_", "CARGO_MANIFEST_"];
        let name = name.to_string_lossy().into_owned();
        if of_this_program
            .iter()
            .any(|prefix| name.starts_with(prefix))
        {
            cargo.env_remove(name);
        }
    }
    cargo
}

/// The same command with a processor's time that nothing else wants: what is beside it is not late because
/// of it.
pub(crate) fn behind_others(command: &Command) -> Command {
    let mut nice = Command::new("nice");
    nice.args(["-n", "19"]).arg(command.get_program());
    nice.args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => nice.env(name, value),
            None => nice.env_remove(name),
        };
    }
    nice
}

/// Runs a command to its end; on an interrupt ends it and everything it started.
pub(crate) fn run(command: &mut Command) -> Result<ExitStatus> {
    run_watching(command, || Ok(()))
}

/// As [`run`]; `watch` is called again and again meanwhile.
pub(crate) fn run_watching(
    command: &mut Command,
    mut watch: impl FnMut() -> Result<()>,
) -> Result<ExitStatus> {
    let mut child = spawn(command)?;
    let outcome = poll::until(Duration::MAX, || {
        interrupt::check()?;
        watch()?;
        Ok(child.try_wait()?)
    });
    match outcome {
        Ok(Some(status)) => Ok(status),
        Ok(None) => bail!("`{}` did not end", describe(command)),
        Err(error) => {
            end(&mut child)?;
            Err(error).with_context(|| format!("while `{}` was running", describe(command)))
        }
    }
}

/// Runs a command and returns what it prints; fails unless it succeeds within the limit.
///
/// `watch` is called again and again meanwhile. The output goes through a file, because a command
/// would wait where nobody empties its pipe.
pub(crate) fn output_within(
    command: &mut Command,
    file: &Path,
    limit: Duration,
    mut watch: impl FnMut() -> Result<()>,
) -> Result<String> {
    let output = fs_err::File::create(file)?.into_parts().0;
    command.stdout(output.try_clone()?).stderr(output);
    let mut child = spawn(command)?;
    let outcome = poll::until(limit, || {
        interrupt::check()?;
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        watch()?;
        Ok(None)
    });
    let read = || {
        let bytes = fs_err::read(file)?;
        anyhow::Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    match outcome {
        Ok(Some(status)) if status.success() => read(),
        Ok(Some(status)) => bail!("`{}` failed: {status}\n{}", describe(command), read()?),
        Ok(None) => {
            end(&mut child)?;
            let seconds = limit.as_secs();
            let printed = read()?;
            bail!(
                "`{}` did not end within {seconds} s\n{printed}",
                describe(command)
            )
        }
        Err(error) => {
            end(&mut child)?;
            Err(error).with_context(|| format!("while `{}` was running", describe(command)))
        }
    }
}

/// Runs a command and fails unless it succeeds.
pub(crate) fn run_successfully(command: &mut Command) -> Result<()> {
    let status = run(command)?;
    if !status.success() {
        bail!("`{}` failed: {status}", describe(command));
    }
    Ok(())
}

/// The command as one would type it.
pub(crate) fn describe(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words.map(OsStr::to_string_lossy).collect();
    words.join(" ")
}

/// The child leads a process group of its own, because `cargo` does not pass a
/// SIGTERM on to the test program it is running.
fn spawn(command: &mut Command) -> Result<Child> {
    let child = command.stdin(Stdio::null()).process_group(0).spawn();
    child.with_context(|| format!("cannot run `{}`", describe(command)))
}

fn end(child: &mut Child) -> Result<()> {
    // Until it has been waited for, a child keeps its number, and so does its group.
    let group = Pid::from_child(child);
    for signal in [Signal::TERM, Signal::KILL] {
        if child.try_wait()?.is_some() {
            break;
        }
        kill_process_group(group, signal)?;
        poll::until(TIME_TO_END, || Ok(child.try_wait()?))?;
    }
    Ok(())
}
