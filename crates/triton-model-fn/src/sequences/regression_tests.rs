//! Each of these once showed a promise that did not hold, between two things that held by themselves.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use triton_client::{ModelConfig, Sequence};
use triton_options::TritonOptions;

use super::test_server::{Asked, Fault, Running, SERVER_IDLE, TestServer, row, sum, value};
use super::{KeyedSequences, Row, SequenceKey, SequenceSettings, SequenceTransport, SourceTraits};
use crate::replicas::ReplicaId;
use crate::tensor_plan::EncodedRow;
use crate::{CallContext, Column, DataType, Error, ErrorKind, Schema, Subtask, Value};

const REPLAY: (&str, &str) = ("sequence-recovery", "replay");
const RESTART: (&str, &str) = ("sequence-recovery", "restart");

/// A snapshot taken with `replay`, restored with `restart`; a row that has to wait for a place runs
/// into its deadline. The next snapshot of that run cannot be restored by anybody.
#[tokio::test(start_paused = true)]
async fn a_snapshot_is_readable_after_replay_was_switched_to_restart() {
    let server = TestServer::default();
    let first = Running::start(&server, &[REPLAY], true);
    for key in 0..4 {
        first.answer(key, 1).await.unwrap();
    }
    let snapshot = first.sequences.snapshot().unwrap();
    drop(first);
    let second = Running::start(&server, &[RESTART, ("row-deadline", "1 s")], true);
    second.sequences.restore(snapshot).unwrap();
    // The four IDs of the first run hold all four places for SERVER_IDLE.
    let error = second.answer(1, 2).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Call, "{error}");
    let snapshot = second.sequences.snapshot().unwrap();
    drop(second);
    let third = Running::start(&server, &[RESTART], true);
    third.sequences.restore(snapshot).unwrap();
}

/// With `replay` what is in a snapshot is to go on as if nothing had happened; what was kept while
/// sequences were open is dropped when they are restored.
#[tokio::test(start_paused = true)]
async fn a_snapshot_brings_all_rows_that_were_kept_of_open_sequences() {
    let server = TestServer::default();
    let options = [
        REPLAY,
        ("sequence-replay-max-bytes", "100"),
        ("sequence-max-open", "1000"),
    ];
    let first = Running::start(&server, &options, true);
    for key in 0..1000 {
        for number in 0..3 {
            first.answer(key, number).await.unwrap();
        }
        // None idles out.
        if key % 500 == 0 {
            sleep(Duration::from_millis(1)).await;
        }
    }
    let open = first.sequences.open_sequences();
    let snapshot = first.sequences.snapshot().unwrap();
    drop(first);
    let second = Running::start(&server, &options, true);
    second.sequences.restore(snapshot).unwrap();
    let mut failed = Vec::new();
    for key in 0..1000 {
        if let Err(error) = second.answer(key, 3).await {
            failed.push(error.to_string());
        }
    }
    assert_eq!(
        failed.len(),
        0,
        "of {open} open ones; the first: {}",
        failed[0]
    );
}

/// An answer that lacks earlier rows is marked: the one that carried the mark was sent into a
/// channel that its caller dropped without looking.
#[tokio::test(start_paused = true)]
async fn a_mark_is_not_lost_with_an_answer_that_nobody_looked_at() {
    let running = Running::start(&TestServer::default(), &[RESTART], true);
    running.answer(1, 1).await.unwrap();
    running.server.forget_everything();
    let unseen = running.submit(1, 2, false);
    sleep(Duration::from_millis(100)).await;
    drop(unseen);
    let next = running.answer(1, 3).await.unwrap();
    assert_eq!((sum(&next), next.restarted), (2 * value(1, 0) + 5, true));
}

