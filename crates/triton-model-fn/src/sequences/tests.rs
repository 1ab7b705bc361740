//! Each rule of sequences per key by itself, on a picture of the server.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::test_server::{Fault, Running, SERVER_IDLE, TestServer, sum, value};
use super::{SequenceSnapshot, SourceTraits};
use crate::ErrorKind;

fn start(extra: &[(&str, &str)]) -> Running {
    Running::start(&TestServer::default(), extra, false)
}

fn ids(running: &Running) -> Vec<(String, bool, bool)> {
    let seen = running.server.seen().into_iter();
    seen.map(|seen| (seen.id, seen.start, seen.end)).collect()
}

const REPLAY: (&str, &str) = ("sequence-recovery", "replay");
const RESTART: (&str, &str) = ("sequence-recovery", "restart");

// Holds S5.
#[tokio::test(start_paused = true)]
async fn each_key_has_one_sequence_from_its_first_row_to_its_last() {
    let running = start(&[]);
    let answers = [
        running.submit(1, 10, false),
        running.submit(2, 1, false),
        running.submit(1, 5, true),
        running.submit(1, 7, false),
    ];
    let mut sums = Vec::new();
    for answer in answers {
        let answered = answer.await.unwrap().unwrap();
        sums.push((answered.sequence_id.clone(), sum(&answered)));
    }
    let expected = [
        ("job-0-0", value(1, 10)),
        ("job-0-1", value(2, 1)),
        ("job-0-0", value(2, 15)),
        ("job-0-2", value(1, 7)),
    ];
    assert_eq!(sums, expected.map(|(id, sum)| (id.to_owned(), sum)));
    assert_eq!(running.sequences.open_sequences(), 2);
    let flags = |id: &str, start, end| (id.to_owned(), start, end);
    let expected = [
        flags("job-0-0", true, false),
        flags("job-0-1", true, false),
        flags("job-0-0", false, true),
        flags("job-0-2", true, false),
    ];
    assert_eq!(ids(&running), expected);
}

// Holds S16.
#[tokio::test(start_paused = true)]
async fn a_sequence_ends_at_its_longest() {
    let running = start(&[("sequence-max-length", "2")]);
    for number in 0..3 {
        running.answer(1, number).await.unwrap();
    }
    let flags: Vec<_> = ids(&running)
        .into_iter()
        .map(|(_, start, end)| (start, end))
        .collect();
    assert_eq!(flags, [(true, false), (false, true), (true, false)]);
}

// Holds S12, S16.
#[tokio::test(start_paused = true)]
async fn an_idle_key_starts_anew_and_its_place_is_free_when_the_server_drops_it() {
    let running = start(&[("sequence-max-open", "1")]);
    running.answer(1, 1).await.unwrap();
    sleep(SERVER_IDLE * 3 / 4 + Duration::from_millis(500)).await;
    assert_eq!(running.sequences.open_sequences(), 0);
    // The server still holds the first sequence, so the second one waits for its place.
    let begun = Instant::now();
    assert_eq!(sum(&running.answer(2, 2).await.unwrap()), value(2, 2));
    assert!(begun.elapsed() > Duration::from_millis(300));
    assert_eq!(running.server.most_open(), 1);
    sleep(SERVER_IDLE).await;
    let again = running.answer(1, 3).await.unwrap();
    assert_eq!((sum(&again), again.restarted), (value(1, 3), false));
}

// Holds S17.
#[tokio::test(start_paused = true)]
async fn time_in_which_the_server_keeps_rows_waiting_is_no_idle_time() {
    let running = start(&[REPLAY, ("sequence-idle-timeout", "1 s")]);
    running.answer(1, 1).await.unwrap();
    running.server.fault(Some(Fault::Slow));
    // Key 2 takes two seconds; the source cannot hand over the rows of key 1 meanwhile.
    running.answer(2, 1).await.unwrap();
    assert_eq!(
        sum(&running.answer(1, 2).await.unwrap()),
        2 * value(1, 0) + 3
    );
    sleep(Duration::from_millis(1100)).await;
    assert_eq!(sum(&running.answer(1, 3).await.unwrap()), value(1, 3));
}

