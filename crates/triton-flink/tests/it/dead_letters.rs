//! Rows that cannot be answered go to a table of their own, with the reason, and the job goes on.

use triton_embedded::{EmbeddedTriton, Fault, FaultScript};

use crate::cluster::Cluster;

#[tokio::test]
async fn rows_that_fail_are_routed_by_their_status() {
    let status = |status, text: &str| Fault::Status {
        status,
        text: text.to_owned(),
    };
    let server = EmbeddedTriton::builder()
        .built_in_models()
        .recorded_requests(usize::MAX)
        .faults(
            FaultScript::new(0)
                .request(20, status(400, "value must not be negative"))
                .request(40, status(500, "out of memory")),
        )
        .start()
        .unwrap();
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../examples/flink/dead_letters.sql"
    );
    let example = std::fs::read_to_string(path).unwrap();
    let given = "http://localhost:8000";
    assert!(example.contains(given), "another endpoint");
    let sql = example.replace(given, &server.endpoint());
    let output = Cluster::shared().await.run(&sql).await;
    assert!(output.succeeded, "{}", output.text);
    let rows = |table: &str| -> Vec<String> {
        let mark = format!("{table}:");
        let lines = output.text.lines().filter(|line| line.contains(&mark));
        let row = |line: &str| line.split_once("> +I[").map(|(_, row)| row.to_owned());
        lines.filter_map(row).collect()
    };
    assert_eq!(rows("score").len(), 94, "{}", output.text);
    let mut letters: Vec<String> = rows("dead letter")
        .iter()
        .map(|row| row.replace(&server.endpoint(), "http://ENDPOINT"))
        .map(|row| {
            // Which row is the twentieth request of all is up to the machine.
            let (values, reason) = row.split_once("subtask").unwrap();
            let values: Vec<&str> = values.split(", ").collect();
            let (_, reason) = reason.split_once("attempt 0").unwrap();
            format!("{}{reason}", values[2])
        })
        .collect();
    letters.sort_unstable();
    insta::assert_snapshot!(letters.join("\n"), @"
    400: the row was not answered: infer with model 'echo' at http://ENDPOINT/: status 400: value must not be negative]
    500: the row was not answered: infer with model 'echo' at http://ENDPOINT/: status 500: out of memory]
    null: column 'value': expected FLOAT, found NULL]
    null: column 'value': expected FLOAT, found NULL]
    null: column 'value': expected FLOAT, found NULL]
    null: column 'value': expected FLOAT, found NULL]
    ");
    // Each row was asked once, but for those that are NULL.
    assert_eq!(server.requests().len(), 96);
}
