//! A cluster and a server that exist for one measurement, and what runs on them.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::cluster::{Cluster, Instance};
use super::jvm::Jvm;
use super::model_server::{self, ModelServer};
use super::start::Wanted;
use super::version::Version;
use super::{Flink, SQL_RUNNER};
use crate::lock::{self, Lock};
use crate::{command, http};

/// A job of a million rows takes seconds; a machine that is busy may need many times as long.
const TIME_FOR_A_JOB: Duration = Duration::from_secs(600);

pub(super) struct Testbed<'a> {
    flink: &'a Flink,
    instance: Instance,
    pub(super) cluster: Cluster,
    pub(super) server: ModelServer,
    /// The program of the server, which also does without Flink what Flink does.
    pub(super) program: PathBuf,
    /// Two measurements at once would only measure each other.
    _turn: Lock,
}

/// What happened to a job.
pub(super) struct Job {
    /// From the first of its tasks that was deployed to the end of the last.
    pub(super) seconds: f64,
    /// The cells of the last row that was printed.
    pub(super) result: Vec<String>,
}

impl<'a> Testbed<'a> {
    /// Starts a cluster of two TaskManagers with two slots each, and a server.
    pub(super) fn start(
        flink: &'a Flink,
        name: &str,
        provider: Option<PathBuf>,
        configuration: &[&str],
        variables: &'static [(&'static str, &'static str)],
    ) -> Result<Self> {
        let turn = lock::wait(&flink.folder.join("measure.lock"), "measures Flink")?;
        let program = model_server::build_program(&flink.workspace)?;
        let instance = flink.instance(name);
        // A measurement that was killed leaves its cluster, and who knows in which state.
        flink.stop(&instance)?;
        let wanted = Wanted {
            version: Version::V2_3,
            task_managers: 2,
            slots: 2,
            provider,
            configuration: configuration.iter().map(ToString::to_string).collect(),
            variables,
        };
        let server = ModelServer::start(&program)?;
        let cluster = flink.start(&instance, &wanted)?.cluster;
        Ok(Self {
            flink,
            instance,
            cluster,
            server,
            program,
            _turn: turn,
        })
    }

    /// The JVMs that run the tasks.
    pub(super) fn task_managers(&self) -> Vec<Jvm> {
        let scratch = self.scratch("jcmd.txt");
        let processes = self.cluster.task_managers.iter();
        let jvm = |process| Jvm {
            process,
            scratch: scratch.clone(),
        };
        processes.copied().map(jvm).collect()
    }

    /// A file that goes with the cluster.
    pub(super) fn scratch(&self, name: &str) -> PathBuf {
        self.instance.part("temporary").join(name)
    }

    /// Runs statements of which one is a query, and waits until its job has ended.
    pub(super) fn run(&self, statements: &str, watch: impl FnMut() -> Result<()>) -> Result<Job> {
        let printed = self.print(statements, watch)?;
        let id = printed.lines().find_map(|line| line.strip_prefix("job "));
        let id = id.with_context(|| format!("no job was submitted:\n{printed}"))?;
        let path = format!("/jobs/{}", id.trim());
        let job: JobDetails = http::get(self.cluster.rest_port, &path)?.json()?;
        if job.state != "FINISHED" {
            bail!("the job is {}, not FINISHED:\n{printed}", job.state);
        }
        let begin = job.vertices.iter().map(|vertex| vertex.start_time).min();
        let end = job.vertices.iter().map(|vertex| vertex.end_time).max();
        let (Some(begin), Some(end)) = (begin, end) else {
            bail!("the job has no tasks:\n{printed}");
        };
        let row = printed.lines().rfind(|line| line.starts_with('|'));
        let row = row.with_context(|| format!("no row was printed:\n{printed}"))?;
        let cells = row.trim_matches('|').split('|');
        Ok(Job {
            seconds: (end - begin) as f64 / 1000.0,
            result: cells.map(|cell| cell.trim().to_owned()).collect(),
        })
    }

    /// Runs statements that have to fail, with these words.
    pub(super) fn run_failing(&self, statements: &str, words: &str) -> Result<()> {
        match self.print(statements, || Ok(())) {
            Ok(printed) => bail!("expected a failure with '{words}', found none:\n{printed}"),
            Err(error) if format!("{error:#}").contains(words) => Ok(()),
            Err(error) => Err(error.context(format!("expected a failure with '{words}'"))),
        }
    }

    /// Runs statements; returns what is printed.
    fn print(&self, statements: &str, watch: impl FnMut() -> Result<()>) -> Result<String> {
        let file = self.scratch("statements.sql");
        fs_err::write(&file, statements)?;
        let class = SQL_RUNNER;
        let mut sql = self
            .flink
            .sql(&self.instance, &self.cluster, &file, class, &[])?;
        let output = self.scratch("output.txt");
        command::output_within(&mut sql, &output, TIME_FOR_A_JOB, watch)
    }
}

impl Drop for Testbed<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.flink.stop(&self.instance) {
            eprintln!("cannot stop Flink after the measurement: {error:#}");
        }
    }
}

#[derive(Deserialize)]
struct JobDetails {
    state: String,
    vertices: Vec<Vertex>,
}

/// Times are in milliseconds since 1970.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Vertex {
    start_time: i64,
    end_time: i64,
}
