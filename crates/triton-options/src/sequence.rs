//! How requests belong to sequences, and the IDs of sequences that number themselves.

use std::fmt;
use std::num::NonZeroU64;

use triton_protocol::MAX_SEQUENCE_ID_BYTES;

use crate::{ColumnNames, CounterInitStrategy, SequenceIdScope};

/// The longest identifier of a run, in bytes: the digits of a UUID to the base 32.
pub const MAX_RUN_ID_BYTES: usize = 128_usize.div_ceil(5);

/// How requests belong to sequences of a stateful model.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SequenceMode {
    /// Requests carry no sequence ID: the model is stateless.
    None,
    /// Every request carries the same ID.
    Static {
        /// The ID, sent as a string.
        id: String,
        /// Which requests start and end the sequence.
        flags: StaticFlags,
    },
    /// Every request is a sequence of its own, with an ID made from a counter; it both starts
    /// and ends its sequence.
    PerRequest {
        /// How the IDs are made.
        ids: SequenceIds,
    },
    /// Every key has a sequence of its own, which takes an ID made from a counter when it starts.
    PerKey {
        /// How the IDs are made.
        ids: SequenceIds,
        /// The columns that make the key.
        key: ColumnNames,
    },
}

/// Which requests start and end a sequence that all requests share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StaticFlags {
    /// No option says it: the first row of each open starts the sequence, and nothing ends it.
    FirstRow,
    /// Every request carries these flags.
    Given {
        /// Whether every request starts the sequence again.
        start: bool,
        /// Whether every request ends the sequence.
        end: bool,
    },
}

impl StaticFlags {
    /// Whether every request is a whole sequence, so that requests need not keep an order.
    #[must_use]
    pub fn are_both(self) -> bool {
        let both = Self::Given {
            start: true,
            end: true,
        };
        self == both
    }
}

impl SequenceMode {
    /// How IDs are made, where they are made from a counter.
    #[must_use]
    pub fn ids(&self) -> Option<&SequenceIds> {
        match self {
            SequenceMode::PerRequest { ids } | SequenceMode::PerKey { ids, .. } => Some(ids),
            SequenceMode::None | SequenceMode::Static { .. } => None,
        }
    }
}

/// How self-numbering sequence IDs are made.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SequenceIds {
    /// What the IDs begin with.
    pub base: SequenceBase,
    /// What they are unique within.
    pub scope: SequenceIdScope,
    /// Where the counter begins on every open.
    pub counter: CounterInitStrategy,
}

/// What self-numbering sequence IDs begin with; short enough for every ID made from it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SequenceBase(String);

impl SequenceBase {
    /// The longest base: an ID adds two hyphens, a subtask index and a counter at their longest.
    pub const MAX_BYTES: usize =
        MAX_SEQUENCE_ID_BYTES - 2 - decimal_digits(u32::MAX as u64) - decimal_digits(u64::MAX);

    /// The longest base of IDs that name their run, too: they add one hyphen more and the run.
    pub const MAX_BYTES_IN_RUN: usize = Self::MAX_BYTES - 1 - MAX_RUN_ID_BYTES;

    /// The longest base of IDs that are unique within `scope`.
    pub(crate) fn max_bytes(scope: SequenceIdScope) -> usize {
        match scope {
            SequenceIdScope::Subtask => Self::MAX_BYTES,
            SequenceIdScope::Run => Self::MAX_BYTES_IN_RUN,
        }
    }

    /// A base, unless it is empty, holds a NUL or could make an ID that is too long.
    pub(crate) fn new(text: &str, scope: SequenceIdScope) -> Option<Self> {
        let fits = !text.is_empty() && !text.contains('\0') && text.len() <= Self::max_bytes(scope);
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
    /// let SequenceMode::PerRequest { ids } = options.sequence_mode() else { unreachable!() };
    /// assert_eq!(ids.base.sequence_id(1, 0), "flink-job-123-1-0");
    /// # Ok::<(), triton_options::OptionErrors>(())
    /// ```
    #[must_use]
    pub fn sequence_id(&self, subtask_index: u32, counter: u64) -> String {
        format!("{}-{subtask_index}-{counter}", self.0)
    }

    /// The ID `{base}-{run}-{subtask}-{counter}`; the run has at most [`MAX_RUN_ID_BYTES`].
    #[must_use]
    pub fn sequence_id_in_run(&self, run: &str, subtask_index: u32, counter: u64) -> String {
        format!("{}-{run}-{subtask_index}-{counter}", self.0)
    }
}

impl fmt::Display for SequenceBase {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The number whose digits a text is, with nothing before or behind them and no needless zeros: what
/// is sent then looks like what was given.
///
/// ```
/// use triton_options::sequence_number;
///
/// assert_eq!(sequence_number("42").map(u64::from), Some(42));
/// assert_eq!(sequence_number("042"), None);
/// assert_eq!(sequence_number("0"), None);
/// # assert_eq!(sequence_number("+42"), None);
/// ```
#[must_use]
pub fn sequence_number(id: &str) -> Option<NonZeroU64> {
    id.parse()
        .ok()
        .filter(|number: &NonZeroU64| number.to_string() == id)
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
        let base = |bytes, scope| SequenceBase::new(&"b".repeat(bytes), scope);
        let subtask = SequenceIdScope::Subtask;
        let longest = base(SequenceBase::MAX_BYTES, subtask).unwrap();
        let id = longest.sequence_id(u32::MAX, u64::MAX);
        assert_eq!(id.len(), MAX_SEQUENCE_ID_BYTES);
        assert_eq!(base(SequenceBase::MAX_BYTES + 1, subtask), None);

        let run = SequenceIdScope::Run;
        let longest = base(SequenceBase::MAX_BYTES_IN_RUN, run).unwrap();
        let id = longest.sequence_id_in_run(&"r".repeat(MAX_RUN_ID_BYTES), u32::MAX, u64::MAX);
        assert_eq!(id.len(), MAX_SEQUENCE_ID_BYTES);
        assert_eq!(base(SequenceBase::MAX_BYTES_IN_RUN + 1, run), None);
    }
}
