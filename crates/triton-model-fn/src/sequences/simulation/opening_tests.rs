//! What one opening of a function leaves on the server, and the next one of the same function meets.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use triton_client::ModelConfig;
use triton_options::TritonOptions;

use super::function::{sum, value_row};
use super::network::Fault;
use super::transport::SimulatedNetwork;
use crate::sequences::{
    Answered, KeyedSequences, LeftBehind, Row, SequenceKey, SequenceSettings, SourceTraits,
};
use crate::{CallContext, Column, DataType, Error, Schema, Subtask};

/// A sequence that all rows share.
fn open(
    network: &SimulatedNetwork,
    options: &[(&str, &str)],
    left: &Arc<LeftBehind>,
) -> KeyedSequences<SimulatedNetwork> {
    let common = [
        ("endpoint", "http://localhost:8000"),
        ("model-name", "m"),
        ("sequence-id", "call-7"),
    ];
    let options = TritonOptions::parse(common.iter().chain(options).copied()).unwrap();
    let subtask = Subtask::new(0, 1, 0).unwrap();
    let open =
        Arc::new(CallContext::new(&options, subtask, false, Arc::default(), None, None).unwrap());
    let config: ModelConfig = serde_json::from_value(serde_json::json!({
        "name": "m",
        "max_batch_size": 8,
        "sequence_batching": {
            "max_sequence_idle_microseconds": SimulatedNetwork::IDLE.as_micros() as u64,
            "oldest": {"max_candidate_sequences": 4},
        },
    }))
    .unwrap();
    let schema = Schema {
        inputs: vec![Column::new("value", DataType::BigInt)],
        outputs: vec![Column::new("sum", DataType::BigInt)],
    };
    let source = SourceTraits::default();
    let settings = SequenceSettings::agree(&options, &schema, &schema, &config, &open, source);
    let settings = settings.unwrap().unwrap();
    KeyedSequences::start(open, network.clone(), settings, Arc::clone(left))
}

async fn answer(
    sequences: &KeyedSequences<SimulatedNetwork>,
    value: i64,
) -> Result<Answered, Error> {
    let row = Row {
        encoded: Ok(Arc::new(value_row(value))),
        last: false,
        position: None,
    };
    sequences.submit(&SequenceKey::new(""), row).await.unwrap()
}

/// The next opening waits as well until the server has dropped what there was: a late request of the
/// earlier one would get into it.
#[tokio::test(start_paused = true)]
async fn what_an_opening_has_left_does_not_get_into_the_later_one() {
    let network = SimulatedNetwork::new(4);
    let left = Arc::default();
    let first = open(&network, &[], &left);
    assert_eq!(sum(&answer(&first, 1).await.unwrap()), 1);
    network.fault(Fault::CutAndDelivered(Duration::from_millis(500)));
    answer(&first, 100).await.unwrap_err();
    first.abort();
    // It is opened again, as an engine does after a row that failed.
    let second = open(&network, &[], &left);
    assert_eq!(sum(&answer(&second, 3).await.unwrap()), 3);
    sleep(Duration::from_secs(1)).await;
    let next = answer(&second, 4).await.unwrap();
    assert_eq!(sum(&next), 3 + 4, "marked: {}", next.restarted);
}

/// The same within one opening.
#[tokio::test(start_paused = true)]
async fn a_late_row_does_not_get_into_the_sequence_that_starts_anew() {
    let network = SimulatedNetwork::new(4);
    let only = open(&network, &[], &Arc::default());
    assert_eq!(sum(&answer(&only, 1).await.unwrap()), 1);
    network.fault(Fault::CutAndDelivered(Duration::from_millis(500)));
    answer(&only, 100).await.unwrap_err();
    assert_eq!(sum(&answer(&only, 3).await.unwrap()), 3);
    sleep(Duration::from_secs(1)).await;
    let next = answer(&only, 4).await.unwrap();
    assert_eq!(sum(&next), 3 + 4, "marked: {}", next.restarted);
}

