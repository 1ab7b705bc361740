//! The statement that everything began with, on four subtasks and a real Triton.

use std::collections::BTreeSet;

use triton_test_support::live_endpoint;

use crate::cluster::Cluster;

/// Numbers in four equal parts, one for each subtask.
const ROWS: usize = 400;

#[tokio::test]
async fn four_subtasks_never_share_a_sequence_id() {
    let cluster = Cluster::shared().await;
    let output = cluster.run(&statements(&live_endpoint(), "triton")).await;
    assert!(output.succeeded, "{}", output.text);
    check(&output.rows());
}

/// The statement as users write it; only endpoint and model are those of the test.
pub(crate) fn statements(endpoint: &str, provider: &str) -> String {
    format!(
        "CREATE TABLE readings (x INT) WITH (
           'connector' = 'datagen', 'number-of-rows' = '{ROWS}',
           'fields.x.kind' = 'sequence', 'fields.x.start' = '1', 'fields.x.end' = '{ROWS}');
         CREATE MODEL my_triton_model INPUT (`value` INT) OUTPUT (`sum` INT, correlation_id STRING)
         WITH (
           'provider' = '{provider}',
           'endpoint' = '{endpoint}/v2/models',
           'model-name' = 'accumulate',
           'sequence-id' = 'flink-job-123',
           'sequence-id-auto-increment' = 'true',
           'sequence-start' = 'true',
           'sequence-end' = 'true');
         SELECT x, `sum`, correlation_id
         FROM ML_PREDICT(TABLE readings, MODEL my_triton_model, DESCRIPTOR(x));"
    )
}

/// Each row is answered once and by itself, and each subtask counts its IDs from 0.
pub(crate) fn check(rows: &[Vec<String>]) {
    let mut numbers = BTreeSet::new();
    let mut ids = BTreeSet::new();
    for row in rows {
        let [number, sum, id] = &row[..] else {
            panic!("{row:?}")
        };
        assert_eq!(number, sum, "{id} mixed the states of two rows");
        numbers.insert(number.parse::<usize>().unwrap());
        ids.insert(id.clone());
    }
    assert_eq!(numbers, (1..=ROWS).collect());
    let expected = (0..4).flat_map(|subtask| {
        (0..ROWS / 4).map(move |counter| format!("flink-job-123-{subtask}-{counter}"))
    });
    assert_eq!(ids, expected.collect());
}
