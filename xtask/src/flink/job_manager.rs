//! Puts another JobManager in the place of one that was killed.

use anyhow::{Context, Result, anyhow};

use super::cluster::{Cluster, Instance};
use super::install::Installation;
use super::start::{self, JOB_MANAGER, TIME_TO_START};
use crate::{interrupt, poll};

/// Starts it and waits until it answers; the caller holds the lock of the instance.
pub(super) fn replace(
    flink: &Installation,
    instance: &Instance,
    cluster: &mut Cluster,
) -> Result<()> {
    let (process, mut child) = start::launch(flink, instance, &[], JOB_MANAGER, &cluster.mark)?;
    cluster.job_manager = process;
    instance.write(cluster)?;
    let ready = poll::until(TIME_TO_START, || {
        interrupt::check()?;
        if let Some(status) = child.try_wait()? {
            return Err(anyhow!("the JobManager ended with {status}"));
        }
        Ok(cluster.overview().ok())
    })?;
    let seconds = TIME_TO_START.as_secs();
    ready
        .map(drop)
        .with_context(|| format!("the JobManager was not ready after {seconds} s"))
}
