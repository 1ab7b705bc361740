//! A TaskManager is killed in the middle of jobs: what their restart does to sequences of keys.

use triton_test_support::CrashTriton;

use crate::chains;
use crate::cluster::{ALONE, Cluster};
use crate::job::Job;
use crate::keyed::{self, Carries, ROWS_PER_KEY, Rows};

/// The jobs that meet the failure, at the same time because each one would take as long as all.
struct Case {
    name: &'static str,
    carries: Carries,
    /// Whether the source goes on behind the last checkpoint, and does not start over.
    checkpoints: bool,
    output_mode: &'static str,
}

const CASES: [Case; 4] = [
    Case {
        name: "starts_over",
        carries: Carries::Number,
        checkpoints: false,
        output_mode: "ORDERED",
    },
    Case {
        name: "carries_nothing",
        carries: Carries::Nothing,
        checkpoints: true,
        output_mode: "ORDERED",
    },
    Case {
        name: "carries_its_number",
        carries: Carries::Number,
        checkpoints: true,
        output_mode: "ORDERED",
    },
    // Rows that were in flight come back in any order.
    Case {
        name: "carries_its_history",
        carries: Carries::History,
        checkpoints: true,
        output_mode: "ALLOW_UNORDERED",
    },
];

/// For each of four jobs: the model keeps 256 sequences.
const KEYS: u64 = 60;

/// So slow that the first job is not over when the last one, submitted after it, is in its middle.
const ROWS_PER_SECOND: u64 = 60;

/// As often as it takes until the cluster has its slots again.
const SETTINGS: &str = "SET 'restart-strategy.type' = 'fixed-delay';
    SET 'restart-strategy.fixed-delay.attempts' = '100';
    SET 'restart-strategy.fixed-delay.delay' = '500 ms';
    SET 'parallelism.default' = '4';\n";

fn statements(endpoint: &str, case: &Case) -> String {
    let rows = Rows {
        keys: KEYS,
        per_second: ROWS_PER_SECOND,
        carries: case.carries,
    };
    let suffix = format!("_{}", case.name);
    // What the server alone loses is replayed from memory, and shows in no answer.
    let recovery = "'sequence-recovery' = 'replay', 'sequence-replay-overflow' = 'restart'";
    let answers = keyed::answers(rows, &suffix, case.output_mode);
    keyed::statements(endpoint, rows, &suffix, recovery)
        + &chains::sink(case.name, &suffix, &answers)
}

#[tokio::test]
async fn no_answer_is_silently_wrong_when_a_task_manager_is_killed() {
    let arguments = [
        "--without-provider",
        "--slots=8",
        "-Dtaskmanager.load-balance.mode=SLOTS",
        // Without it the JobManager goes on for long to give tasks to one that is gone.
        "-Dheartbeat.interval=500 ms",
    ];
    let cluster = Cluster::start("test-failover", &arguments).await;
    let checkpoints = format!(
        "SET 'execution.checkpointing.interval' = '300 ms';
         SET 'execution.checkpointing.storage' = 'filesystem';
         SET 'execution.checkpointing.dir' = 'file://{}';\n",
        cluster.temporary().join("checkpoints").display()
    );
    let (without, with): (Vec<&Case>, _) = CASES.iter().partition(|case| !case.checkpoints);
    // A server of these jobs' own, because those of other tests take places of the model, too.
    let triton = tokio::task::spawn_blocking(CrashTriton::start).await;
    let triton = triton.unwrap();
    let statements = |cases: &[&Case]| -> String {
        let statements = cases.iter().map(|case| statements(triton.endpoint(), case));
        statements.collect()
    };
    let sql = [
        SETTINGS,
        &statements(&without),
        &checkpoints,
        &statements(&with),
    ];
    let alone = ALONE.write().await;
    let cases: Vec<&Case> = without.into_iter().chain(with).collect();
    let names: Vec<&str> = cases.iter().map(|case| case.name).collect();
    let jobs = Job::submit_all(&cluster, &names, &sql.concat()).await;

    for (case, job) in cases.iter().zip(&jobs) {
        job.wait_until("a third of its rows is answered", async || {
            let enough = !case.checkpoints || job.checkpoints().await > 0;
            enough && chains::is_in_the_middle(&job.printed(), KEYS)
        })
        .await;
    }
    cluster.xtask("kill-task-manager").await;
    cluster.xtask("add-task-manager").await;
    drop(alone);
    for (case, job) in cases.iter().zip(&jobs) {
        job.finish().await;
        check(case, job);
    }
    cluster.xtask("stop").await;
}

fn check(case: &Case, job: &Job<'_>) {
    let printed = job.printed();
    if matches!(case.carries, Carries::History) {
        let attempts = chains::check_whole(&printed, KEYS);
        assert!(attempts.len() > 1, "{}: it was killed too late", case.name);
        return;
    }
    let attempts = chains::check(&printed, KEYS);
    let context = format!("{}: {attempts:?}", case.name);
    assert!(attempts.len() > 1, "it was killed too late: {context}");
    assert_eq!(attempts[&0].unmarked, KEYS, "{context}");
    let (_, last) = attempts.last_key_value().unwrap();
    if !case.checkpoints {
        // The rows count from 1 again, so nothing is missing and nothing marked.
        assert_eq!(last.rows, KEYS * ROWS_PER_KEY, "{context}");
        assert_eq!(last.unmarked, KEYS, "{context}");
        return;
    }
    for (_, attempt) in attempts.range(1..) {
        assert!(attempt.rows < KEYS * ROWS_PER_KEY, "{context}");
        // All earlier rows of the other keys were in flight when the checkpoint was taken.
        assert!(attempt.go_on > KEYS / 2, "{context}");
        match case.carries {
            // A row that says it is the first one of its key needs no mark.
            Carries::Number => assert_eq!(attempt.begin_again, 0, "{context}"),
            _ => assert_eq!(attempt.unmarked, 0, "{context}"),
        }
    }
}
