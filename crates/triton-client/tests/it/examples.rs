//! The examples run; what they show is in them.

use triton_test_support::{EmbeddedTriton, on_both_servers};

#[path = "../../examples/classify.rs"]
#[expect(dead_code, reason = "its main is for those who try it")]
mod classify;
#[path = "../../examples/generate.rs"]
#[expect(dead_code, reason = "its main is for those who try it")]
mod generate;
#[path = "../../examples/infer.rs"]
#[expect(dead_code, reason = "its main is for those who try it")]
mod infer;
#[path = "../../examples/repository.rs"]
#[expect(dead_code, reason = "its main is for those who try it")]
mod repository;
#[path = "../../examples/sequence.rs"]
#[expect(dead_code, reason = "its main is for those who try it")]
mod sequence;
#[path = "../../examples/statistics.rs"]
#[expect(dead_code, reason = "its main is for those who try it")]
mod statistics;

on_both_servers!(
    classes_of_an_output,
    flat_json,
    one_inference,
    a_sequence_of_requests,
    what_models_have_done,
);

async fn classes_of_an_output(endpoint: &str) {
    classify::run(endpoint.to_owned()).await.unwrap();
}

async fn flat_json(endpoint: &str) {
    generate::run(endpoint.to_owned()).await.unwrap();
}

async fn one_inference(endpoint: &str) {
    infer::run(endpoint.to_owned()).await.unwrap();
}

async fn a_sequence_of_requests(endpoint: &str) {
    sequence::run(endpoint.to_owned()).await.unwrap();
}

async fn what_models_have_done(endpoint: &str) {
    statistics::run(endpoint.to_owned()).await.unwrap();
}

/// On the embedded server alone: while a real one loads a model, it tells other tests that it is not ready.
#[tokio::test]
async fn models_of_the_repository() {
    let server = EmbeddedTriton::start().unwrap();
    repository::run(server.endpoint(), "echo").await.unwrap();
}