/// However an answer gets lost on its way to whoever asked, here by somebody who waits for others first.
#[tokio::test(start_paused = true)]
async fn a_mark_is_not_lost_with_an_answer_that_was_passed_on_and_dropped() {
    let running = Running::start(&TestServer::default(), &[RESTART], true);
    running.answer(1, 1).await.unwrap();
    running.server.forget_everything();
    let Asked(waiting) = running.submit(1, 2, false);
    let passed_on = waiting.await.unwrap().unwrap();
    assert!(passed_on.restarted);
    drop(passed_on);
    let next = running.answer(1, 3).await.unwrap();
    assert_eq!((sum(&next), next.restarted), (2 * value(1, 0) + 5, true));
    let last = running.answer(1, 4).await.unwrap();
    assert!(!last.restarted);
}

/// Rows come before what only ends sequences; but a row that waits for the place of such a sequence would
/// wait for as long as others have rows.
#[tokio::test(start_paused = true)]
async fn rows_of_other_keys_do_not_keep_a_place_from_being_freed() {
    let options = [
        ("sequence-abandon", "end"),
        ("max-in-flight", "1"),
        ("sequence-max-open", "3"),
    ];
    let sequences = Arc::new(start(Slow::default(), &options, false));
    submit(&sequences, 3, 1).await.unwrap().unwrap();
    let busy = [1, 2].map(|key| {
        let sequences = Arc::clone(&sequences);
        tokio::spawn(async move {
            for number in 1.. {
                // Two at a time, so that there is always one that could be sent.
                let next = submit(&sequences, key, number);
                submit(&sequences, key, number).await.unwrap().unwrap();
                next.await.unwrap().unwrap();
            }
        })
    });
    // Key 3 is idle for longer than three quarters of what the server keeps.
    sleep(SERVER_IDLE * 3 / 4 + Duration::from_millis(300)).await;
    let waiting = submit(&sequences, 4, 1);
    let answer = timeout(SERVER_IDLE, waiting).await;
    busy.iter().for_each(tokio::task::JoinHandle::abort);
    assert!(answer.is_ok_and(|answer| answer.unwrap().is_ok()));
}

/// A key whose last sequence has ended by a row that says so is whole. Its first row fails because
/// there is no connection; the next one is then marked.
#[tokio::test(start_paused = true)]
async fn a_first_row_that_was_not_sent_does_not_make_the_next_one_marked() {
    let mark = ("sequence-unknown-key", "mark");
    let running = Running::start(&TestServer::default(), &[mark], true);
    running.submit(1, 1, true).await.unwrap().unwrap();
    // As it should be.
    assert!(!running.submit(1, 2, true).await.unwrap().unwrap().restarted);
    running.server.fault(Some(Fault::NotSent));
    running.answer(1, 3).await.unwrap_err();
    let next = running.answer(1, 4).await.unwrap();
    assert_eq!((sum(&next), next.restarted), (value(1, 4), false));
}

/// The default is `fail`: an engine that restarts a failed job from its last checkpoint never gets
/// past the first row of an open key.
#[tokio::test(start_paused = true)]
async fn an_engine_comes_past_the_first_row_after_a_checkpoint() {
    let server = TestServer::default();
    let first = Running::start(&server, &[], true);
    first.answer(1, 1).await.unwrap();
    let checkpoint = first.sequences.snapshot().unwrap();
    drop(first);
    let mut failures = Vec::new();
    for attempt in 1..=5 {
        let source = SourceTraits::default();
        let scope = [("sequence-id-scope", "run")];
        let function = Running::start_attempt(&server, &scope, attempt, source);
        function.sequences.restore(checkpoint.clone()).unwrap();
        match function.answer(1, 2).await {
            Ok(_) => return,
            Err(error) => failures.push(error.to_string()),
        }
    }
    panic!("{} restarts, and then: {}", failures.len(), failures[4]);
}

