//! The provider in the `lib` folder of a cluster, of the older release of Flink.

use triton_test_support::live_endpoint;

use crate::cluster::Cluster;
use crate::seed;

#[tokio::test]
#[ignore = "it needs another release of Flink: `cargo xtask test --all` runs it"]
async fn the_same_jar_serves_flink_2_2_from_its_lib() {
    let arguments = ["--flink", "2.2", "--task-managers", "1", "--slots", "4"];
    let cluster = Cluster::start("test-older", &arguments).await;
    let statements = seed::statements(&live_endpoint(), "triton-rs");
    let output = cluster.run_as_it_is(&statements).await;
    assert!(output.succeeded, "{}", output.text);
    seed::check(&output.rows());
    cluster.xtask("stop").await;
}
