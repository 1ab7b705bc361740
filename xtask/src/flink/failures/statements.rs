//! The SQL of the jobs: rows of keys, what the model should say to each, and what it says.

/// How many rows a job has in a second.
pub(super) const PER_SECOND: u64 = 60;

/// How many keys there are at a time, and how many rows each of them has.
const KEYS: u64 = 10;
const ROWS_OF_A_KEY: u64 = 50;

/// What rows carry, which decides what the function can know of those before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Carries {
    Nothing,
    /// Nothing, but the function is told that keys are not new.
    NothingMarked,
    Number,
    History,
}

impl Carries {
    pub(super) const ALL: &[Carries] = &[
        Carries::Nothing,
        Carries::NothingMarked,
        Carries::Number,
        Carries::History,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Carries::Nothing => "nothing, auto",
            Carries::NothingMarked => "nothing, mark",
            Carries::Number => "its number",
            Carries::History => "its history",
        }
    }

    /// What its tables and models are called after.
    fn suffix(self) -> &'static str {
        match self {
            Carries::Nothing => "nothing",
            Carries::NothingMarked => "marked",
            Carries::Number => "number",
            Carries::History => "history",
        }
    }

    /// The columns for that, as the model declares them and as the view calls them, and the option.
    fn columns(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Carries::Nothing => ("", "", ""),
            Carries::NothingMarked => ("", "", "'sequence-unknown-key' = 'mark',"),
            Carries::Number => (", n BIGINT", ", n", "'sequence-position-column' = 'n',"),
            Carries::History => (
                ", history ARRAY<INT>",
                ", xs",
                "'sequence-history-columns' = 'value:history',",
            ),
        }
    }

    /// What its lines of the connector `print` begin with.
    pub(super) fn identifier(self, run: &str) -> String {
        format!("{run}/{}", self.suffix())
    }

    /// The statements that submit a job of so many rows.
    pub(super) fn statements(self, endpoint: &str, rows: u64, run: &str) -> String {
        let suffix = self.suffix();
        let (column, argument, option) = self.columns();
        let last = rows - 1;
        let identifier = self.identifier(run);
        let of_a_round = KEYS * ROWS_OF_A_KEY;
        format!(
            "CREATE TABLE source_{suffix} (i BIGINT, arrived AS PROCTIME()) WITH (
               'connector' = 'datagen', 'number-of-rows' = '{rows}', 'rows-per-second' = '{PER_SECOND}',
               'scan.parallelism' = '1',
               'fields.i.kind' = 'sequence', 'fields.i.start' = '0', 'fields.i.end' = '{last}');
             CREATE VIEW readings_{suffix} AS
               SELECT CAST(i / {of_a_round} AS STRING) || '-' || CAST(i % {KEYS} AS STRING) AS sensor,
                 CAST(i % 97 + 1 AS INT) AS x, arrived FROM source_{suffix};
             CREATE VIEW by_sensor_{suffix} AS
               SELECT sensor, x, COUNT(*) OVER so_far AS n, SUM(x) OVER so_far AS expected,
                 ARRAY_AGG(x) OVER so_far AS xs
               FROM readings_{suffix}
               WINDOW so_far AS (PARTITION BY sensor ORDER BY arrived
                 ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW);
             CREATE MODEL m_{suffix} INPUT (sensor STRING, `value` INT{column})
             OUTPUT (`sum` INT, sequence_restarted BOOLEAN) WITH (
               'provider' = 'triton', 'endpoint' = '{endpoint}', 'model-name' = 'accumulate',
               'sequence-id' = '{suffix}', 'sequence-id-auto-increment' = 'true',
               'sequence-key' = 'sensor', 'sequence-max-length' = '{ROWS_OF_A_KEY}',
               'sequence-recovery' = 'replay', 'sequence-replay-overflow' = 'restart', {option}
               'max-retries' = '100', 'retry-initial-backoff' = '10 ms',
               'retry-max-backoff' = '300 ms');
             CREATE TABLE printed_{suffix} (sensor STRING, n BIGINT, x INT, expected INT, total INT,
               restarted BOOLEAN) WITH ('connector' = 'print', 'print-identifier' = '{identifier}');
             INSERT INTO printed_{suffix}
               SELECT sensor, n, x, expected, `sum`, sequence_restarted
               FROM ML_PREDICT(TABLE by_sensor_{suffix}, MODEL m_{suffix},
                 DESCRIPTOR(sensor, x{argument}), MAP['async', 'true',
                 'max-concurrent-operations', '{KEYS}', 'output-mode', 'ORDERED']);\n"
        )
    }
}