// Holds S18, S72.
#[tokio::test(start_paused = true)]
async fn bounded_input_knows_no_idle_time_but_the_loss_is_noticed() {
    let bounded = SourceTraits {
        bounded: true,
        ..SourceTraits::default()
    };
    // So does input that an engine holds up, but somebody waits for each of its rows.
    let held_up = SourceTraits {
        keeps_idle: true,
        ..SourceTraits::default()
    };
    for (source, recovery, restarted, expected) in [
        (bounded, REPLAY, false, 2 * value(1, 0) + 3),
        (bounded, RESTART, true, value(1, 2)),
        (held_up, REPLAY, false, 2 * value(1, 0) + 3),
        (held_up, RESTART, true, value(1, 2)),
    ] {
        let running = Running::start_attempt(&TestServer::default(), &[recovery], 0, source);
        let recovering = running.sequences.shared.settings.most_recovering;
        assert_eq!(recovering.is_side_by_side, source.bounded);
        running.answer(1, 1).await.unwrap();
        sleep(SERVER_IDLE * 2).await;
        assert_eq!(running.sequences.open_sequences(), 0);
        let answered = running.answer(1, 2).await.unwrap();
        assert_eq!((sum(&answered), answered.restarted), (expected, restarted));
    }
}

// Holds S10.
#[tokio::test(start_paused = true)]
async fn no_more_sequences_are_open_than_the_model_keeps() {
    let running = start(&[]);
    let answers: Vec<_> = (0..20)
        .flat_map(|key| [running.submit(key, 1, false), running.submit(key, 2, true)])
        .collect();
    for answer in answers {
        answer.await.unwrap().unwrap();
    }
    assert_eq!(running.server.most_open(), 4);
}

// Holds S8.
#[tokio::test(start_paused = true)]
async fn a_hot_key_does_not_hold_up_the_others() {
    let running = start(&[]);
    let hot: Vec<_> = (0..100)
        .map(|number| running.submit(1, number, false))
        .collect();
    running.answer(2, 1).await.unwrap();
    let before = running.server.seen().len();
    assert!(before < 5, "{before} rows were sent before the cold key's");
    for answer in hot {
        answer.await.unwrap().unwrap();
    }
}

// Holds S24, S25, S26.
#[tokio::test(start_paused = true)]
async fn with_fail_the_row_fails_and_the_next_one_says_that_it_starts_anew() {
    for (fault, kind) in [
        (Fault::Restart, ErrorKind::SequenceLost),
        (Fault::AnswerLost, ErrorKind::SequenceUncertain),
        (Fault::RequestLost, ErrorKind::SequenceUncertain),
    ] {
        let running = start(&[]);
        running.answer(1, 1).await.unwrap();
        running.server.fault(Some(fault));
        let error = running.answer(1, 2).await.unwrap_err();
        assert_eq!(error.kind(), kind);
        assert_eq!(error.sequence_key(), Some("1"));
        assert_eq!(error.sequence_id(), Some("job-0-0"));
        assert_eq!(error.sequence_row(), Some(1));
        let next = running.answer(1, 3).await.unwrap();
        assert_eq!((sum(&next), next.restarted), (value(1, 3), true));
        assert_eq!(next.sequence_id, "job-0-1");
        let next = running.answer(1, 4).await.unwrap();
        assert_eq!((sum(&next), next.restarted), (2 * value(1, 0) + 7, false));
    }
}

// Holds S24, S27.
#[tokio::test(start_paused = true)]
async fn with_restart_the_row_starts_a_new_sequence_and_is_marked() {
    for fault in [Fault::Restart, Fault::AnswerLost, Fault::Crash] {
        let running = start(&[RESTART]);
        running.answer(1, 1).await.unwrap();
        running.server.fault(Some(fault));
        let answered = running.answer(1, 2).await.unwrap();
        assert_eq!((sum(&answered), answered.restarted), (value(1, 2), true));
        assert_eq!(answered.sequence_id, "job-0-1");
        assert!(!running.answer(1, 3).await.unwrap().restarted);
    }
}

