//! The server's places: nothing that goes wrong makes a function take more of them than it has.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::function::{Answer, Function, Opening, sum};
use super::network::Fault;
use super::transport::SimulatedNetwork;

const REPLAY: [(&str, &str); 3] = [
    ("sequence-recovery", "replay"),
    ("max-retries", "10"),
    ("retry-initial-backoff", "10 ms"),
];

fn open(network: &SimulatedNetwork, attempt: u32) -> Function {
    let opening = Opening {
        options: &REPLAY,
        attempt,
        bounded: true,
        ..Opening::default()
    };
    Function::open(network, opening)
}

/// How many of the rows are answered, and with the right sum where it is known.
async fn answered(rows: Vec<(Answer, i64)>) -> usize {
    let mut answered = 0;
    for (answer, expected) in rows {
        if let Ok(answer) = answer.await.unwrap() {
            assert_eq!(sum(&answer), expected);
            answered += 1;
        }
    }
    answered
}

#[track_caller]
fn no_start_was_held_back(network: &SimulatedNetwork) {
    let world = network.world();
    let found = (world.server.held_back, world.server.most_open);
    assert_eq!(
        found,
        (0, 4),
        "held back, most open: {:?}",
        world.violations
    );
    assert_eq!(world.violations, [""; 0]);
}

// Holds S10, S12.
#[tokio::test(start_paused = true)]
async fn lost_answers_take_no_more_places() {
    let network = SimulatedNetwork::new(4);
    let function = open(&network, 0);
    for key in 0..4 {
        function.answer(key, 1).await.unwrap();
    }
    network.faults([Fault::AnswerLost; 12]);
    let rows = (0..4).map(|key| (function.submit(key, 2, false), 3));
    let answered = answered(rows.collect()).await;
    let ids = network
        .world()
        .sent
        .iter()
        .filter(|sent| sent.request.start)
        .count();
    assert_eq!((answered, ids), (4, 16), "answered, sequences begun");
    no_start_was_held_back(&network);
}

// Holds S10, S12.
#[tokio::test(start_paused = true)]
async fn one_cut_connection_costs_no_row_where_all_places_are_taken() {
    let network = SimulatedNetwork::new(4);
    let function = open(&network, 0);
    for key in 0..4 {
        function.answer(key, 1).await.unwrap();
    }
    network.fault(Fault::AnswerLost);
    let disturbed = function.submit(0, 2, false);
    // The other keys are never idle.
    let mut rows = Vec::new();
    for row in 1..=40_i64 {
        rows.extend((1..4).map(|key| (function.submit(key, 2, false), 1 + 2 * row)));
        sleep(Duration::from_millis(500)).await;
    }
    let disturbed = answered(vec![(disturbed, 3)]).await;
    assert_eq!((disturbed, answered(rows).await), (1, 120));
    no_start_was_held_back(&network);
}

// Holds S10, S14.
#[tokio::test(start_paused = true)]
async fn the_places_of_the_run_before_are_counted() {
    let network = SimulatedNetwork::new(4);
    let before = open(&network, 0);
    for key in 0..4 {
        before.answer(key, 1).await.unwrap();
    }
    let snapshot = before.snapshot().unwrap();
    drop(before);
    let after = open(&network, 1);
    after.restore(snapshot).unwrap();
    let begun = Instant::now();
    let known = (0..4).map(|key| (after.submit(key, 2, true), 3));
    let new = (4..80).map(|key| (after.submit(key, 2, true), 2));
    let rows: Vec<_> = known.chain(new).collect();
    let answered = answered(rows).await;
    assert_eq!(answered, 80, "of 80 rows, in {:?}", begun.elapsed());
    no_start_was_held_back(&network);
}

// Holds S10, S28.
#[tokio::test(start_paused = true)]
async fn a_storm_of_lost_answers_costs_time_but_no_row() {
    let network = SimulatedNetwork::new(4);
    let function = open(&network, 0);
    network.chance(7, 0.03, Fault::AnswerLost);
    let begun = Instant::now();
    let (mut answered, mut rejected) = (0, 0);
    // Each of 200 keys has five rows.
    let rows: Vec<Answer> = (0..1000)
        .map(|row| function.submit(row / 5, 1, row % 5 == 4))
        .collect();
    let _ = timeout(Duration::from_secs(150), async {
        for (row, answer) in rows.into_iter().enumerate() {
            match answer.await.unwrap() {
                Ok(answer) => {
                    assert_eq!(sum(&answer), row as i64 % 5 + 1);
                    answered += 1;
                }
                Err(_) => rejected += 1,
            }
        }
    })
    .await;
    let taken = begun.elapsed();
    assert_eq!(
        (answered, rejected),
        (1000, 0),
        "answered, rejected in {taken:?}"
    );
    no_start_was_held_back(&network);
}