/// A function that is dropped without a close leaves its numbers in the gauges for ever.
#[tokio::test(start_paused = true)]
async fn gauges_forget_a_function_that_was_dropped_without_a_close() {
    let recorder = DebuggingRecorder::new();
    let snapshots = recorder.snapshotter();
    let guard = metrics::set_default_local_recorder(&recorder);
    let running = Running::start(&TestServer::default(), &[], true);
    for key in 0..3 {
        running.answer(key, 1).await.unwrap();
    }
    drop(running);
    sleep(Duration::from_secs(60)).await;
    drop(guard);
    let gauges: Vec<(String, f64)> = snapshots
        .snapshot()
        .into_vec()
        .into_iter()
        .filter_map(|(key, _, _, value)| match value {
            DebugValue::Gauge(value) if value.into_inner() > 0.0 => {
                Some((key.key().name().to_owned(), value.into_inner()))
            }
            _ => None,
        })
        .collect();
    assert_eq!(gauges, []);
}

/// A server that takes so long for a request that says END (or for each one of a key), and that
/// gives a request up at its deadline, as the model's transport does.
#[derive(Debug, Clone, Default)]
struct Slow {
    sent: Arc<Mutex<Vec<(i64, bool, bool)>>>,
    /// How long a request of a value takes.
    slow: Arc<Mutex<Vec<(i64, bool, Duration)>>>,
}

impl SequenceTransport for Slow {
    async fn send(
        &self,
        row: &EncodedRow,
        sequence: Sequence,
        _server: ReplicaId,
        deadline: Option<Instant>,
    ) -> Result<Vec<Value>, Error> {
        let data = <[u8; 8]>::try_from(&*row.cells()[0].as_ref().unwrap().data).unwrap();
        let value = i64::from_le_bytes(data);
        if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            let message = "nothing was sent: the row's deadline was over before it could be";
            return Err(Error::new(ErrorKind::Call, message));
        }
        self.sent
            .lock()
            .unwrap()
            .push((value, sequence.start, sequence.end));
        let time = {
            let slow = self.slow.lock().unwrap();
            let found = slow
                .iter()
                .find(|(of, end, _)| *of == value && *end == sequence.end);
            found.map_or(Duration::from_millis(1), |(.., time)| *time)
        };
        // `timeout` is 30 s.
        let limit = Instant::now() + Duration::from_secs(30);
        let limit = deadline.map_or(limit, |deadline| deadline.min(limit));
        match timeout_at(limit, sleep(time)).await {
            Ok(()) => Ok(vec![Value::BigInt(value)]),
            Err(_) => Err(Error::new(ErrorKind::SequenceUncertain, "no answer came")),
        }
    }
}

fn start<T: SequenceTransport>(
    transport: T,
    extra: &[(&str, &str)],
    bounded: bool,
) -> KeyedSequences<T> {
    start_waiting(transport, extra, bounded, None)
}

fn start_waiting<T: SequenceTransport>(
    transport: T,
    extra: &[(&str, &str)],
    bounded: bool,
    wait: Option<crate::ServerWait>,
) -> KeyedSequences<T> {
    let common = [
        ("endpoint", "http://localhost:8000"),
        ("model-name", "m"),
        ("sequence-id", "job"),
        ("sequence-id-auto-increment", "true"),
        ("sequence-key", "key"),
    ];
    let options = common.iter().chain(extra).copied();
    let options = TritonOptions::parse(options).unwrap();
    let subtask = Subtask::new(0, 1, 0).unwrap();
    let open =
        Arc::new(CallContext::new(&options, subtask, false, Arc::default(), wait, None).unwrap());
    let config: ModelConfig = serde_json::from_value(serde_json::json!({
        "name": "m",
        "max_batch_size": 8,
        "sequence_batching": {
            "max_sequence_idle_microseconds": SERVER_IDLE.as_micros() as u64,
            "oldest": {"max_candidate_sequences": 4},
        },
    }))
    .unwrap();
    let schema = Schema {
        inputs: vec![Column::new("value", DataType::BigInt)],
        outputs: vec![Column::new("sum", DataType::BigInt)],
    };
    let mut rows = schema.clone();
    rows.inputs.push(Column::new("key", DataType::BigInt));
    let source = SourceTraits {
        bounded,
        ..SourceTraits::default()
    };
    let settings = SequenceSettings::agree(&options, &rows, &schema, &config, &open, source);
    KeyedSequences::start(open, transport, settings.unwrap().unwrap(), Arc::default())
}

