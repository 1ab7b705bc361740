//! The jobs of a cluster: which there are, and how one is cancelled.

use std::io::Write as _;
use std::time::Duration;

use anyhow::{Result, bail};
use serde::Deserialize;

use super::cluster::Cluster;
use crate::{http, interrupt, poll};

/// A job gives its rows up at once; a busy machine takes longer to hear of it.
const TIME_TO_CANCEL: Duration = Duration::from_secs(60);

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

/// Cancels the job whose ID begins with `id`, or all that run, and waits until they have ended.
pub(super) fn cancel(cluster: &Cluster, id: Option<&str>) -> Result<()> {
    let jobs = list(cluster)?;
    let meant = meant(&jobs, id)?;
    // All of them first, because each takes a while to end.
    let asked: Vec<Result<()>> = meant
        .iter()
        .map(|job| {
            let path = format!("/jobs/{}?mode=cancel", job.id);
            http::patch(cluster.rest_port, &path)?.accepted()
        })
        .collect();
    let mut failures = Vec::new();
    for (job, asked) in meant.into_iter().zip(asked) {
        match (state_once_ended(cluster, job, asked.is_ok())?, asked) {
            (Some(state), _) => println!("job {} is {state}", job.id),
            (None, Ok(())) => failures.push(format!("job {} does not end", job.id)),
            (None, Err(error)) => {
                failures.push(format!("job {} is not cancelled: {error:#}", job.id));
            }
        }
    }
    if !failures.is_empty() {
        bail!("{}", failures.join("\n"));
    }
    Ok(())
}

/// The jobs to cancel, none of which has ended.
fn meant<'a>(jobs: &'a [Job], id: Option<&str>) -> Result<Vec<&'a Job>> {
    let running = jobs.iter().filter(|job| !job.has_ended());
    let Some(id) = id else {
        return Ok(running.collect());
    };
    if id.trim().is_empty() {
        bail!(
            "the ID is empty: expected the beginning of the ID of a job, which `cargo xtask flink \
             jobs` lists, or --all"
        );
    }
    let meant: Vec<&Job> = running.filter(|job| job.id.starts_with(id)).collect();
    match *meant {
        [] => bail!("no job runs whose ID begins with '{id}'; see `cargo xtask flink jobs`"),
        [_] => Ok(meant),
        _ => {
            let ids: Vec<_> = meant.iter().map(|job| job.id.as_str()).collect();
            bail!(
                "more than one job runs whose ID begins with '{id}': {}; give more of one ID, or \
                 --all",
                ids.join(", ")
            )
        }
    }
}

/// The state of a job that has ended, maybe by itself; without `waiting` it has to have ended now.
fn state_once_ended(cluster: &Cluster, job: &Job, waiting: bool) -> Result<Option<String>> {
    let limit = if waiting {
        TIME_TO_CANCEL
    } else {
        Duration::ZERO
    };
    poll::until(limit, || {
        interrupt::check()?;
        let jobs = list(cluster)?;
        match jobs.into_iter().find(|now| now.id == job.id) {
            Some(now) => Ok(now.has_ended().then_some(now.state)),
            // The cluster remembers only so many that have ended.
            None => Ok(Some("no longer remembered".to_owned())),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(id: &str, state: &str) -> Job {
        Job {
            id: id.to_owned(),
            name: String::new(),
            state: state.to_owned(),
            duration: 0,
        }
    }

    #[test]
    fn one_job_is_cancelled_unless_all_are_meant() {
        let jobs = [
            job("a1", "RUNNING"),
            job("a2", "RESTARTING"),
            job("ab", "FINISHED"),
            job("b1", "RUNNING"),
        ];
        let ids = |id| {
            let meant = meant(&jobs, id).map_err(|error| error.to_string())?;
            Ok::<_, String>(meant.iter().map(|job| job.id.clone()).collect::<Vec<_>>())
        };
        assert_eq!(ids(Some("a1")).unwrap(), ["a1"]);
        assert_eq!(ids(Some("b")).unwrap(), ["b1"]);
        assert_eq!(ids(None).unwrap(), ["a1", "a2", "b1"]);
        for empty in ["", " "] {
            assert_eq!(
                ids(Some(empty)).unwrap_err(),
                "the ID is empty: expected the beginning of the ID of a job, which `cargo xtask \
                 flink jobs` lists, or --all"
            );
        }
        assert_eq!(
            ids(Some("a")).unwrap_err(),
            "more than one job runs whose ID begins with 'a': a1, a2; give more of one ID, or --all"
        );
        assert_eq!(
            ids(Some("ab")).unwrap_err(),
            "no job runs whose ID begins with 'ab'; see `cargo xtask flink jobs`"
        );
    }
}
