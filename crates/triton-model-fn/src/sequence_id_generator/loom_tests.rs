//! Every interleaving of threads on one counter, checked with loom.

use std::collections::BTreeSet;

use loom::thread;

use super::number_tests::numbered;
use super::tests::{UNIQUE, generator, ids};
use super::*;
use crate::sync::check_interleavings;

fn alone() -> Subtask {
    Subtask::new(0, 1, 0).unwrap()
}

#[test]
fn loom_no_counter_is_taken_twice() {
    check_interleavings("a counter that is advanced", || {
        let ids = Arc::new(generator(
            ids(&[]),
            alone(),
            &UNIQUE,
            SystemTime::UNIX_EPOCH,
        ));
        let take = |ids: &SequenceIdGenerator| ids.take(None, Instant::now()).unwrap().counter;
        let threads = [(); 2].map(|()| {
            let ids = Arc::clone(&ids);
            thread::spawn(move || take(&ids))
        });
        // A snapshot that is restored meanwhile.
        ids.advance(2);
        let mut taken = vec![take(&ids)];
        taken.extend(threads.map(|thread| thread.join().unwrap()));
        let distinct: BTreeSet<_> = taken.iter().collect();
        assert_eq!(distinct.len(), 3, "{taken:?}");
        assert!(taken[0] >= 2 && ids.peek() > *taken.iter().max().unwrap());
    });
}

#[test]
fn loom_no_number_is_held_twice() {
    check_interleavings("numbers that come again", || {
        let ids = Arc::new(numbered(alone(), i32::MAX as u64));
        let now = Instant::now();
        let number = |ids: &SequenceIdGenerator, taken: &TakenId| {
            ids.name(taken.counter).number.expect("IDs are numbers")
        };
        let threads = [(); 2].map(|()| {
            let ids = Arc::clone(&ids);
            thread::spawn(move || {
                let taken = ids.take(None, now).unwrap();
                let number = number(&ids, &taken);
                (number, taken)
            })
        });
        let taken = ids.take(None, now).unwrap();
        let mut numbers = vec![number(&ids, &taken)];
        let others = threads.map(|thread| thread.join().unwrap());
        numbers.extend(others.iter().map(|(number, _)| *number));
        let distinct: BTreeSet<_> = numbers.iter().collect();
        assert_eq!(distinct.len(), 3, "{numbers:?}");
    });
}