// Holds S28.
#[tokio::test(start_paused = true)]
async fn with_replay_nothing_can_be_told_from_the_answers() {
    for fault in [
        Fault::Restart,
        Fault::AnswerLost,
        Fault::RequestLost,
        Fault::Crash,
    ] {
        let running = start(&[REPLAY, ("sequence-replay-compare", "true")]);
        let mut expected = 0;
        for number in 0..5 {
            if number == 3 {
                running.server.fault(Some(fault));
            }
            let answered = running.answer(1, number).await.unwrap();
            expected += value(1, number);
            assert_eq!((sum(&answered), answered.restarted), (expected, false));
        }
    }
}

// Holds S22, S28.
#[tokio::test(start_paused = true)]
async fn a_replay_that_fails_is_begun_again_with_a_new_id() {
    let running = start(&[REPLAY, ("max-retries", "3")]);
    for number in 0..3 {
        running.answer(1, number).await.unwrap();
    }
    for fault in [
        Some(Fault::Crash),
        None,
        Some(Fault::AnswerLost),
        Some(Fault::RequestLost),
    ] {
        running.server.fault(fault);
    }
    let answered = running.answer(1, 3).await.unwrap();
    assert_eq!(sum(&answered), 4 * value(1, 0) + 6);
    assert_eq!(answered.sequence_id, "job-0-3");
}

// Holds S23, S32.
#[tokio::test(start_paused = true)]
async fn a_row_that_cannot_be_recovered_is_not_part_of_its_sequence() {
    let running = start(&[REPLAY]);
    running.answer(1, 1).await.unwrap();
    running.server.fault(Some(Fault::AnswerLost));
    running.server.fault(Some(Fault::NotSent));
    let error = running.answer(1, 100).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Call);
    assert_eq!(
        sum(&running.answer(1, 2).await.unwrap()),
        2 * value(1, 0) + 3
    );
}

// Holds S31.
#[tokio::test(start_paused = true)]
async fn a_first_row_has_nothing_to_lose() {
    for recovery in [("sequence-recovery", "fail"), RESTART, REPLAY] {
        let running = start(&[recovery]);
        running.server.fault(Some(Fault::AnswerLost));
        let answered = running.answer(1, 1).await.unwrap();
        assert_eq!((sum(&answered), answered.restarted), (value(1, 1), false));
        assert_eq!(answered.sequence_id, "job-0-1");
    }
}

// Holds S29.
#[tokio::test(start_paused = true)]
async fn a_sequence_that_outgrew_its_replay_fails_or_starts_again_as_configured() {
    for (overflow, starts_again) in [("fail", false), ("restart", true)] {
        let running = start(&[
            REPLAY,
            ("sequence-replay-limit", "2"),
            ("sequence-replay-overflow", overflow),
        ]);
        for number in 0..3 {
            running.answer(1, number).await.unwrap();
        }
        running.server.fault(Some(Fault::Restart));
        match running.answer(1, 3).await {
            Ok(answered) => assert_eq!((starts_again, answered.restarted), (true, true)),
            Err(error) => {
                assert_eq!(
                    (starts_again, error.kind()),
                    (false, ErrorKind::SequenceLost)
                );
            }
        }
    }
}

// Holds S30.
#[tokio::test(start_paused = true)]
async fn a_model_that_answers_a_replay_differently_is_noticed() {
    let running = start(&[REPLAY, ("sequence-replay-compare", "true")]);
    running.answer(1, 1).await.unwrap();
    running.server.change_the_model();
    running.server.fault(Some(Fault::Restart));
    let error = running.answer(1, 2).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SequenceLost);
    assert!(error.to_string().contains("row 1 of the replay"), "{error}");
    assert!(running.answer(1, 3).await.unwrap().restarted);
}

// Holds S19.
#[tokio::test(start_paused = true)]
async fn a_last_row_that_fails_ends_the_sequence_all_the_same() {
    let running = start(&[REPLAY]);
    running.answer(1, 1).await.unwrap();
    running.server.fault(Some(Fault::NotSent));
    assert!(running.submit(1, 2, true).await.unwrap().is_err());
    assert_eq!(sum(&running.answer(1, 3).await.unwrap()), value(1, 3));
}