/// The server executed a START of the first row late: within one opening.
#[tokio::test(start_paused = true)]
async fn a_late_first_row_does_not_get_into_the_sequence_that_starts_anew() {
    for late in [100, 1000, 3000, 3900] {
        let network = SimulatedNetwork::new(4);
        let only = open(&network, &[], &Arc::default());
        network.fault(Fault::CutAndDelivered(Duration::from_millis(late)));
        let first = answer(&only, 100).await.map(|first| sum(&first));
        let second = answer(&only, 1).await.map(|second| sum(&second));
        sleep(Duration::from_secs(1)).await;
        let third = answer(&only, 2).await.map(|third| sum(&third));
        assert_eq!(
            (first.unwrap(), second.unwrap(), third.unwrap()),
            (100, 101, 103),
            "{late}"
        );
    }
}

/// An ID that may be alive holds a place, also across a close and an open of the same function.
#[tokio::test(start_paused = true)]
async fn the_sequences_of_a_closed_opening_hold_places_in_the_next_one() {
    use super::function::{Function, Opening};
    let network = SimulatedNetwork::new(4);
    let left = Arc::default();
    let opening = Opening {
        bounded: true,
        left: Some(&left),
        ..Opening::default()
    };
    let first = Function::open(&network, opening);
    for key in 0..4 {
        // Room for recovery is left, so fewer than four may begin.
        let answer = tokio::time::timeout(Duration::from_secs(3), first.answer(key, 1)).await;
        assert!(answer.is_ok_and(|answer| answer.is_ok()), "key {key}");
    }
    first.close(Duration::from_secs(1)).await.unwrap();
    let second = Function::open(&network, opening);
    let mut found = Vec::new();
    for key in 10..14 {
        let begun = tokio::time::Instant::now();
        let answer = second.answer(key, 1).await;
        let answer = answer
            .map(|answer| sum(&answer))
            .map_err(|error| error.to_string());
        found.push((answer, begun.elapsed()));
    }
    assert!(found.iter().all(|(answer, _)| answer.is_ok()), "{found:#?}");
}

/// The same for a sequence whose END is still out when the opening is over.
#[tokio::test(start_paused = true)]
async fn an_end_on_its_way_holds_a_place_in_the_next_opening() {
    use super::function::{Function, Opening};
    let network = SimulatedNetwork::new(4);
    let left = Arc::default();
    let opening = Opening {
        options: &[("sequence-abandon", "end"), ("sequence-max-open", "1")],
        left: Some(&left),
        ..Opening::default()
    };
    let idle = network.world().server.settings().idle;
    let first = Function::open(&network, opening);
    first.answer(1, 1).await.unwrap();
    // Its END, after three quarters of what the server keeps, takes long to arrive.
    network.fault(Fault::Slow(Duration::from_secs(60)));
    sleep(idle * 7 / 8).await;
    drop(first);
    let second = Function::open(&network, opening);
    let begun = tokio::time::Instant::now();
    second.answer(2, 1).await.unwrap();
    let waited = begun.elapsed();
    assert!(waited >= idle, "the next sequence began after {waited:?}");
}

/// Flags as configured, and none of them is START: after a row that may have been executed nobody knows
/// what the answers to others would have in them.
#[tokio::test(start_paused = true)]
async fn no_row_is_answered_after_an_uncertain_one_where_none_may_start_anew() {
    use crate::sequences::SequenceTransport as _;
    let network = SimulatedNetwork::new(4);
    let flags = [("sequence-start", "false"), ("sequence-end", "false")];
    // Somebody else has begun it.
    let begin = triton_client::Sequence {
        id: triton_client::SequenceId::text("call-7".to_owned()).unwrap(),
        start: true,
        end: false,
    };
    network
        .send(&value_row(0), begin, crate::replicas::ReplicaId::ONLY, None)
        .await
        .unwrap();
    let only = open(&network, &flags, &Arc::default());
    assert_eq!(sum(&answer(&only, 1).await.unwrap()), 1);
    network.fault(Fault::AnswerLost);
    let error = answer(&only, 100).await.unwrap_err();
    assert_eq!(error.kind(), crate::ErrorKind::SequenceUncertain);
    let mut after = Vec::new();
    for value in [3, 4, 5] {
        let answer = answer(&only, value).await;
        after.push(
            answer
                .map(|answer| (sum(&answer), answer.restarted))
                .map_err(|error| error.to_string()),
        );
    }
    // Row 2 has failed, so it is in no answer that is not marked.
    let wrong =
        |answer: &&Result<(i64, bool), String>| matches!(answer, Ok((sum, false)) if *sum > 100);
    assert_eq!(after.iter().filter(wrong).count(), 0, "{after:?}");
}
