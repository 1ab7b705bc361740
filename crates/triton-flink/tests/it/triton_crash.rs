//! Triton is killed and comes back in the middle of a job, whose answers must not show it.

use std::collections::BTreeMap;
use std::sync::Arc;

use triton_test_support::CrashTriton;

use crate::chains::{self, Attempt};
use crate::cluster::Cluster;
use crate::job::Job;
use crate::keyed::{self, Carries, KEYS, ROWS_PER_KEY, Rows};

/// Enough for the time that a killed server takes to come back.
const RECOVERY: &str = "'sequence-recovery' = 'replay',
    'max-retries' = '200', 'retry-initial-backoff' = '10 ms', 'retry-max-backoff' = '300 ms'";

#[tokio::test]
async fn with_replay_no_answer_of_a_job_shows_that_triton_was_killed() {
    let cluster = Cluster::shared().await;
    let triton = tokio::task::spawn_blocking(CrashTriton::start).await;
    let triton = Arc::new(triton.unwrap());
    let rows = Rows {
        keys: KEYS,
        per_second: 2000,
        carries: Carries::Nothing,
    };
    let answers = keyed::answers(rows, "", "ORDERED");
    let sql = keyed::statements(triton.endpoint(), rows, "", RECOVERY)
        + &chains::sink("triton-crash", "", &answers);
    let job = Job::submit(cluster, "triton-crash", &sql).await;
    let in_the_middle = async || chains::is_in_the_middle(&job.printed(), KEYS);
    job.wait_until("a third of the rows is answered", in_the_middle)
        .await;
    let crash = {
        let triton = Arc::clone(&triton);
        move || triton.crash_and_restart()
    };
    tokio::task::spawn_blocking(crash).await.unwrap();
    let answered = job.printed().len() as u64;
    assert!(answered < KEYS * ROWS_PER_KEY, "it was killed too late");
    job.finish().await;
    let expected = Attempt {
        rows: KEYS * ROWS_PER_KEY,
        unmarked: KEYS,
        ..Attempt::default()
    };
    assert_eq!(
        chains::check(&job.printed(), KEYS),
        BTreeMap::from([(0, expected)])
    );
}