// Holds S45.
#[tokio::test(start_paused = true)]
async fn a_snapshot_goes_on_in_another_run_under_new_ids() {
    for (recovery, expected) in [
        // To fail would bring an engine back to the same snapshot.
        (("sequence-recovery", "fail"), (value(1, 2), true)),
        (RESTART, (value(1, 2), true)),
        (REPLAY, (2 * value(1, 0) + 3, false)),
    ] {
        let server = TestServer::default();
        let before = Running::start(&server, &[recovery], false);
        before.answer(1, 1).await.unwrap();
        before.answer(2, 1).await.unwrap();
        let bytes = before.sequences.snapshot().unwrap().to_bytes();
        drop(before);

        let after = Running::start(&server, &[recovery], false);
        let snapshot = SequenceSnapshot::from_bytes(&bytes).unwrap();
        after.sequences.restore(snapshot.clone()).unwrap();
        // What was not touched is handed on as it was.
        assert_eq!(after.sequences.snapshot().unwrap(), snapshot);
        let twice = after.sequences.restore(snapshot).unwrap_err();
        assert_eq!(twice.kind(), ErrorKind::Snapshot);
        let answered = after.answer(1, 2).await.unwrap();
        assert_eq!(answered.sequence_id, "job-0-2");
        assert_eq!((sum(&answered), answered.restarted), expected);
    }
}

// Holds S44, S47.
#[tokio::test(start_paused = true)]
async fn a_snapshot_waits_for_the_rows_in_flight_and_fits_its_schema() {
    let running = start(&[]);
    let answer = running.submit(1, 1, false);
    insta::assert_snapshot!(running.sequences.snapshot().unwrap_err(), @"1 keys have rows that were not answered yet: wait for their answers before taking a snapshot");
    answer.await.unwrap().unwrap();
    let mut snapshot = running.sequences.snapshot().unwrap();
    snapshot.columns = vec!["value INT".to_owned()];
    let other = start(&[]);
    insta::assert_snapshot!(other.sequences.restore(snapshot).unwrap_err(), @"the snapshot is of rows (value INT), but the model now takes (value BIGINT): use the schema it was taken with, or start without it");
}

// Holds S6.
#[tokio::test(start_paused = true)]
async fn rows_are_answered_although_nobody_waits_for_the_first_of_them() {
    let running = start(&[]);
    let first = running.submit(1, 1, false);
    let second = running.submit(1, 2, false).await.unwrap().unwrap();
    assert_eq!(sum(&second), 2 * value(1, 0) + 3);
    drop(first);
    // A row that is given up before it is sent is left out.
    let in_flight = running.submit(1, 3, false);
    drop(running.submit(1, 100, false));
    let after = running.submit(1, 4, false);
    assert_eq!(sum(&after.await.unwrap().unwrap()), 4 * value(1, 0) + 10);
    in_flight.await.unwrap().unwrap();
}

// Holds F28.
#[tokio::test(start_paused = true)]
async fn closing_answers_what_was_handed_over_and_refuses_the_rest() {
    let running = start(&[]);
    let rows: Vec<_> = (0..3)
        .map(|number| running.submit(1, number, false))
        .collect();
    let deadline = Instant::now() + Duration::from_secs(1);
    running.sequences.close(deadline).await.unwrap();
    for row in rows {
        row.await.unwrap().unwrap();
    }
    assert!(running.submit(1, 4, false).await.is_err());

    let running = start(&[]);
    running.server.fault(Some(Fault::Slow));
    let row = running.submit(1, 1, false);
    let deadline = Instant::now() + Duration::from_secs(1);
    let error = running.sequences.close(deadline).await.unwrap_err();
    assert_eq!((error.kind(), Instant::now()), (ErrorKind::Close, deadline));
    assert_eq!(row.await.unwrap().unwrap_err().kind(), ErrorKind::State);
}

/// Which of the answers to the rows of a key are marked; rows that end a sequence are `true`.
async fn marks(attempt: u32, extra: &[(&str, &str)], rows: &[bool]) -> Vec<bool> {
    let source = SourceTraits {
        bounded: true,
        without_state: true,
        ..SourceTraits::default()
    };
    let running = Running::start_attempt(&TestServer::default(), extra, attempt, source);
    let mut marks = Vec::new();
    for (number, last) in rows.iter().enumerate() {
        let answer = running.submit(1, number as i64, *last).await.unwrap();
        marks.push(answer.unwrap().restarted);
    }
    marks
}

