//! What was printed, held against what it should be.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use anyhow::{Context as _, Result};

pub(super) const HEAD: &str = "what happened          a row carries            rows  answers    marked  \
                               since a mark  wrong without a mark";

/// The answers of one job, through all that happened to it.
#[derive(Debug, Default)]
pub(super) struct Answers(BTreeMap<String, Vec<Answer>>);

/// An answer to a row of a key.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    number: u64,
    value: i64,
    expected: i64,
    total: i64,
    marked: bool,
}

/// What the answers come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Rows that have an answer.
    pub(super) rows: usize,
    /// Answers: a row that was in flight when something happened can have several.
    pub(super) answers: usize,
    pub(super) marked: usize,
    /// Answers that lack rows, behind one that is marked.
    pub(super) since_a_mark: usize,
    /// Answers that lack rows although nothing says so.
    pub(super) wrong: usize,
}

impl fmt::Display for Counts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            rows,
            answers,
            marked,
            since_a_mark,
            wrong,
        } = self;
        write!(
            formatter,
            "{rows:>8} {answers:>8} {marked:>9} {since_a_mark:>13} {wrong:>21}"
        )
    }
}

impl Answers {
    /// Adds a line of the connector `print`, without its identifier: `2> +I[0-3, 5, 9, 40, 40, false]`.
    pub(super) fn add(&mut self, line: &str) -> Result<()> {
        let (sensor, answer) =
            parse(line).with_context(|| format!("cannot understand the row '{line}'"))?;
        self.0.entry(sensor).or_default().push(answer);
        Ok(())
    }

    pub(super) fn answered(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }

    pub(super) fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for answers in self.0.values() {
            let rows: BTreeSet<u64> = answers.iter().map(|answer| answer.number).collect();
            counts.rows += rows.len();
            counts.answers += answers.len();
            // What the rows before a marked one come to, which those behind it may lack.
            let marked = answers.iter().filter(|answer| answer.marked);
            let begins: Vec<(u64, i64)> = marked
                .map(|answer| (answer.number, answer.expected - answer.value))
                .collect();
            counts.marked += begins.len();
            for answer in answers.iter().filter(|it| it.total != it.expected) {
                let lacks = answer.expected - answer.total;
                let is_told = |begin: &(u64, i64)| begin.0 <= answer.number && begin.1 == lacks;
                match begins.iter().any(is_told) {
                    true => counts.since_a_mark += 1,
                    false => counts.wrong += 1,
                }
            }
        }
        counts
    }
}

fn parse(line: &str) -> Option<(String, Answer)> {
    let cells = line.split_once("+I[")?.1.strip_suffix(']')?;
    let mut cells = cells.split(", ");
    let sensor = cells.next()?.to_owned();
    let answer = Answer {
        number: cells.next()?.parse().ok()?,
        value: cells.next()?.parse().ok()?,
        expected: cells.next()?.parse().ok()?,
        total: cells.next()?.parse().ok()?,
        marked: cells.next()?.parse().ok()?,
    };
    cells.next().is_none().then_some((sensor, answer))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(lines: &[&str]) -> Counts {
        let mut answers = Answers::default();
        for line in lines {
            answers.add(line).expect("a row");
        }
        answers.counts()
    }

    #[test]
    fn an_answer_lacks_rows_only_behind_a_mark() {
        let whole = [
            "1> +I[0-1, 1, 5, 5, 5, false]",
            "+I[0-1, 2, 6, 11, 11, false]",
        ];
        let expected = Counts {
            rows: 2,
            answers: 2,
            ..Counts::default()
        };
        assert_eq!(counts(&whole), expected);
        // The third row begins again: it is marked, or it is not.
        let marked = [
            &whole[..],
            &["+I[0-1, 3, 7, 18, 7, true]", "+I[0-1, 4, 1, 19, 8, false]"],
        ];
        let expected = Counts {
            rows: 4,
            answers: 4,
            marked: 1,
            since_a_mark: 2,
            wrong: 0,
        };
        assert_eq!(counts(&marked.concat()), expected);
        let unmarked = [&whole[..], &["+I[0-1, 3, 7, 18, 7, false]"]];
        assert_eq!(counts(&unmarked.concat()).wrong, 1);
        // The mark of another key, or of a later row, tells nothing.
        let other = [&unmarked.concat()[..], &["+I[0-2, 3, 7, 18, 7, true]"]];
        assert_eq!(counts(&other.concat()).wrong, 1);
        // A row that is counted twice is wrong, whatever is marked.
        let twice = ["+I[0-1, 1, 5, 5, 5, true]", "+I[0-1, 2, 6, 11, 17, false]"];
        assert_eq!(counts(&twice).wrong, 1);
    }

    #[test]
    fn what_is_no_row_is_refused() {
        for line in ["", "+I[0-1, 1, 5, 5, 5]", "+I[0-1, 1, 5, 5, 5, false, 1]"] {
            assert!(Answers::default().add(line).is_err(), "{line}");
        }
    }
}
