//! How far into an input the rows are that were handed out: what is read ahead of them, or unpacked
//! at once, is not done yet.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How far into an input its text is.
pub(super) struct TextExtent {
    /// Counts the bytes that are taken, of other inputs, too.
    taken: Arc<AtomicU64>,
    taken_before: u64,
    /// Counts the bytes of text that these became.
    text: Arc<AtomicU64>,
}

impl TextExtent {
    pub(super) fn begin(taken: &Arc<AtomicU64>, taken_before: u64, text: &Arc<AtomicU64>) -> Self {
        Self {
            taken: Arc::clone(taken),
            taken_before,
            text: Arc::clone(text),
        }
    }

    /// The bytes of text so far.
    pub(super) fn text(&self) -> u64 {
        self.text.load(Ordering::Relaxed)
    }

    /// The bytes of the input that the first `text` bytes of text have been.
    pub(super) fn done(&self, text: u64) -> u64 {
        let taken = self.taken.load(Ordering::Relaxed) - self.taken_before;
        let share = text as f64 / self.text().max(1) as f64;
        (taken as f64 * share.min(1.0)).round() as u64
    }
}

/// How far into an input the rows of a batch are, which all come at once.
#[cfg(feature = "arrow")]
pub(super) struct BatchExtent {
    /// Counts the bytes that are taken, of other inputs, too.
    taken: Arc<AtomicU64>,
    taken_before: u64,
    /// Where the batch begins and ends.
    from: u64,
    to: u64,
    rows: u64,
    handed_out: u64,
}

#[cfg(feature = "arrow")]
impl BatchExtent {
    pub(super) fn begin(taken: &Arc<AtomicU64>) -> Self {
        Self {
            taken: Arc::clone(taken),
            taken_before: taken.load(Ordering::Relaxed),
            from: 0,
            to: 0,
            rows: 0,
            handed_out: 0,
        }
    }

    pub(super) fn next_batch(&mut self, rows: usize) {
        self.from = self.to;
        self.to = self.taken.load(Ordering::Relaxed) - self.taken_before;
        (self.rows, self.handed_out) = (rows as u64, 0);
    }

    pub(super) fn hand_out(&mut self, rows: u64) {
        self.handed_out += rows;
    }

    pub(super) fn done(&self) -> u64 {
        let share = self.handed_out as f64 / self.rows.max(1) as f64;
        self.from + ((self.to - self.from) as f64 * share.min(1.0)) as u64
    }
}
