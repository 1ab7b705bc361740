//! The examples run; what they show is in them. Those of functions of your own are tested with these.

#[path = "../../examples/keyed_subtasks.rs"]
#[expect(dead_code, reason = "its main is for those who try it")]
mod keyed_subtasks;
#[cfg(feature = "arrow")]
#[path = "../../examples/record_batches.rs"]
#[expect(dead_code, reason = "its main is for those who try it")]
mod record_batches;
#[path = "../../examples/snapshot.rs"]
#[expect(dead_code, reason = "its main is for those who try it")]
mod snapshot;

#[tokio::test]
async fn each_sensor_keeps_to_its_subtask() {
    keyed_subtasks::run().await.unwrap();
}

#[cfg(feature = "arrow")]
#[tokio::test]
async fn record_batches_in_and_out() {
    record_batches::run().await.unwrap();
}

#[tokio::test]
async fn a_sequence_outlives_its_function() {
    snapshot::run().await.unwrap();
}
