//! A job whose restart strategy starts it again after a row failed: what its user sees, and which
//! sequence IDs the server is asked for a second time.

use std::collections::BTreeSet;

use triton_embedded::{CorrelationId, EmbeddedTriton, Fault, FaultScript};

use crate::cluster::Cluster;
use crate::keyed::{self, Carries, Rows};

/// Few enough that the server keeps a sequence for each of them at once.
const KEYS: u64 = 60;

/// A server whose model fails once, near the end: a subtask that started late has begun, too.
fn failing_once() -> EmbeddedTriton {
    let fault = Fault::Status {
        status: 500,
        text: "out of memory".to_owned(),
    };
    EmbeddedTriton::builder()
        .built_in_models()
        .recorded_requests(usize::MAX)
        .faults(FaultScript::new(0).request(2900, fault))
        .start()
        .unwrap()
}

/// The IDs of sequences that were begun before and after a request failed.
fn begun(server: &EmbeddedTriton) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut before, mut after) = (BTreeSet::new(), BTreeSet::new());
    let mut failed = false;
    for request in server.requests() {
        // It is not read whom a faulty answer is for.
        failed |= request.fault.is_some();
        if let (Some(CorrelationId::Text(id)), true) = (request.sequence_id, request.sequence_start)
        {
            let ids = if failed { &mut after } else { &mut before };
            ids.insert(id);
        }
    }
    assert_eq!(before.len() as u64, KEYS);
    assert!(after.len() as u64 >= KEYS, "the job was not started again");
    (before, after)
}

// Holds S20.
#[tokio::test]
async fn only_ids_of_a_run_are_not_used_again_by_restarts_and_submissions() {
    let servers: Vec<EmbeddedTriton> = (0..4).map(|_| failing_once()).collect();
    let mut sql = "SET 'restart-strategy.type' = 'fixed-delay';
         SET 'restart-strategy.fixed-delay.attempts' = '1';
         SET 'restart-strategy.fixed-delay.delay' = '0 s';
         SET 'table.dml-sync' = 'true';
         CREATE TABLE answers (x INT, `sum` INT) WITH ('connector' = 'blackhole');\n"
        .to_owned();
    let rows = Rows {
        keys: KEYS,
        per_second: 100_000,
        carries: Carries::Nothing,
    };
    for (number, server) in servers.iter().enumerate() {
        // A key's sequences have the scope 'run' unless another one is given.
        let (scope, options) = match number < 2 {
            true => ("subtask", "'sequence-id-scope' = 'subtask'"),
            false => ("run", "'sequence-recovery' = 'fail'"),
        };
        // The suffix is a part of the IDs: both submissions of a scope have the same one.
        let suffix = format!("_{scope}");
        sql += &keyed::statements(&server.endpoint(), rows, &suffix, options);
        sql += &format!(
            "INSERT INTO answers SELECT x, `sum` FROM {};
             DROP VIEW by_sensor{suffix}; DROP VIEW readings{suffix}; DROP TABLE source{suffix};
             DROP MODEL m{suffix};\n",
            keyed::answers(rows, &suffix, "ORDERED")
        );
    }
    let cluster = Cluster::shared().await;
    let output = cluster.run(&sql).await;
    assert!(output.succeeded, "{}", output.text);

    let subtask = [begun(&servers[0]), begun(&servers[1])];
    let run = [begun(&servers[2]), begun(&servers[3])];
    for (before, after) in &subtask {
        assert!(before.is_subset(after), "{before:?} {after:?}");
    }
    assert_eq!(subtask[0].0, subtask[1].0);
    let all = run.iter().flat_map(|(before, after)| [before, after]);
    let count: usize = all.clone().map(BTreeSet::len).sum();
    let distinct: BTreeSet<&String> = all.flatten().collect();
    assert_eq!(distinct.len(), count, "{run:?}");
    // Whoever finds an ID in a log finds its job: its run stands where the function was opened.
    let job = output.job();
    let log = cluster.task_manager_logs().concat();
    let of_job = format!("job=\"{job}\"");
    for id in &run[1].0 {
        let run = id
            .strip_prefix("keyed_run-")
            .and_then(|rest| rest.split('-').next());
        let named = format!("run=\"{}\"", run.unwrap_or_default());
        let mut opened = log.lines().filter(|line| line.contains(&named));
        assert!(opened.any(|line| line.contains(&of_job)), "{id}");
    }
    let exceptions = cluster.get(&format!("/jobs/{job}/exceptions")).await;
    let told = exceptions["exceptionHistory"]["entries"][0]["stacktrace"].to_string();
    let names_its_place = |told: &str| {
        told.contains("of 4, attempt 0, key '") && told.contains("sequence 'keyed_run-")
    };
    assert!(names_its_place(&told), "{told}");
}
