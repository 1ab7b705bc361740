//! A job that runs on: what Flink shows of it, and what is left when it is cancelled.

use std::time::Duration;

use serde_json::Value;
use triton_test_support::live_endpoint;

use crate::cluster::Cluster;
use crate::job::wait_until;

const LIMIT: Duration = Duration::from_secs(60);

#[tokio::test]
async fn flink_shows_metrics_and_logs_and_cancelling_ends_everything() {
    let cluster = Cluster::shared().await;
    let sql = format!(
        "CREATE TABLE readings (x INT) WITH ('connector' = 'datagen', 'rows-per-second' = '100');
         CREATE TABLE sums (x INT, total INT, id STRING) WITH ('connector' = 'blackhole');
         CREATE MODEL m INPUT (`value` INT) OUTPUT (`sum` INT, correlation_id STRING) WITH (
           'provider' = 'triton', 'endpoint' = '{}', 'model-name' = 'accumulate',
           'sequence-id' = 'metrics', 'sequence-id-auto-increment' = 'true');
         INSERT INTO sums SELECT x, `sum`, correlation_id
           FROM ML_PREDICT(TABLE readings, MODEL m, DESCRIPTOR(x));",
        live_endpoint()
    );
    let output = cluster.run(&sql).await;
    assert!(output.succeeded, "{}", output.text);
    let job = output.job();

    let operator = operator(cluster, job).await;
    let metrics = format!("/jobs/{job}/vertices/{operator}/subtasks/metrics");
    let prefix = "MLPredictTableFunction[2].triton";
    let value = async |name: &str| {
        let found = cluster.get(&format!("{metrics}?get={prefix}.{name}")).await;
        found[0]["sum"].as_f64()
    };
    wait_until(LIMIT, "rows are counted", async || {
        value("successes").await.is_some_and(|rows| rows > 100.0)
    })
    .await;
    assert!(value("requests").await.unwrap() > 100.0);
    assert!(value("latencyMs_p99").await.unwrap() > 0.0);
    assert_eq!(value("failures").await, Some(0.0));

    cluster.cancel(job).await;
    wait_until(LIMIT, "the job is cancelled", async || {
        cluster.get(&format!("/jobs/{job}")).await["state"] == "CANCELED"
    })
    .await;

    let log = cluster.task_manager_logs().concat();
    for subtask in 0..4 {
        let of_job = format!("job=\"{job}\"");
        let begun = format!("subtask={subtask} parallelism=4 attempt=0");
        let mut lines = log.lines();
        let line = lines.find(|line| line.contains(&of_job) && line.contains(&begun));
        let line = line.unwrap_or_else(|| panic!("no line has '{of_job}' and '{begun}'"));
        assert!(line.contains(" INFO  triton.model_fn."), "{line}");
    }
}

/// The vertex of the job that asks the model.
pub(crate) async fn operator(cluster: &Cluster, job: &str) -> String {
    let description = cluster.get(&format!("/jobs/{job}")).await;
    let vertices = description["vertices"].as_array().unwrap();
    let asks = |vertex: &&Value| vertex["name"].as_str().unwrap().contains("MLPredict");
    let vertex = vertices.iter().find(asks).unwrap();
    assert_eq!(vertex["parallelism"], 4);
    vertex["id"].as_str().unwrap().to_owned()
}
