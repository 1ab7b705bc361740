//! The place of a single request in a sequence of its own, and its ID for as long as it is in use.

use std::ops::Deref;

use triton_client::Sequence;

use crate::live_numbers::Lease;
use crate::sequence_name::SequenceName;

/// A place in a sequence that was taken for one logical request.
///
/// As long as it lives, nobody else in the function is given its ID. Dropping it without a word means
/// that the server may still have the sequence: where IDs are numbers of 32 bits, which come again,
/// this one then rests for as long as the server keeps an idle sequence.
#[derive(Debug)]
pub struct TakenSequence {
    sequence: Sequence,
    pub(crate) name: SequenceName,
    lease: Option<Lease>,
}

impl TakenSequence {
    pub(crate) fn new(sequence: Sequence, name: SequenceName, lease: Option<Lease>) -> Self {
        Self {
            sequence,
            name,
            lease,
        }
    }

    /// What the sequence is called in logs: its text, also where a number is sent.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.name.text
    }

    /// The request was answered, or certainly not executed: nothing of it is on the server.
    pub fn release(mut self) {
        if let Some(lease) = self.lease.take() {
            lease.release();
        }
    }
}

impl Deref for TakenSequence {
    type Target = Sequence;

    fn deref(&self) -> &Sequence {
        &self.sequence
    }
}
