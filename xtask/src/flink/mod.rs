//! A real Flink cluster on this machine, so that the provider meets Flink itself.

mod bench;
mod build;
mod cluster;
mod failures;
mod install;
mod job_manager;
mod jobs;
mod jvm;
mod model_server;
mod printed;
mod resources;
mod soak;
mod start;
mod statements;
mod stop;
mod task_managers;
mod testbed;
mod version;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand, ValueEnum as _};

use crate::command;
use crate::lock;
use crate::workspace::Workspace;

use build::Jars;
use cluster::{Cluster, Instance};
use install::Installation;
use printed::Printed;
use start::{Started, Wanted};
use version::Version;

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    task: Task,
    /// The cluster meant, where several run at once
    #[arg(long, value_name = "NAME", default_value = "default", global = true)]
    instance: String,
}

#[derive(Subcommand)]
enum Task {
    /// Download Flink into the target directory
    Install {
        #[arg(long, value_name = "VERSION", default_value = "2.3")]
        flink: Version,
    },
    /// Build the jar of the provider, with the native library inside
    Build {
        /// Build the native library with optimizations, for use
        #[arg(long)]
        release: bool,
        /// Put the library for another target of Rust into the jar as well, such as
        /// aarch64-unknown-linux-gnu
        #[arg(long, value_name = "TRIPLE")]
        target: Vec<String>,
    },
    /// Start a cluster on free ports of this machine and wait until it is ready
    Start {
        #[arg(long, value_name = "VERSION", default_value = "2.3")]
        flink: Version,
        #[arg(long, value_name = "COUNT", default_value_t = 2)]
        task_managers: usize,
        /// The slots of each TaskManager
        #[arg(long, value_name = "COUNT", default_value_t = 2)]
        slots: usize,
        /// Leave the provider out of `lib`, for jobs that bring it along with ADD JAR
        #[arg(long)]
        without_provider: bool,
        /// Further configuration of Flink
        #[arg(short = 'D', value_name = "KEY=VALUE")]
        configuration: Vec<String>,
    },
    /// Stop the cluster
    Stop,
    /// Kill a TaskManager as a crash would: of those that live, the one started first
    KillTaskManager,
    /// Start one more TaskManager, in the place of one that was killed
    AddTaskManager,
    /// Show the running cluster; fail if there is none
    Status,
    /// Run the statements of an SQL file on the cluster, and show what the connector `print` writes
    ///
    /// Ctrl-C cancels the jobs that it began.
    Run {
        file: PathBuf,
        /// Go on with the next statement after one that failed
        #[arg(long)]
        keep_going: bool,
        /// Run another program of the runner's jar on the file, for tests of what SQL cannot say
        #[arg(long, value_name = "CLASS", default_value = SQL_RUNNER, hide = true)]
        class: String,
        /// Configuration of Flink for this run
        #[arg(short = 'D', value_name = "KEY=VALUE")]
        configuration: Vec<String>,
    },
    /// List the jobs of the cluster, also those that have ended
    Jobs,
    /// Cancel a job, and wait until it has ended
    Cancel {
        /// The beginning of its ID
        #[arg(required_unless_present = "all")]
        job: Option<String>,
        /// Cancel every job that runs
        #[arg(long, conflicts_with = "job")]
        all: bool,
    },
    /// Measure what Flink and JNI cost: the same rows through Flink and from Rust alone
    ///
    /// On a cluster of its own, with the embedded server. Fails if a row is not answered.
    Bench {
        #[arg(long, value_name = "COUNT", default_value_t = 1_000_000)]
        rows: u64,
        /// How often everything is measured, one after the other
        #[arg(long, value_name = "COUNT", default_value_t = 3)]
        pairs: usize,
    },
    /// Let TaskManagers, the JobManager and Triton fail, and jobs be given another size, and hold each
    /// answer to the rows of keys against what it should be
    ///
    /// On a cluster and a server of its own. Fails if an answer lacks rows of its key without a mark
    /// where the guide says otherwise.
    Failures {
        /// What happens, in place of everything
        #[arg(long, value_enum, value_delimiter = ',')]
        only: Vec<failures::Kind>,
        /// Let the same jobs meet one failure after the other for so many minutes
        #[arg(long, value_name = "COUNT", conflicts_with = "only")]
        minutes: Option<u64>,
    },
    /// Run many jobs one after the other, and fail if something of them is left behind
    ///
    /// On clusters of its own, with the embedded server: memory, threads, files, class loaders
    /// and copies of the native library are counted after each job.
    Soak {
        #[arg(long, value_name = "COUNT", default_value_t = 20)]
        jobs: usize,
        /// How the cluster comes by the provider
        #[arg(long, value_enum, value_delimiter = ',', default_value = "lib,add-jar")]
        ways: Vec<soak::Way>,
    },
}

