//! How far recoveries come on a network that loses something again and again, and what they cost.

use super::function::{Function, Opening, sum};
use super::network::Fault;
use super::transport::SimulatedNetwork;
use crate::ErrorKind;

fn open(network: &SimulatedNetwork, retries: &str) -> Function {
    let options = [
        ("sequence-recovery", "replay"),
        ("max-retries", retries),
        ("retry-initial-backoff", "10 ms"),
    ];
    let opening = Opening {
        options: &options,
        bounded: true,
        ..Opening::default()
    };
    Function::open(network, opening)
}

/// A sequence of so many rows, each of the value 1: requests for each row, and rows rejected.
async fn cost(network: &SimulatedNetwork, rows: i64, retries: &str) -> (f64, usize) {
    let function = open(network, retries);
    let (mut expected, mut rejected) = (0, 0);
    for _ in 0..rows {
        match function.answer(1, 1).await {
            Ok(answered) => {
                expected += 1;
                assert_eq!(sum(&answered), expected);
            }
            Err(_) => rejected += 1,
        }
    }
    (network.sent() as f64 / rows as f64, rejected)
}

// Holds S28, S34.
#[tokio::test(start_paused = true)]
async fn a_long_sequence_comes_to_its_end_although_answers_are_cut() {
    let (mut requests, mut rejected) = (Vec::new(), 0);
    for seed in 0..5 {
        let network = SimulatedNetwork::new(64);
        network.chance(seed, 0.01, Fault::AnswerLost);
        let (cost, lost) = cost(&network, 400, "10").await;
        requests.push(cost);
        rejected += lost;
    }
    // What a replay of n rows takes where each is lost with the probability p is
    // ((1 - p)^-n - 1) / p requests; no recovery can do with less where the answer is lost.
    let most = 40.0;
    let fits = requests.iter().all(|requests| *requests < most) && rejected == 0;
    assert!(
        fits,
        "requests for each row: {requests:.1?}, {rejected} of 2000 rows rejected"
    );
}

// Holds S36.
#[tokio::test(start_paused = true)]
async fn what_was_certainly_not_executed_goes_on_in_the_same_replay() {
    let network = SimulatedNetwork::new(64);
    let function = open(&network, "10");
    for _ in 0..100 {
        function.answer(1, 1).await.unwrap();
    }
    network.restart_server();
    let before = network.sent();
    // Every twentieth request of the replay is not sent at first.
    for _ in 0..5 {
        let mut world = network.world();
        (0..19).for_each(|_| world.fault(None));
        world.fault(Some(Fault::NotSent));
    }
    let answered = function.answer(1, 1).await;
    let requests = network.sent() - before;
    let sum = answered.map(|answered| sum(&answered));
    let sum = sum.map_err(|error| error.to_string());
    assert!(
        sum == Ok(101) && requests <= 110,
        "{sum:?} after {requests} requests"
    );
}

// Holds S34.
#[tokio::test(start_paused = true)]
async fn a_failure_that_says_nothing_of_passing_uses_up_no_other_retries() {
    let network = SimulatedNetwork::new(64);
    let function = open(&network, "25");
    function.answer(1, 1).await.unwrap();
    network.faults([Fault::AnswerLost; 9]);
    network.fault(Fault::ModelFailed);
    let answered = function.answer(1, 2).await;
    let sum = answered.map(|answered| sum(&answered));
    let sum = sum.map_err(|error| error.to_string());
    let requests = network.sent();
    assert!(sum == Ok(3), "{sum:?} after {requests} requests");
}

// Holds S33.
#[tokio::test(start_paused = true)]
async fn an_answer_that_cannot_be_read_costs_one_replay_and_not_many() {
    let network = SimulatedNetwork::new(64);
    let function = open(&network, "10");
    for _ in 0..50 {
        function.answer(1, 1).await.unwrap();
    }
    network.world().unreadable.insert(100);
    let before = network.sent();
    let error = function.answer(1, 100).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Output);
    // The row is left out, and those after it are answered.
    assert_eq!(sum(&function.answer(1, 1).await.unwrap()), 51);
    let requests = network.sent() - before;
    assert!(
        requests <= 103,
        "{requests} requests for one row and the next"
    );
}
