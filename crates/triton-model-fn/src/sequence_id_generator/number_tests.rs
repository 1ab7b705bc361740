//! Sequence IDs as numbers, through rescalings and to the last counter.

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;

use super::tests::{UNIQUE, generator, ids, in_flink};
use super::*;
use crate::property_cases;

/// A generator whose IDs are numbers up to `largest`.
pub(super) fn numbered(subtask: Subtask, largest: u64) -> SequenceIdGenerator {
    let ids = ids(&[("sequence-id-scope", "run")]);
    let source = generator(ids, subtask, &UNIQUE, SystemTime::UNIX_EPOCH);
    let idle = Some(Duration::from_secs(5));
    source.agree(&SequenceIdForm::of_numbers_up_to(largest), idle);
    source
}

/// The subtask of a job that Flink runs for the `execution`-th time.
fn executed(index: u32, parallelism: u32, attempt: u32, execution: usize) -> Subtask {
    let subtask = in_flink(Subtask::new(index, parallelism, attempt).unwrap());
    subtask.in_execution(&format!("{execution:032x}")).unwrap()
}

proptest! {
    #![proptest_config(property_cases(64))]

    // Holds S58, S61.
    #[test]
    fn no_number_comes_twice_through_rescalings_to_the_limits(
        rescalings in vec((prop_oneof![Just(32_768_u32), 1_u32..40, 1_u32..32_768], 0_u32..3), 1..6),
        picks in vec(any::<prop::sample::Index>(), 1..30),
        largest in prop_oneof![
            Just(u64::MAX), Just(i64::MAX as u64), Just(u32::MAX.into()), Just(i32::MAX as u64),
        ],
    ) {
        let mut made = BTreeSet::new();
        for (execution, (parallelism, attempt)) in rescalings.into_iter().enumerate() {
            let is_narrow = largest < i64::MAX as u64;
            if is_narrow {
                // Across runs it is only unlikely there: see `sequence_numbers`.
                made.clear();
            }
            let mut indices: BTreeSet<u32> =
                picks.iter().map(|pick| pick.index(parallelism as usize) as u32).collect();
            indices.extend([0, parallelism - 1]);
            for index in indices {
                let subtask = executed(index, parallelism, attempt, execution);
                let source = numbered(subtask, largest);
                // What is taken, at the beginning and at the last counters there are.
                for from in [0, (1 << 32) - 1, (1 << 48) - 3] {
                    if is_narrow && from > 0 {
                        // A share goes around, so a number comes again when it is free.
                        continue;
                    }
                    source.advance(from);
                    for _ in 0..3 {
                        let taken = source.take(None, Instant::now()).unwrap();
                        let SequenceId::Number(number) = source.name(taken.counter).into_id().unwrap() else {
                            panic!("{taken:?} is no number");
                        };
                        prop_assert!(number.get() <= largest.min(i64::MAX as u64));
                        prop_assert!(made.insert(number), "{number} comes twice");
                    }
                }
                prop_assert_eq!(source.take(None, Instant::now()).is_err(), !is_narrow);
            }
        }
    }
}

// Holds S61.
#[test]
fn what_has_no_number_is_refused_before_it_is_sent() {
    let subtask = Subtask::new(0, 1, 0).unwrap();
    let now = Instant::now();
    let source = numbered(subtask, i64::MAX as u64);
    source.check_counter((1 << 48) - 1).unwrap();
    insta::assert_snapshot!(source.check_counter(1_700_000_000_123_456_789).unwrap_err(), @"the counter of sequence IDs is at 1700000000123456789, and numbers have 48 bits for it, up to 281474976710655, as IDs that are text may have had it: set 'sequence-id-type' to 'text' where the model takes text, or start without what was stored");
    source.advance(1 << 48);
    insta::assert_snapshot!(source.take(None, now).unwrap_err(), @"nothing was sent: the counter of sequence IDs is at 281474976710656, and numbers have 48 bits for it, up to 281474976710655; open the function again, with another base or without a counter that begins at a time");
    assert_eq!(source.peek(), 1 << 48);

    let source = numbered(subtask, 2);
    let held = [
        source.take(None, now).unwrap(),
        source.take(None, now).unwrap(),
    ];
    insta::assert_snapshot!(source.take(None, now).unwrap_err(), @"nothing was sent: each of the 2 sequence IDs of this subtask may be alive on the server; IDs are numbers of 2 bits, because a test says so, and 1 subtasks share them; end sequences sooner, or make the control TYPE_UINT64");
    let [first, _second] = held;
    first.lease.unwrap().release();
    assert!(source.take(None, now).is_ok());
    source.check_counter(u64::MAX).unwrap();
}

// Holds S62.
#[test]
fn a_sequence_is_named_by_its_text_and_its_number() {
    let source = numbered(in_flink(Subtask::new(0, 2, 3).unwrap()), u64::MAX);
    insta::assert_snapshot!(source.name(7), @"job-392n4dh0ova14p853j7rtl8gf3-0-7 = 2768044028237512156");
    let error = Error::new(ErrorKind::Call, "it failed").in_sequence(Some(source.name(7)));
    insta::assert_snapshot!(error.in_subtask(source.subtask), @"subtask 0 of 2, attempt 3, sequence 'job-392n4dh0ova14p853j7rtl8gf3-0-7' = 2768044028237512156: it failed");
}

// Holds S21.
#[test]
fn no_counter_is_taken_twice_by_threads_that_pass_over_numbers() {
    let source = numbered(Subtask::new(0, 1, 0).unwrap(), 1000);
    let now = Instant::now();
    // Every other number is in use, so each taker passes over some.
    let taken: Vec<_> = (0..1000).map(|_| source.take(None, now).unwrap()).collect();
    let mut held = Vec::new();
    for (index, taken) in taken.into_iter().enumerate() {
        match index % 2 {
            0 => held.push(taken.lease.unwrap()),
            _ => taken.lease.unwrap().release(),
        }
    }
    let counters: Vec<u64> = std::thread::scope(|scope| {
        let takers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let take = |_| {
                        let taken = source.take(None, now).unwrap();
                        taken.lease.unwrap().release();
                        taken.counter
                    };
                    (0..20_000).map(take).collect::<Vec<_>>()
                })
            })
            .collect();
        takers
            .into_iter()
            .flat_map(|it| it.join().unwrap())
            .collect()
    });
    let distinct: BTreeSet<u64> = counters.iter().copied().collect();
    assert_eq!(distinct.len(), counters.len());
    drop(held);
}

// Holds S60.
#[test]
fn what_an_earlier_run_had_reserved_is_in_a_snapshot_too() {
    let subtask = executed(0, 1, 0, 0);
    let now = Instant::now();
    let first = numbered(subtask, 1000);
    first.hold_reserved(now, 900);
    first.advance(900);
    let snapshot = SequenceSnapshot {
        alive_numbers: first.alive(now),
        alive_rows: first.alive_rows(now),
        ..SequenceSnapshot::new(first.peek(), Vec::new())
    };
    let reserved: Vec<_> = (0..900)
        .map(|counter| first.name(counter).into_id().unwrap())
        .collect();
    let second = numbered(subtask, 1000);
    // It is another opening of the same run.
    let ids = |source: &SequenceIdGenerator, counter| source.name(counter).into_id().unwrap();
    assert_eq!(ids(&second, 0), reserved[0]);
    second.take_over(now, &snapshot).unwrap();
    let mut held = Vec::new();
    for _ in 0..100 {
        held.push(second.take(None, now).unwrap());
    }
    assert!(second.take(None, now).is_err());
}