pub(crate) fn run(arguments: Arguments) -> Result<ExitCode> {
    let flink = Flink::find()?;
    let instance = flink.instance(&arguments.instance);
    match arguments.task {
        Task::Install { flink: version } => {
            flink.install(version)?;
        }
        Task::Build { release, target } => {
            let jars = flink.build_for(release, &target)?;
            println!("the provider is {}", jars.provider.display());
        }
        Task::Start {
            flink: version,
            task_managers,
            slots,
            without_provider,
            configuration,
        } => {
            let jars = Jars::in_folder(&flink.folder);
            if !jars.provider.exists() && running(&instance)?.is_none() {
                println!("building the provider with optimizations, which takes a few minutes");
                flink.build(true)?;
            }
            let Started { cluster, is_new } = flink.start(
                &instance,
                &Wanted {
                    version,
                    task_managers,
                    slots,
                    provider: (!without_provider).then_some(jars.provider),
                    configuration: yaml(&configuration)?,
                    variables: &[],
                },
            )?;
            if !is_new {
                println!(
                    "Flink is running already, with the options and the jar of the provider that \
                     it was started with; for others run `cargo xtask flink stop` first"
                );
            }
            println!("Flink is ready at {}", cluster.address());
            if is_new && !without_provider {
                println!("{}", Jars::in_folder(&flink.folder).kind());
            }
        }
        Task::Stop => {
            if !flink.stop(&instance)? {
                println!("Flink is not running");
            }
        }
        Task::KillTaskManager => flink.kill_task_manager(&instance)?,
        Task::AddTaskManager => flink.add_task_manager(&instance)?,
        Task::Status => return flink.status(&instance),
        Task::Run {
            file,
            keep_going,
            class,
            configuration,
        } => return flink.run_sql(&instance, &file, (&class, keep_going), &configuration),
        Task::Jobs => jobs::show(&expect_running(&instance)?)?,
        Task::Cancel { job, all: _ } => jobs::cancel(&expect_running(&instance)?, job.as_deref())?,
        Task::Bench { rows, pairs } => bench::run(&flink, rows, pairs)?,
        Task::Failures { only, minutes } => match minutes {
            Some(minutes) => failures::soak(&flink, minutes)?,
            None => failures::run(&flink, &only)?,
        },
        Task::Soak { jobs, ways } => soak::run(&flink, jobs, &ways)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// `key=value` as a line of Flink's configuration.
fn yaml(pairs: &[String]) -> Result<Vec<String>> {
    let line = |pair: &String| match pair.split_once('=') {
        Some((key, value)) => Ok(format!("{key}: {value}")),
        None => bail!("'-D {pair}': expected KEY=VALUE"),
    };
    pairs.iter().map(line).collect()
}

/// What spares a Java program that ends after a few seconds most of its compiling.
const SHORT_LIVED: &str = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC";

/// The program that runs the statements of a file.
const SQL_RUNNER: &str = "SqlRunner";

/// The clusters of test runs, which they start themselves.
const TEST_INSTANCES: [&str; 3] = ["test", "test-older", "test-failover"];

/// The folder under the target directory that holds Flink, the jars and the clusters.
pub(crate) struct Flink {
    workspace: Workspace,
    folder: PathBuf,
}

impl Flink {
    pub(crate) fn find() -> Result<Self> {
        let workspace = Workspace::find()?;
        let folder = workspace.target_directory.join("flink");
        Ok(Self { workspace, folder })
    }

    pub(crate) fn instance(&self, name: &str) -> Instance {
        Instance::new(&self.folder, name)
    }

    fn install(&self, version: Version) -> Result<Installation> {
        let _lock = lock::wait(&self.folder.join("install.lock"), "installs Flink")?;
        install::install(&self.folder, version)
    }

    /// Builds the jars, against the older release's successor: one jar serves both.
    pub(crate) fn build(&self, release: bool) -> Result<Jars> {
        self.build_for(release, &[])
    }

    /// The same, for machines of other targets as well.
    fn build_for(&self, release: bool, targets: &[String]) -> Result<Jars> {
        let flink = self.install(Version::V2_3)?;
        let _lock = lock::wait(&self.folder.join("build.lock"), "builds the provider")?;
        build::build(&self.workspace, &self.folder, &flink, release, targets)
    }

    fn start(&self, instance: &Instance, wanted: &Wanted) -> Result<Started> {
        let flink = self.install(wanted.version)?;
        let _lock = instance.lock()?;
        start::start(&flink, instance, wanted)
    }

    /// Stops the instance; false if there was none.
    pub(crate) fn stop(&self, instance: &Instance) -> Result<bool> {
        let _lock = instance.lock()?;
        let Some(cluster) = instance.read()? else {
            return Ok(false);
        };
        stop::stop(instance, &cluster)?;
        println!("stopped Flink at {}", cluster.address());
        Ok(true)
    }

    /// Stops the clusters that tests start.
    pub(crate) fn stop_test_clusters(&self) -> Result<()> {
        for name in TEST_INSTANCES {
            self.stop(&self.instance(name))?;
        }
        Ok(())
    }

    fn kill_task_manager(&self, instance: &Instance) -> Result<()> {
        let _lock = instance.lock()?;
        let killed = task_managers::kill_oldest(&expect_running(instance)?)?;
        println!("killed the TaskManager {}", killed.pid);
        Ok(())
    }

    fn add_task_manager(&self, instance: &Instance) -> Result<()> {
        let _lock = instance.lock()?;
        let mut cluster = expect_running(instance)?;
        let flink = self.install(cluster.version)?;
        let added = task_managers::add(&flink, instance, &mut cluster)?;
        println!("started the TaskManager {}", added.pid);
        Ok(())
    }

    /// Fails (by its exit code) if the cluster does not run.
    fn status(&self, instance: &Instance) -> Result<ExitCode> {
        let Some(cluster) = running(instance)? else {
            println!("Flink is not running; start it with `cargo xtask flink start`");
            return Ok(ExitCode::FAILURE);
        };
        let overview = cluster.overview()?;
        // Not `println!`, which panics where a reader such as `head` has seen enough.
        let mut out = std::io::stdout().lock();
        writeln!(out, "address        {}", cluster.address())?;
        writeln!(out, "version        {}", overview.flink_version)?;
        writeln!(out, "job manager    {}", cluster.job_manager.pid)?;
        for process in &cluster.task_managers {
            let state = if process.is_alive()? { "" } else { " (ended)" };
            writeln!(out, "task manager   {}{state}", process.pid)?;
        }
        writeln!(
            out,
            "slots          {} of {} free",
            overview.slots_available, overview.slots_total
        )?;
        writeln!(out, "running jobs   {}", overview.jobs_running)?;
        writeln!(out, "logs           {}", instance.part("log").display())?;
        let provider = Jars::in_folder(&self.folder).provider;
        writeln!(out, "provider       {}", provider.display())?;
        Ok(ExitCode::SUCCESS)
    }

    /// The program that runs the statements of a file on a cluster.
    fn sql(
        &self,
        instance: &Instance,
        cluster: &Cluster,
        file: &Path,
        class: &str,
        configuration: &[String],
    ) -> Result<Command> {
        let flink = self.install(cluster.version)?;
        let mut command = Command::new(flink.script("flink"));
        command.args(["run", "--class", class]);
        for pair in configuration {
            command.arg(format!("-D{pair}"));
        }
        command
            .arg(Jars::in_folder(&self.folder).runner)
            .arg(fs_err::canonicalize(file)?)
            .env("JVM_ARGS", SHORT_LIVED);
        start::environment(instance, &mut command);
        Ok(command)
    }

    fn run_sql(
        &self,
        instance: &Instance,
        file: &Path,
        (class, keep_going): (&str, bool),
        configuration: &[String],
    ) -> Result<ExitCode> {
        let cluster = expect_running(instance)?;
        let mut command = self.sql(instance, &cluster, file, class, configuration)?;
        if keep_going {
            command.arg("--continue");
        }
        let mut printed = Printed::from_now_on(instance)?;
        let status = command::run_watching(&mut command, || {
            printed.show();
            Ok(())
        })?;
        printed.show();
        let code = status.code().and_then(|code| u8::try_from(code).ok());
        Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
    }
}

fn expect_running(instance: &Instance) -> Result<Cluster> {
    let cluster = running(instance)?;
    cluster.context("Flink is not running; start it with `cargo xtask flink start`")
}

fn running(instance: &Instance) -> Result<Option<Cluster>> {
    match instance.read()? {
        Some(cluster) if cluster.is_alive()? => Ok(Some(cluster)),
        _ => Ok(None),
    }
}

/// All that is installed from PyPI for any version.
pub(crate) fn packages() -> impl Iterator<Item = String> {
    let versions = Version::value_variants().iter();
    versions.flat_map(|version| install::packages(*version))
}
