//! Jobs whose server never answers: they end when they are told to, whatever `timeout` says.

use std::time::{Duration, Instant};

use triton_embedded::{EmbeddedTriton, FaultScript};

use crate::cluster::Cluster;
use crate::job::wait_until;

/// Flink itself takes about three seconds to cancel a job.
const LIMIT: Duration = Duration::from_secs(20);

/// A table that is filled by a model whose options and arguments make a certain lane of it.
fn lane(number: usize, columns: &str, options: &str, arguments: &str) -> String {
    format!(
        "CREATE MODEL m{number} {columns} WITH ('provider' = 'triton', 'timeout' = '1 h', {options});
         CREATE TABLE t{number} (k STRING) WITH ('connector' = 'blackhole');
         INSERT INTO t{number} SELECT k FROM ML_PREDICT(TABLE readings, MODEL m{number}, {arguments});\n"
    )
}

#[tokio::test]
async fn a_job_ends_within_seconds_although_its_server_hangs() {
    let script = br#"{"faults": [{"fault": "delay", "milliseconds": 86400000, "rate": 1}]}"#;
    let server = EmbeddedTriton::builder()
        .built_in_models()
        .faults(FaultScript::from_json(script).unwrap())
        .start()
        .unwrap();
    let endpoint = server.endpoint();
    let of = |model: &str, more: &str| {
        format!("'endpoint' = '{endpoint}', 'model-name' = '{model}'{more}")
    };
    let ids = ", 'sequence-id' = 'hangs', 'sequence-id-auto-increment' = 'true'";
    let sum = "INPUT (`value` INT) OUTPUT (`sum` INT)";
    let echo = "INPUT (`value` FLOAT) OUTPUT (echo FLOAT)";
    let sql = [
        "SET 'parallelism.default' = '1';
         SET 'table.exec.async-ml-predict.timeout' = '1 h';
         CREATE TABLE readings (k STRING, x INT, f FLOAT) WITH ('connector' = 'datagen',
           'rows-per-second' = '100');\n"
            .to_owned(),
        lane(1, sum, &of("accumulate", ids), "DESCRIPTOR(x)"),
        lane(
            2,
            "INPUT (k STRING, `value` INT) OUTPUT (`sum` INT)",
            &of("accumulate", &format!("{ids}, 'sequence-key' = 'k'")),
            "DESCRIPTOR(k, x)",
        ),
        lane(
            3,
            echo,
            &of("echo", ", 'batch-size' = '8'"),
            "DESCRIPTOR(f)",
        ),
        lane(
            4,
            echo,
            &of("echo", ""),
            "DESCRIPTOR(f), MAP['async', 'false']",
        ),
    ];
    let cluster = Cluster::shared().await;
    let output = cluster.run(&sql.concat()).await;
    assert!(output.succeeded, "{}", output.text);
    let jobs: Vec<&str> = output.jobs().collect();
    assert_eq!(jobs.len(), 4);
    wait_until(LIMIT, "each job waits for an answer", async || {
        server.requests().len() >= jobs.len()
    })
    .await;
    for job in jobs {
        let begun = Instant::now();
        cluster.cancel(job).await;
        wait_until(LIMIT, "the job is cancelled", async || {
            cluster.get(&format!("/jobs/{job}")).await["state"] == "CANCELED"
        })
        .await;
        println!("cancelled after {:.1?}", begun.elapsed());
    }
}
