//! How requests belong to sequences, and the IDs of sequences that number themselves.

use std::fmt;

use crate::CounterInitStrategy;

/// The longest sequence ID the server takes, in bytes of UTF-8; one more is answered with 501.
pub const MAX_SEQUENCE_ID_BYTES: usize = 128;

/// How requests belong to sequences of a stateful model.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SequenceMode {
    /// Requests carry no sequence ID: the model is stateless.
    None,
    /// Every request carries the same ID and the same flags.
    Static {
        /// The ID, sent as a string.
        id: String,
        /// Whether every request starts the sequence anew.
        start: bool,
        /// Whether every request ends the sequence.
        end: bool,
    },
    /// Every request is a sequence of its own, with an ID made from a counter; it both starts
    /// and ends its sequence.
    PerRequest {
        /// What the IDs begin with.
        base: SequenceBase,
        /// Where the counter begins on every open.
        counter: CounterInitStrategy,
    },
}

/// What self-numbering sequence IDs begin with; short enough for every ID made from it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SequenceBase(String);

impl SequenceBase {
    /// The longest base: an ID adds two hyphens, a subtask index and a counter at their longest.
    pub const MAX_BYTES: usize =
        MAX_SEQUENCE_ID_BYTES - 2 - decimal_digits(u32::MAX as u64) - decimal_digits(u64::MAX);

    /// A base, unless it is empty, holds a NUL or could make an ID that is too long.
    pub(crate) fn new(text: &str) -> Option<Self> {
        let fits = !text.is_empty() && !text.contains('\0') && text.len() <= Self::MAX_BYTES;
        fits.then(|| Self(text.to_owned()))
    }

    /// The ID `{base}-{subtask}-{counter}`.
    ///
    /// ```
    /// use triton_options::{SequenceMode, TritonOptions};
    ///
    /// let options = TritonOptions::parse([
    ///     ("endpoint", "http://localhost:8000"),
    ///     ("model-name", "accumulate"),
    ///     ("sequence-id", "flink-job-123"),
    ///     ("sequence-id-auto-increment", "true"),
    /// ])?;
    /// let SequenceMode::PerRequest { base, .. } = options.sequence_mode() else { unreachable!() };
    /// assert_eq!(base.sequence_id(1, 0), "flink-job-123-1-0");
    /// # Ok::<(), triton_options::OptionErrors>(())
    /// ```
    #[must_use]
    pub fn sequence_id(&self, subtask_index: u32, counter: u64) -> String {
        format!("{}-{subtask_index}-{counter}", self.0)
    }
}

impl fmt::Display for SequenceBase {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

const fn decimal_digits(number: u64) -> usize {
    match number.checked_ilog10() {
        Some(logarithm) => logarithm as usize + 1,
        None => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_base_makes_an_id_of_exactly_the_longest_length() {
        let base = SequenceBase::new(&"b".repeat(SequenceBase::MAX_BYTES)).unwrap();
        assert_eq!(
            base.sequence_id(u32::MAX, u64::MAX).len(),
            MAX_SEQUENCE_ID_BYTES
        );
        assert_eq!(
            SequenceBase::new(&"b".repeat(SequenceBase::MAX_BYTES + 1)),
            None
        );
    }
}