fn submit<T: SequenceTransport>(sequences: &KeyedSequences<T>, key: i64, number: i64) -> Asked {
    let row = Row {
        encoded: Ok(Arc::new(row(value(key, number)))),
        last: false,
        position: None,
    };
    Asked(sequences.submit(&SequenceKey::new(&key.to_string()), row))
}

/// `row-deadline` bounds a row with all its waits; the wait for one of the `max-in-flight` workers is
/// not bounded, and an END that nobody asked for occupies one for as long as the server likes.
#[tokio::test(start_paused = true)]
async fn a_row_waits_behind_an_end_no_longer_than_its_deadline() {
    let server = Slow::default();
    let options = [
        ("sequence-abandon", "end"),
        ("row-deadline", "2 s"),
        ("max-in-flight", "1"),
    ];
    let sequences = start(server.clone(), &options, false);
    submit(&sequences, 1, 1).await.unwrap().unwrap();
    server
        .slow
        .lock()
        .unwrap()
        .push((value(1, 1), true, Duration::from_secs(25)));
    // Idle for three quarters of what the server keeps: the sequence is ended.
    sleep(SERVER_IDLE * 3 / 4 + Duration::from_millis(300)).await;
    let begun = Instant::now();
    let answer = submit(&sequences, 2, 1).await.unwrap();
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(3), "{took:?}: {answer:?}");
}

/// The same without an END: a row that was handed over later has the only worker.
#[tokio::test(start_paused = true)]
async fn a_row_waits_behind_a_later_one_no_longer_than_its_deadline() {
    let server = Slow::default();
    let options = [
        ("row-deadline", "10 s"),
        ("max-in-flight", "1"),
        ("sequence-max-open", "2"),
        RESTART,
    ];
    let sequences = start(server.clone(), &options, true);
    for key in [1, 3] {
        submit(&sequences, key, 1).await.unwrap().unwrap();
    }
    // A new key has to wait for the place of key 3, until that has idled out, at 4 s.
    let begun = Instant::now();
    let early = submit(&sequences, 2, 1);
    sleep(Duration::from_secs(2)).await;
    let slow = [(value(1, 2), false, Duration::from_secs(25))];
    server.slow.lock().unwrap().extend(slow);
    // Key 1 goes on; its row has until 12 s, and the only worker.
    let late = submit(&sequences, 1, 2);
    let answer = timeout(Duration::from_secs(100), early).await;
    let took = begun.elapsed();
    drop(late);
    assert!(took < Duration::from_millis(10_500), "{took:?}: {answer:?}");
}

/// A row that is given up before it is sent is left out; here 99 of 100 that stand in the executor's
/// own queue are sent although nobody waits for them.
#[tokio::test(start_paused = true)]
async fn rows_that_were_given_up_before_they_were_sent_are_not_sent() {
    let server = Slow::default();
    let options = [("max-in-flight", "1"), ("sequence-max-open", "1000")];
    let sequences = start(server.clone(), &options, true);
    let rows: Vec<_> = (0..100).map(|key| submit(&sequences, key, 1)).collect();
    tokio::task::yield_now().await;
    drop(rows);
    sleep(Duration::from_secs(1)).await;
    let sent = server.sent.lock().unwrap().len();
    assert!(sent <= 1, "{sent} rows were sent");
}

