//! Output columns that are metadata, as Flink's own modules have them: only the Table API declares them.

use triton_test_support::live_endpoint;

use crate::cluster::Cluster;

#[tokio::test]
async fn metadata_columns_say_what_happened_to_a_row() {
    let cluster = Cluster::shared().await;
    let endpoint = live_endpoint();
    let output = cluster.run_program("MetadataModel", &endpoint).await;
    assert!(output.succeeded, "{}", output.text);
    let mut rows = output.rows();
    rows.sort();
    assert_eq!(rows[0][..4], ["1", "1", "answered", "<NULL>"], "{rows:?}");
    assert_eq!(rows[1][..4], ["3", "3", "answered", "<NULL>"], "{rows:?}");
    assert_eq!(
        rows[2][..4],
        ["<NULL>", "<NULL>", "failed", "<NULL>"],
        "{rows:?}"
    );
    assert!(rows[2][4].contains("column 'value'"), "{rows:?}");
}
