//! The `triton` command: runs Triton models over files from a shell.

mod arguments;
mod cell;
mod failure;
mod model_sql;
mod predict;
mod progress;
mod table;

use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::Parser as _;
use tracing_subscriber::EnvFilter;

use crate::arguments::{Arguments, Command};

fn main() -> ExitCode {
    // Standard output belongs to the data, so logs go to standard error; `RUST_LOG` picks them.
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::from_default_env())
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
    let Command::Predict(arguments) = Arguments::parse().command;
    match predict::run(&arguments) {
        Ok(summary) => summary.exit_code(),
        Err(failure) => failure.report(),
    }
}
