//! A sequence for every key, on subtasks that get whole keys from a hash exchange.

use std::collections::BTreeMap;

use triton_test_support::live_endpoint;

use crate::cluster::Cluster;

const KEYS: u64 = 200;
const ROWS_PER_KEY: u64 = 50;

/// The window brings the rows of a key to one subtask, in the order in which they came.
pub(crate) fn statements(endpoint: &str, rows_per_second: u64) -> String {
    let rows = KEYS * ROWS_PER_KEY;
    format!(
        "CREATE TABLE source (i BIGINT, arrived AS PROCTIME()) WITH (
           'connector' = 'datagen', 'number-of-rows' = '{rows}',
           'rows-per-second' = '{rows_per_second}',
           'fields.i.kind' = 'sequence', 'fields.i.start' = '0', 'fields.i.end' = '{}');
         CREATE VIEW readings AS
           SELECT CAST(i % {KEYS} AS STRING) AS sensor, CAST(i AS INT) AS x, arrived FROM source;
         CREATE VIEW by_sensor AS
           SELECT sensor, x, COUNT(*) OVER (
             PARTITION BY sensor ORDER BY arrived
             ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS n
           FROM readings;
         CREATE MODEL m INPUT (sensor STRING, `value` INT)
         OUTPUT (`sum` INT, correlation_id STRING, sequence_restarted BOOLEAN)
         WITH (
           'provider' = 'triton', 'endpoint' = '{endpoint}', 'model-name' = 'accumulate',
           'sequence-id' = 'keyed', 'sequence-id-auto-increment' = 'true',
           'sequence-key' = 'sensor', 'sequence-max-length' = '{ROWS_PER_KEY}',
           'sequence-recovery' = 'replay');\n",
        rows - 1
    )
}

/// What the model would answer to each row, if it had each key for itself.
pub(crate) fn reference() -> BTreeMap<u64, u64> {
    let mut sums = vec![0; KEYS as usize];
    let rows = (0..KEYS * ROWS_PER_KEY).map(|x| {
        let sum = &mut sums[(x % KEYS) as usize];
        *sum += x;
        (x, *sum)
    });
    rows.collect()
}

#[tokio::test]
async fn every_key_has_a_sequence_of_its_own() {
    let query = "SELECT x, `sum`, sequence_restarted
         FROM ML_PREDICT(TABLE by_sensor, MODEL m, DESCRIPTOR(sensor, x), MAP['async', 'true',
           'max-concurrent-operations', '200', 'output-mode', 'ALLOW_UNORDERED']);";
    let sql = statements(&live_endpoint(), 100_000) + query;
    let output = Cluster::shared().await.run(&sql).await;
    assert!(output.succeeded, "{}", output.text);
    let rows = output.rows();
    let answers: BTreeMap<u64, u64> = rows
        .iter()
        .map(|row| {
            assert_eq!(row[2], "FALSE", "{row:?}");
            (row[0].parse().unwrap(), row[1].parse().unwrap())
        })
        .collect();
    assert_eq!(rows.len() as u64, KEYS * ROWS_PER_KEY);
    assert!(
        answers == reference(),
        "a key's rows were mixed, lost or out of order"
    );
}
