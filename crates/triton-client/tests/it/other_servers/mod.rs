//! Servers other than Triton: MLServer and KServe's own as they are, and scripted ones for what
//! those two do not show.

mod kserve;
mod mlserver;
mod scripted;

use triton_client::{Client, InferRequest, ModelId, Tensor};

/// A client of the server of this kind, made again: nothing is known of the server yet.
fn client(kind: &str) -> Client {
    let endpoint = triton_test_support::other_endpoint(kind);
    Client::new(endpoint).unwrap()
}

fn echo() -> ModelId {
    "echo".parse().unwrap()
}

/// A request that brings a tensor of each of the three kinds that the model echoes.
fn all_three() -> InferRequest {
    all_three_for(echo())
}

fn all_three_for(model: ModelId) -> InferRequest {
    InferRequest::new(model)
        .input(Tensor::from_slice("numbers", [2], &[1.5_f32, -0.1]).unwrap())
        .input(Tensor::from_slice("counts", [2], &[1_i64, i64::MIN]).unwrap())
        .input(Tensor::from_byte_strings("words", [2], ["a", "é"]).unwrap())
}

/// Sends [`all_three`] with this change and looks whether all three come back.
async fn come_back(client: &Client, request: InferRequest) {
    let response = client.infer(&request).await.unwrap();
    assert_eq!(response.model_name, "echo");
    for sent in &all_three().inputs {
        let came = response.output(sent.name()).unwrap();
        assert_eq!(came.datatype(), sent.datatype(), "{}", sent.name());
        assert_eq!(came.shape(), sent.shape(), "{}", sent.name());
        assert_eq!(came.raw(), sent.raw(), "{}", sent.name());
    }
}
