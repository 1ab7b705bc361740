//! Where a row stands among the rows of its key, as the row itself says.
//!
//! An engine that keeps no state for a function can still count the rows of a key, or gather them,
//! in a state of its own, and hand both over with each row. What the function knows of a key is
//! then no more than a memory of it: a row that does not fit shows that the memory is not whole.

use std::fmt;
use std::sync::Arc;

use crate::tensor_plan::EncodedRow;
use crate::{Error, Value};

/// The position of a row, and what it carries of the rows before it.
#[derive(Debug)]
pub(crate) struct RowPosition {
    /// Its number among the rows of its key, from 1 on.
    pub(crate) position: u64,
    /// How many rows of its sequence came before it, where that can be told from the row.
    pub(crate) before: Option<u64>,
    /// All of those rows, where it carries them.
    pub(crate) earlier: Option<Arc<EarlierRows>>,
}

/// The rows of a sequence before the one that carries them. They are encoded only where they are
/// needed, which is seldom.
pub(crate) struct EarlierRows {
    count: u64,
    encode: Box<dyn Fn(u64) -> Result<EncodedRow, Error> + Send + Sync>,
}

impl EarlierRows {
    pub(crate) fn new(
        count: u64,
        encode: impl Fn(u64) -> Result<EncodedRow, Error> + Send + Sync + 'static,
    ) -> Self {
        Self {
            count,
            encode: Box::new(encode),
        }
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// A row; an error where it can never have been sent.
    pub(super) fn row(&self, index: u64) -> Result<EncodedRow, Error> {
        (self.encode)(index)
    }
}

impl fmt::Debug for EarlierRows {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("EarlierRows")
            .field("count", &self.count)
            .finish_non_exhaustive()
    }
}

/// How many rows of its sequence came before a row.
///
/// `ends` says of the rows that it carries whether each was a last one; `None` where nothing but
/// a length ends sequences.
pub(super) fn rows_before(
    position: u64,
    ends: Option<&[Value]>,
    max_length: Option<u64>,
) -> Option<u64> {
    let since_key = position - 1;
    let since_end = match ends {
        None => since_key,
        Some(ends) => {
            let last_end = ends
                .iter()
                .rev()
                .position(|end| *end == Value::Boolean(true));
            match last_end {
                Some(rows) => rows as u64,
                None if since_key <= ends.len() as u64 => since_key,
                // The end may lie before the rows that are carried.
                None => return None,
            }
        }
    };
    Some(max_length.map_or(since_end, |most| since_end % most))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_of_a_sequence_is_found_by_the_rules_that_end_the_one_before() {
        assert_eq!(rows_before(1, None, None), Some(0));
        assert_eq!(rows_before(8, None, None), Some(7));
        assert_eq!(rows_before(8, None, Some(5)), Some(2));
        assert_eq!(rows_before(6, None, Some(5)), Some(0));

        let ends = |text: &str| -> Vec<Value> {
            let ends = text.chars().map(|letter| match letter {
                'E' => Value::Boolean(true),
                '?' => Value::Null,
                _ => Value::Boolean(false),
            });
            ends.collect()
        };
        let before = |position, text| rows_before(position, Some(&ends(text)), None);
        assert_eq!(before(1, ""), Some(0));
        assert_eq!(before(4, ".?."), Some(3));
        assert_eq!(before(4, ".E."), Some(1));
        assert_eq!(before(4, "..E"), Some(0));
        // Row 9 carries three of the eight rows before it.
        assert_eq!(before(9, "..."), None);
        assert_eq!(before(9, "E.."), Some(2));
        assert_eq!(rows_before(9, Some(&ends("E.....")), Some(2)), Some(1));
    }
}
