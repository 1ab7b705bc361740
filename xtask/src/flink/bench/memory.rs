//! The memory of the TaskManagers while rows run, so that one sees whether it grows with them.

use std::ops::Range;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::flink::jvm::Jvm;
use crate::flink::resources::{Resident, resident};
use crate::flink::testbed::Testbed;

const INTERVAL: Duration = Duration::from_millis(250);

/// By then every buffer has been used, so what still grows, grows with the rows.
const SHARE_TO_SETTLE: f64 = 0.1;

/// The memory of each TaskManager again and again, while a job runs.
pub(super) struct Samples {
    rows: u64,
    answered_before: u64,
    latest: Option<Instant>,
    task_managers: Vec<TaskManager>,
}

struct TaskManager {
    jvm: Jvm,
    heap: Range<u64>,
    /// With the share of the rows that were answered by then.
    taken: Vec<(f64, Resident)>,
}

impl Samples {
    /// Begins before a job of so many rows.
    pub(super) fn begin(testbed: &Testbed<'_>, rows: u64) -> Result<Self> {
        let mut task_managers = Vec::new();
        for jvm in testbed.task_managers() {
            task_managers.push(TaskManager {
                heap: jvm.heap()?.addresses,
                jvm,
                taken: Vec::new(),
            });
        }
        Ok(Self {
            rows,
            answered_before: testbed.server.counts()?.rows,
            latest: None,
            task_managers,
        })
    }

    /// Takes a sample unless the latest one is recent.
    pub(super) fn take(&mut self, testbed: &Testbed<'_>) -> Result<()> {
        if self
            .latest
            .is_some_and(|latest| latest.elapsed() < INTERVAL)
        {
            return Ok(());
        }
        let answered = testbed.server.counts()?.rows - self.answered_before;
        let share = answered as f64 / self.rows as f64;
        for task_manager in &mut self.task_managers {
            let resident = resident(task_manager.jvm.process, &task_manager.heap)?;
            task_manager.taken.push((share, resident));
        }
        self.latest = Some(Instant::now());
        Ok(())
    }

    /// Ends after the job, and tells of each TaskManager how its memory changed.
    pub(super) fn end(&self) -> Result<Vec<String>> {
        let mut lines = Vec::new();
        for (index, task_manager) in self.task_managers.iter().enumerate() {
            task_manager.jvm.collect_garbage()?;
            let used = task_manager.jvm.heap()?.used;
            lines.push(format!(
                "memory of TaskManager {}: {}; heap used after a forced GC {}",
                index + 1,
                course(&task_manager.taken),
                megabytes(used)
            ));
        }
        Ok(lines)
    }
}

/// From where the buffers have been used to where the last row was answered.
fn course(taken: &[(f64, Resident)]) -> String {
    let running = |(share, _): &&(f64, Resident)| *share >= SHARE_TO_SETTLE && *share < 1.0;
    let running: Vec<_> = taken.iter().filter(running).collect();
    let [(begin, first), .., (end, last)] = running[..] else {
        return "too short a run to tell whether it grows".to_owned();
    };
    let outside = running.iter().map(|(_, resident)| resident.outside_heap);
    let lowest = outside.clone().min().unwrap_or_default();
    let highest = outside.max().unwrap_or_default();
    format!(
        "outside the heap {} after {:.0} % of the rows, {} after {:.0} % ({} samples, {} to {}); \
         all {}, then {}",
        megabytes(first.outside_heap),
        begin * 100.0,
        megabytes(last.outside_heap),
        end * 100.0,
        running.len(),
        megabytes(lowest),
        megabytes(highest),
        megabytes(first.all),
        megabytes(last.all)
    )
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_taken_before_and_after_the_rows_does_not_count() {
        let shares = [(0.0, 1), (0.2, 5), (0.6, 7), (0.9, 6), (1.0, 9)];
        let taken = shares.map(|(share, megabytes)| {
            let outside_heap = megabytes * 1_000_000;
            let all = 2 * outside_heap;
            (share, Resident { all, outside_heap })
        });
        let expected = "outside the heap 5.0 MB after 20 % of the rows, 6.0 MB after 90 % \
                        (3 samples, 5.0 MB to 7.0 MB); all 10.0 MB, then 12.0 MB";
        assert_eq!(course(&taken), expected);
        assert_eq!(
            course(&taken[..2]),
            "too short a run to tell whether it grows"
        );
    }
}
