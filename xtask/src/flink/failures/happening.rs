//! What happens to the jobs.

use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::ValueEnum;

use super::rest;
use super::stage::{Job, Stage};
use super::statements::Carries;
use crate::{interrupt, poll};

/// The adaptive scheduler waits for a checkpoint, and a JobManager for the one that is gone.
const LIMIT: Duration = Duration::from_secs(180);

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::flink) enum Happening {
    /// A TaskManager is killed, and another one comes
    Failover,
    /// The adaptive scheduler makes four subtasks of two
    RescalingUp,
    /// The adaptive scheduler makes two subtasks of four
    RescalingDown,
    /// The JobManager is killed, and another one takes the jobs over
    Takeover,
    /// The JobManager and all TaskManagers are killed, and others come
    TakeoverAnew,
    /// The jobs stop with a savepoint, and begin again from it with four subtasks in place of two
    SavepointUp,
    /// The same, with two subtasks in place of four
    SavepointDown,
    /// Triton is killed, and comes back empty
    Server,
}

impl Happening {
    pub(super) const ALL: &[Happening] = &[
        Happening::Failover,
        Happening::RescalingUp,
        Happening::RescalingDown,
        Happening::Takeover,
        Happening::TakeoverAnew,
        Happening::SavepointUp,
        Happening::SavepointDown,
        Happening::Server,
    ];

    /// What a soak has in turns: nothing after which rows that carry nothing are wrong unseen.
    pub(super) const SOAK: &[Happening] = &[
        Happening::Server,
        Happening::Failover,
        Happening::Server,
        Happening::Takeover,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Happening::Failover => "failover",
            Happening::RescalingUp => "rescaling 2 to 4",
            Happening::RescalingDown => "rescaling 4 to 2",
            Happening::Takeover => "takeover",
            Happening::TakeoverAnew => "takeover, all anew",
            Happening::SavepointUp => "savepoint, 2 to 4",
            Happening::SavepointDown => "savepoint, 4 to 2",
            Happening::Server => "server killed",
        }
    }

    /// How many subtasks there are before and after it.
    pub(super) fn parallelism(self) -> (u64, u64) {
        match self {
            Happening::RescalingUp | Happening::SavepointUp => (2, 4),
            Happening::RescalingDown | Happening::SavepointDown => (4, 2),
            _ => (2, 2),
        }
    }

    /// Whether nothing tells the function that rows are missing, as the guide says.
    pub(super) fn may_go_unseen(self, carries: Carries) -> bool {
        // Flink splits the rows in flight between the subtasks that there are then, whatever their keys.
        let (before, after) = self.parallelism();
        match carries {
            Carries::Nothing => before != after || self == Happening::TakeoverAnew,
            Carries::NothingMarked => before != after,
            Carries::Number | Carries::History => false,
        }
    }

    pub(super) fn happen(
        self,
        stage: &mut Stage<'_>,
        jobs: &mut Vec<Job>,
        rows: u64,
    ) -> Result<()> {
        let (_, after) = self.parallelism();
        match self {
            Happening::Failover => stage.replace_task_manager()?,
            Happening::RescalingUp | Happening::RescalingDown => {
                for job in &*jobs {
                    rest::rescale(stage.rest_port(), &job.id, after)?;
                }
            }
            Happening::Takeover => stage.replace_job_manager(false)?,
            Happening::TakeoverAnew => stage.replace_job_manager(true)?,
            Happening::SavepointUp | Happening::SavepointDown => {
                let (folder, port) = (stage.savepoints(), stage.rest_port());
                // All of them are in their middle now, and would end while others are submitted.
                let stop = |job: &Job| rest::stop_with_savepoint(port, &job.id, &folder);
                let places: Vec<_> = jobs.iter().map(stop).collect::<Result<_>>()?;
                for (job, place) in jobs.iter_mut().zip(&places) {
                    *job = stage.resubmit(job, rows, after, place)?;
                }
            }
            Happening::Server => stage.restart_server()?,
        }
        let port = stage.rest_port();
        let goes_on = poll::until(LIMIT, || {
            interrupt::check()?;
            let runs = |job: &Job| {
                let has_ended = rest::state(port, &job.id).is_some_and(|it| it == "FINISHED");
                has_ended || rest::parallelism(port, &job.id) == Some(after)
            };
            Ok(jobs.iter().all(runs).then_some(()))
        })?;
        goes_on.with_context(|| format!("the jobs do not go on after: {}", self.name()))
    }
}
