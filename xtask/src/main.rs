//! The project's own commands, so that a person and the CI run the same things.

mod bench;
mod chaos;
mod ci;
mod command;
mod docs;
mod features;
mod files;
mod flink;
mod http;
mod interrupt;
mod lock;
mod moto;
mod other_servers;
mod package;
mod plot;
mod poll;
mod ports;
mod process;
mod processor_time;
mod python;
mod replicas;
mod test;
mod triton;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The project's own commands")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Run a real Triton Inference Server on this machine, without Docker or a GPU
    Triton(triton::Arguments),
    /// Run servers of other kinds that speak the same protocol on this machine
    OtherServers(other_servers::Arguments),
    /// Build the provider for Apache Flink, and run a real Flink cluster on this machine
    Flink(flink::Arguments),
    /// Run all tests, with a real Triton for those that need one
    Test {
        /// A release of Triton; an older one is met by a selection of the tests, unless arguments choose others
        #[arg(long, value_name = "VERSION", default_value_t = triton::ServerVersion::DEFAULT)]
        triton: triton::ServerVersion,
        /// Arguments for `cargo test`
        #[arg(last = true)]
        arguments: Vec<String>,
    },
    /// Write the generated reference pages
    Docs {
        /// Write nothing; fail if a page is not what would be written, or the guide says what is not so
        #[arg(long)]
        check: bool,
    },
    /// Measure the client beside other clients, and a bare POST
    Bench(bench::Arguments),
    /// Have things go wrong on real Tritons for the model function and the command, beside a usual retry loop
    Chaos(chaos::Arguments),
    /// Put three real Tritons behind one endpoint, and let one after the other go
    Replicas(replicas::Arguments),
    /// Check that every feature of the libraries compiles without the others
    Features,
    /// Package the libraries, and use each package by itself as its README says
    Package,
    /// Run everything that a change must pass
    Ci,
}

fn main() -> ExitCode {
    // Without a backtrace even where one is asked for: the causes say what to do, and a
    // page of frames would push them off the screen.
    run().unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn run() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    interrupt::listen()?;
    match arguments.task {
        Task::Triton(arguments) => triton::run(arguments),
        Task::OtherServers(arguments) => other_servers::run(&arguments),
        Task::Flink(arguments) => flink::run(arguments),
        Task::Test { triton, arguments } => test::run(triton, &arguments),
        Task::Docs { check } => docs::run(check).map(|()| ExitCode::SUCCESS),
        Task::Bench(arguments) => bench::run(&arguments),
        Task::Chaos(arguments) => chaos::run(&arguments),
        Task::Replicas(arguments) => replicas::run(&arguments),
        Task::Features => features::run().map(|()| ExitCode::SUCCESS),
        Task::Package => package::run().map(|()| ExitCode::SUCCESS),
        Task::Ci => ci::run().map(|()| ExitCode::SUCCESS),
    }
}
