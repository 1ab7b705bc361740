//! What tells one run of a pipeline from every other, within the sequence IDs it makes.

use std::fmt;

use uuid::Uuid;

use crate::Subtask;

/// A part of every sequence ID of one `open`, where the option `sequence-id-scope` is `run`.
///
/// It sorts, as text, in the order in which runs were opened, as far as it comes from one clock.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct RunId(String);

impl RunId {
    /// The engine's job and attempt, or a new UUID of version 7.
    ///
    /// A UUID begins with the time, so it sorts, and holds 74 random bits, so that it is unique
    /// even where clocks are set back.
    pub(crate) fn of(subtask: &Subtask) -> Self {
        match subtask.job() {
            Some(job) => Self(format!("{job}.{}", subtask.attempt())),
            None => Self(base32(Uuid::now_v7().as_u128())),
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// 26 digits to the base 32, whose order as text is the order of the numbers.
fn base32(number: u128) -> String {
    const DIGITS: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";
    let digit = |place: u32| char::from(DIGITS[(number >> (5 * place)) as usize % 32]);
    (0..26).rev().map(digit).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use triton_options::MAX_RUN_ID_BYTES;

    use super::*;

    #[test]
    fn a_run_is_named_by_its_job_and_attempt_or_by_a_uuid() {
        let subtask = Subtask::new(0, 1, u32::MAX).unwrap();
        let in_job = subtask.in_job(&"f".repeat(32)).unwrap();
        let run = RunId::of(&in_job);
        assert_eq!(run.as_str(), format!("{}.4294967295", "f".repeat(32)));
        assert_eq!(run.as_str().len(), MAX_RUN_ID_BYTES);
        let runs: Vec<RunId> = (0..100).map(|_| RunId::of(&subtask)).collect();
        assert!(runs.is_sorted_by(|earlier, later| earlier < later));
        assert_eq!(runs[0].as_str().len(), 26);
    }

    proptest! {
        #[test]
        fn digits_sort_like_numbers(left: u128, right: u128) {
            prop_assert_eq!(base32(left).cmp(&base32(right)), left.cmp(&right));
        }
    }
}
