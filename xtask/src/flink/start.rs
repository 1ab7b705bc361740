//! Starts a cluster of its own and waits until it can be used, or says why it cannot.

use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};

use super::cluster::{Cluster, Instance};
use super::install::Installation;
use super::stop;
use super::version::Version;
use crate::process::Process;
use crate::{interrupt, poll, ports};

/// Three Java programs start one after the other, on a machine that may be busy.
pub(super) const TIME_TO_START: Duration = Duration::from_secs(300);

pub(super) const JOB_MANAGER: &str = "jobmanager";
pub(super) const TASK_MANAGER: &str = "taskmanager";

/// How much of a log explains a failure.
const LOG_LINES: usize = 40;

/// What a cluster is to be like.
pub(super) struct Wanted {
    pub(super) version: Version,
    pub(super) task_managers: usize,
    pub(super) slots: usize,
    /// The provider's jar, if it is to lie in the `lib` folder.
    pub(super) provider: Option<PathBuf>,
    /// Further configuration, as `key: value`.
    pub(super) configuration: Vec<String>,
    /// Variables in the environment of its processes.
    pub(super) variables: &'static [(&'static str, &'static str)],
}

/// A cluster that runs.
pub(super) struct Started {
    pub(super) cluster: Cluster,
    /// False if it ran before: then it is as it was wanted at that time.
    pub(super) is_new: bool,
}

/// Starts the instance unless it runs already; the caller holds its lock.
pub(super) fn start(flink: &Installation, instance: &Instance, wanted: &Wanted) -> Result<Started> {
    if let Some(cluster) = instance.read()? {
        if cluster.is_alive()? {
            return Ok(Started {
                cluster,
                is_new: false,
            });
        }
        stop::stop(instance, &cluster)?;
    }
    let [rest_port, rpc_port] = ports::free()?;
    let mark = instance.new_mark()?;
    prepare(flink, instance, wanted, [rest_port, rpc_port])?;
    let mut children = Vec::new();
    let (job_manager, child) = launch(flink, instance, wanted.variables, JOB_MANAGER, &mark)?;
    children.push(child);
    let mut cluster = Cluster {
        version: wanted.version,
        mark,
        rest_port,
        job_manager,
        task_managers: Vec::new(),
    };
    instance.write(&cluster)?;
    for _ in 0..wanted.task_managers {
        let (process, child) = launch(
            flink,
            instance,
            wanted.variables,
            TASK_MANAGER,
            &cluster.mark,
        )?;
        children.push(child);
        cluster.task_managers.push(process);
        instance.write(&cluster)?;
    }
    if let Err(error) = wait_until_ready(&cluster, wanted.task_managers, &mut children) {
        stop::stop(instance, &cluster)?;
        interrupt::check()?;
        bail!(
            "Flink did not start: {error:#}\n{}",
            ends_of_logs(instance)?
        );
    }
    Ok(Started {
        cluster,
        is_new: true,
    })
}

