//! What a thread of Java takes from an open function: answers and failures, many at a time.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::failure::Failure;
use crate::wire::{put_bytes, put_count};

/// What happened to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Outcome {
    Answered = 0,
    Failed = 1,
    /// Several calls whose numbers follow each other, each with one row for an answer.
    RowsAnswered = 2,
}

/// A buffer that has grown beyond this many bytes is given back to the system.
const KEPT_BYTES: usize = 1 << 20;

/// Events that wait for a thread of Java, one behind the other in a buffer.
#[derive(Debug, Default)]
pub(crate) struct Events {
    state: Mutex<State>,
    /// The events that were taken last; the two buffers change places each time.
    taken: Mutex<Vec<u8>>,
    something_happened: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<u8>,
    closed: bool,
    /// Wakes the thread although no event waits for it.
    called: bool,
}

impl Events {
    /// Adds what happened to a call; what is in the result appends the answer.
    pub(crate) fn push(&self, call: u64, answer: Result<impl Write, Failure>) {
        self.push_all([(call, |buffer: &mut Vec<u8>| answer?(buffer))]);
    }

    /// Adds what happened to several calls at once.
    ///
    /// What writes the answers runs before anything is locked: it may log, and a line for the log
    /// calls the very thread that waits here. A panic in it is the failure of its call alone.
    pub(crate) fn push_all<W: Write>(&self, calls: impl IntoIterator<Item = (u64, W)>) {
        let mut events = Vec::new();
        for (call, write) in calls {
            add(&mut events, call, write);
        }
        self.append(events);
    }

    /// Adds the answers to calls whose numbers follow each other: of each run its first number, and the
    /// rows that `write` appends one by one.
    pub(crate) fn push_runs(
        &self,
        runs: &[(u64, Range<usize>)],
        write: impl Fn(&mut Vec<u8>, usize) -> Result<(), Failure>,
    ) {
        let mut events = Vec::new();
        for (first, rows) in runs {
            let begin = events.len();
            head(&mut events, *first, Outcome::RowsAnswered);
            let written = catch_unwind(AssertUnwindSafe(|| {
                put_count(&mut events, rows.len())?;
                rows.clone().try_for_each(|row| write(&mut events, row))
            }));
            if !matches!(written, Ok(Ok(()))) {
                // One by one, so that only what cannot be written fails.
                events.truncate(begin);
                for (call, row) in (*first..).zip(rows.clone()) {
                    add(&mut events, call, |buffer: &mut Vec<u8>| {
                        put_count(buffer, 1)?;
                        write(buffer, row)
                    });
                }
            }
        }
        self.append(events);
    }

    fn append(&self, events: Vec<u8>) {
        if events.is_empty() {
            return;
        }
        let mut state = self.lock();
        let is_first = state.waiting.is_empty();
        if is_first && state.waiting.capacity() < events.len() {
            state.waiting = events;
        } else {
            state.waiting.extend_from_slice(&events);
        }
        drop(state);
        // Otherwise it has been woken for those before, and has not come yet.
        if is_first {
            self.something_happened.notify_one();
        }
    }

    /// Makes the waiting thread look at what else there is, such as lines for the log.
    pub(crate) fn call(&self) {
        self.lock().called = true;
        self.something_happened.notify_one();
    }

    /// No event will follow: who waits gets the rest, and then `None`.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.something_happened.notify_all();
    }

    /// Waits for events and hands all of them to `read`; `None` once they are closed and read.
    pub(crate) fn next<T>(&self, read: impl FnOnce(&[u8]) -> T) -> Option<T> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.clear();
        taken.shrink_to(KEPT_BYTES);
        let mut state = self.lock();
        while state.waiting.is_empty() && !state.called {
            if state.closed {
                return None;
            }
            let waited = self.something_happened.wait(state);
            state = waited.unwrap_or_else(PoisonError::into_inner);
        }
        state.called = false;
        std::mem::swap(&mut state.waiting, &mut *taken);
        drop(state);
        Some(read(&taken))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Appends an answer.
pub(crate) trait Write: FnOnce(&mut Vec<u8>) -> Result<(), Failure> {}

impl<F: FnOnce(&mut Vec<u8>) -> Result<(), Failure>> Write for F {}

fn add(buffer: &mut Vec<u8>, call: u64, write: impl Write) {
    let begin = buffer.len();
    head(buffer, call, Outcome::Answered);
    let written = catch_unwind(AssertUnwindSafe(|| write(buffer)));
    if let Err(failure) = written.unwrap_or_else(|panic| Err(Failure::of_panic(&*panic))) {
        buffer.truncate(begin);
        head(buffer, call, Outcome::Failed);
        let text = failure.to_string();
        // No text is so long that it could not be written.
        let _ = put_bytes(buffer, text.as_bytes());
    }
}

fn head(buffer: &mut Vec<u8>, call: u64, outcome: Outcome) {
    buffer.extend_from_slice(&call.to_le_bytes());
    buffer.push(outcome as u8);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Reader;

    #[test]
    fn a_panic_while_an_answer_is_written_is_the_failure_of_its_call_alone() {
        let events = Events::default();
        let written = (0..3).map(|call: u64| {
            let write = move |buffer: &mut Vec<u8>| {
                assert!(call != 1, "call {call} cannot be written");
                // What is logged meanwhile calls the thread that takes the events.
                buffer.push(7);
                Ok(())
            };
            (call, write)
        });
        events.push_all(written);
        let bytes = events.next(<[u8]>::to_vec).unwrap();
        let mut reader = Reader::new(&bytes);
        let mut head = || {
            let call = u64::from_le_bytes(reader.array().unwrap());
            let [outcome] = reader.array().unwrap();
            let text = if outcome == Outcome::Failed as u8 {
                reader.text().unwrap()
            } else {
                format!("{:?}", reader.array::<1>().unwrap())
            };
            (call, text)
        };
        assert_eq!(head(), (0, "[7]".to_owned()));
        insta::assert_snapshot!(head().1, @"the native library panicked, which is a mistake in it: call 1 cannot be written");
        assert_eq!(head(), (2, "[7]".to_owned()));
        assert!(reader.is_empty());
    }

    #[test]
    fn of_a_run_only_what_cannot_be_written_fails() {
        let events = Events::default();
        let runs = [(4, 0..2), (9, 2..5)];
        events.push_runs(&runs, |buffer, row| {
            if row == 3 {
                return Err(Failure::new("row 3 is too long"));
            }
            buffer.push(row as u8);
            Ok(())
        });
        let bytes = events.next(<[u8]>::to_vec).unwrap();
        let mut reader = Reader::new(&bytes);
        let mut head = || {
            let call = u64::from_le_bytes(reader.array().unwrap());
            let [outcome] = reader.array().unwrap();
            let rest = match outcome {
                1 => reader.text().unwrap(),
                _ => {
                    let rows = reader.count().unwrap();
                    format!("{:?}", reader.take(rows).unwrap())
                }
            };
            (call, outcome, rest)
        };
        assert_eq!(head(), (4, 2, "[0, 1]".to_owned()));
        assert_eq!(head(), (9, 0, "[2]".to_owned()));
        assert_eq!(head(), (10, 1, "row 3 is too long".to_owned()));
        assert_eq!(head(), (11, 0, "[4]".to_owned()));
        assert!(reader.is_empty());
    }

    #[test]
    fn what_writes_an_answer_may_call_the_thread_that_takes_it() {
        let events = Events::default();
        let write = |_: &mut Vec<u8>| {
            events.call();
            Ok(())
        };
        events.push_all([(0, write)]);
        assert_eq!(events.next(<[u8]>::len), Some(9));
    }
}
