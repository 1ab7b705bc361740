//! A random soak of the model function on a real Triton: scripts of faults, each drawn from its
//! seed, so that one that fails can be run again alone.
//!
//! What runs them is a program of its own (`xtask/chaos`), because it needs the model function, and
//! this command has to be built before anything else is.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::triton::{ServerVersion, Triton};
use crate::{command, lock};

/// Limits that runs of seconds meet: they are what `xtask/chaos/src/script.rs` counts on.
const LIMITS: [(&str, &str); 2] = [
    (
        "max_sequence_idle_microseconds: 5000000",
        "max_sequence_idle_microseconds: 1500000",
    ),
    (
        "max_candidate_sequences: 256",
        "max_candidate_sequences: 12",
    ),
];

const MODELS: [&str; 2] = ["accumulate", "echo"];

#[derive(Args)]
pub(crate) struct Arguments {
    /// The seeds to run, such as 1-200; 17-17 is one alone
    #[arg(long, value_name = "A-B", default_value = "1-10")]
    seeds: String,
    /// How many runs go on at once, each with a server of its own
    #[arg(long, value_name = "N", default_value_t = 2)]
    jobs: usize,
    /// Leave out the usual retry loop
    #[arg(long)]
    ours_only: bool,
    /// Print the script of every seed, and why rows failed
    #[arg(long)]
    verbose: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let triton = Triton::find()?;
    triton.install(ServerVersion::DEFAULT)?;
    let folder = triton.workspace.target_directory.join("chaos");
    let _lock = lock::wait(&folder.join("lock"), "soaks")?;
    let models = folder.join("models");
    write_models(&triton.example_models(), &models)?;
    let mut cargo = command::cargo();
    cargo.args(["build", "--locked", "--package", "chaos"]);
    command::run_successfully(cargo.current_dir(&triton.workspace.root))?;
    let program = triton.workspace.target_directory.join("debug/chaos");

    let _stopping = Stopping {
        triton: &triton,
        jobs: arguments.jobs,
    };
    let mut chaos = std::process::Command::new(program);
    chaos
        .arg("soak")
        .args(["--seeds", &arguments.seeds])
        .args(["--jobs", &arguments.jobs.to_string()])
        .arg("--xtask")
        .arg(std::env::current_exe()?)
        .arg("--models")
        .arg(&models);
    if arguments.ours_only {
        chaos.arg("--ours-only");
    }
    if arguments.verbose {
        chaos.arg("--verbose");
    }
    let status = command::run(&mut chaos)?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

/// The example models, with limits that runs of seconds meet.
fn write_models(examples: &Path, models: &Path) -> Result<()> {
    for model in MODELS {
        let (from, to) = (examples.join(model), models.join(model));
        fs_err::create_dir_all(to.join("1"))?;
        fs_err::copy(from.join("1/model.py"), to.join("1/model.py"))?;
        let mut config = fs_err::read_to_string(from.join("config.pbtxt"))?;
        if model == "accumulate" {
            for (usual, here) in LIMITS {
                if !config.contains(usual) {
                    bail!("the configuration of '{model}' has no `{usual}` any more");
                }
                config = config.replace(usual, here);
            }
        }
        fs_err::write(to.join("config.pbtxt"), config).context("writing the models of the soak")?;
    }
    Ok(())
}

/// Stops the servers, however the soak ends.
struct Stopping<'a> {
    triton: &'a Triton,
    jobs: usize,
}

impl Drop for Stopping<'_> {
    fn drop(&mut self) {
        for job in 0..self.jobs {
            let instance = self.triton.instance(&format!("chaos-{job}"));
            if let Err(error) = self.triton.stop(&instance) {
                eprintln!("cannot stop Triton after the soak: {error:#}");
            }
        }
    }
}
