//! Three real Tritons behind one endpoint, while one after the other is killed, stands still, is restarted,
//! or leaves the name: the model function beside a usual retry loop behind a proxy.

mod simulation;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Args;

use crate::chaos::{MODELS, that_writes_down};
use crate::triton::{ServerVersion, Triton};
use crate::{command, lock};

const SERVERS: usize = 3;

#[derive(Args)]
pub(crate) struct Arguments {
    /// How many keys there are
    #[arg(long, value_name = "N", default_value_t = 200)]
    keys: usize,
    /// How many rows each of them has
    #[arg(long, value_name = "N", default_value_t = 50)]
    rows: usize,
    /// Leave out the usual retry loop
    #[arg(long)]
    ours_only: bool,
    /// Have so many sequences at hundreds of servers in a time of their own instead, and draw what comes out
    #[arg(long, value_name = "SEQUENCES", num_args = 0..=1, default_missing_value = "1000000")]
    simulate: Option<u32>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let triton = Triton::find()?;
    if let Some(sequences) = arguments.simulate {
        return simulation::run(&triton, sequences);
    }
    triton.install(ServerVersion::DEFAULT)?;
    let folder = triton.workspace.target_directory.join("replicas");
    let _lock = lock::wait(&folder.join("lock"), "tries replicas")?;
    let models = folder.join("models");
    for server in 0..SERVERS {
        let of_server = models.join(server.to_string());
        write_models(&triton.example_models(), &of_server).context("writing the models")?;
    }
    let mut cargo = command::cargo();
    cargo.args(["build", "--locked", "--package", "chaos"]);
    command::run_successfully(cargo.current_dir(&triton.workspace.root))?;
    let program = triton.workspace.target_directory.join("debug/chaos");

    let _stopping = Stopping(&triton);
    let mut replicas = std::process::Command::new(program);
    replicas
        .arg("replicas")
        .args(["--keys", &arguments.keys.to_string()])
        .args(["--rows", &arguments.rows.to_string()])
        .arg("--xtask")
        .arg(std::env::current_exe()?)
        .arg("--models")
        .arg(&models);
    if arguments.ours_only {
        replicas.arg("--ours-only");
    }
    let status = command::run(&mut replicas)?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

fn write_models(examples: &Path, models: &Path) -> Result<()> {
    for model in MODELS {
        let (from, to) = (examples.join(model), models.join(model));
        fs_err::create_dir_all(to.join("1"))?;
        fs_err::create_dir_all(to.join("2"))?;
        let config = fs_err::read_to_string(from.join("config.pbtxt"))?;
        // A run loads the second one when its time has come.
        let config = config + "version_policy { specific { versions: [ 1 ] } }\n";
        fs_err::write(to.join("config.pbtxt"), config)?;
        let program = that_writes_down(&from.join("1/model.py"))?;
        for version in ["1", "2"] {
            fs_err::write(to.join(version).join("model.py"), &program)?;
        }
    }
    Ok(())
}

/// Stops the servers, however the run ends.
struct Stopping<'a>(&'a Triton);

impl Drop for Stopping<'_> {
    fn drop(&mut self) {
        for number in 0..SERVERS {
            let instance = self.0.instance(&format!("replicas-{number}"));
            if let Err(error) = self.0.stop(&instance) {
                eprintln!("cannot stop Triton after the run: {error:#}");
            }
        }
    }
}