/// "What was not touched is handed on as it was", whatever options were in between.
#[tokio::test(start_paused = true)]
async fn rows_kept_outlive_a_run_without_replay() {
    let server = TestServer::default();
    let first = Running::start(&server, &[REPLAY], true);
    first.answer(1, 1).await.unwrap();
    let snapshot = first.sequences.snapshot().unwrap();
    drop(first);
    let second = Running::start(&server, &[], true);
    second.sequences.restore(snapshot.clone()).unwrap();
    // No row in this run.
    let again = second.sequences.snapshot().unwrap();
    drop(second);
    let third = Running::start(&server, &[REPLAY], true);
    third.sequences.restore(again.clone()).unwrap();
    let answered = third.answer(1, 2).await;
    assert_eq!(
        answered
            .map(|answered| sum(&answered))
            .map_err(|error| error.to_string()),
        Ok(2 * value(1, 0) + 3)
    );
}

/// A server that loses every answer.
#[derive(Debug, Clone, Default)]
struct Losing;

impl SequenceTransport for Losing {
    async fn send(
        &self,
        _row: &EncodedRow,
        _sequence: Sequence,
        _server: ReplicaId,
        _deadline: Option<Instant>,
    ) -> Result<Vec<Value>, Error> {
        Err(Error::new(ErrorKind::SequenceUncertain, "no answer came"))
    }
}

/// The `ServerWait` that functions share counts rows that pause; a function that is dropped with some
/// of them leaves them in its numbers.
#[tokio::test(start_paused = true)]
async fn a_dropped_function_leaves_no_pauses_in_the_shared_server_wait() {
    let wait = crate::ServerWait::new(Duration::from_secs(60));
    let options = [
        RESTART,
        ("max-retries", "50"),
        ("retry-initial-backoff", "10 s"),
        ("retry-max-backoff", "10 s"),
        ("sequence-max-open", "100"),
    ];
    let sequences = start_waiting(Losing, &options, true, Some(wait.clone()));
    let rows: Vec<_> = (0..3).map(|key| submit(&sequences, key, 1)).collect();
    sleep(Duration::from_secs(1)).await;
    let before = wait.calls();
    drop(rows);
    drop(sequences);
    sleep(Duration::from_secs(600)).await;
    assert_eq!((before, wait.calls()), (3, 0));
}

/// Whether a place that nobody may have is given back: everything is given up in every state, and then
/// the function begins again to answer.
#[tokio::test(start_paused = true)]
async fn rows_that_wait_for_places_and_are_given_up_are_forgotten() {
    let options = [("sequence-max-open", "1")];
    let sequences = start(Slow::default(), &options, true);
    submit(&sequences, 1, 1).await.unwrap().unwrap();
    for number in 1..1000 {
        // Keys that nobody waits for any more, while key 1 keeps the only place.
        drop(submit(&sequences, 1 + number, 1));
        if number % 100 == 0 {
            submit(&sequences, 1, number).await.unwrap().unwrap();
        }
    }
    sleep(Duration::from_secs(2)).await;
    let rows = sequences.shared.lock().machine.counts(Instant::now()).rows;
    assert_eq!(rows, 0, "rows that nobody waits for are kept");
}

type RecordedMetric = (
    metrics_util::CompositeKey,
    Option<metrics::Unit>,
    Option<metrics::SharedString>,
    DebugValue,
);

fn gauge(recorded: Vec<RecordedMetric>, name: &str) -> Vec<f64> {
    recorded
        .into_iter()
        .filter(|(key, ..)| key.key().name() == name)
        .map(|(.., value)| match value {
            DebugValue::Gauge(value) => value.into_inner(),
            _ => f64::NAN,
        })
        .collect()
}

/// "What comes of one that was closed never touches a later one": the end of an earlier opening sets
/// the gauges of the one that is open to 0. So do two functions of one model in one process.
#[tokio::test(start_paused = true)]
async fn the_end_of_an_earlier_opening_leaves_the_gauges_of_the_later_one() {
    let recorder = DebuggingRecorder::new();
    let snapshots = recorder.snapshotter();
    let guard = metrics::set_default_local_recorder(&recorder);
    let server = TestServer::default();
    let earlier = Running::start(&server, &[], true);
    let scope = [("sequence-id-scope", "run")];
    let later = Running::start(&server, &scope, true);
    for key in 0..3 {
        later.answer(key, 1).await.unwrap();
    }
    earlier.sequences.abort();
    drop(guard);
    let shown = gauge(
        snapshots.snapshot().into_vec(),
        "triton_function_open_sequences",
    );
    assert_eq!(shown, [later.sequences.open_sequences() as f64]);
}

