//! Rows that a model answers any number of times, and rows that are asked one after the other.

use serde_json::Value;
use triton_client::{Client, LoadModel};
use triton_test_support::live_endpoint;

use crate::cluster::Cluster;

async fn load_countdown(endpoint: &str) {
    let config = include_str!("../../../triton-client/tests/models/countdown/config.json");
    let mut config: Value = serde_json::from_str(config).unwrap();
    config["name"] = "flink_countdown".into();
    let source = include_str!("../../../triton-client/tests/models/countdown/1/model.py");
    let model = LoadModel::new().config(&config).file("1/model.py", source);
    let client = Client::new(endpoint).unwrap();
    let name = "flink_countdown".parse().unwrap();
    client.load_model(&name, &model).await.unwrap();
}

#[tokio::test]
async fn a_row_has_as_many_answers_as_the_model_gives() {
    let endpoint = live_endpoint();
    load_countdown(&endpoint).await;
    let query = |further: &str| {
        format!(
            "SELECT id, prediction_index, `left`, prediction_last, prediction_status
             FROM ML_PREDICT(TABLE given, MODEL countdown, DESCRIPTOR(x){further});"
        )
    };
    let sql = format!(
        "CREATE TEMPORARY VIEW given AS SELECT * FROM (VALUES ('a', 2), ('b', 0), ('c', -2)) AS t(id, x);
         CREATE MODEL countdown INPUT (`from` INT)
         OUTPUT (prediction_index INT, `left` INT, prediction_last BOOLEAN, prediction_status STRING)
         WITH ('provider' = 'triton', 'endpoint' = '{endpoint}', 'model-name' = 'flink_countdown',
           'decoupled' = 'stream', 'on-error' = 'column');
         {}{}",
        query(""),
        query(", MAP['async', 'false']"),
    );
    let output = Cluster::shared().await.run(&sql).await;
    assert!(output.succeeded, "{}", output.text);
    let mut rows: Vec<String> = output.rows().iter().map(|row| row.join(" | ")).collect();
    let blocking = rows.split_off(rows.len() / 2);
    assert_eq!(rows, blocking);
    insta::assert_snapshot!(rows.join("\n"), @"
    a | 0 | 2 | FALSE | answered
    a | 1 | 1 | TRUE | answered
    c | 0 | 2 | FALSE | answered
    c | 1 | <NULL> | TRUE | failed
    ");
}
