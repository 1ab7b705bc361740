//! The example of the README, as it stands.

use triton_test_support::live_endpoint;

use crate::cluster::Cluster;

#[tokio::test]
async fn the_peaks_of_the_sensors_are_found() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../examples/flink/sensors.sql"
    );
    let example = std::fs::read_to_string(path).unwrap();
    let given = "http://localhost:8000";
    assert!(example.contains(given), "another endpoint");
    let sql = example.replace(given, &live_endpoint());
    let output = Cluster::shared().await.run(&sql).await;
    assert!(output.succeeded, "{}", output.text);
    let mut peaks: Vec<_> = output
        .rows()
        .into_iter()
        .map(|mut row| {
            row.pop();
            row.join(": ")
        })
        .collect();
    peaks.sort_unstable();
    // Rows 330, 661, 992, …: every 331st of 2000, each of another sensor.
    insta::assert_snapshot!(peaks.join("\n"), @"
    sensor-10: 900.0
    sensor-12: 900.0
    sensor-14: 900.0
    sensor-1: 900.0
    sensor-3: 900.0
    sensor-5: 900.0
    ");
}
