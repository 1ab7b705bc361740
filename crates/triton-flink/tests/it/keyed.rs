//! A sequence for every key, on subtasks that get whole keys from a hash exchange.

use std::collections::BTreeMap;

use triton_test_support::live_endpoint;

use crate::cluster::Cluster;

pub(crate) const KEYS: u64 = 200;
pub(crate) const ROWS_PER_KEY: u64 = 50;

/// What the window hands over with each row.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Carries {
    Nothing,
    /// Which row of its key it is.
    Number,
    /// The rows of its key so far.
    History,
}

impl Carries {
    /// The columns for that: how the model declares them, and how the view calls them.
    fn columns(self) -> (&'static str, &'static str) {
        match self {
            Carries::Nothing => ("", ""),
            Carries::Number => (", n BIGINT", ", n"),
            Carries::History => (", history ARRAY<INT>", ", xs"),
        }
    }

    fn option(self) -> &'static str {
        match self {
            Carries::Nothing => "",
            Carries::Number => "'sequence-position-column' = 'n',",
            Carries::History => "'sequence-history-columns' = 'value:history',",
        }
    }
}

/// The rows of a job: for each key the same number of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rows {
    /// A multiple of four, so that all rows of a key come from the same subtask of the source.
    pub(crate) keys: u64,
    pub(crate) per_second: u64,
    pub(crate) carries: Carries,
}

/// A sequence for every key. The window brings the rows of a key to one subtask, in the order in
/// which they came.
///
/// The names of what is created end with `suffix`; `options` are further ones of the model.
pub(crate) fn statements(endpoint: &str, rows: Rows, suffix: &str, options: &str) -> String {
    let Rows {
        keys,
        per_second,
        carries,
    } = rows;
    let count = keys * ROWS_PER_KEY;
    let (column, _) = carries.columns();
    let option = carries.option();
    format!(
        "CREATE TABLE source{suffix} (i BIGINT, arrived AS PROCTIME()) WITH (
           'connector' = 'datagen', 'number-of-rows' = '{count}',
           'rows-per-second' = '{per_second}',
           'fields.i.kind' = 'sequence', 'fields.i.start' = '0', 'fields.i.end' = '{}');
         CREATE VIEW readings{suffix} AS
           SELECT CAST(i % {keys} AS STRING) AS sensor, CAST(i AS INT) AS x, arrived
           FROM source{suffix};
         CREATE VIEW by_sensor{suffix} AS
           SELECT sensor, x, COUNT(*) OVER so_far AS n, ARRAY_AGG(x) OVER so_far AS xs
           FROM readings{suffix}
           WINDOW so_far AS (
             PARTITION BY sensor ORDER BY arrived
             ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW);
         CREATE MODEL m{suffix} INPUT (sensor STRING, `value` INT{column})
         OUTPUT (`sum` INT, correlation_id STRING, sequence_restarted BOOLEAN)
         WITH (
           'provider' = 'triton', 'endpoint' = '{endpoint}', 'model-name' = 'accumulate',
           'sequence-id' = 'keyed{suffix}', 'sequence-id-auto-increment' = 'true',
           'sequence-key' = 'sensor', 'sequence-max-length' = '{ROWS_PER_KEY}',
           {option} {options});\n",
        count - 1
    )
}

/// The answers to all rows, with as many of them in flight as there are keys.
pub(crate) fn answers(rows: Rows, suffix: &str, output_mode: &str) -> String {
    let (_, column) = rows.carries.columns();
    let keys = rows.keys;
    format!(
        "ML_PREDICT(TABLE by_sensor{suffix}, MODEL m{suffix}, DESCRIPTOR(sensor, x{column}),
           MAP['async', 'true', 'max-concurrent-operations', '{keys}',
             'output-mode', '{output_mode}'])"
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
    let rows = Rows {
        keys: KEYS,
        per_second: 100_000,
        carries: Carries::Nothing,
    };
    let recovery = "'sequence-recovery' = 'replay'";
    let sql = format!(
        "{}SELECT x, `sum`, sequence_restarted FROM {};",
        statements(&live_endpoint(), rows, "", recovery),
        answers(rows, "", "ALLOW_UNORDERED")
    );
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
