//! What the answers to the rows of a key must be, whatever happens in between.

use tokio::time::Instant;

use super::function::sum;
use super::history::History;
use super::transport::SimulatedNetwork;
use crate::sequences::Answered;
use crate::{Error, ErrorKind};

/// Why a history does not go as it should.
pub(super) type Broken = String;

/// A row of the source.
#[derive(Debug, Clone, Copy)]
pub(super) struct SourceRow {
    pub(super) key: i64,
    /// Its number among the rows of its key, from 1 on.
    pub(super) number: u64,
    pub(super) value: i64,
    pub(super) last: bool,
}

/// What is expected of a key.
#[derive(Debug, Clone)]
pub(super) struct Chain {
    /// The values of the rows that the next answer must contain.
    values: Vec<i64>,
    /// Whether a row has failed because the sequence was lost.
    reported: bool,
    /// Whether a row of the sequence has failed, so that those after it lack it.
    lacks_rows: bool,
    /// When its last row was handed over: it was answered at that time or later.
    last_row: Instant,
    /// Whether time may have ended the sequence since its last answer, by a clock that stands still
    /// now and then.
    may_be_over: bool,
}

impl Chain {
    /// A key whose first row is handed over.
    pub(super) fn new(handed_over: Instant) -> Self {
        Self {
            values: Vec::new(),
            reported: false,
            lacks_rows: false,
            last_row: handed_over,
            may_be_over: false,
        }
    }

    /// Holds the answer to a row against the rows that it must contain.
    ///
    /// `disturbed` says whether anything has gone wrong so far.
    pub(super) fn check(
        &mut self,
        history: &History,
        disturbed: bool,
        row: SourceRow,
        handed_over: Instant,
        result: Result<Answered, Error>,
    ) -> Result<(), Broken> {
        let silent = handed_over.saturating_duration_since(self.last_row);
        self.last_row = handed_over;
        let boundary = SimulatedNetwork::IDLE * 3 / 4;
        self.may_be_over |= history.time_ends_sequences() && silent > boundary;
        let mut ends = row.last;
        match result {
            Ok(answered) => {
                let found = sum(&answered);
                if answered.restarted {
                    if !disturbed {
                        return Err(format!("{row:?} is marked, and nothing went wrong"));
                    }
                    if history.recovery == "replay" {
                        return Err(format!("{row:?} is marked in spite of a replay"));
                    }
                    if self.values.is_empty() && !self.lacks_rows {
                        return Err(format!("{row:?} is marked, and lacks nothing"));
                    }
                    self.values.clear();
                }
                self.values.push(row.value);
                if std::mem::take(&mut self.may_be_over) && found == row.value {
                    self.values = vec![row.value];
                }
                let expected: i64 = self.values.iter().sum();
                if found != expected {
                    return Err(format!(
                        "{row:?} is answered with {found} and not {expected}, the sum of {:?}; {}",
                        self.values,
                        if answered.restarted {
                            "marked"
                        } else {
                            "not marked"
                        },
                    ));
                }
                self.reported = false;
                ends |= history.max_length == Some(self.values.len() as u64);
            }
            Err(error) => {
                if !disturbed {
                    return Err(format!("{row:?} fails, and nothing went wrong: {error}"));
                }
                let lost = error.kind() == ErrorKind::SequenceLost;
                if lost && history.recovery == "fail" && self.reported {
                    return Err(format!("{row:?} fails for a loss reported before: {error}"));
                }
                self.lacks_rows = true;
                let left_whole = error.kind() == ErrorKind::Call;
                self.reported |= !left_whole && !self.values.is_empty();
            }
        }
        if ends {
            self.values.clear();
            (self.reported, self.lacks_rows) = (false, false);
        }
        Ok(())
    }
}
