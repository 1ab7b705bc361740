//! Every call, and what it brings from either server.

use std::time::Duration;

use triton_client::{
    Client, Compression, Datatype, ErrorKind, InferRequest, ModelId, Readiness, Sequence,
    SequenceId, Tensor,
};
use triton_test_support::on_both_servers;

on_both_servers!(
    health_is_told,
    server_metadata_is_read,
    model_metadata_and_configuration_are_read,
    a_stateless_model_answers,
    non_finite_floats_survive_both_ways,
    a_sequence_keeps_its_state,
    an_output_can_be_asked_for_by_name,
    numbers_and_texts_are_different_sequences,
    large_bodies_are_compressed_both_ways,
);

fn client(endpoint: &str) -> Client {
    Client::new(endpoint).unwrap()
}

fn model(name: &str) -> ModelId {
    ModelId::latest(name.parse().unwrap())
}

async fn large_bodies_are_compressed_both_ways(endpoint: &str) {
    let values: Vec<f32> = (0..500_000_u32).map(|value| value as f32).collect();
    for compression in [Compression::Gzip, Compression::Deflate] {
        let tensor = Tensor::from_slice("value", [1, values.len()], &values).unwrap();
        let request = InferRequest::new(model("echo"))
            .input(tensor)
            .request_compression(compression)
            .response_compression(compression);
        let response = client(endpoint).infer(&request).await.unwrap();
        let echo = response.output("echo").unwrap().values::<f32>().unwrap();
        assert!(*echo == values[..]);
    }
}

/// Compressing goes to a thread of its own, for which it may have to wait.
#[test]
fn the_time_of_a_call_is_up_also_while_its_body_is_compressed() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .max_blocking_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let (free, busy) = std::sync::mpsc::channel::<()>();
    let blocking = runtime.spawn_blocking(move || busy.recv());
    let error = runtime.block_on(async {
        let values = vec![1.0_f32; 100_000];
        let tensor = Tensor::from_slice("value", [1, values.len()], &values).unwrap();
        let request = InferRequest::new(model("echo"))
            .input(tensor)
            .format(triton_client::TensorFormat::Binary)
            .request_compression(Compression::Gzip)
            .timeout(Duration::from_millis(200));
        client("http://127.0.0.1:9")
            .infer(&request)
            .await
            .unwrap_err()
    });
    drop(free);
    runtime.block_on(blocking).unwrap().unwrap_err();
    assert_eq!(
        (error.kind(), error.may_have_executed()),
        (ErrorKind::Timeout, false)
    );
}

async fn health_is_told(endpoint: &str) {
    let client = client(endpoint);
    assert_eq!(client.live().await.unwrap(), Readiness::Ready);
    assert_eq!(
        client.model_ready(&model("echo")).await.unwrap(),
        Readiness::Ready
    );
    assert_eq!(
        client.model_ready(&model("nobody")).await.unwrap(),
        Readiness::NotReady
    );
    let version = ModelId::new("echo".parse().unwrap(), "1".parse().unwrap());
    assert_eq!(
        client.model_ready(&version).await.unwrap(),
        Readiness::Ready
    );
    let version = ModelId::new("echo".parse().unwrap(), "2".parse().unwrap());
    assert_eq!(
        client.model_ready(&version).await.unwrap(),
        Readiness::NotReady
    );
}

async fn server_metadata_is_read(endpoint: &str) {
    let metadata = client(endpoint).server_metadata().await.unwrap();
    assert_eq!(metadata.name, "triton");
    assert!(
        metadata.extensions.iter().any(|name| name == "sequence"),
        "{metadata:?}"
    );
}

async fn model_metadata_and_configuration_are_read(endpoint: &str) {
    let client = client(endpoint);
    let metadata = client.model_metadata(&model("anomaly")).await.unwrap();
    let tensors: Vec<_> = metadata
        .inputs
        .iter()
        .chain(&metadata.outputs)
        .map(|tensor| {
            (
                tensor.name.as_str(),
                tensor.datatype,
                tensor.shape.as_slice(),
            )
        })
        .collect();
    assert_eq!(
        tensors,
        [
            ("reading", Datatype::Fp32, [-1_i64, -1].as_slice()),
            ("z_score", Datatype::Fp32, &[-1, -1]),
            ("anomaly", Datatype::Bool, &[-1, -1]),
        ]
    );
    let config = client.model_config(&model("anomaly")).await.unwrap();
    assert_eq!(config.max_batch_size, 8);
    let batching = config.sequence_batching.expect("the model is stateful");
    assert_eq!(batching.max_sequence_idle().as_secs(), 5);
    let config = client.model_config(&model("echo")).await.unwrap();
    assert_eq!(config.sequence_batching, None);
}

