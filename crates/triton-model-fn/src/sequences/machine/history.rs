//! The rows of a sequence that are kept so that it can be sent again.

use std::sync::Arc;

use crate::Value;

/// How much is kept of a sequence.
#[derive(Debug, Clone, Copy)]
pub(in crate::sequences) struct HistoryLimits {
    pub(in crate::sequences) rows: usize,
    pub(in crate::sequences) bytes: usize,
    /// Whether a digest of each answer is kept, too.
    pub(in crate::sequences) digests: bool,
}

/// The answered rows of one sequence, as far as they are kept.
#[derive(Debug)]
pub(in crate::sequences) enum History {
    /// Nobody asked for it, or it is of no use any more.
    NotKept,
    /// Every row, in order.
    Kept(Box<Kept>),
    /// There were more rows or bytes than are kept, so none are there.
    Outgrown,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::sequences) struct Kept {
    pub(in crate::sequences) rows: Vec<KeptRow>,
    pub(in crate::sequences) bytes: usize,
}

/// A row that was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sequences) struct KeptRow {
    /// Its tensors, as [`crate::packed_row`] packs them.
    pub(in crate::sequences) packed: Arc<[u8]>,
    /// That of its answer, where answers were compared when it was given.
    pub(in crate::sequences) digest: Option<u32>,
}

impl History {
    pub(super) fn new(limits: Option<HistoryLimits>) -> Self {
        match limits {
            Some(_) => History::Kept(Box::default()),
            None => History::NotKept,
        }
    }

    /// Adds a row that was answered; without one the history is not whole any more.
    pub(super) fn push(&mut self, limits: Option<HistoryLimits>, row: Option<KeptRow>) {
        let History::Kept(kept) = &mut *self else {
            return;
        };
        let fits = |limits: HistoryLimits, row: &KeptRow| {
            kept.rows.len() < limits.rows && kept.bytes + row.packed.len() <= limits.bytes
        };
        match (limits, row) {
            (Some(limits), Some(row)) if fits(limits, &row) => {
                kept.bytes += row.packed.len();
                kept.rows.push(row);
            }
            _ => *self = History::Outgrown,
        }
    }

    pub(super) fn bytes(&self) -> usize {
        match self {
            History::Kept(kept) => kept.bytes,
            History::NotKept | History::Outgrown => 0,
        }
    }
}

/// Tells answers apart that differ in any bit, but for the payload of a NaN.
pub(in crate::sequences) fn digest(answer: &[Value]) -> u32 {
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
            let packed = Arc::from(*row);
            history.push(
                Some(LIMITS),
                Some(KeptRow {
                    packed,
                    digest: None,
                }),
            );
        }
        history
    }

    // Holds S29.
    #[test]
    fn a_sequence_outgrows_its_rows_or_its_bytes() {
        assert!(matches!(history(&[b"12345", b"12345"]), History::Kept(_)));
        let outgrown = |rows| matches!(history(rows), History::Outgrown);
        assert!(outgrown(&[b"12345", b"123456"]));
        assert!(outgrown(&[b"1", b"2", b"3"]));
        // It does not come back.
        assert!(outgrown(&[b"1", b"2", b"3", b"4"]));
        let mut none = History::new(None);
        none.push(None, None);
        assert!(matches!(none, History::NotKept));
    }

    #[test]
    fn answers_differ_by_type_too() {
        assert_eq!(digest(&[Value::Integer(1)]), digest(&[Value::Integer(1)]));
        assert_ne!(digest(&[Value::Integer(1)]), digest(&[Value::BigInt(1)]));
    }
}
