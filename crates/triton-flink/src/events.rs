//! What a thread of Java takes from an open function: answers and failures, many at a time.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::failure::Failure;
use crate::wire::put_bytes;

/// What happened to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Outcome {
    Answered = 0,
    Failed = 1,
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
        self.push_all([(call, answer)]);
    }

    /// Adds what happened to several calls at once.
    pub(crate) fn push_all<W: Write>(
        &self,
        calls: impl IntoIterator<Item = (u64, Result<W, Failure>)>,
    ) {
        let mut state = self.lock();
        let was_empty = state.waiting.is_empty();
        for (call, answer) in calls {
            add(&mut state.waiting, call, answer);
        }
        let is_first = was_empty && !state.waiting.is_empty();
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

fn add(buffer: &mut Vec<u8>, call: u64, answer: Result<impl Write, Failure>) {
    let begin = buffer.len();
    let written = answer.and_then(|write| {
        head(buffer, call, Outcome::Answered);
        write(buffer)
    });
    if let Err(failure) = written {
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
