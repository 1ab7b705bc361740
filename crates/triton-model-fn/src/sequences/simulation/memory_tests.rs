//! What a function remembers, how it gets into a snapshot, and what comes out of it again.

use std::time::Duration;

use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use tokio::time::{advance, sleep};

use super::function::{Function, Opening, Position, sum};
use super::transport::SimulatedNetwork;
use crate::ErrorKind;
use crate::sequences::SequenceSnapshot;

fn open(network: &SimulatedNetwork, attempt: u32, options: &[(&str, &str)]) -> Function {
    let opening = Opening {
        options,
        attempt,
        bounded: true,
        ..Opening::default()
    };
    Function::open(network, opening)
}

const POSITIONS: (&str, &str) = ("sequence-position-column", "n");
const RESTART: (&str, &str) = ("sequence-recovery", "restart");
const REPLAY: (&str, &str) = ("sequence-recovery", "replay");
const COMPARE: (&str, &str) = ("sequence-replay-compare", "true");

/// A row of a key whose rows may end a sequence wherever a column says so.
fn at(number: u64) -> Position {
    Position {
        number,
        before: None,
    }
}

/// Goes by at once, because nobody has anything to do meanwhile.
async fn thirty_days() {
    advance(Duration::from_secs(30 * 86_400)).await;
    sleep(Duration::from_secs(10)).await;
}

// Holds S55.
#[tokio::test(start_paused = true)]
async fn sequences_that_are_remembered_show_in_a_gauge() {
    let recorder = DebuggingRecorder::new();
    let snapshots = recorder.snapshotter();
    let guard = metrics::set_default_local_recorder(&recorder);
    let network = SimulatedNetwork::new(1000);
    let function = open(&network, 0, &[RESTART]);
    for key in 0..500 {
        function.answer(key, 1).await.unwrap();
    }
    thirty_days().await;
    let kept = function.snapshot().unwrap().len();
    drop(guard);
    let gauges = snapshots.snapshot().into_vec().into_iter();
    let shown: f64 = gauges
        .filter(|(key, ..)| key.key().name().ends_with("_sequences"))
        .map(|(.., value)| match value {
            DebugValue::Gauge(value) => value.into_inner(),
            _ => 0.0,
        })
        .sum();
    assert_eq!((kept, shown), (kept, kept as f64), "kept, shown by gauges");
}

// Holds S51.
#[tokio::test(start_paused = true)]
async fn lost_sequences_are_remembered_up_to_a_number() {
    let network = SimulatedNetwork::new(1000);
    // As the options have it; they know nothing of it yet.
    let most = ("sequence-max-lost", "100");
    let known = triton_options::CATALOG
        .iter()
        .any(|option| option.key == most.0);
    let options = [RESTART, most];
    let function = open(&network, 0, &options[..1 + usize::from(known)]);
    for key in 0..500 {
        function.answer(key, 1).await.unwrap();
    }
    thirty_days().await;
    let kept = function.snapshot().unwrap().len();
    assert!(kept <= 100, "{kept} of 500 are kept after thirty days");
    // What was dropped is not taken for new.
    for key in [0, 499] {
        assert!(function.answer(key, 1).await.unwrap().restarted, "{key}");
    }
}

/// Three runs, each with the snapshot of the one before; the sums of key 1 in each.
async fn runs(comparing: [bool; 3]) -> Vec<Result<i64, String>> {
    let network = SimulatedNetwork::new(64);
    let mut snapshot: Option<Vec<u8>> = None;
    let mut sums = Vec::new();
    for (attempt, compares) in (0..).zip(comparing) {
        let options = [REPLAY, COMPARE];
        let function = open(&network, attempt, &options[..1 + usize::from(compares)]);
        if let Some(bytes) = snapshot {
            let restored = SequenceSnapshot::from_bytes(&bytes)
                .and_then(|snapshot| function.restore(snapshot));
            if let Err(error) = restored {
                sums.push(Err(error.to_string()));
                break;
            }
        }
        for _ in 0..2 {
            network.restart_server();
            let answered = function.answer(1, 1).await;
            sums.push(match answered {
                Ok(answered) => Ok(sum(&answered)),
                Err(error) => Err(error.message().to_owned()),
            });
        }
        snapshot = Some(function.snapshot().unwrap().to_bytes());
    }
    sums
}

