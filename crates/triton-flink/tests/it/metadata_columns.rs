//! Output columns that are metadata, as Flink's own modules have them: only the Table API declares them.

use triton_test_support::live_endpoint;

use crate::cluster::Cluster;

// Holds J2.
#[tokio::test]
async fn metadata_columns_say_what_happened_to_a_row() {
    let cluster = Cluster::shared().await;
    let endpoint = live_endpoint();
    let output = cluster.run_program("MetadataModel", &endpoint).await;
    assert!(output.succeeded, "{}", output.text);
    let mut rows = output.rows();
    rows.sort();
    assert_eq!(rows[0], ["1", "1", "answered", "200", "<NULL>"]);
    assert_eq!(rows[1], ["3", "3", "answered", "200", "<NULL>"]);
    assert_eq!(rows[2][..4], ["<NULL>", "<NULL>", "failed", "<NULL>"]);
    // A long text is cut where it is printed.
    assert!(rows[2][4].starts_with("subtask 0 of "), "{rows:?}");
    let refused = output
        .text
        .lines()
        .find_map(|line| line.strip_prefix("refused: "));
    insta::assert_snapshot!(refused.unwrap_or(&output.text), @"OUTPUT column 'error-string' is a metadata column, which Flink cannot read with 'async' = 'false': declare it as an ordinary column 'prediction_error', or leave 'async' out");
}
