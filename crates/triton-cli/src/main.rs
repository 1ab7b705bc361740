//! The `triton` command: runs Triton models over files from a shell.

mod arguments;
mod commands;
mod config;
mod disk;
mod failure;
mod model_sql;
mod observability;
mod options;
mod output;
mod predict;
mod progress;
mod serve;
mod server;
mod table;
mod text_encoding;

use std::process::ExitCode;

use clap::Parser as _;

use crate::arguments::{Arguments, Command};
use crate::commands::{bench, describe, health, loading, models, shell, stats};
use crate::failure::Failure;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = observability::start(&arguments.observability).and_then(|_metrics| {
        // Metrics are served until the command is over.
        run(&arguments.command)
    });
    result.unwrap_or_else(|failure| failure.report())
}

fn run(command: &Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Predict(arguments) => predict::run(arguments),
        Command::Models(arguments) => models::run(arguments),
        Command::Describe(arguments) => describe::run(arguments),
        Command::Health(arguments) => health::run(arguments),
        Command::Stats(arguments) => stats::run(arguments),
        Command::Bench(arguments) => bench::run(arguments),
        Command::Load(arguments) => loading::load(arguments),
        Command::Unload(arguments) => loading::unload(arguments),
        Command::Options(arguments) => options::run(arguments).map(|()| ExitCode::SUCCESS),
        Command::Serve(arguments) => serve::run(arguments).map(|()| ExitCode::SUCCESS),
        Command::Completions(arguments) => shell::completions(arguments),
        Command::Man(arguments) => shell::man(arguments),
    }
}
