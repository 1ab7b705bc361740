//! Inference: what is asked for, and what comes back under which name.

use triton_client::{ErrorKind, InferRequest, RequestedOutput, SequenceId, Tensor, TensorFormat};

use super::cases;
use super::target::{Target, echo, in_sequence, model, only_bytes, probe, version};

cases!(
    an_id_is_echoed,
    an_id_that_is_absent_is_made,
    an_id_may_hold_anything,
    the_model_and_version_that_answered_are_named,
    a_version_can_be_asked_for,
    all_outputs_come_unless_some_are_named,
    outputs_are_found_by_name,
    one_output_can_be_asked_for,
    a_batch_is_answered_whole,
    an_output_that_the_model_left_out_is_an_error,
    a_gzip_request,
    a_deflate_request,
    a_gzip_answer,
    a_deflate_answer,
    json_compressed_both_ways,
    a_small_answer_may_stay_uncompressed,
    classes_of_numbers,
    classes_of_byte_strings_are_never_asked_for,
    classes_in_binary_form,
);

async fn an_id_is_echoed(target: Target) {
    let response = target
        .client
        .infer(&echo(&[1.0]).id("request 1"))
        .await
        .unwrap();
    assert_eq!(response.id.as_deref(), Some("request 1"));
}

async fn an_id_that_is_absent_is_made(target: Target) {
    let (one, other) = (target.echo(&[1.0]).await, target.echo(&[1.0]).await);
    let (one, other) = (one.unwrap().id.unwrap(), other.unwrap().id.unwrap());
    assert_eq!(one.len(), 16);
    assert_ne!(one, other);
}

async fn an_id_may_hold_anything(target: Target) {
    let id = "\"é\\\n\u{1}{}";
    let response = target.client.infer(&echo(&[1.0]).id(id)).await.unwrap();
    assert_eq!(response.id.as_deref(), Some(id));
}

async fn the_model_and_version_that_answered_are_named(target: Target) {
    let response = target.echo(&[1.0]).await.unwrap();
    let named = (
        response.model_name.as_str(),
        response.model_version.as_str(),
    );
    assert_eq!(named, ("echo", "1"));
}

async fn a_version_can_be_asked_for(target: Target) {
    let tensor = Tensor::from_slice("value", [1, 1], &[2.5_f32]).unwrap();
    let request = InferRequest::new(version("echo", "1")).input(tensor);
    let response = target.client.infer(&request).await.unwrap();
    assert_eq!(
        *response.output("echo").unwrap().values::<f32>().unwrap(),
        [2.5]
    );
}

fn sum(target: &Target) -> InferRequest {
    sum_of(&target.sequence_id())
}

fn sum_of(id: &SequenceId) -> InferRequest {
    InferRequest::new(model("accumulate"))
        .input(Tensor::from_slice("value", [1, 1], &[7]).unwrap())
        .sequence(in_sequence(id, true, true))
}

async fn all_outputs_come_unless_some_are_named(target: Target) {
    let response = target.client.infer(&sum(&target)).await.unwrap();
    assert_eq!(response.outputs.len(), 2);
}

async fn outputs_are_found_by_name(target: Target) {
    // The server answers in the model's order, which is the other one.
    let id = target.sequence_id();
    let request = sum_of(&id).output("correlation_id").output("sum");
    let response = target.client.infer(&request).await.unwrap();
    assert_eq!(
        *response.output("sum").unwrap().values::<i32>().unwrap(),
        [7]
    );
    let seen = only_bytes(&response, "correlation_id");
    assert_eq!(String::from_utf8_lossy(seen), id.to_string());
}

async fn one_output_can_be_asked_for(target: Target) {
    let response = target
        .client
        .infer(&sum(&target).output("sum"))
        .await
        .unwrap();
    assert_eq!(response.outputs.len(), 1);
    assert!(response.output("correlation_id").is_err());
}

async fn a_batch_is_answered_whole(target: Target) {
    let values: Vec<f32> = (0..64_u8).map(f32::from).collect();
    let tensor = Tensor::from_slice("value", [32, 2], &values).unwrap();
    let request = InferRequest::new(model("echo")).input(tensor);
    let response = target.client.infer(&request).await.unwrap();
    let output = response.output("echo").unwrap();
    assert_eq!(
        (output.shape(), &*output.values::<f32>().unwrap()),
        (&[32, 2][..], &values[..])
    );
}

async fn an_output_that_the_model_left_out_is_an_error(target: Target) {
    let error = target
        .client
        .infer(&probe("omit").output("result"))
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.may_have_executed()),
        (ErrorKind::Protocol, true)
    );
    assert!(
        error.message().contains("left out the output 'result'"),
        "{error}"
    );
}

/// Sends a thousand numbers and expects them back.
async fn thousand(target: &Target, change: impl FnOnce(InferRequest) -> InferRequest) {
    let values: Vec<f32> = (0..1000_u16).map(f32::from).collect();
    let response = target.client.infer(&change(echo(&values))).await.unwrap();
    assert_eq!(
        *response.output("echo").unwrap().values::<f32>().unwrap(),
        values
    );
}

use triton_client::Compression::{Deflate, Gzip};

async fn a_gzip_request(target: Target) {
    thousand(&target, |request| request.request_compression(Gzip)).await;
}

async fn a_deflate_request(target: Target) {
    thousand(&target, |request| request.request_compression(Deflate)).await;
}

async fn a_gzip_answer(target: Target) {
    thousand(&target, |request| request.response_compression(Gzip)).await;
}

async fn a_deflate_answer(target: Target) {
    thousand(&target, |request| request.response_compression(Deflate)).await;
}

async fn json_compressed_both_ways(target: Target) {
    for compression in [Gzip, Deflate] {
        thousand(&target, |request| {
            let request = request.format(TensorFormat::Json);
            request
                .request_compression(compression)
                .response_compression(compression)
        })
        .await;
    }
}

async fn a_small_answer_may_stay_uncompressed(target: Target) {
    let request = echo(&[1.0]).response_compression(Gzip);
    let response = target.client.infer(&request).await.unwrap();
    assert_eq!(
        *response.output("echo").unwrap().values::<f32>().unwrap(),
        [1.0]
    );
}

fn two_classes(output: &str) -> RequestedOutput {
    RequestedOutput::classification(output, 2.try_into().unwrap())
}

async fn classes_of_numbers(target: Target) {
    let request =
        echo(&[0.25, 8.0, -1.0, 2.0]).output(two_classes("echo").format(TensorFormat::Json));
    let response = target.client.infer(&request).await.unwrap();
    let classes = response.output("echo").unwrap().classes().unwrap();
    let found: Vec<_> = classes
        .iter()
        .map(|class| (class.score, class.index))
        .collect();
    assert_eq!(found, [(8.0, 1), (2.0, 3)]);
}

async fn classes_in_binary_form(target: Target) {
    let request = echo(&[0.25, 8.0]).output(two_classes("echo"));
    let response = target.client.infer(&request).await.unwrap();
    assert_eq!(
        response.output("echo").unwrap().classes().unwrap()[0].index,
        1
    );
}

async fn classes_of_byte_strings_are_never_asked_for(target: Target) {
    let request = probe("hex:00").output(two_classes("result"));
    let error = target.client.infer(&request).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.may_have_executed()),
        (ErrorKind::InvalidRequest, false)
    );
    target.echo(&[1.0]).await.unwrap();
}