/// How many calls may be in flight is added up by every opening, and never taken away.
#[tokio::test(start_paused = true)]
async fn a_server_wait_counts_no_functions_that_are_closed() {
    let wait = crate::ServerWait::new(Duration::from_secs(60));
    for _ in 0..100 {
        drop(start_waiting(Losing, &[], true, Some(wait.clone())));
        // What worked for it ends when it is looked at.
        sleep(Duration::from_millis(1)).await;
    }
    assert!(wait.capacity() <= 32, "{} calls in flight", wait.capacity());
}

/// A row that is given up behind another one is left out; where rows say which number they have, the
/// next one is then blamed for not following it.
#[tokio::test(start_paused = true)]
async fn a_row_that_was_given_up_makes_no_gap() {
    let positions = ("sequence-position-column", "n");
    for options in [&[][..], &[positions][..]] {
        let has_positions = !options.is_empty();
        let running = Running::start(&TestServer::default(), options, true);
        let hand_over = |number: i64| {
            let position = has_positions.then_some(super::RowPosition {
                position: number as u64,
                before: Some(number as u64 - 1),
                earlier: None,
            });
            running.hand_over(1, number, false, position)
        };
        let first = hand_over(1);
        drop(hand_over(2));
        let third = hand_over(3);
        first.await.unwrap().unwrap();
        let third = third.await.unwrap();
        let third = third.map(|third| (sum(&third), third.restarted));
        assert_eq!(
            third.map_err(|error| error.to_string()),
            Ok((2 * value(1, 0) + 4, false)),
            "positions: {has_positions}"
        );
    }
}

/// `sequence-unknown-key` = `new` is about keys that this subtask has not seen. This one it has seen,
/// has lost and has had to forget: the answer lacks rows, and is not marked.
#[tokio::test(start_paused = true)]
async fn a_lost_key_that_was_forgotten_is_never_taken_for_new() {
    let options = [
        RESTART,
        ("sequence-unknown-key", "new"),
        ("sequence-max-lost", "1"),
    ];
    let running = Running::start(&TestServer::default(), &options, true);
    for key in 0..3 {
        running.answer(key, 1).await.unwrap();
    }
    // Bounded input: no time ends a sequence, but the server drops them.
    sleep(SERVER_IDLE * 2).await;
    let marks = [
        running.answer(0, 2).await.unwrap().restarted,
        running.answer(1, 2).await.unwrap().restarted,
        running.answer(2, 2).await.unwrap().restarted,
    ];
    assert_eq!(marks, [true; 3]);
}

/// Rows of one key in a hurry behind a burst of ENDs: each of them is a request before theirs.
#[tokio::test(start_paused = true)]
async fn what_the_server_has_dropped_is_not_ended() {
    let server = Slow::default();
    let options = [
        ("sequence-abandon", "end"),
        ("sequence-max-open", "2000"),
        ("max-in-flight", "4"),
    ];
    let sequences = start(server.clone(), &options, true);
    let rows: Vec<_> = (0..1000).map(|key| submit(&sequences, key, 1)).collect();
    for row in rows {
        row.await.unwrap().unwrap();
    }
    let before = server.sent.lock().unwrap().len();
    // The server has dropped all of them: an END says so to nobody.
    sleep(SERVER_IDLE * 2).await;
    let ends = server.sent.lock().unwrap().len() - before;
    assert_eq!(ends, 0, "ENDs for sequences that the server has dropped");
}

