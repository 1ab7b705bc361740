//! A cluster whose JobManager can be replaced, and a real Triton that can be killed.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::answers::Answers;
use super::rest;
use super::statements::Carries;
use super::zookeeper::ZooKeeper;
use crate::flink::cluster::{Cluster, Instance};
use crate::flink::start::Wanted;
use crate::flink::version::Version;
use crate::flink::{Flink, SQL_RUNNER, job_manager, task_managers};
use crate::lock::{self, Lock};
use crate::triton::{self, ServerVersion, Triton};
use crate::{command, interrupt, poll};

/// The name of the cluster and of the server.
const NAME: &str = "failures";

const TIME_TO_SUBMIT: Duration = Duration::from_secs(300);

pub(super) struct Stage<'a> {
    flink: &'a Flink,
    instance: Instance,
    cluster: Cluster,
    triton: Triton,
    server: triton::Instance,
    endpoint: String,
    /// It ends after the cluster, which drops it last.
    _zookeeper: ZooKeeper,
    _turn: Lock,
}

/// A job that was submitted.
pub(super) struct Job {
    pub(super) id: String,
    carries: Carries,
    run: String,
}

impl<'a> Stage<'a> {
    pub(super) fn start(flink: &'a Flink) -> Result<Self> {
        // Nothing is measured, and this is what tests build, too.
        let provider = flink.build(false)?.provider;
        let turn = lock::wait(&flink.folder.join("measure.lock"), "measures Flink")?;
        let triton = Triton::find()?;
        triton.install(ServerVersion::DEFAULT)?;
        let server = triton.instance(NAME);
        triton.stop(&server)?;
        let instance = flink.instance(NAME);
        flink.stop(&instance)?;
        let installation = flink.install(Version::V2_3)?;
        let zookeeper = ZooKeeper::start(&installation, &flink.folder.join("zookeeper"))?;
        let temporary = instance.part("temporary");
        let folder = |name: &str| format!("file://{}", temporary.join(name).display());
        let configuration = [
            "jobmanager.scheduler: adaptive".to_owned(),
            "jobmanager.adaptive-scheduler.executing.cooldown-after-rescaling: 0 s".to_owned(),
            "jobmanager.adaptive-scheduler.executing.resource-stabilization-timeout: 1 s"
                .to_owned(),
            "high-availability.type: zookeeper".to_owned(),
            format!(
                "high-availability.zookeeper.quorum: 127.0.0.1:{}",
                zookeeper.port
            ),
            "high-availability.zookeeper.client.session-timeout: 4 s".to_owned(),
            format!("high-availability.storageDir: {}", folder("ha")),
            "execution.checkpointing.interval: 500 ms".to_owned(),
            "execution.checkpointing.storage: filesystem".to_owned(),
            format!("execution.checkpointing.dir: {}", folder("checkpoints")),
            "restart-strategy.type: fixed-delay".to_owned(),
            "restart-strategy.fixed-delay.attempts: 1000".to_owned(),
            "restart-strategy.fixed-delay.delay: 500 ms".to_owned(),
            // Without it the JobManager goes on for long to give tasks to one that is gone.
            "heartbeat.interval: 500 ms".to_owned(),
            "heartbeat.timeout: 10 s".to_owned(),
            "taskmanager.load-balance.mode: SLOTS".to_owned(),
        ];
        let wanted = Wanted {
            version: Version::V2_3,
            task_managers: 2,
            slots: 8,
            provider: Some(provider),
            configuration: configuration.to_vec(),
            variables: &[],
        };
        let models = triton.example_models();
        let running = triton.start(ServerVersion::DEFAULT, &server, &models, None)?;
        let cluster = flink.start(&instance, &wanted);
        let stage = |cluster| Self {
            flink,
            instance,
            cluster,
            triton,
            server,
            endpoint: running.endpoint(),
            _zookeeper: zookeeper,
            _turn: turn,
        };
        Ok(stage(cluster?.cluster))
    }

    pub(super) fn rest_port(&self) -> u16 {
        self.cluster.rest_port
    }

    /// Where savepoints go.
    pub(super) fn savepoints(&self) -> String {
        let folder = self.instance.part("temporary").join("savepoints");
        format!("file://{}", folder.display())
    }

    /// Submits a job of each kind, and waits until each has a checkpoint.
    pub(super) fn submit(&self, rows: u64, parallelism: u64, run: &str) -> Result<Vec<Job>> {
        let settings = format!("SET 'parallelism.default' = '{parallelism}';\n");
        let all = Carries::ALL.iter();
        let statements = all.map(|carries| carries.statements(&self.endpoint, rows, run));
        let ids = self.run_sql(&(settings + &statements.collect::<String>()))?;
        if ids.len() != Carries::ALL.len() {
            bail!("{} jobs were submitted: {ids:?}", ids.len());
        }
        let jobs = ids.into_iter().zip(Carries::ALL).map(|(id, carries)| Job {
            id,
            carries: *carries,
            run: run.to_owned(),
        });
        let jobs: Vec<Job> = jobs.collect();
        let port = self.rest_port();
        let begun = poll::until(TIME_TO_SUBMIT, || {
            interrupt::check()?;
            let has_one = |job: &Job| rest::checkpoints(port, &job.id).is_some_and(|it| it > 0);
            Ok(jobs.iter().all(has_one).then_some(()))
        })?;
        begun.context("the jobs have no checkpoints")?;
        Ok(jobs)
    }

