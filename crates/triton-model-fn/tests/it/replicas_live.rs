//! Three real Tritons behind one endpoint, of which one crashes. `cargo xtask replicas` has more happen to
//! them, and takes minutes.

use std::path::Path;
use std::sync::Arc;

use futures_util::future::join_all;
use triton_test_support::OwnTriton;

use crate::keyed::SUBTASKS;
use crate::replicas::Keys;

const INSTANCES: [&str; 3] = ["replica-test-0", "replica-test-1", "replica-test-2"];

const OPTIONS: [(&str, &str); 5] = [
    ("sequence-recovery", "replay"),
    ("max-retries", "20"),
    ("retry-initial-backoff", "10 ms"),
    ("retry-max-backoff", "200 ms"),
    ("endpoint-refresh", "500 ms"),
];

// Holds S69.
#[tokio::test(flavor = "multi_thread")]
async fn a_crash_of_one_of_three_real_tritons_costs_no_row_of_a_sequence() {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/models");
    let start = move || OwnTriton::start_all(&INSTANCES, &models);
    let servers = Arc::new(tokio::task::spawn_blocking(start).await.unwrap());
    let endpoints: Vec<&str> = servers.iter().map(OwnTriton::endpoint).collect();
    let endpoint = endpoints.join(",");
    let open = |index| Keys::open_in(&endpoint, 20, &OPTIONS, index, SUBTASKS);
    let mut subtasks = join_all((0..SUBTASKS).map(open)).await;
    for _ in 0..3 {
        next_whole(&mut subtasks, false).await;
    }
    let crashed = Arc::clone(&servers);
    let crash = tokio::task::spawn_blocking(move || crashed[1].crash_and_restart());
    // Some of these find it alive, some dying, and some away.
    let mut rounds = 0;
    while !crash.is_finished() {
        next_whole(&mut subtasks, false).await;
        rounds += 1;
        if rounds == 40 {
            break;
        }
    }
    crash.await.unwrap();
    for last in [false, true] {
        next_whole(&mut subtasks, last).await;
    }
    for subtask in &subtasks {
        subtask.close().await;
    }
    let stop = move || drop(servers);
    tokio::task::spawn_blocking(stop).await.unwrap();
}

/// A row of each key of each subtask, which must lack none of those before it.
async fn next_whole(subtasks: &mut [Keys], last: bool) {
    join_all(subtasks.iter_mut().map(|keys| keys.next_whole(last))).await;
}