// Holds S47.
#[tokio::test(start_paused = true)]
async fn comparing_can_be_switched_on_between_two_snapshots() {
    let sums = runs([false, true, true]).await;
    assert_eq!(sums, [1, 2, 3, 4, 5, 6].map(Ok));
}

// Holds S47.
#[tokio::test(start_paused = true)]
async fn comparing_can_be_switched_off_between_two_snapshots() {
    let sums = runs([true, false, false]).await;
    assert_eq!(sums, [1, 2, 3, 4, 5, 6].map(Ok));
}

// Holds S46.
#[tokio::test(start_paused = true)]
async fn nothing_is_taken_of_a_snapshot_that_is_refused() {
    let network = SimulatedNetwork::new(64);
    let before = open(&network, 0, &[]);
    for key in [1, 2, 3] {
        before.answer(key, 1).await.unwrap();
    }
    let snapshot = before.snapshot().unwrap();
    let after = open(&network, 1, &[]);
    after.answer(2, 1).await.unwrap();
    let own = after.snapshot().unwrap();
    let refused = after.restore(snapshot).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Snapshot);
    let taken: Vec<String> = after
        .snapshot()
        .unwrap()
        .keys()
        .map(str::to_owned)
        .collect();
    assert_eq!(taken, ["2"]);
    assert_eq!(after.snapshot().unwrap(), own);
}

// Holds S50.
#[tokio::test(start_paused = true)]
async fn an_end_survives_a_snapshot() {
    let network = SimulatedNetwork::new(64);
    let before = open(&network, 0, &[POSITIONS, RESTART]);
    for (number, last) in [(1, false), (2, true)] {
        let answer = before.submit_at(1, 1, last, at(number));
        assert!(!answer.await.unwrap().unwrap().restarted);
    }
    let snapshot = before.snapshot().unwrap();
    let after = open(&network, 1, &[POSITIONS, RESTART]);
    after.restore(snapshot).unwrap();
    let answered = after.submit_at(1, 1, false, at(3)).await.unwrap().unwrap();
    assert_eq!(
        (sum(&answered), answered.restarted),
        (1, false),
        "the row after an end begins a sequence and lacks nothing"
    );
}

// Holds S53.
#[tokio::test(start_paused = true)]
async fn an_end_is_not_forgotten_for_other_ends() {
    let network = SimulatedNetwork::new(64);
    let function = open(&network, 0, &[POSITIONS, RESTART]);
    function
        .submit_at(0, 1, true, at(1))
        .await
        .unwrap()
        .unwrap();
    for first in (1..=100_001).step_by(64) {
        let keys = first..first + 64;
        let rows: Vec<_> = keys
            .map(|key| function.submit_at(key, 1, true, at(1)))
            .collect();
        for row in rows {
            row.await.unwrap().unwrap();
        }
    }
    let answered = function.submit_at(0, 1, false, at(2)).await.unwrap();
    assert!(
        !answered.unwrap().restarted,
        "the row after an end lacks nothing, however many keys ended since"
    );
}

// Holds S52.
#[tokio::test(start_paused = true)]
async fn the_rows_of_lost_sequences_are_kept_up_to_a_number_of_bytes() {
    const KEYS: i64 = 1000;
    let network = SimulatedNetwork::new(2000);
    let most = ("sequence-replay-max-bytes", "100");
    let overflow = ("sequence-replay-overflow", "restart");
    let function = open(&network, 0, &[REPLAY, most, overflow]);
    for key in 0..KEYS {
        function.answer(key, 1).await.unwrap();
    }
    thirty_days().await;
    let bytes = function.snapshot().unwrap().to_bytes().len();
    let mut replayed = Vec::new();
    for key in 0..KEYS {
        let answered = function.answer(key, 1).await.unwrap();
        // Nothing is wrong without a mark.
        assert_eq!(sum(&answered), if answered.restarted { 1 } else { 2 });
        if !answered.restarted {
            replayed.push(key);
        }
    }
    // The rows that were lost last are there, and no more of them than the bytes allow.
    let kept = replayed.len() as i64;
    assert!(
        (1..KEYS).contains(&kept) && replayed == ((KEYS - kept)..KEYS).collect::<Vec<_>>(),
        "{kept} of {KEYS} have their rows, in a snapshot of {bytes} bytes"
    );
}
