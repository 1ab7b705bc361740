//! The `triton` command: runs Triton models over files from a shell.
//!
//! A library only so that a fuzzer can call parts of it; nobody builds on it.

mod argument_values;
mod arguments;
mod commands;
mod completion;
mod config;
mod config_arguments;
mod controls;
mod disk;
mod exit_codes;
mod failure;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod metrics_page;
mod objects;
mod observability;
mod options;
mod output;
mod pipe;
mod predict;
mod printer;
mod progress;
mod serve;
mod server;
mod signals;
mod sql_tokens;
mod statement;
mod table;
mod text_encoding;
mod unshown;
mod wrapping;

use std::process::ExitCode;

use anyhow::anyhow;

use crate::arguments::{Command, command_line};
use crate::commands::{bench, describe, health, infer, loading, models, shell, stats};
use crate::exit_codes::Exit;
use crate::failure::Failure;
use crate::output::print;
use crate::progress::say_as_is;

/// Runs the command that the arguments of this process name.
#[must_use]
pub fn main() -> ExitCode {
    completion::answer(command_line);
    let ended = std::panic::catch_unwind(|| match arguments::parse() {
        Ok(arguments) => {
            // Metrics are served until the command is over.
            let metrics = observability::start(&arguments.observability);
            metrics.and_then(|_metrics| run(&arguments.command))
        }
        Err(refused) => show(&refused),
    });
    // What panicked has been said when it did.
    let ended = ended.unwrap_or_else(|_| Err(Failure::internal(anyhow!("the command panicked"))));
    ended.unwrap_or_else(|failure| failure.report())
}

/// Shows what was asked for in place of a command, such as help, or why there is no command.
fn show(refused: &clap::Error) -> Result<ExitCode, Failure> {
    let text = refused.render().to_string();
    if refused.use_stderr() {
        say_as_is(unshown::without_secrets(&text).trim_end());
        return Ok(Exit::Usage.into());
    }
    print(&text)?;
    Ok(Exit::Done.into())
}

fn run(command: &Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Predict(arguments) => predict::run(arguments),
        Command::Infer(arguments) => infer::run(arguments),
        Command::Models(arguments) => models::run(arguments),
        Command::Describe(arguments) => describe::run(arguments),
        Command::Health(arguments) => health::run(arguments),
        Command::Stats(arguments) => stats::run(arguments),
        Command::Bench(arguments) => bench::run(arguments),
        Command::Load(arguments) => loading::load(arguments),
        Command::Unload(arguments) => loading::unload(arguments),
        Command::Options(arguments) => options::run(arguments).map(|()| ExitCode::SUCCESS),
        Command::Serve(arguments) => serve::run(arguments),
        Command::Completions(arguments) => shell::completions(arguments),
        Command::Man(arguments) => shell::man(arguments, command_line()),
    }
}
