//! Two servers behind one job: Flink shows what is counted of each.

use std::time::Duration;

use triton_embedded::EmbeddedTriton;

use crate::cluster::Cluster;
use crate::job::wait_until;
use crate::running_job::operator;

const LIMIT: Duration = Duration::from_secs(60);

#[tokio::test]
async fn each_replica_has_metrics_of_its_own() {
    let servers = [(); 2].map(|()| EmbeddedTriton::start().unwrap());
    let [first, second] = servers.each_ref().map(EmbeddedTriton::endpoint);
    let sql = format!(
        "CREATE TABLE readings (x FLOAT) WITH ('connector' = 'datagen', 'rows-per-second' = '200');
         CREATE TABLE echoes (x FLOAT) WITH ('connector' = 'blackhole');
         CREATE MODEL m INPUT (`value` FLOAT) OUTPUT (echo FLOAT) WITH (
           'provider' = 'triton', 'endpoint' = '{first},{second}', 'model-name' = 'echo');
         INSERT INTO echoes SELECT echo FROM ML_PREDICT(TABLE readings, MODEL m, DESCRIPTOR(x));"
    );
    let cluster = Cluster::shared().await;
    let output = cluster.run(&sql).await;
    assert!(output.succeeded, "{}", output.text);
    let job = output.job();
    let operator = operator(cluster, job).await;
    let metrics = format!("/jobs/{job}/vertices/{operator}/subtasks/metrics");
    let names = async |end: &str| {
        let all = cluster.get(&metrics).await;
        let names = all.as_array().unwrap().iter();
        let names = names.filter_map(|it| it["id"].as_str());
        let ours = names.filter(|it| it.contains(".triton.replica.") && it.ends_with(end));
        ours.map(str::to_owned).collect::<Vec<String>>()
    };
    let value = async |name: &str| {
        let found = cluster.get(&format!("{metrics}?get={name}")).await;
        found[0]["max"].as_f64()
    };
    wait_until(LIMIT, "each replica has answered", async || {
        let answered = names(".answered").await;
        let mut counts = Vec::new();
        for name in &answered {
            counts.push(value(name).await.unwrap_or_default());
        }
        counts.len() == 2 && counts.iter().all(|count| *count > 10.0)
    })
    .await;
    for name in names(".state").await {
        assert_eq!(value(&name).await, Some(1.0), "{name}");
    }
    for name in names(".failed").await {
        assert_eq!(value(&name).await, Some(0.0), "{name}");
    }
    cluster.cancel(job).await;
    wait_until(LIMIT, "the job is cancelled", async || {
        cluster.get(&format!("/jobs/{job}")).await["state"] == "CANCELED"
    })
    .await;
}