/// "Equal to the bit, so that NaN is the same as NaN", says `is_same`; a FLOAT16 is forgotten.
#[test]
fn a18_a_history_with_a_nan_of_float16_is_refused() {
    let found = [DataType::Float, DataType::Double, DataType::Float16].map(|data_type| {
        let nan = match data_type {
            DataType::Float => Value::Float(f32::NAN),
            DataType::Double => Value::Double(f64::NAN),
            _ => Value::Float16(f32::NAN),
        };
        let options = [
            ("endpoint", "http://localhost:8000"),
            ("model-name", "m"),
            ("sequence-id", "job"),
            ("sequence-id-auto-increment", "true"),
            ("sequence-key", "key"),
            REPLAY,
            ("sequence-history-columns", "value:history"),
        ];
        let options = TritonOptions::parse(options).unwrap();
        let schema = Schema {
            inputs: vec![
                Column::new("key", DataType::BigInt),
                Column::new("value", data_type.clone()),
                Column::new("history", DataType::Array(Box::new(data_type))),
            ],
            outputs: vec![Column::new("sum", DataType::BigInt)],
        };
        let columns = super::SequenceColumns::find(&options, &schema).unwrap();
        let row = [
            Value::BigInt(1),
            nan.clone(),
            Value::Array(vec![nan].into()),
        ];
        let encode = || |_: &[Value]| Err(Error::new(ErrorKind::Input, "not asked for"));
        let position = columns.unwrap().position(&row, encode);
        position.map(|_| ()).map_err(|error| error.to_string())
    });
    assert_eq!(found, [Ok(()), Ok(()), Ok(())]);
}

/// "The most rows of a sequence", whatever it was before the snapshot.
#[tokio::test(start_paused = true)]
async fn a_shorter_length_holds_for_sequences_of_a_snapshot() {
    let server = TestServer::default();
    let first = Running::start(&server, &[REPLAY], true);
    for number in 0..5 {
        first.answer(1, number).await.unwrap();
    }
    let snapshot = first.sequences.snapshot().unwrap();
    drop(first);
    let second = Running::start(&server, &[REPLAY, ("sequence-max-length", "3")], true);
    second.sequences.restore(snapshot).unwrap();
    let answered = second.answer(1, 5).await.unwrap();
    let rows = sum(&answered) / value(1, 0);
    assert!(rows <= 3, "{rows} rows in a sequence of at most 3");
}

/// Time in which nothing was sent to the server does not keep its sequence alive: rows that cannot
/// be used come often enough for the clock here, and the server hears nothing of them.
#[tokio::test(start_paused = true)]
async fn rows_that_cannot_be_sent_keep_no_sequence_open() {
    let running = Running::start(&TestServer::default(), &[], false);
    running.answer(1, 1).await.unwrap();
    for _ in 0..6 {
        sleep(Duration::from_secs(1)).await;
        let row = Row {
            encoded: Err(Error::new(ErrorKind::NullInput, "NULL")),
            last: false,
            position: None,
        };
        let answer = Asked(running.sequences.submit(&SequenceKey::new("1"), row));
        answer.await.unwrap().unwrap_err();
    }
    // The server keeps it for four seconds, and it is six since the last row that it has heard of.
    let answer = running.answer(1, 2).await;
    let answer = answer.map(|answered| (sum(&answered), answered.restarted));
    assert_eq!(
        answer.map_err(|error| error.to_string()),
        Ok((value(1, 2), false))
    );
}

/// Rows that nobody waits for stand in the way of every checkpoint.
#[tokio::test(start_paused = true)]
async fn rows_that_were_given_up_keep_no_snapshot_from_being_taken() {
    let sequences = start(Slow::default(), &[("sequence-max-open", "1")], true);
    submit(&sequences, 1, 1).await.unwrap().unwrap();
    drop(submit(&sequences, 2, 1));
    for number in 2..10 {
        sleep(Duration::from_secs(2)).await;
        submit(&sequences, 1, number).await.unwrap().unwrap();
    }
    let snapshot = sequences.snapshot();
    assert!(snapshot.is_ok(), "{}", snapshot.unwrap_err());
}
