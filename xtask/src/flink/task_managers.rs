//! Takes a TaskManager from a running cluster, as a crash does, and gives it another one.

use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};

use super::cluster::{Cluster, Instance};
use super::install::Installation;
use super::start::{self, TASK_MANAGER, TIME_TO_START};
use crate::process::Process;
use crate::{interrupt, poll};

/// A killed process disappears as soon as the system gets to it.
const TIME_TO_DIE: Duration = Duration::from_secs(5);

/// Kills the TaskManager that was started first among those that live; the caller holds the lock
/// of the instance.
///
/// Its entry stays, so that `status` tells that it has ended.
pub(super) fn kill_oldest(cluster: &Cluster) -> Result<Process> {
    for process in &cluster.task_managers {
        if process.is_alive()? {
            process.kill()?;
            let gone = poll::until(TIME_TO_DIE, || Ok((!process.is_alive()?).then_some(())))?;
            gone.context("the TaskManager is still there after SIGKILL")?;
            return Ok(*process);
        }
    }
    bail!("no TaskManager is left to be killed");
}

/// Starts one more and waits until the JobManager knows it; the caller holds the lock of the
/// instance.
pub(super) fn add(
    flink: &Installation,
    instance: &Instance,
    cluster: &mut Cluster,
) -> Result<Process> {
    // Not counted: the JobManager may take a while to miss one that was killed.
    let known = cluster.task_manager_ids()?;
    let (process, mut child) = start::launch(flink, instance, &[], TASK_MANAGER, &cluster.mark)?;
    cluster.task_managers.push(process);
    instance.write(cluster)?;
    let registered = poll::until(TIME_TO_START, || {
        interrupt::check()?;
        if let Some(status) = child.try_wait()? {
            return Err(anyhow!("the TaskManager ended with {status}"));
        }
        let ids = cluster.task_manager_ids()?;
        Ok((!ids.is_subset(&known)).then_some(()))
    });
    if !matches!(registered, Ok(Some(()))) {
        process.kill()?;
    }
    registered?.with_context(|| {
        format!(
            "the JobManager did not know the TaskManager after {} s",
            TIME_TO_START.as_secs()
        )
    })?;
    Ok(process)
}