/// Makes the folders and the configuration of a new cluster.
fn prepare(
    flink: &Installation,
    instance: &Instance,
    wanted: &Wanted,
    [rest_port, rpc_port]: [u16; 2],
) -> Result<()> {
    for part in ["conf", "log", "lib", "temporary"] {
        let folder = instance.part(part);
        if folder.exists() {
            fs_err::remove_dir_all(&folder)?;
        }
        fs_err::create_dir_all(&folder)?;
    }
    for jar in flink.jars()? {
        let name = jar.file_name().context("a jar has a name")?;
        symlink(&jar, instance.part("lib").join(name))?;
    }
    if let Some(provider) = &wanted.provider {
        // A copy, because a running cluster must not find another jar in its place.
        fs_err::copy(provider, instance.part("lib").join("triton-flink.jar"))?;
    }
    let original = flink.configuration();
    for name in ["log4j-console.properties", "log4j-cli.properties"] {
        fs_err::copy(original.join(name), instance.part("conf").join(name))?;
    }
    let defaults = fs_err::read_to_string(original.join("config.yaml"))?;
    let java_options = defaults
        .lines()
        .find_map(|line| line.trim().strip_prefix("all: "))
        .context("Flink's own configuration does not tell the options that Java needs")?;
    let temporary = instance.part("temporary");
    let Wanted {
        task_managers,
        slots,
        ..
    } = wanted;
    // What the connector `print` writes is then in the logs, and `run` shows it.
    let is_given = |key: &str| {
        let mut lines = wanted.configuration.iter();
        lines.any(|line| line.starts_with(key))
    };
    let printing = match is_given("taskmanager.system-out.mode") {
        true => "",
        false => "taskmanager.system-out.mode: LOG",
    };
    let configuration = format!(
        "env.java.opts.all: {java_options}
jobmanager.rpc.address: localhost
jobmanager.rpc.port: {rpc_port}
jobmanager.bind-host: localhost
jobmanager.memory.process.size: 1024m
rest.address: localhost
rest.bind-address: localhost
rest.port: {rest_port}
taskmanager.bind-host: localhost
taskmanager.host: localhost
taskmanager.memory.process.size: 1536m
taskmanager.numberOfTaskSlots: {slots}
parallelism.default: {}
io.tmp.dirs: {}
metrics.fetcher.update-interval: 500 ms
{printing}
{}
",
        task_managers * slots,
        temporary.display(),
        wanted.configuration.join("\n"),
    );
    fs_err::write(instance.part("conf").join("config.yaml"), configuration)?;
    Ok(())
}

pub(super) fn launch(
    flink: &Installation,
    instance: &Instance,
    variables: &[(&str, &str)],
    role: &str,
    mark: &str,
) -> Result<(Process, Child)> {
    let mut command = Command::new(flink.script(&format!("{role}.sh")));
    command
        .args(["start-foreground", "-D", &format!("xtask.mark={mark}")])
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Ctrl-C in the terminal is for `cargo xtask`, which then stops the cluster.
        .process_group(0);
    let child = environment(instance, &mut command)
        .spawn()
        .with_context(|| format!("cannot run {}", flink.script(role).display()))?;
    Ok((Process::current(child.id().try_into()?)?, child))
}

/// Where Flink's scripts find the instance.
pub(super) fn environment<'a>(instance: &Instance, command: &'a mut Command) -> &'a mut Command {
    command
        .env("FLINK_CONF_DIR", instance.part("conf"))
        .env("FLINK_LOG_DIR", instance.part("log"))
        .env("FLINK_LIB_DIR", instance.part("lib"))
        .env("FLINK_PID_DIR", instance.part("temporary"))
}

fn wait_until_ready(cluster: &Cluster, task_managers: usize, children: &mut [Child]) -> Result<()> {
    let ready = poll::until(TIME_TO_START, || {
        interrupt::check()?;
        for child in &mut *children {
            if let Some(status) = child.try_wait()? {
                return Err(anyhow!("a process of it ended with {status}"));
            }
        }
        let overview = cluster.overview().ok();
        Ok(overview.filter(|overview| overview.taskmanagers == task_managers))
    })?;
    ready
        .map(|_| ())
        .with_context(|| format!("it was not ready after {} s", TIME_TO_START.as_secs()))
}

fn ends_of_logs(instance: &Instance) -> Result<String> {
    let mut ends = String::new();
    for entry in fs_err::read_dir(instance.part("log"))? {
        let path = entry?.path();
        let content = fs_err::read(&path)?;
        let content = String::from_utf8_lossy(&content);
        let lines: Vec<_> = content.lines().collect();
        let end = lines[lines.len().saturating_sub(LOG_LINES)..].join("\n");
        ends.push_str(&format!("the end of {}:\n{end}\n", path.display()));
    }
    Ok(ends)
}
