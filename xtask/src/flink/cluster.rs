//! What is written down about a running cluster, so that later commands find it.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::version::Version;
use crate::files::{remove_file_if_present, write_whole};
use crate::http;
use crate::lock::{self, Lock};
use crate::process::Process;

/// A name under which at most one cluster runs, and the folder that belongs to it.
pub(crate) struct Instance {
    name: String,
    folder: PathBuf,
}

impl Instance {
    pub(super) fn new(folder: &Path, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            folder: folder.join("clusters").join(name),
        }
    }

    /// Whoever starts or stops the cluster holds this lock meanwhile.
    pub(super) fn lock(&self) -> Result<Lock> {
        lock::wait(&self.folder.join("lock"), "starts or stops Flink")
    }

    /// A part of the instance: `conf`, `log`, `lib`, `temporary`.
    pub(super) fn part(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The cluster as it was last written down; it need not run any more.
    pub(super) fn read(&self) -> Result<Option<Cluster>> {
        let path = self.description();
        let content = match fs_err::read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            content => content?,
        };
        let cluster = serde_json::from_slice(&content).with_context(|| {
            format!(
                "{} does not describe a cluster; stop that cluster by hand and delete the file",
                path.display()
            )
        })?;
        Ok(Some(cluster))
    }

    pub(super) fn write(&self, cluster: &Cluster) -> Result<()> {
        write_whole(&self.description(), &serde_json::to_vec_pretty(cluster)?)
    }

    pub(super) fn forget(&self) -> Result<()> {
        remove_file_if_present(&self.description())
    }

    /// A name that no other cluster has, to be found on the command lines of its processes.
    pub(super) fn new_mark(&self) -> Result<String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos();
        // The trailing dash keeps one mark from being the beginning of another.
        Ok(format!(
            "xtask-{}-{:x}-{now:x}-",
            self.name,
            std::process::id()
        ))
    }

    fn description(&self) -> PathBuf {
        self.folder.join("cluster.json")
    }
}

/// A cluster that was started; each of its processes leads a process group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cluster {
    pub(super) version: Version,
    pub(super) mark: String,
    pub(super) rest_port: u16,
    pub(super) job_manager: Process,
    pub(super) task_managers: Vec<Process>,
}

impl Cluster {
    pub(super) fn processes(&self) -> impl Iterator<Item = Process> {
        std::iter::once(self.job_manager).chain(self.task_managers.iter().copied())
    }

    pub(super) fn is_alive(&self) -> Result<bool> {
        self.job_manager.is_alive()
    }

    /// Where its REST API is.
    pub(crate) fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.rest_port)
    }

    pub(super) fn overview(&self) -> Result<Overview> {
        http::get(self.rest_port, "/overview")?.json()
    }

    /// The TaskManagers that the JobManager knows, each by a name that no other ever has.
    pub(super) fn task_manager_ids(&self) -> Result<BTreeSet<String>> {
        #[derive(Deserialize)]
        struct TaskManagers {
            taskmanagers: Vec<TaskManager>,
        }
        #[derive(Deserialize)]
        struct TaskManager {
            id: String,
        }
        let known: TaskManagers = http::get(self.rest_port, "/taskmanagers")?.json()?;
        Ok(known.taskmanagers.into_iter().map(|one| one.id).collect())
    }
}

/// What the cluster says of itself.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Overview {
    pub(super) flink_version: String,
    pub(super) taskmanagers: usize,
    pub(super) slots_total: usize,
    pub(super) slots_available: usize,
    pub(super) jobs_running: usize,
}
