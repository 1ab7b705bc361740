//! Two operators of one job, or two jobs, that ask one model with one `sequence-id`.

use triton_embedded::EmbeddedTriton;

use crate::cluster::Cluster;
use crate::keyed::{self, Carries, KEYS, ROWS_PER_KEY, Rows};

/// Both `ML_PREDICT`s differ in an argument, or Flink would make one operator of them.
fn both(answers: &str, other: &str) -> String {
    format!(
        "SELECT COUNT(*) AS answered, COUNT(*) FILTER (WHERE `sum` <> expected) AS wrong
         FROM (SELECT `sum`, expected FROM {answers} UNION ALL SELECT `sum`, expected FROM {other});\n"
    )
}

#[tokio::test]
async fn two_predicts_of_one_model_in_one_job_never_mix_their_sequences() {
    let server = EmbeddedTriton::start().unwrap();
    let rows = Rows {
        keys: KEYS / 2,
        per_second: 100_000,
        carries: Carries::Nothing,
    };
    let of = |at_once: u64| {
        let answers = keyed::answers(rows, "_twice", "ORDERED");
        let keys = rows.keys;
        let answers = answers.replace(
            &format!("'max-concurrent-operations', '{keys}'"),
            &format!("'max-concurrent-operations', '{at_once}'"),
        );
        assert!(answers.contains(&at_once.to_string()), "{answers}");
        format!("(SELECT `sum`, expected FROM {answers})")
    };
    let statements = keyed::statements(
        &server.endpoint(),
        rows,
        "_twice",
        "'sequence-recovery' = 'replay'",
    );
    // What the model says to the rows of a key so far.
    let statements = statements.replace(
        "COUNT(*) OVER so_far AS n",
        "SUM(x) OVER so_far AS expected, COUNT(*) OVER so_far AS n",
    );
    let sql = statements + &both(&of(rows.keys), &of(rows.keys - 1));
    let output = Cluster::shared().await.run(&sql).await;
    assert!(output.succeeded, "{}", output.text);
    let last = output.text.lines().rfind(|line| line.starts_with("| +U"));
    let last = last.or_else(|| output.text.lines().rfind(|line| line.starts_with("| +I")));
    let cells: Vec<&str> = last.unwrap().split('|').map(str::trim).collect();
    let answered = (2 * rows.keys * ROWS_PER_KEY).to_string();
    assert_eq!(cells[2..4], [&answered, "0"], "{}", output.text);
}

#[tokio::test]
async fn operators_that_send_the_same_ids_are_warned_of() {
    let server = EmbeddedTriton::start().unwrap();
    let sql = format!(
        "CREATE TABLE readings (x INT) WITH ('connector' = 'datagen', 'number-of-rows' = '40',
           'rows-per-second' = '40');
         CREATE MODEL m INPUT (`value` INT) OUTPUT (`sum` INT) WITH ('provider' = 'triton',
           'endpoint' = '{}', 'model-name' = 'accumulate', 'sequence-id' = 'shared-by-two',
           'sequence-id-auto-increment' = 'true');
         SELECT COUNT(*) FROM (
           SELECT `sum` FROM ML_PREDICT(TABLE readings, MODEL m, DESCRIPTOR(x))
           UNION ALL
           SELECT `sum` FROM ML_PREDICT(TABLE readings, MODEL m, DESCRIPTOR(x),
             MAP['async', 'true', 'max-concurrent-operations', '7']));",
        server.endpoint()
    );
    let cluster = Cluster::shared().await;
    let output = cluster.run(&sql).await;
    assert!(output.succeeded, "{}", output.text);
    let log = cluster.task_manager_logs().concat();
    let job = output.job();
    let warned = log.lines().any(|line| {
        line.contains("operators send the same sequence IDs")
            && line.matches(job).count() == 2
            && line.contains("accumulate shared-by-two-")
    });
    assert!(warned, "{job}");
}
