//! What real Tritons go through while `triton-model-fn` and `triton predict` use them, beside a usual retry
//! loop: seeded random soaks and scenarios with a name, hours of load, and three servers behind one endpoint.
//! `cargo xtask chaos` and `cargo xtask replicas` start this program.

mod check;
mod clock;
mod command;
mod fault;
mod http;
mod journal;
mod load;
mod memory;
mod naive;
mod options;
mod ours;
mod outcome;
mod proxy;
mod replicas;
mod rows;
mod script;
mod server;
mod soak;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
struct Program {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Scripts of faults: of seeds, or with a name
    Soak(soak::Arguments),
    /// Many callers for a long time, with faults among them
    Load(load::Arguments),
    /// Three servers, and what can happen to them
    Replicas(replicas::Arguments),
}

fn main() -> ExitCode {
    let ended = match Program::parse().task {
        Task::Soak(arguments) => soak::run(&arguments),
        Task::Load(arguments) => load::run(&arguments),
        Task::Replicas(arguments) => replicas::run(&arguments),
    };
    match ended {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
