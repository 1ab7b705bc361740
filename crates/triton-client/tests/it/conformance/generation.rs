//! Generation, with one response or with many.

use serde_json::json;
use triton_client::{ErrorKind, GenerateRequest};

use super::cases;
use super::target::{Target, model};

cases!(
    one_response_is_generated,
    a_generated_response_bears_the_id,
    generation_with_an_unknown_model,
    generation_without_an_input,
    generation_with_a_failing_model,
    many_responses_where_one_is_wanted,
    a_stream_brings_one_response_after_another,
    a_stream_of_a_single_response,
    a_stream_may_fail_midway,
    a_stream_from_an_unknown_model,
    a_stream_can_be_dropped,
);

async fn one_response_is_generated(target: Target) {
    let request = GenerateRequest::new(model("probe")).input("command", "hex:6869");
    let generated = target.client.generate(&request).await.unwrap();
    assert_eq!(generated.output("result"), Some(&json!("hi")));
    assert_eq!(generated.output("model_name"), Some(&json!("probe")));
}

async fn a_generated_response_bears_the_id(target: Target) {
    let request = GenerateRequest::new(model("probe"))
        .input("command", "hex:68")
        .id("7");
    let generated = target.client.generate(&request).await.unwrap();
    assert_eq!(generated.output("id"), Some(&json!("7")));
}

async fn generation_with_an_unknown_model(target: Target) {
    let request = GenerateRequest::new(model("nobody")).input("command", "hex:68");
    let error = target.client.generate(&request).await.unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Rejected),
        "{error}"
    );
}

async fn generation_without_an_input(target: Target) {
    let request = GenerateRequest::new(model("probe"));
    let error = target.client.generate(&request).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected, "{error}");
}

async fn generation_with_a_failing_model(target: Target) {
    let request = GenerateRequest::new(model("probe")).input("command", "raise:canary");
    let error = target.client.generate(&request).await.unwrap_err();
    assert!(
        error.status().is_some() && error.may_have_executed(),
        "{error}"
    );
    assert!(error.message().contains("canary"), "{error}");
}

async fn many_responses_where_one_is_wanted(target: Target) {
    let request = GenerateRequest::new(model("countdown")).input("from", 3);
    let error = target.client.generate(&request).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.may_have_executed()),
        (ErrorKind::Server, true),
        "{error}"
    );
}

async fn a_stream_brings_one_response_after_another(target: Target) {
    let request = GenerateRequest::new(model("countdown")).input("from", 3);
    let mut stream = target.client.generate_stream(&request).await.unwrap();
    for expected in [3, 2, 1] {
        let generated = stream.next().await.unwrap().unwrap();
        assert_eq!(generated.output("left"), Some(&json!(expected)));
    }
    assert!(stream.next().await.is_none());
    assert!(stream.next().await.is_none());
}

async fn a_stream_of_a_single_response(target: Target) {
    let request = GenerateRequest::new(model("probe")).input("command", "hex:6869");
    let mut stream = target.client.generate_stream(&request).await.unwrap();
    let generated = stream.next().await.unwrap().unwrap();
    assert_eq!(generated.output("result"), Some(&json!("hi")));
    assert!(stream.next().await.is_none());
}

async fn a_stream_may_fail_midway(target: Target) {
    let request = GenerateRequest::new(model("countdown")).input("from", -3);
    let mut stream = target.client.generate_stream(&request).await.unwrap();
    stream.next().await.unwrap().unwrap();
    let error = stream.next().await.unwrap().unwrap_err();
    assert!(error.message().contains("called off"), "{error}");
    assert!(error.may_have_executed() && stream.next().await.is_none());
}

async fn a_stream_from_an_unknown_model(target: Target) {
    let request = GenerateRequest::new(model("nobody")).input("from", 3);
    let error = target.client.generate_stream(&request).await.unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Rejected),
        "{error}"
    );
}

async fn a_stream_can_be_dropped(target: Target) {
    let request = GenerateRequest::new(model("countdown")).input("from", 3);
    let mut stream = target.client.generate_stream(&request).await.unwrap();
    stream.next().await.unwrap().unwrap();
    drop(stream);
    target.echo(&[1.0]).await.unwrap();
}