    /// Submits the job again, from a savepoint.
    pub(super) fn resubmit(
        &self,
        job: &Job,
        rows: u64,
        parallelism: u64,
        savepoint: &str,
    ) -> Result<Job> {
        let settings = format!(
            "SET 'parallelism.default' = '{parallelism}';
             SET 'execution.state-recovery.path' = '{savepoint}';\n"
        );
        let statements = job.carries.statements(&self.endpoint, rows, &job.run);
        let mut ids = self.run_sql(&(settings + &statements))?;
        Ok(Job {
            id: ids.pop().context("no job was submitted")?,
            carries: job.carries,
            run: job.run.clone(),
        })
    }

    /// Runs statements; returns the jobs that were submitted.
    fn run_sql(&self, statements: &str) -> Result<Vec<String>> {
        let scratch = |name: &str| self.instance.part("temporary").join(name);
        let file = scratch("statements.sql");
        fs_err::write(&file, statements)?;
        let class = SQL_RUNNER;
        let mut sql = self
            .flink
            .sql(&self.instance, &self.cluster, &file, class, &[])?;
        let output = scratch("output.txt");
        let printed = command::output_within(&mut sql, &output, TIME_TO_SUBMIT, || Ok(()))?;
        let jobs = printed.lines().filter_map(|line| line.strip_prefix("job "));
        Ok(jobs.map(|job| job.trim().to_owned()).collect())
    }

    /// What the jobs of a run have printed so far, by what their rows carry.
    pub(super) fn answers(&self, run: &str) -> Result<BTreeMap<&'static str, Answers>> {
        let mut answers = BTreeMap::<&'static str, Answers>::new();
        let marks = Carries::ALL.iter().map(|carries| {
            let mark = format!(" {}:", carries.identifier(run));
            (carries.name(), mark)
        });
        let marks: Vec<(&str, String)> = marks.collect();
        for entry in fs_err::read_dir(self.instance.part("log"))? {
            let path = entry?.path();
            if !path.to_string_lossy().contains("taskexecutor") {
                continue;
            }
            let log = fs_err::read(&path)?;
            let log = String::from_utf8_lossy(&log);
            // A killed process may leave half a line, and a living one may be about to write it.
            let lines = log.split_inclusive('\n');
            for line in lines.filter_map(|line| line.strip_suffix('\n')) {
                for (name, mark) in &marks {
                    if let Some((_, row)) = line.split_once(mark) {
                        answers.entry(name).or_default().add(row)?;
                    }
                }
            }
        }
        Ok(answers)
    }

    /// Waits until the jobs have ended well.
    pub(super) fn finish(&self, jobs: &[Job], limit: Duration) -> Result<()> {
        let port = self.rest_port();
        let finished = poll::until(limit, || {
            interrupt::check()?;
            for job in jobs {
                match rest::state(port, &job.id).as_deref() {
                    Some("FINISHED") => {}
                    Some("FAILED") => bail!("job {} has failed", job.id),
                    _ => return Ok(None),
                }
            }
            Ok(Some(()))
        })?;
        finished.context("the jobs do not end")
    }

    pub(super) fn replace_task_manager(&mut self) -> Result<()> {
        let _lock = self.instance.lock()?;
        task_managers::kill_oldest(&self.cluster)?;
        let flink = self.flink.install(self.cluster.version)?;
        task_managers::add(&flink, &self.instance, &mut self.cluster)?;
        Ok(())
    }

    /// Kills the JobManager and starts another one; with `all`, the TaskManagers, too.
    pub(super) fn replace_job_manager(&mut self, all: bool) -> Result<()> {
        let _lock = self.instance.lock()?;
        let flink = self.flink.install(self.cluster.version)?;
        self.cluster.job_manager.kill()?;
        let mut count = 0;
        for process in &self.cluster.task_managers {
            count += usize::from(process.is_alive()?);
            if all {
                process.kill()?;
            }
        }
        job_manager::replace(&flink, &self.instance, &mut self.cluster)?;
        if all {
            for _ in 0..count {
                task_managers::add(&flink, &self.instance, &mut self.cluster)?;
            }
        }
        Ok(())
    }

    /// Kills Triton and starts it again where it was.
    pub(super) fn restart_server(&self) -> Result<()> {
        self.triton.kill(&self.server)?;
        let port = self.endpoint.rsplit(':').next().unwrap_or_default();
        let port = Some(port.parse()?);
        let models = self.triton.example_models();
        self.triton
            .start(ServerVersion::DEFAULT, &self.server, &models, port)?;
        Ok(())
    }
}

impl Drop for Stage<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.flink.stop(&self.instance) {
            eprintln!("cannot stop Flink: {error:#}");
        }
        if let Err(error) = self.triton.stop(&self.server) {
            eprintln!("cannot stop Triton: {error:#}");
        }
    }
}
