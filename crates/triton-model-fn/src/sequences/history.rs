//! The rows of a sequence that are kept so that it can be sent again.

use super::standing::EarlierRows;
use crate::{Error, ErrorKind, Value};

/// How much is kept of a sequence.
#[derive(Debug, Clone, Copy)]
pub(super) struct HistoryLimits {
    pub(super) rows: usize,
    pub(super) bytes: usize,
    /// Whether a digest of each answer is kept, too.
    pub(super) digests: bool,
}

/// The answered rows of one sequence, as far as they are kept.
#[derive(Debug)]
pub(super) enum History {
    /// Nobody asked for it.
    NotKept,
    /// Every row, in order.
    Kept(Box<Kept>),
    /// The row to be answered carries every row before it.
    Carried(EarlierRows),
    /// There were more rows or bytes than are kept or carried, so none are there.
    Outgrown,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) rows: Vec<Box<[u8]>>,
    /// One for each row, or none at all.
    pub(super) digests: Vec<u32>,
    pub(super) bytes: usize,
}

impl History {
    pub(super) fn new(limits: Option<HistoryLimits>) -> Self {
        match limits {
            Some(_) => History::Kept(Box::default()),
            None => History::NotKept,
        }
    }

    /// Adds a row that was answered.
    pub(super) fn push(
        &mut self,
        limits: Option<HistoryLimits>,
        row: impl FnOnce() -> Box<[u8]>,
        answer: &[Value],
    ) {
        let (History::Kept(kept), Some(limits)) = (&mut *self, limits) else {
            return;
        };
        let row = row();
        if kept.rows.len() >= limits.rows || kept.bytes + row.len() > limits.bytes {
            *self = History::Outgrown;
            return;
        }
        kept.bytes += row.len();
        kept.rows.push(row);
        if limits.digests {
            kept.digests.push(digest(answer));
        }
    }
}

impl Kept {
    /// Refuses an answer of a replay that differs from the one that was given before.
    pub(super) fn compare(&self, row: usize, answer: &[Value]) -> Result<(), Error> {
        match self.digests.get(row) {
            Some(before) if *before != digest(answer) => {
                let message = format!(
                    "the model answers row {} of the replay differently than before, so the state \
                     of the sequence cannot be rebuilt",
                    row + 1
                );
                Err(Error::new(ErrorKind::SequenceLost, message))
            }
            _ => Ok(()),
        }
    }
}

/// Tells answers apart that differ in any bit, but for the payload of a NaN.
fn digest(answer: &[Value]) -> u32 {
    crc32fast::hash(format!("{answer:?}").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: HistoryLimits = HistoryLimits {
        rows: 2,
        bytes: 10,
        digests: true,
    };

    fn history(rows: &[&[u8]]) -> History {
        let mut history = History::new(Some(LIMITS));
        for row in rows {
            history.push(Some(LIMITS), || Box::from(*row), &[Value::Integer(1)]);
        }
        history
    }

    #[test]
    fn a_sequence_outgrows_its_rows_or_its_bytes() {
        assert!(matches!(history(&[b"12345", b"12345"]), History::Kept(_)));
        let outgrown = |rows| matches!(history(rows), History::Outgrown);
        assert!(outgrown(&[b"12345", b"123456"]));
        assert!(outgrown(&[b"1", b"2", b"3"]));
        // It does not come back.
        assert!(outgrown(&[b"1", b"2", b"3", b"4"]));
        let mut none = History::new(None);
        none.push(None, || unreachable!(), &[]);
        assert!(matches!(none, History::NotKept));
    }

    #[test]
    fn another_answer_is_noticed() {
        let History::Kept(kept) = history(&[b"1"]) else {
            panic!("it was kept")
        };
        assert!(kept.compare(0, &[Value::Integer(1)]).is_ok());
        insta::assert_snapshot!(kept.compare(0, &[Value::BigInt(1)]).unwrap_err(), @"the model answers row 1 of the replay differently than before, so the state of the sequence cannot be rebuilt");
    }
}
