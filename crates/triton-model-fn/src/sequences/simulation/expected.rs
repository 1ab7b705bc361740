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
    /// The values of rows given up since its last answer, each of which may be in the sequence.
    given_up: Vec<i64>,
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
            given_up: Vec::new(),
            reported: false,
            lacks_rows: false,
            last_row: handed_over,
            may_be_over: false,
        }
    }

    /// The next row brings these rows along, whatever became of them before.
    pub(super) fn carry(&mut self, earlier: Vec<i64>) {
        self.values = earlier;
        self.given_up.clear();
        self.lacks_rows = false;
    }

    /// A row of the key is given up: nobody learns what happens to it.
    pub(super) fn give_up(&mut self, history: &History, row: SourceRow, handed_over: Instant) {
        self.silent_until(history, handed_over);
        self.given_up.push(row.value);
        (self.reported, self.lacks_rows) = (false, true);
        if row.last {
            self.end();
        }
    }

    fn silent_until(&mut self, history: &History, handed_over: Instant) {
        let silent = handed_over.saturating_duration_since(self.last_row);
        self.last_row = handed_over;
        let boundary = SimulatedNetwork::IDLE * 3 / 4;
        self.may_be_over |= history.time_ends_sequences() && silent > boundary;
    }

    fn end(&mut self) {
        self.values.clear();
        self.given_up.clear();
        (self.reported, self.lacks_rows) = (false, false);
    }

    /// The rows of an answer that has this sum: those of `before`, some of those given up, and its own.
    fn rows_of_sum(&self, before: &[i64], value: i64, sum: i64) -> Option<Vec<i64>> {
        let choices = 0..1_u32 << self.given_up.len().min(10);
        let rows = choices.map(|choice| {
            let given_up = self.given_up.iter().enumerate();
            let chosen = given_up.filter(|(place, _)| choice >> place & 1 == 1);
            let chosen = chosen.map(|(_, value)| *value);
            let before = before.iter().copied();
            before.chain(chosen).chain([value]).collect::<Vec<i64>>()
        });
        let mut rows = rows.filter(|rows| rows.iter().sum::<i64>() == sum);
        rows.next()
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
        self.silent_until(history, handed_over);
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
                let mut rows = self.rows_of_sum(&self.values, row.value, found);
                if std::mem::take(&mut self.may_be_over) && rows.is_none() {
                    rows = self.rows_of_sum(&[], row.value, found);
                }
                let Some(rows) = rows else {
                    return Err(format!(
                        "{row:?} is answered with {found}, not the sum of {:?} and itself ({:?} \
                         were given up); {}",
                        self.values,
                        self.given_up,
                        if answered.restarted {
                            "marked"
                        } else {
                            "not marked"
                        },
                    ));
                };
                self.values = rows;
                self.given_up.clear();
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
            self.end();
        }
        Ok(())
    }
}