// Holds S42.
#[tokio::test(start_paused = true)]
async fn after_a_failover_without_state_a_key_is_marked_until_it_is_certainly_whole() {
    let rows = [false, false, true, false, true];
    assert_eq!(marks(0, &[], &rows).await, [false; 5]);
    // The row that ends the first sequence says where the second one begins.
    let marked = [true, false, false, false, false];
    assert_eq!(marks(1, &[], &rows).await, marked);
    // Counted from a row in the middle, the end by length is in the middle, too.
    let length = ("sequence-max-length", "2");
    let marked = [true, false, true, false, true];
    assert_eq!(marks(1, &[length], &[false; 5]).await, marked);
    let idle = ("sequence-idle-timeout", "1 s");
    let source = SourceTraits {
        bounded: true,
        without_state: true,
        ..SourceTraits::default()
    };
    let running = Running::start_attempt(&TestServer::default(), &[idle], 1, source);
    assert!(running.answer(1, 0).await.unwrap().restarted);
    sleep(Duration::from_secs(2)).await;
    assert!(!running.answer(1, 1).await.unwrap().restarted);
}

// Holds S16.
#[tokio::test(start_paused = true)]
async fn what_time_alone_has_ended_without_being_asked_to_is_marked_where_rows_wait_elsewhere() {
    let engine = SourceTraits {
        without_state: true,
        ..SourceTraits::default()
    };
    let given = [("sequence-idle-timeout", "1 s")];
    let own_rule: &[(&str, &str)] = &given;
    for (source, extra, marked) in [
        (engine, &[][..], true),
        (engine, own_rule, false),
        (SourceTraits::default(), &[], false),
    ] {
        let running = Running::start_attempt(&TestServer::default(), extra, 0, source);
        assert!(!running.answer(1, 1).await.unwrap().restarted);
        // However long it takes until the key has a row again.
        sleep(SERVER_IDLE * 20).await;
        assert!(!running.answer(2, 1).await.unwrap().restarted);
        let again = running.answer(1, 2).await.unwrap();
        assert_eq!((sum(&again), again.restarted), (value(1, 2), marked));
        assert!(!running.answer(1, 3).await.unwrap().restarted);
    }
}

// Holds S13.
#[tokio::test(start_paused = true)]
async fn a_sequence_that_is_left_is_ended_where_the_option_asks_for_it() {
    let running = start(&[("sequence-abandon", "end"), ("sequence-max-open", "1")]);
    running.answer(1, 1).await.unwrap();
    sleep(SERVER_IDLE * 3 / 4 + Duration::from_millis(500)).await;
    // Its place is free as soon as the end is answered.
    let begun = Instant::now();
    running.answer(2, 2).await.unwrap();
    assert!(begun.elapsed() < Duration::from_millis(10));
    let seen = running.server.seen().into_iter();
    let seen: Vec<_> = seen
        .map(|seen| (seen.id, seen.value, seen.start, seen.end))
        .collect();
    let row = |id: &str, value, start, end| (id.to_owned(), value, start, end);
    let expected = [
        row("job-0-0", value(1, 1), true, false),
        row("job-0-0", value(1, 1), false, true),
        row("job-0-1", value(2, 2), true, false),
    ];
    assert_eq!(seen, expected);
}

// Holds S15.
#[tokio::test(start_paused = true)]
async fn a_row_waits_for_a_place_until_its_deadline() {
    let running = start(&[("sequence-max-open", "1"), ("row-deadline", "1 s")]);
    running.answer(1, 1).await.unwrap();
    let begun = Instant::now();
    let error = running.answer(2, 1).await.unwrap_err();
    assert_eq!(
        (error.kind(), begun.elapsed()),
        (ErrorKind::Call, Duration::from_secs(1))
    );
    insta::assert_snapshot!(error, @"the row was not sent within 'row-deadline', 1.0s after it was handed over: it waited for 1.0s for one of the 1 places that the model has for sequences of this subtask; 1 sequences are open, and 0 that are over here may be alive on the server");
    assert_eq!(running.server.seen().len(), 1);
}
