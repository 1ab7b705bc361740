//! The project's own commands, so that a person and the CI run the same things.

mod all;
mod bench;
mod chaos;
mod ci;
mod command;
mod docs;
mod features;
mod files;
mod flink;
mod fuzz;
mod http;
mod interrupt;
mod lock;
mod models;
mod moto;
mod named_tests;
mod other_servers;
mod package;
mod plot;
mod poll;
mod ports;
mod process;
mod processor_time;
mod public_api;
mod python;
mod python_hashes;
mod replicas;
mod supply;
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
        /// Everything, one after the other: all tests, each older Triton, the models, what is depended on and
        /// offered, the soaks, the load and the fuzzer
        #[arg(long, conflicts_with_all = ["triton", "arguments"])]
        all: bool,
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
    /// Fuzz what reads bytes from elsewhere
    Fuzz(fuzz::Arguments),
    /// Put three real Tritons behind one endpoint, and let one after the other go
    Replicas(replicas::Arguments),
    /// Run the models of concurrency: every interleaving of the threads of a test
    Models,
    /// Check that every feature of the libraries compiles without the others, and that the fuzzer does
    Features {
        /// Run the tests of the choices as well that need a build of all that they depend on
        #[arg(long)]
        tests: bool,
    },
    /// Write what the libraries offer into a listing of each
    PublicApi {
        /// Write nothing; fail if a library offers something else
        #[arg(long)]
        check: bool,
    },
    /// Ask PyPI for the hashes of all that is installed from it, and write them down
    PythonHashes,
    /// Package the libraries, and use each package by itself as its README says
    Package,
    /// Check licences and sources of crates, lock files and the compiler
    Supply,
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
        Task::Test { all: true, .. } => all::run(),
        Task::Test {
            triton, arguments, ..
        } => test::run(triton, &arguments),
        Task::Docs { check } => docs::run(check).map(|()| ExitCode::SUCCESS),
        Task::Bench(arguments) => bench::run(&arguments),
        Task::Chaos(arguments) => chaos::run(&arguments),
        Task::Fuzz(arguments) => fuzz::run(&arguments),
        Task::Replicas(arguments) => replicas::run(&arguments),
        Task::Models => models::run().map(|()| ExitCode::SUCCESS),
        Task::Features { tests } => features::run(tests).map(|()| ExitCode::SUCCESS),
        Task::PublicApi { check } => public_api::run(check).map(|()| ExitCode::SUCCESS),
        Task::PythonHashes => python_hashes::write().map(|()| ExitCode::SUCCESS),
        Task::Package => package::run().map(|()| ExitCode::SUCCESS),
        Task::Supply => supply::run().map(|()| ExitCode::SUCCESS),
        Task::Ci => ci::run().map(|()| ExitCode::SUCCESS),
    }
}
