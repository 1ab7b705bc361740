//! The most bytes that an answer may have, which depends on what is asked for.

use std::fmt;

/// The most bytes that a description may have. The largest of real servers, statistics of thousands
/// of models, are a fraction of it; and JSON takes many times its length once it is read.
const LARGEST_DESCRIPTION: usize = 16 << 20;

/// What a call asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// What a server tells of itself, of models, settings or shared memory.
    Description,
    /// What a model computes.
    Outputs,
}

/// The most bytes that an answer may have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AnswerLimit {
    pub(super) bytes: usize,
    is_of_descriptions: bool,
}

impl AnswerLimit {
    /// That of a client which takes answers of so many bytes.
    pub(crate) fn of(wanted: Wanted, response_limit: usize) -> Self {
        let is_of_descriptions =
            wanted == Wanted::Description && LARGEST_DESCRIPTION < response_limit;
        Self {
            bytes: match is_of_descriptions {
                true => LARGEST_DESCRIPTION,
                false => response_limit,
            },
            is_of_descriptions,
        }
    }
}

impl fmt::Display for AnswerLimit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.bytes;
        write!(
            formatter,
            "the answer is larger than the limit of {bytes} bytes"
        )?;
        if self.is_of_descriptions {
            formatter.write_str(
                " for descriptions: expected what a server tells of itself or of models, which is \
                 smaller, and no option raises this limit",
            )?;
        }
        Ok(())
    }
}
