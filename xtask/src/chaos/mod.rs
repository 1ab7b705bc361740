//! What goes wrong, done to real Tritons: scripts of faults drawn from seeds, so that one that fails can be run
//! again alone; scenarios that have a name; and load for a long time.
//!
//! What runs them is a program of its own (`xtask/chaos`), because it needs the model function, and
//! this command has to be built before anything else is.

mod load;
mod models;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::Args;

pub(crate) use self::models::{MODELS, that_writes_down};
use crate::triton::{ServerVersion, Triton};
use crate::{command, lock};

/// How many servers a run has at most.
const SERVERS: usize = 3;

/// What the CI runs, too: the ten in a row that take most ways to a model. The tests of `xtask/chaos` read this
/// line, and name those that must be among them.
pub(crate) const SEEDS: &str = "258-267";

/// What the last load measured.
const SAMPLES: &str = "load.csv";

/// Where the guide takes the plots from.
const PLOTS: &str = "docs/contribute";

#[derive(Args)]
pub(crate) struct Arguments {
    /// The seeds to run, such as 1-200; 17-17 is one alone [default: those of the CI, without --scenario]
    #[arg(long, value_name = "A-B")]
    seeds: Option<String>,
    /// A script that has a name; `all` of them but those about `clocks`; or the file that a seed was shrunk to
    #[arg(long, value_name = "NAME")]
    scenario: Vec<String>,
    /// How many runs go on at once, each with servers of its own
    #[arg(long, value_name = "N", default_value_t = 2)]
    jobs: usize,
    /// Leave out the usual retry loop
    #[arg(long)]
    ours_only: bool,
    /// Have the rules of Flink's own module go through the scripts, too
    #[arg(long)]
    flink_rules: bool,
    /// Look for the least of a seed that fails in the same way, and write it down
    #[arg(long)]
    shrink: bool,
    /// Print the script of every seed, and why rows failed
    #[arg(long)]
    verbose: bool,
    /// Instead, 200 callers for so long, such as 15m or 90s, with faults in 1 % of the requests of most
    #[arg(long, value_name = "TIME", conflicts_with_all = ["seeds", "scenario"], value_parser = time)]
    load: Option<Duration>,
    /// Draw the plots of the guide, of this load or without --load of the last one
    #[arg(long, conflicts_with_all = ["seeds", "scenario"])]
    plots: bool,
}

/// So many minutes or seconds.
fn time(text: &str) -> Result<Duration> {
    let expected = || format!("expected minutes or seconds such as 15m or 90s, found '{text}'");
    let (number, seconds) = match text.strip_suffix('m') {
        Some(number) => (number, 60),
        None => (text.strip_suffix('s').with_context(expected)?, 1),
    };
    let number: u64 = number.parse().with_context(expected)?;
    Ok(Duration::from_secs(number * seconds))
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let triton = Triton::find()?;
    triton.install(ServerVersion::DEFAULT)?;
    let folder = triton.workspace.target_directory.join("chaos");
    let _lock = lock::wait(&folder.join("lock"), "soaks")?;
    if arguments.plots && arguments.load.is_none() {
        draw(&triton, &folder)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut cargo = command::cargo();
    // With everything that the tests are built with, and beside them, so that what has been compiled for
    // them will do: what tests need turns on features of crates that programs need as well.
    cargo.args(["build", "--locked", "--workspace", "--all-features"]);
    cargo.args(["--bin", "triton", "--bin", "chaos", "--tests"]);
    command::run_successfully(cargo.current_dir(&triton.workspace.root))?;
    match arguments.load {
        Some(time) => load(&triton, &folder, time, arguments.plots),
        None => soak(&triton, &folder, arguments),
    }
}

fn program(triton: &Triton, name: &str) -> PathBuf {
    triton.workspace.target_directory.join("debug").join(name)
}

fn soak(triton: &Triton, folder: &Path, arguments: &Arguments) -> Result<ExitCode> {
    if arguments.jobs == 0 {
        bail!("--jobs: expected at least 1");
    }
    let instances = (0..arguments.jobs)
        .flat_map(|job| (0..SERVERS).map(move |server| format!("chaos-{job}-{server}")));
    let stopping = Stopping {
        triton,
        instances: instances.collect(),
    };
    for instance in &stopping.instances {
        let of_server = folder.join("models").join(instance);
        models::write_for_soak(&triton.example_models(), &of_server)?;
        let tests = triton
            .workspace
            .root
            .join("crates/triton-client/tests/ensemble");
        models::write_ensemble(&tests, &of_server)?;
    }
    let mut chaos = Command::new(program(triton, "chaos"));
    chaos
        .arg("soak")
        .args(["--jobs", &arguments.jobs.to_string()])
        .arg("--xtask")
        .arg(std::env::current_exe()?)
        .arg("--triton")
        .arg(program(triton, "triton"))
        .arg("--folder")
        .arg(folder);
    for name in &arguments.scenario {
        chaos.args(["--scenario", name]);
    }
    match &arguments.seeds {
        Some(seeds) => drop(chaos.args(["--seeds", seeds])),
        None if arguments.scenario.is_empty() => drop(chaos.args(["--seeds", SEEDS])),
        None => {}
    }
    let flags = [
        ("--ours-only", arguments.ours_only),
        ("--flink-rules", arguments.flink_rules),
        ("--shrink", arguments.shrink),
        ("--verbose", arguments.verbose),
    ];
    chaos.args(flags.iter().filter(|flag| flag.1).map(|flag| flag.0));
    exit_code(&mut chaos)
}

fn load(triton: &Triton, folder: &Path, time: Duration, plots: bool) -> Result<ExitCode> {
    let _stopping = Stopping {
        triton,
        instances: vec!["chaos-load".to_owned()],
    };
    let (models, samples) = (folder.join("load-models"), folder.join(SAMPLES));
    models::write_for_load(&triton.example_models(), &models)?;
    let mut chaos = Command::new(program(triton, "chaos"));
    chaos
        .arg("load")
        .args(["--seconds", &time.as_secs().to_string()])
        .arg("--xtask")
        .arg(std::env::current_exe()?)
        .arg("--models")
        .arg(&models)
        .arg("--samples")
        .arg(&samples);
    let code = exit_code(&mut chaos)?;
    if plots {
        draw(triton, folder)?;
    }
    Ok(code)
}

fn draw(triton: &Triton, folder: &Path) -> Result<()> {
    load::draw(&folder.join(SAMPLES), &triton.workspace.root.join(PLOTS))
}

fn exit_code(command: &mut Command) -> Result<ExitCode> {
    let status = command::run(command)?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

/// Stops the servers, however the soak ends.
struct Stopping<'a> {
    triton: &'a Triton,
    instances: Vec<String>,
}

impl Drop for Stopping<'_> {
    fn drop(&mut self) {
        for name in &self.instances {
            let instance = self.triton.instance(name);
            if let Err(error) = self.triton.stop(&instance) {
                eprintln!("cannot stop Triton after the soak: {error:#}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_a_unit() {
        assert_eq!(time("15m").ok(), Some(Duration::from_secs(900)));
        assert_eq!(time("90s").ok(), Some(Duration::from_secs(90)));
        assert!(time("15").is_err() && time("m").is_err());
    }
}
