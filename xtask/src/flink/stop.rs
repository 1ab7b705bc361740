//! Ends a cluster, whatever state it is in.

use std::time::Duration;

use anyhow::{Result, bail};

use super::cluster::{Cluster, Instance};
use crate::poll;
use crate::process::Process;

/// Java's programs end within a second or two, unless a job's code holds them up.
const TIME_TO_TERMINATE: Duration = Duration::from_secs(15);

/// A killed process disappears as soon as the system gets to it.
const TIME_TO_DIE: Duration = Duration::from_secs(5);

/// Ends the processes that live; the caller holds the lock of the instance.
pub(super) fn stop(instance: &Instance, cluster: &Cluster) -> Result<()> {
    for process in cluster.processes() {
        process.terminate()?;
    }
    let ended = poll::until(TIME_TO_TERMINATE, || {
        let all_ended = living(cluster)?.is_empty();
        Ok(all_ended.then_some(()))
    })?;
    if ended.is_none() {
        let gone = poll::until(TIME_TO_DIE, || {
            for process in living(cluster)? {
                process.kill_group(&cluster.mark)?;
            }
            Ok(living(cluster)?.is_empty().then_some(()))
        })?;
        if gone.is_none() {
            let pids: Vec<_> = living(cluster)?.iter().map(|process| process.pid).collect();
            bail!("cannot end these processes of Flink: {pids:?}; end them by hand and try again");
        }
    }
    let temporary = instance.part("temporary");
    if temporary.exists() {
        fs_err::remove_dir_all(temporary)?;
    }
    instance.forget()
}

fn living(cluster: &Cluster) -> Result<Vec<Process>> {
    let mut living = Vec::new();
    for process in cluster.processes() {
        if process.is_alive()? {
            living.push(process);
        }
    }
    Ok(living)
}
