//! The SQL of measurements: rows that are made up, a model that answers each with itself, and one
//! result that tells whether every row was answered, and right.

/// How many rows of a subtask are in flight, in Flink and without it.
pub(super) const IN_FLIGHT: usize = 512;

/// Options of the model, in Flink and without it.
pub(super) const OPTIONS: [(&str, &str); 1] = [("batch-size", "64")];

/// What a query asks.
pub(super) enum Asked<'a> {
    /// Nothing: the rows only pass through Flink.
    NoModel,
    /// The model in Java that comes with the program which runs the statements.
    ModelInJava,
    /// The model at an endpoint, through the provider.
    ModelAt(&'a str),
}

/// Which rows there are.
pub(super) enum Rows {
    All,
    /// Some are NULL, which no tensor can hold: the provider fails the job on its way.
    SomeWithoutValue,
}

/// Statements whose last result is the number of rows, and of those that were answered right.
///
/// Streaming queries tell of each change of a result, which would cost more than the model;
/// with mini-batches it is one a second.
pub(super) fn statements(count: u64, rows: &Rows, asked: &Asked<'_>) -> String {
    let null_rate = match rows {
        Rows::All => "0",
        Rows::SomeWithoutValue => "0.001",
    };
    let (model, table) = match asked {
        Asked::NoModel => (String::new(), "(SELECT x, x + 0 AS echo FROM readings)"),
        Asked::ModelInJava => (create_model(&[("provider", "echo-in-java")]), PREDICT),
        Asked::ModelAt(endpoint) => {
            let mut options = vec![
                ("provider", "triton"),
                ("endpoint", endpoint),
                ("model-name", "echo"),
            ];
            options.extend(OPTIONS);
            (create_model(&options), PREDICT)
        }
    };
    format!(
        "SET 'table.exec.async-ml-predict.max-concurrent-operations' = '{IN_FLIGHT}';
         SET 'table.exec.mini-batch.enabled' = 'true';
         SET 'table.exec.mini-batch.allow-latency' = '1 s';
         SET 'table.exec.mini-batch.size' = '1000000';
         CREATE TABLE readings (x FLOAT) WITH (
           'connector' = 'datagen', 'number-of-rows' = '{count}', 'rows-per-second' = '1000000000',
           'fields.x.min' = '0', 'fields.x.max' = '1000000', 'fields.x.null-rate' = '{null_rate}');
         {model}
         SELECT COUNT(*) AS answered, COUNT(*) FILTER (WHERE echo = x) AS correct FROM {table};"
    )
}

const PREDICT: &str = "ML_PREDICT(TABLE readings, MODEL m, DESCRIPTOR(x))";

fn create_model(options: &[(&str, &str)]) -> String {
    let options = options
        .iter()
        .map(|(key, value)| format!("'{key}' = '{value}'"))
        .collect::<Vec<_>>();
    let options = options.join(", ");
    format!("CREATE MODEL m INPUT (`value` FLOAT) OUTPUT (echo FLOAT) WITH ({options});")
}
