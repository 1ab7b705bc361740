//! The jobs of a cluster: which there are, how one is cancelled, and what they print.

use std::collections::HashMap;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use super::cluster::{Cluster, Instance};
use crate::{http, interrupt, poll};

/// A job gives its rows up at once; a busy machine takes longer to hear of it.
const TIME_TO_CANCEL: Duration = Duration::from_secs(60);

/// What the connector `print` writes goes to the logs with this in its line.
const PRINTED: &str = "SystemOutRedirection";

/// A job as the JobManager tells of it.
#[derive(Debug, Deserialize)]
pub(super) struct Job {
    #[serde(rename = "jid")]
    id: String,
    name: String,
    state: String,
    /// In milliseconds.
    duration: i64,
}

impl Job {
    fn has_ended(&self) -> bool {
        ["FINISHED", "FAILED", "CANCELED"].contains(&self.state.as_str())
    }
}

/// Every job that the cluster remembers, those that were started last first.
pub(super) fn list(cluster: &Cluster) -> Result<Vec<Job>> {
    #[derive(Deserialize)]
    struct Jobs {
        jobs: Vec<Job>,
    }
    let jobs: Jobs = http::get(cluster.rest_port, "/jobs/overview")?.json()?;
    Ok(jobs.jobs)
}

pub(super) fn show(cluster: &Cluster) -> Result<()> {
    let mut out = std::io::stdout().lock();
    let jobs = list(cluster)?;
    if jobs.is_empty() {
        writeln!(out, "no job was submitted")?;
    }
    for Job {
        id,
        name,
        state,
        duration,
    } in jobs
    {
        let seconds = Duration::from_millis(duration.max(0).cast_unsigned()).as_secs_f64();
        // A query is called by its whole text.
        let name = name.lines().next().unwrap_or_default();
        writeln!(out, "{id}  {state:<10} {seconds:>8.1} s  {name:.80}")?;
    }
    Ok(())
}

/// Cancels the jobs whose IDs begin with `id`, or all that run, and waits until they have ended.
pub(super) fn cancel(cluster: &Cluster, id: Option<&str>) -> Result<()> {
    let jobs = list(cluster)?;
    let meant = jobs
        .iter()
        .filter(|job| id.is_none_or(|id| job.id.starts_with(id)));
    let meant: Vec<&Job> = meant.filter(|job| !job.has_ended()).collect();
    if let (Some(id), true) = (id, meant.is_empty()) {
        bail!("no job runs whose ID begins with '{id}'; see `cargo xtask flink jobs`");
    }
    for job in meant {
        let path = format!("/jobs/{}?mode=cancel", job.id);
        http::patch(cluster.rest_port, &path)?.accepted()?;
        let ended = poll::until(TIME_TO_CANCEL, || {
            interrupt::check()?;
            let jobs = list(cluster)?;
            let now = jobs.into_iter().find(|now| now.id == job.id);
            Ok(now.filter(Job::has_ended))
        })?;
        let ended = ended.with_context(|| format!("job {} does not end", job.id))?;
        println!("job {} is {}", job.id, ended.state);
    }
    Ok(())
}

/// What tasks print from now on.
pub(super) struct Printed {
    folder: PathBuf,
    /// How far each log was read.
    read: HashMap<PathBuf, u64>,
}

impl Printed {
    pub(super) fn from_now_on(instance: &Instance) -> Result<Self> {
        let mut printed = Self {
            folder: instance.part("log"),
            read: HashMap::new(),
        };
        for path in printed.logs()? {
            let length = fs_err::metadata(&path)?.len();
            printed.read.insert(path, length);
        }
        Ok(printed)
    }

    /// Shows what came since the last time.
    pub(super) fn show(&mut self) -> Result<()> {
        for path in self.logs()? {
            let from = self.read.get(&path).copied().unwrap_or_default();
            let mut log = fs_err::File::open(&path)?;
            let mut text = Vec::new();
            log.seek(SeekFrom::Start(from))?;
            log.read_to_end(&mut text)?;
            // The last line may not be whole yet.
            let whole = text.iter().rposition(|byte| *byte == b'\n');
            let text = &text[..whole.map_or(0, |end| end + 1)];
            self.read.insert(path, from + text.len() as u64);
            let mut out = std::io::stdout().lock();
            for line in String::from_utf8_lossy(text).lines() {
                if let Some(row) = row(line) {
                    writeln!(out, "{row}")?;
                }
            }
        }
        Ok(())
    }

    fn logs(&self) -> Result<Vec<PathBuf>> {
        let mut logs = Vec::new();
        for entry in fs_err::read_dir(&self.folder)? {
            let path = entry?.path();
            let name = path.file_name().map(|name| name.to_string_lossy());
            if name.is_some_and(|name| name.contains("taskexecutor") && name.ends_with(".log")) {
                logs.push(path);
            }
        }
        Ok(logs)
    }
}

/// The row in a line of the log.
fn row(line: &str) -> Option<&str> {
    let (head, row) = line.split_once(" - ")?;
    head.contains(PRINTED).then_some(row)
}
