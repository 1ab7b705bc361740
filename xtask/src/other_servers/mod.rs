//! Servers of other kinds that speak the same protocol, so that the tests meet what they do with
//! it and not only what Triton does.

mod install;
mod server;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::lock;
use crate::workspace::Workspace;

use server::Server;

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Download the servers into the target directory
    Install,
    /// Start them on free ports of this machine, and print what the tests want to know of them
    Start,
    /// Stop them
    Stop,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let servers = OtherServers::find()?;
    match arguments.task {
        Task::Install => servers.install()?,
        Task::Start => {
            for (variable, endpoint) in servers.start()? {
                println!("export {variable}={endpoint}");
            }
        }
        Task::Stop => servers.stop()?,
    }
    Ok(ExitCode::SUCCESS)
}

/// A kind of server.
#[derive(Clone, Copy)]
struct Kind {
    /// What it calls itself; its files are named after it.
    name: &'static str,
    /// How the tests learn of it.
    variable: &'static str,
    /// Its packages in one version each, so that every machine has the same.
    packages: &'static str,
    /// The program in its environment, or `None` where the models come with a program.
    program: Option<&'static str>,
}

impl Kind {
    /// Its packages, one by one.
    fn list(&self) -> impl Iterator<Item = &'static str> {
        let lines = self.packages.lines().map(str::trim);
        lines.filter(|line| !line.is_empty() && !line.starts_with('#'))
    }
}

/// All that is installed for any of them.
pub(crate) fn packages() -> impl Iterator<Item = String> {
    let packages = KINDS.iter().flat_map(Kind::list);
    packages.chain([install::INSTALLER]).map(str::to_owned)
}

const KINDS: [Kind; 2] = [
    Kind {
        name: "mlserver",
        variable: "MLSERVER_TEST_ENDPOINT",
        packages: include_str!("mlserver.txt"),
        program: Some("mlserver"),
    },
    Kind {
        name: "kserve",
        variable: "KSERVE_TEST_ENDPOINT",
        packages: include_str!("kserve.txt"),
        program: None,
    },
];

/// The folder under the target directory that holds the servers and what is known of them.
pub(crate) struct OtherServers {
    workspace: Workspace,
    folder: PathBuf,
}

impl OtherServers {
    pub(crate) fn find() -> Result<Self> {
        let workspace = Workspace::find()?;
        let folder = workspace.target_directory.join("other-servers");
        Ok(Self { workspace, folder })
    }

    fn install(&self) -> Result<()> {
        let _lock = self.lock("install")?;
        install::install(&self.folder, &KINDS)
    }

    /// The program of `mlserver`; installs it unless it is there.
    pub(crate) fn install_mlserver(&self) -> Result<PathBuf> {
        let _lock = self.lock("install")?;
        let [mlserver, _] = &KINDS;
        install::install(&self.folder, std::slice::from_ref(mlserver))?;
        Ok(install::python(&self.folder, mlserver).with_file_name("mlserver"))
    }

    /// Installs and starts them unless they run already; returns the variables that name their
    /// endpoints to the tests.
    pub(crate) fn start(&self) -> Result<Vec<(&'static str, String)>> {
        self.install()?;
        let _lock = self.lock("run")?;
        let models = self
            .workspace
            .root
            .join("crates/triton-client/tests/servers");
        let mut endpoints = Vec::new();
        let mut started = Vec::new();
        // All begin before any is waited for: what they do first is to load a lot of Python.
        for kind in &KINDS {
            started.push((kind, Server::start(&self.folder, kind, &models)?));
        }
        for (kind, server) in started {
            endpoints.push((kind.variable, server.wait_until_ready(&self.folder, kind)?));
        }
        Ok(endpoints)
    }

    /// Stops those that run.
    pub(crate) fn stop(&self) -> Result<()> {
        let _lock = self.lock("run")?;
        for kind in &KINDS {
            if let Some(server) = Server::read(&self.folder, kind)? {
                server.stop(&self.folder, kind)?;
            }
        }
        Ok(())
    }

    fn lock(&self, purpose: &str) -> Result<lock::Lock> {
        let file = self.folder.join(format!("{purpose}.lock"));
        lock::wait(&file, "installs, starts or stops servers of other kinds")
    }
}
