//! A job that runs while a test breaks something: how far it is, how it ends, and what it printed.

use std::time::Duration;

use serde_json::Value;

use crate::cluster::Cluster;

/// A few thousand rows take seconds, unless the machine is busy or other jobs have the slots.
const LIMIT: Duration = Duration::from_secs(120);

/// A job that fills a table of the print connector.
///
/// No other sink shows what every attempt answered: one that takes part in checkpoints hides what
/// an attempt gave out after the last of them, and without checkpoints it commits nothing.
pub(crate) struct Job<'a> {
    cluster: &'a Cluster,
    id: String,
    /// What tells its lines from those of other jobs.
    identifier: &'static str,
}

/// A row that was printed.
#[derive(Debug)]
pub(crate) struct Printed {
    /// How often its subtask had been started before.
    pub(crate) attempt: u32,
    pub(crate) cells: Vec<String>,
}

impl<'a> Job<'a> {
    /// Submits statements, the last of which fills a table with this `print-identifier`.
    pub(crate) async fn submit(
        cluster: &'a Cluster,
        identifier: &'static str,
        sql: &str,
    ) -> Job<'a> {
        Self::submit_all(cluster, &[identifier], sql)
            .await
            .remove(0)
    }

    /// Submits statements that fill tables with these identifiers, in this order.
    pub(crate) async fn submit_all(
        cluster: &'a Cluster,
        identifiers: &[&'static str],
        sql: &str,
    ) -> Vec<Job<'a>> {
        let output = cluster.run(sql).await;
        assert!(output.succeeded, "{}", output.text);
        let jobs: Vec<&str> = output.jobs().collect();
        assert_eq!(jobs.len(), identifiers.len(), "{}", output.text);
        let jobs = jobs.into_iter().zip(identifiers);
        jobs.map(|(id, identifier)| Job {
            cluster,
            id: id.to_owned(),
            identifier,
        })
        .collect()
    }

    /// Waits for something that has to come before the job ends.
    pub(crate) async fn wait_until(&self, what: &str, condition: impl AsyncFn() -> bool) {
        wait_until(LIMIT, what, async || {
            let state = self.state().await;
            // Asked in this order: what holds now held before the job ended.
            let holds = condition().await;
            let goes_on = !["FINISHED", "FAILED", "CANCELED"].contains(&state.as_str());
            assert!(holds || goes_on, "{state} before {what}");
            holds
        })
        .await;
    }

    /// Waits for its end, which must be a good one.
    pub(crate) async fn finish(&self) {
        wait_until(LIMIT, "the job has ended", async || {
            let state = self.state().await;
            if state == "FAILED" {
                panic!("{:#}", self.get("/exceptions").await);
            }
            state == "FINISHED"
        })
        .await;
    }

    /// How many checkpoints are complete.
    pub(crate) async fn checkpoints(&self) -> u64 {
        let counts = &self.get("/checkpoints").await["counts"];
        counts["completed"].as_u64().unwrap()
    }

    /// All rows so far; those of one subtask and attempt stand in their order.
    pub(crate) fn printed(&self) -> Vec<Printed> {
        let mark = format!(" , log context: {}:", self.identifier);
        let mut printed = Vec::new();
        for log in self.cluster.task_manager_logs() {
            // A killed process may leave half a line, and a living one may be about to write it.
            let lines = log.split_inclusive('\n');
            for line in lines.filter_map(|line| line.strip_suffix('\n')) {
                if let Some((task, row)) = line.split_once(&mark) {
                    let row = parse(task, row).unwrap_or_else(|| panic!("unexpected: {line}"));
                    printed.push(row);
                }
            }
        }
        printed
    }

    async fn state(&self) -> String {
        self.get("").await["state"].as_str().unwrap().to_owned()
    }

    async fn get(&self, path: &str) -> Value {
        self.cluster.get(&format!("/jobs/{}{path}", self.id)).await
    }
}

/// The thread `… -> Sink: answers[8] (4/4)#0` printed `4> +I[28, 1, 28, keyed-3-1, false]`.
fn parse(task: &str, row: &str) -> Option<Printed> {
    let attempt = task.rsplit_once('#')?.1.parse().ok()?;
    let cells = row.split_once("> +I[")?.1.strip_suffix(']')?;
    let cells = cells.split(", ").map(str::to_owned).collect();
    Some(Printed { attempt, cells })
}

/// Waits for something, for a time that a test can afford.
pub(crate) async fn wait_until(limit: Duration, what: &str, attempt: impl AsyncFn() -> bool) {
    let waiting = async {
        while !attempt().await {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let in_time = tokio::time::timeout(limit, waiting).await;
    assert!(in_time.is_ok(), "waited {limit:?} until {what}");
}
