//! The simulated network against what networks do, seen from the function's side of it.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use triton_client::{Sequence, SequenceId};

use super::function::value_row;
use super::network::Fault;
use super::transport::SimulatedNetwork;
use crate::sequences::SequenceTransport as _;
use crate::{ErrorKind, Value};

/// Sends a value in a sequence, with `S` (START), `E` (END), both or neither.
async fn send(
    network: &SimulatedNetwork,
    id: &str,
    value: i64,
    flags: &str,
) -> Result<i64, ErrorKind> {
    let sequence = Sequence {
        id: SequenceId::text(id.to_owned()).unwrap(),
        start: flags.contains('S'),
        end: flags.contains('E'),
    };
    let sent = network
        .send(
            &value_row(value),
            sequence,
            crate::replicas::ReplicaId::ONLY,
            None,
        )
        .await;
    match sent.map_err(|error| error.kind())?[..] {
        [Value::BigInt(sum)] => Ok(sum),
        ref other => panic!("expected one BIGINT, found {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn each_fault_says_what_is_known_and_does_what_it_does() {
    let second = Duration::from_secs(1);
    let uncertain = Err(ErrorKind::SequenceUncertain);
    // What the function learns, after how long, and what the model has taken in at last.
    let cases = [
        (Fault::NotSent, Err(ErrorKind::Call), 0, 1),
        (Fault::CutBefore, uncertain, 1, 1),
        (Fault::RequestLost, uncertain, 1000, 1),
        (Fault::AnswerLost, uncertain, 1, 2),
        (Fault::AnsweredLate, uncertain, 1000, 2),
        (Fault::CutAndDelivered(second), uncertain, 1, 2),
        (Fault::Delayed(second), uncertain, 1000, 2),
        (Fault::Slow(second / 2), Ok(11), 501, 2),
        (Fault::ModelFailed, uncertain, 1, 2),
        (Fault::Unreadable, Err(ErrorKind::Output), 1, 2),
        (Fault::Restart, Err(ErrorKind::SequenceLost), 0, 1),
        (Fault::Crash, uncertain, 1, 1),
    ];
    for (fault, expected, milliseconds, rows) in cases {
        let network = SimulatedNetwork::new(4);
        assert_eq!(send(&network, "a", 1, "S").await, Ok(1));
        network.fault(fault);
        let begun = Instant::now();
        let found = send(&network, "a", 10, "").await;
        let taken = begun.elapsed().as_millis();
        assert_eq!((found, taken), (expected, milliseconds), "{fault:?}");
        sleep(2 * second).await;
        assert_eq!(network.world().server.rows_of("a").len(), rows, "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_goes_on_when_whoever_sent_it_is_gone() {
    let network = SimulatedNetwork::new(1);
    send(&network, "a", 1, "S").await.unwrap();
    // It is held back, given up, and executed all the same.
    let held_back = send(&network, "b", 2, "S").await;
    assert_eq!(held_back, Err(ErrorKind::SequenceUncertain));
    assert!(network.world().server.rows_of("b").is_empty());
    sleep(SimulatedNetwork::IDLE).await;
    assert_eq!(network.world().server.rows_of("b"), [2]);
    // One whose process was killed arrives at the process after it, too.
    network.fault(Fault::Delayed(Duration::from_secs(3)));
    let killed = send(&network, "b", 4, "");
    timeout(Duration::from_millis(1), killed).await.unwrap_err();
    sleep(2 * SimulatedNetwork::TIMEOUT).await;
    assert_eq!(send(&network, "b", 8, "").await, Ok(10));
    sleep(2 * SimulatedNetwork::TIMEOUT).await;
    assert_eq!(network.world().server.rows_of("b"), [2, 8, 4]);
}

#[tokio::test(start_paused = true)]
async fn what_a_function_must_never_do_is_noticed() {
    let network = SimulatedNetwork::new(1);
    send(&network, "a", 1, "S").await.unwrap();
    network.fault(Fault::AnswerLost);
    send(&network, "a", 1, "").await.unwrap_err();
    send(&network, "a", 2, "S").await.unwrap();
    // It takes a place that `a` may still have.
    send(&network, "b", 1, "S").await.unwrap_err();
    // What certainly was not sent may be sent again.
    network.fault(Fault::NotSent);
    send(&network, "c", 1, "S").await.unwrap_err();
    let _ = send(&network, "c", 1, "S").await;
    let violations = network.world().violations.join("\n");
    insta::assert_snapshot!(violations, @"
    a is started again, with 2
    2 is sent under a after Cut
    2 of 1 places: a, b
    ");
}

#[tokio::test(start_paused = true)]
async fn another_model_answers_otherwise() {
    let network = SimulatedNetwork::new(1);
    send(&network, "a", 1, "S").await.unwrap();
    network.world().server.change_the_model();
    assert_eq!(send(&network, "a", 1, "").await, Ok(3));
}
