//! A real Triton on this machine, so that the tests meet the server itself and not
//! only our idea of it.

mod install;
mod instance;
mod python_client;
mod server;
mod status;
mod stop;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Args, Subcommand};

use crate::lock::{self, Lock};
use crate::workspace::Workspace;

pub(crate) use install::ServerVersion;
pub(crate) use instance::{Instance, Server};

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    task: Task,
    /// The server meant, where several run at once
    #[arg(long, value_name = "NAME", default_value = "default", global = true)]
    instance: String,
    /// An older server, such as 2.44; `install` and `start` know which there are
    #[arg(long, value_name = "VERSION", default_value_t = ServerVersion::DEFAULT, global = true)]
    server_version: ServerVersion,
}

#[derive(Subcommand)]
enum Task {
    /// Download Triton into the target directory
    Install,
    /// Start Triton on free ports of this machine and wait until it is ready
    Start {
        /// The model repository to serve [default: examples/models]
        #[arg(long, value_name = "DIR")]
        models: Option<PathBuf>,
        /// The port for HTTP, in place of a free one
        #[arg(long, value_name = "PORT")]
        port: Option<u16>,
    },
    /// Kill the server as a crash would; `start` and `stop` clean up after it
    Kill,
    /// Have the server's processes stand still, as on a machine that has no time for them
    Pause,
    /// Let them go on
    Resume,
    /// Stop the server and remove what it leaves behind
    Stop,
    /// Show the running server and its models; fail if there is none
    Status,
}

pub(crate) fn run(arguments: Arguments) -> Result<ExitCode> {
    let triton = Triton::find()?;
    let instance = triton.instance(&arguments.instance);
    match arguments.task {
        Task::Install => triton.install(arguments.server_version)?,
        Task::Start { models, port } => {
            let version = arguments.server_version;
            triton.install(version)?;
            let models = models.unwrap_or_else(|| triton.example_models());
            let server = triton.start(version, &instance, &models, port)?;
            println!("Triton is ready at {}", server.endpoint());
        }
        Task::Kill => triton.kill(&instance)?,
        Task::Pause => triton.with_running(&instance, |server| server.pause(true))?,
        Task::Resume => triton.with_running(&instance, |server| server.pause(false))?,
        Task::Stop => {
            if !triton.stop(&instance)? {
                println!("Triton is not running");
            }
            // A test run that was killed leaves its servers; one that still runs holds the lock.
            if let Some(_turn) = lock::attempt(&triton.test_run_lock())? {
                triton.stop_test_servers()?;
            }
        }
        Task::Status => return status::print(&instance),
    }
    Ok(ExitCode::SUCCESS)
}

/// The servers of test runs: the one that all live tests share, the one that is crashed, and those that
/// stand behind one endpoint.
const TEST_INSTANCES: [&str; 5] = [
    "test",
    "crash-test",
    "replica-test-0",
    "replica-test-1",
    "replica-test-2",
];

/// The folder under the target directory that holds the server and its instances.
pub(crate) struct Triton {
    pub(crate) workspace: Workspace,
    folder: PathBuf,
}

impl Triton {
    pub(crate) fn find() -> Result<Self> {
        let workspace = Workspace::find()?;
        let folder = workspace.target_directory.join("triton");
        Ok(Self { workspace, folder })
    }

    /// A server of its own: instances share the program and nothing else.
    pub(crate) fn instance(&self, name: &str) -> Instance {
        Instance::new(&self.folder, name)
    }

    pub(crate) fn example_models(&self) -> PathBuf {
        self.workspace.root.join("examples/models")
    }

    pub(crate) fn install(&self, version: ServerVersion) -> Result<()> {
        let _lock = lock::wait(&self.folder.join("install.lock"), "installs Triton")?;
        install::install(&self.folder, version)
    }

    /// A Python that has NVIDIA's client.
    pub(crate) fn install_python_client(&self) -> Result<PathBuf> {
        let _lock = lock::wait(&self.folder.join("install.lock"), "installs Triton")?;
        python_client::install(&self.folder)
    }

    /// Starts the instance, with a server of that release, unless it runs already.
    pub(crate) fn start(
        &self,
        version: ServerVersion,
        instance: &Instance,
        models: &Path,
        port: Option<u16>,
    ) -> Result<Server> {
        let _lock = instance.lock()?;
        let installation = install::installation(&self.folder, version)?;
        let server = server::start(&installation, instance, models, port)?;
        let running = server.version()?;
        if !running.starts_with(&format!("{version}.")) {
            bail!("Triton {running} is running already; run `cargo xtask triton stop` first");
        }
        Ok(server)
    }

    pub(crate) fn kill(&self, instance: &Instance) -> Result<()> {
        self.with_running(instance, stop::kill)
    }

    fn with_running(
        &self,
        instance: &Instance,
        action: impl FnOnce(&Server) -> Result<()>,
    ) -> Result<()> {
        let _lock = instance.lock()?;
        match instance.read()? {
            Some(server) if server.process.is_alive()? => action(&server),
            _ => bail!("Triton is not running"),
        }
    }

    /// Stops the servers that tests run against, and those that they start themselves.
    pub(crate) fn stop_test_servers(&self) -> Result<()> {
        for name in TEST_INSTANCES {
            self.stop(&self.instance(name))?;
        }
        Ok(())
    }

    /// Stops the instance; false if there was none.
    pub(crate) fn stop(&self, instance: &Instance) -> Result<bool> {
        let _lock = instance.lock()?;
        let Some(server) = instance.read()? else {
            return Ok(false);
        };
        let endpoint = server.endpoint();
        let was_alive = server.process.is_alive()?;
        stop::stop(instance, &server)?;
        if was_alive {
            println!("stopped Triton at {endpoint}");
        } else {
            println!("Triton at {endpoint} had ended; removed what it left behind");
        }
        Ok(true)
    }

    /// One test run at a time has the instance named "test".
    pub(crate) fn wait_for_test_run(&self) -> Result<Lock> {
        lock::wait(&self.test_run_lock(), "runs the tests")
    }

    fn test_run_lock(&self) -> PathBuf {
        self.folder.join("test-run.lock")
    }
}

/// All that is installed from PyPI for any server, and for the tests against NVIDIA's client.
pub(crate) fn packages() -> impl Iterator<Item = String> {
    let client = python_client::PACKAGES.iter().map(ToString::to_string);
    install::packages().chain(client)
}
