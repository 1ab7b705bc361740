//! Health, metadata, configuration and statistics.

use triton_client::{Datatype, ErrorKind, Readiness};

use super::cases;
use super::target::{Target, model, version};

cases!(
    live,
    ready,
    a_model_is_ready,
    a_version_is_ready,
    an_unknown_model_is_not_ready,
    an_unknown_version_is_not_ready,
    server_metadata,
    model_metadata,
    metadata_of_a_version,
    metadata_of_an_unknown_model,
    metadata_of_an_unknown_version,
    model_configuration,
    configuration_of_sequences,
    configuration_of_an_unknown_model,
    configuration_of_a_decoupled_model,
    statistics_of_all_models,
    statistics_of_one_model,
    statistics_of_one_version,
    statistics_of_an_unknown_model,
    statistics_count_inferences,
);

async fn live(target: Target) {
    assert_eq!(target.client.live().await.unwrap(), Readiness::Ready);
}

async fn ready(target: Target) {
    // A real server is not ready while it loads any model, which other tests make it do.
    for _ in 0..10_000 {
        if target.client.ready().await.unwrap() == Readiness::Ready {
            return;
        }
    }
    panic!("the server does not become ready");
}

async fn a_model_is_ready(target: Target) {
    let ready = target.client.model_ready(&model("echo")).await.unwrap();
    assert_eq!(ready, Readiness::Ready);
}

async fn a_version_is_ready(target: Target) {
    let ready = target.client.model_ready(&version("echo", "1")).await;
    assert_eq!(ready.unwrap(), Readiness::Ready);
}

async fn an_unknown_model_is_not_ready(target: Target) {
    let ready = target.client.model_ready(&model("nobody")).await.unwrap();
    assert_eq!(ready, Readiness::NotReady);
}

async fn an_unknown_version_is_not_ready(target: Target) {
    let ready = target.client.model_ready(&version("echo", "9")).await;
    assert_eq!(ready.unwrap(), Readiness::NotReady);
}

async fn server_metadata(target: Target) {
    let metadata = target.client.server_metadata().await.unwrap();
    assert_eq!(metadata.name, "triton");
    assert!(!metadata.version.is_empty());
    assert!(metadata.extensions.contains(&"sequence".to_owned()));
}

async fn model_metadata(target: Target) {
    let metadata = target.client.model_metadata(&model("echo")).await.unwrap();
    assert_eq!(
        (metadata.name.as_str(), metadata.versions.as_slice()),
        ("echo", &["1".to_owned()][..])
    );
    let (input, output) = (&metadata.inputs[0], &metadata.outputs[0]);
    assert_eq!(
        (input.name.as_str(), output.name.as_str()),
        ("value", "echo")
    );
    assert_eq!(
        (input.datatype, input.shape.as_slice()),
        (Datatype::Fp32, &[-1_i64, -1][..])
    );
}

async fn metadata_of_a_version(target: Target) {
    let metadata = target.client.model_metadata(&version("echo", "1")).await;
    assert_eq!(metadata.unwrap().name, "echo");
}

async fn metadata_of_an_unknown_model(target: Target) {
    let error = target
        .client
        .model_metadata(&model("nobody"))
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.status()),
        (ErrorKind::NotFound, Some(404))
    );
    assert!(!error.may_have_executed() && !error.is_transient());
}

async fn metadata_of_an_unknown_version(target: Target) {
    let error = target
        .client
        .model_metadata(&version("echo", "9"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

async fn model_configuration(target: Target) {
    let config = target.client.model_config(&model("echo")).await.unwrap();
    assert_eq!((config.name.as_str(), config.max_batch_size), ("echo", 64));
    assert_eq!(config.document()["input"][0]["data_type"], "TYPE_FP32");
    assert!(config.sequence_batching.is_none() && !config.is_decoupled);
}

async fn configuration_of_sequences(target: Target) {
    let config = target
        .client
        .model_config(&model("accumulate"))
        .await
        .unwrap();
    let batching = config.sequence_batching.unwrap();
    assert_eq!(batching.max_sequence_idle().as_secs(), 5);
}

async fn configuration_of_an_unknown_model(target: Target) {
    let error = target
        .client
        .model_config(&model("nobody"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

async fn configuration_of_a_decoupled_model(target: Target) {
    let config = target
        .client
        .model_config(&model("countdown"))
        .await
        .unwrap();
    assert!(config.is_decoupled);
}

async fn statistics_of_all_models(target: Target) {
    let statistics = target.client.statistics(None).await.unwrap();
    for name in ["accumulate", "anomaly", "echo"] {
        assert!(statistics.iter().any(|model| model.name == name), "{name}");
    }
}

async fn statistics_of_one_model(target: Target) {
    let statistics = target
        .client
        .statistics(Some(&model("echo")))
        .await
        .unwrap();
    assert_eq!((statistics.len(), statistics[0].name.as_str()), (1, "echo"));
}

async fn statistics_of_one_version(target: Target) {
    let statistics = target
        .client
        .statistics(Some(&version("echo", "1")))
        .await
        .unwrap();
    assert_eq!(statistics[0].version, "1");
}

async fn statistics_of_an_unknown_model(target: Target) {
    let error = target
        .client
        .statistics(Some(&model("nobody")))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected);
}

async fn statistics_count_inferences(target: Target) {
    let model = model("echo");
    let before = target.client.statistics(Some(&model)).await.unwrap();
    target.echo(&[1.0]).await.unwrap();
    // A real server counts an inference only after it has answered it.
    for _ in 0..10_000 {
        let after = target.client.statistics(Some(&model)).await.unwrap();
        if after[0].inference_count > before[0].inference_count {
            assert!(after[0].execution_count > before[0].execution_count);
            assert!(after[0].inference_stats.success.mean().is_some());
            assert!(after[0].last_inference > 0);
            return;
        }
    }
    panic!("the inference is not counted");
}
