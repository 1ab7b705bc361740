//! What a sequence is called in logs and errors.

use std::fmt;
use std::num::NonZeroU64;

/// What a sequence is called in logs and errors: its text, and what is sent where that is a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SequenceName {
    pub(crate) text: String,
    pub(crate) number: Option<NonZeroU64>,
}

impl SequenceName {
    /// The text of the ID as it is sent.
    pub(crate) fn sent(&self) -> String {
        match self.number {
            Some(number) => number.to_string(),
            None => self.text.clone(),
        }
    }
}

impl fmt::Display for SequenceName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)?;
        match self.number {
            Some(number) => write!(formatter, " = {number}"),
            None => Ok(()),
        }
    }
}
