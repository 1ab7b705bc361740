//! What happens to the rows of a key after a failure: none is dropped, and `fail` recovers.

use std::time::Duration;

use tokio::time::sleep;

use super::function::{Function, Opening, Position, sum};
use super::network::Fault;
use super::transport::SimulatedNetwork;

const POSITIONS: (&str, &str) = ("sequence-position-column", "n");

fn open(network: &SimulatedNetwork, attempt: u32, options: &[(&str, &str)]) -> Function {
    let opening = Opening {
        options,
        attempt,
        bounded: false,
        without_state: true,
        ..Opening::default()
    };
    Function::open(network, opening)
}

/// Hands over a row with its number: whether it was answered, and whether it was marked.
async fn at(function: &Function, number: u64) -> Result<bool, String> {
    let position = Position {
        number,
        before: Some(number - 1),
    };
    let answer = function.submit_at(1, 1, false, position).await.unwrap();
    let marked = answer.map(|answered| answered.restarted);
    marked.map_err(|error| error.message().to_owned())
}

// Holds S26.
#[tokio::test(start_paused = true)]
async fn after_a_reported_failure_the_next_row_begins_anew_whatever_its_number_is() {
    let network = SimulatedNetwork::new(4);
    let function = open(&network, 0, &[POSITIONS]);
    let mut answers = Vec::new();
    for number in 1..=8 {
        answers.push(at(&function, number).await);
        sleep(2 * SimulatedNetwork::IDLE).await;
    }
    let lost = answers.iter().filter(|answer| answer.is_err()).count();
    let in_a_row = answers
        .windows(2)
        .filter(|pair| pair.iter().all(Result::is_err));
    assert_eq!(
        in_a_row.count(),
        0,
        "{lost} of 8 rows were lost; the last one: {:?}",
        answers.last()
    );
}

// Holds S26.
#[tokio::test(start_paused = true)]
async fn a_job_that_is_restarted_after_each_failure_comes_past_it() {
    let network = SimulatedNetwork::new(4);
    let first = open(&network, 0, &[POSITIONS]);
    at(&first, 1).await.unwrap();
    network.restart_server();
    at(&first, 2).await.unwrap_err();
    drop(first);
    // The engine restarts the job, and hands over the row that failed once more.
    let mut failures = Vec::new();
    for attempt in 1..=5 {
        let function = open(&network, attempt, &[POSITIONS]);
        match at(&function, 2).await {
            Ok(marked) => {
                assert!(marked);
                return;
            }
            Err(error) => failures.push(error),
        }
    }
    panic!("{} restarts, and then: {}", failures.len(), failures[4]);
}

// Holds S37.
#[tokio::test(start_paused = true)]
async fn a_rejected_row_is_named_and_not_one_that_was_replayed() {
    let network = SimulatedNetwork::new(64);
    let options = [("sequence-recovery", "replay"), ("max-retries", "2")];
    let function = open(&network, 0, &options);
    for _ in 0..3 {
        function.answer(1, 1).await.unwrap();
    }
    network.faults([Fault::AnswerLost; 10]);
    let error = function.answer(1, 1).await.unwrap_err();
    assert_eq!(
        error.sequence_row(),
        Some(3),
        "the row that failed: {error}"
    );
}

// Holds S7.
#[tokio::test(start_paused = true)]
async fn a_panic_takes_no_other_row_with_it() {
    let network = SimulatedNetwork::new(64);
    let function = open(&network, 0, &[]);
    function.answer(1, 1).await.unwrap();
    network.fault(Fault::Panic);
    let rows: Vec<_> = (0..3).map(|_| function.submit(1, 1, false)).collect();
    let other = function.submit(2, 1, false);
    let mut answers = Vec::new();
    for row in rows {
        answers.push(match row.await {
            Ok(Ok(_)) => "answered",
            Ok(Err(_)) => "failed",
            Err(_) => "dropped",
        });
    }
    assert_eq!(sum(&other.await.unwrap().unwrap()), 1);
    assert_eq!(answers, ["failed", "answered", "answered"]);
    sleep(Duration::from_millis(10)).await;
    assert_eq!(function.open_sequences(), 2);
}

// Holds S24.
#[tokio::test(start_paused = true)]
async fn a_mark_that_nobody_saw_is_given_to_the_next_row() {
    let network = SimulatedNetwork::new(64);
    let function = open(&network, 0, &[("sequence-recovery", "restart")]);
    function.answer(1, 1).await.unwrap();
    network.restart_server();
    // The request that begins the new sequence takes long.
    network.world().fault(None);
    network.fault(Fault::Slow(Duration::from_millis(500)));
    // It is given up while it is in flight: it is in the sequence, and its answer is nobody's.
    let given_up = function.submit(1, 2, false);
    sleep(Duration::from_millis(400)).await;
    drop(given_up);
    let next = function.answer(1, 4).await.unwrap();
    assert_eq!(
        (sum(&next), next.restarted),
        (6, true),
        "it lacks the first row"
    );
}

// Holds S16, S24, S28.
#[tokio::test(start_paused = true)]
async fn a_key_whose_rows_fail_is_not_silent() {
    for (recovery, expected) in [
        ("fail", "lost, then 200 marked"),
        ("restart", "100 marked, then 300"),
        ("replay", "101, then 301"),
    ] {
        let network = SimulatedNetwork::new(64);
        let function = open(&network, 0, &[("sequence-recovery", recovery)]);
        assert_eq!(sum(&function.answer(1, 1).await.unwrap()), 1);
        // For longer than any sequence is kept no row can be sent, and each is refused at once.
        for _ in 0..6 {
            sleep(SimulatedNetwork::IDLE / 4).await;
            network.fault(Fault::NotSent);
            function.answer(1, 10_000).await.unwrap_err();
        }
        sleep(SimulatedNetwork::IDLE / 4).await;
        let mut seen = Vec::new();
        for value in [100, 200] {
            seen.push(match function.answer(1, value).await {
                Ok(answered) if answered.restarted => format!("{} marked", sum(&answered)),
                Ok(answered) => sum(&answered).to_string(),
                Err(_) => "lost".to_owned(),
            });
        }
        assert_eq!(seen.join(", then "), expected, "{recovery}");
    }
}
