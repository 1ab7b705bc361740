//! The `triton` command: runs Triton models over files from a shell.

mod arguments;
mod cell;
mod commands;
mod config;
mod failure;
mod model_sql;
mod options;
mod output;
mod predict;
mod progress;
mod serve;
mod server;
mod table;

use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::Parser as _;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::arguments::{Arguments, Command};
use crate::commands::{describe, health, loading, models, shell, stats};

fn main() -> ExitCode {
    // Standard output belongs to the data, so logs go to standard error; `RUST_LOG` picks them.
    let filter = EnvFilter::builder().with_default_directive(LevelFilter::WARN.into());
    tracing_subscriber::fmt()
        .with_env_filter(filter.from_env_lossy())
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
    let result = match Arguments::parse().command {
        Command::Predict(arguments) => predict::run(&arguments).map(|summary| summary.exit_code()),
        Command::Options(arguments) => options::run(&arguments).map(|()| ExitCode::SUCCESS),
        Command::Models(arguments) => models::run(&arguments),
        Command::Describe(arguments) => describe::run(&arguments),
        Command::Health(arguments) => health::run(&arguments),
        Command::Stats(arguments) => stats::run(&arguments),
        Command::Load(arguments) => loading::load(&arguments),
        Command::Unload(arguments) => loading::unload(&arguments),
        Command::Completions(arguments) => shell::completions(&arguments),
        Command::Man(arguments) => shell::man(&arguments),
        Command::Serve(arguments) => serve::run(&arguments).map(|()| ExitCode::SUCCESS),
    };
    result.unwrap_or_else(|failure| failure.report())
}