async fn a_stateless_model_answers(endpoint: &str) {
    let values = [1.5_f32, -0.1, f32::MAX, f32::MIN_POSITIVE];
    let tensor = Tensor::from_slice("value", [2, 2], &values).unwrap();
    let request = InferRequest::new(model("echo"))
        .id("request 1")
        .input(tensor);
    let response = client(endpoint).infer(&request).await.unwrap();
    assert_eq!(response.id.as_deref(), Some("request 1"));
    assert_eq!(
        (
            response.model_name.as_str(),
            response.model_version.as_str()
        ),
        ("echo", "1")
    );
    let output = response.output("echo").unwrap();
    assert_eq!(output.shape(), [2, 2]);
    assert_eq!(*output.values::<f32>().unwrap(), values);
}

async fn non_finite_floats_survive_both_ways(endpoint: &str) {
    let values = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0];
    let tensor = Tensor::from_slice("value", [1, 4], &values).unwrap();
    let request = InferRequest::new(model("echo")).input(tensor);
    let response = client(endpoint).infer(&request).await.unwrap();
    let found = response.output("echo").unwrap().values::<f32>().unwrap();
    assert!(found[0].is_nan());
    assert_eq!(found[1..], values[1..]);
}

/// Adds `value` to a sequence and returns the sum.
async fn add(client: &Client, value: i32, sequence: Sequence) -> (i32, String) {
    let request = InferRequest::new(model("accumulate"))
        .input(Tensor::from_slice("value", [1, 1], &[value]).unwrap())
        .sequence(sequence);
    let response = client.infer(&request).await.unwrap();
    let sum = response.output("sum").unwrap().values::<i32>().unwrap()[0];
    let id = response.output("correlation_id").unwrap();
    let id = id.byte_strings().unwrap().next().unwrap().to_vec();
    (sum, String::from_utf8(id).unwrap())
}

/// An ID that no other test, and no earlier run against the same server, uses.
fn unique(name: &str) -> String {
    let now = std::time::SystemTime::now();
    let nanos = now
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_nanos();
    format!("{name}-{nanos}")
}

async fn a_sequence_keeps_its_state(endpoint: &str) {
    let client = client(endpoint);
    let id = SequenceId::text(unique("keeps-state")).unwrap();
    for (value, sum, start, end) in [
        (1, 1, true, false),
        (2, 3, false, false),
        (3, 6, false, true),
    ] {
        let sequence = Sequence {
            id: id.clone(),
            start,
            end,
        };
        assert_eq!(add(&client, value, sequence).await, (sum, id.to_string()));
    }
}

async fn an_output_can_be_asked_for_by_name(endpoint: &str) {
    let request = InferRequest::new(model("accumulate"))
        .input(Tensor::from_slice("value", [1, 1], &[7]).unwrap())
        .output("sum")
        .sequence(Sequence {
            id: SequenceId::text(unique("by-name")).unwrap(),
            start: true,
            end: true,
        });
    let response = client(endpoint).infer(&request).await.unwrap();
    assert_eq!(response.outputs.len(), 1);
    let error = response.output("correlation_id").unwrap_err();
    assert_eq!(error.to_string(), "no tensor 'correlation_id' among: sum");
}

async fn numbers_and_texts_are_different_sequences(endpoint: &str) {
    let client = client(endpoint);
    let number = unique("").trim_start_matches('-').parse::<u64>().unwrap();
    let sequence = |id, start| Sequence {
        id,
        start,
        end: false,
    };
    let as_number = SequenceId::Number(number.try_into().unwrap());
    let as_text = SequenceId::text(number.to_string()).unwrap();
    assert_eq!(
        add(&client, 10, sequence(as_number.clone(), true)).await.0,
        10
    );
    assert_eq!(add(&client, 1, sequence(as_text.clone(), true)).await.0, 1);
    assert_eq!(add(&client, 10, sequence(as_number, false)).await.0, 20);
    assert_eq!(add(&client, 1, sequence(as_text, false)).await.0, 2);
}
