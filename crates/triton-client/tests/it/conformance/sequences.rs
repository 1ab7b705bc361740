//! Sequences: what starts, continues and ends one, and what the server makes of mistakes.

use triton_client::{Error, ErrorKind, InferRequest, SequenceId, Tensor, TensorFormat};

use super::cases;
use super::target::{Target, in_sequence, model};

cases!(
    a_sequence_keeps_its_sum,
    a_start_on_an_open_sequence_begins_anew,
    a_sequence_of_one_request,
    an_end_closes_the_sequence,
    a_sequence_that_was_not_started,
    a_number_and_its_text_are_two_sequences,
    the_largest_number_is_an_id,
    an_id_of_128_bytes,
    an_id_of_129_bytes_is_refused_before_sending,
    an_id_with_nul_is_refused_before_sending,
    a_stateful_model_wants_a_sequence,
    a_request_id_is_no_sequence_id,
    a_sequence_takes_batches_of_one,
    a_sequence_survives_a_refused_request,
    a_request_sent_twice_counts_twice,
    sequences_do_not_mix,
    a_sequence_in_json,
);

async fn step(
    target: &Target,
    id: &SequenceId,
    value: i32,
    start: bool,
    end: bool,
) -> Result<i32, Error> {
    target.add(value, in_sequence(id, start, end)).await
}

async fn a_sequence_keeps_its_sum(target: Target) {
    let id = target.sequence_id();
    assert_eq!(step(&target, &id, 1, true, false).await.unwrap(), 1);
    assert_eq!(step(&target, &id, 2, false, false).await.unwrap(), 3);
    assert_eq!(step(&target, &id, 3, false, true).await.unwrap(), 6);
}

async fn a_start_on_an_open_sequence_begins_anew(target: Target) {
    let id = target.sequence_id();
    assert_eq!(step(&target, &id, 5, true, false).await.unwrap(), 5);
    assert_eq!(step(&target, &id, 1, true, true).await.unwrap(), 1);
}

async fn a_sequence_of_one_request(target: Target) {
    assert_eq!(
        step(&target, &target.sequence_id(), 4, true, true)
            .await
            .unwrap(),
        4
    );
}

fn not_started(error: &Error) {
    let found = (
        error.kind(),
        error.status(),
        error.may_have_executed(),
        error.is_transient(),
    );
    assert_eq!(
        found,
        (ErrorKind::SequenceNotStarted, Some(400), false, false)
    );
}

async fn an_end_closes_the_sequence(target: Target) {
    let id = target.sequence_id();
    step(&target, &id, 1, true, true).await.unwrap();
    not_started(&step(&target, &id, 1, false, false).await.unwrap_err());
}

async fn a_sequence_that_was_not_started(target: Target) {
    not_started(
        &step(&target, &target.sequence_id(), 1, false, true)
            .await
            .unwrap_err(),
    );
}

async fn a_number_and_its_text_are_two_sequences(target: Target) {
    let number = target.unique();
    let as_number = SequenceId::Number(number.try_into().unwrap());
    let as_text = SequenceId::text(number.to_string()).unwrap();
    assert_eq!(
        step(&target, &as_number, 10, true, false).await.unwrap(),
        10
    );
    assert_eq!(step(&target, &as_text, 1, true, false).await.unwrap(), 1);
    assert_eq!(
        step(&target, &as_number, 10, false, true).await.unwrap(),
        20
    );
    assert_eq!(step(&target, &as_text, 1, false, true).await.unwrap(), 2);
}

async fn the_largest_number_is_an_id(target: Target) {
    let id = SequenceId::Number(u64::MAX.try_into().unwrap());
    assert_eq!(step(&target, &id, 3, true, true).await.unwrap(), 3);
}

async fn an_id_of_128_bytes(target: Target) {
    let id = format!("{:é>64}", "");
    assert_eq!(id.len(), 128);
    let id = SequenceId::text(id).unwrap();
    assert_eq!(step(&target, &id, 3, true, true).await.unwrap(), 3);
}

async fn an_id_of_129_bytes_is_refused_before_sending(_: Target) {
    assert!(SequenceId::text("i".repeat(129)).is_err());
    assert!(SequenceId::text("é".repeat(65)).is_err());
}

async fn an_id_with_nul_is_refused_before_sending(_: Target) {
    assert!(SequenceId::text("a\0b").is_err());
}

fn request(values: &[i32]) -> InferRequest {
    let tensor = Tensor::from_slice("value", [values.len(), 1], values).unwrap();
    InferRequest::new(model("accumulate")).input(tensor)
}

async fn a_stateful_model_wants_a_sequence(target: Target) {
    let error = target.client.infer(&request(&[1])).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.may_have_executed()),
        (ErrorKind::Rejected, true)
    );
}

async fn a_request_id_is_no_sequence_id(target: Target) {
    let error = target
        .client
        .infer(&request(&[1]).id("5"))
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.status()),
        (ErrorKind::Rejected, Some(400))
    );
}

async fn a_sequence_takes_batches_of_one(target: Target) {
    let sequence = in_sequence(&target.sequence_id(), true, true);
    let error = target
        .client
        .infer(&request(&[1, 2]).sequence(sequence))
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.may_have_executed()),
        (ErrorKind::Rejected, true)
    );
}

async fn a_sequence_survives_a_refused_request(target: Target) {
    let id = target.sequence_id();
    step(&target, &id, 1, true, false).await.unwrap();
    let wrong = Tensor::from_slice("value", [1, 1], &[1_i64]).unwrap();
    let wrong = InferRequest::new(model("accumulate")).input(wrong);
    let wrong = wrong.sequence(in_sequence(&id, false, true));
    let error = target.client.infer(&wrong).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.may_have_executed()),
        (ErrorKind::Rejected, false)
    );
    assert_eq!(step(&target, &id, 1, false, true).await.unwrap(), 2);
}

async fn a_request_sent_twice_counts_twice(target: Target) {
    let id = target.sequence_id();
    step(&target, &id, 10, true, false).await.unwrap();
    assert_eq!(step(&target, &id, 5, false, false).await.unwrap(), 15);
    assert_eq!(step(&target, &id, 5, false, true).await.unwrap(), 20);
}

async fn sequences_do_not_mix(target: Target) {
    let ids: Vec<_> = (0..10).map(|_| target.sequence_id()).collect();
    for round in 1..=3 {
        for (value, id) in (1..).zip(&ids) {
            let sum = step(&target, id, value, round == 1, round == 3)
                .await
                .unwrap();
            assert_eq!(sum, value * round);
        }
    }
}

async fn a_sequence_in_json(target: Target) {
    let sequence = in_sequence(&target.sequence_id(), true, true);
    let request = request(&[7]).sequence(sequence).format(TensorFormat::Json);
    let response = target.client.infer(&request).await.unwrap();
    assert_eq!(
        *response.output("sum").unwrap().values::<i32>().unwrap(),
        [7]
    );
}
