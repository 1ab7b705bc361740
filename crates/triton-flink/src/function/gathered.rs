//! Rows that share requests: their answers come in groups, and nothing runs for one of them alone.
//!
//! A task, a timer and a channel for each row cost more than the row itself where a model answers
//! thousands of them at once.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep_until};
use tracing::{Level, enabled};
use triton_model_fn::{AnswerSink, AnsweredRows, Column, RowAnswer, Value};

use super::{ADVICE, Shared, gave_up, written};
use crate::row_wire::{read_row, write_row};
use crate::wire::Reader;

/// Rows that were handed over together.
#[derive(Debug)]
struct Chunk {
    /// As Java wrote them: an error says what is in its row.
    bytes: Bytes,
    starts: Vec<usize>,
    is_taken: Vec<bool>,
    left: usize,
    /// When the model function gives them up by itself.
    deadline: Option<Instant>,
}

/// A row that was not answered until it was taken.
#[derive(Debug)]
pub(super) struct HeldRow {
    bytes: Bytes,
    deadline: Option<Instant>,
}

impl HeldRow {
    /// What is in it.
    pub(super) fn values(&self, columns: &[Column]) -> Vec<Value> {
        let mut values = Vec::with_capacity(columns.len());
        // It has been read before.
        let _ = read_row(&mut Reader::new(&self.bytes), columns, &[], &mut values);
        values
    }
}

/// The rows that are not answered, as they were handed over, by the number of the first one.
#[derive(Debug, Default)]
pub(super) struct HeldRows(BTreeMap<u64, Chunk>);

impl HeldRows {
    /// Adds rows, which begin at these places of `bytes`.
    pub(super) fn add(
        &mut self,
        first: u64,
        bytes: Bytes,
        starts: &[usize],
        time: Option<Duration>,
    ) {
        let chunk = Chunk {
            bytes,
            starts: starts.to_vec(),
            is_taken: vec![false; starts.len()],
            left: starts.len(),
            deadline: time.and_then(|time| Instant::now().checked_add(time)),
        };
        self.0.insert(first, chunk);
    }

    /// Takes a row that is not answered yet.
    pub(super) fn take(&mut self, number: u64) -> Option<HeldRow> {
        let (first, chunk) = self.0.range_mut(..=number).next_back()?;
        let (first, index) = (*first, usize::try_from(number - first).ok()?);
        let is_taken = chunk.is_taken.get_mut(index)?;
        if std::mem::replace(is_taken, true) {
            return None;
        }
        chunk.left -= 1;
        let row = HeldRow {
            bytes: chunk.bytes.slice(chunk.starts[index]..),
            deadline: chunk.deadline,
        };
        if chunk.left == 0 {
            self.0.remove(&first);
        }
        Some(row)
    }

    /// Takes rows; adds to `taken` where those begin that are not answered yet, and how many follow
    /// each other, counted from `offset` on for the first row.
    fn take_run(
        &mut self,
        numbers: Range<u64>,
        offset: usize,
        taken: &mut Vec<(u64, Range<usize>)>,
    ) {
        let begin = numbers.start;
        let mut next = begin;
        while next < numbers.end {
            let Some((first, chunk)) = self.0.range_mut(..=next).next_back() else {
                next += 1;
                continue;
            };
            let first = *first;
            let end = numbers.end.min(first + chunk.is_taken.len() as u64);
            if end <= next {
                next += 1;
                continue;
            }
            for number in next..end {
                let is_taken = &mut chunk.is_taken[(number - first) as usize];
                if std::mem::replace(is_taken, true) {
                    continue;
                }
                chunk.left -= 1;
                let place = offset + (number - begin) as usize;
                match taken.last_mut() {
                    Some((from, places))
                        if places.end == place && *from + places.len() as u64 == number =>
                    {
                        places.end += 1;
                    }
                    _ => taken.push((number, place..place + 1)),
                }
            }
            if chunk.left == 0 {
                self.0.remove(&first);
            }
            next = end;
        }
    }

    /// When the first deadline comes: that of the rows that came first.
    fn first_deadline(&self) -> Option<Instant> {
        self.0.values().next()?.deadline
    }

    /// The numbers of the rows whose deadline is not after `now`.
    fn overdue(&self, now: Instant) -> Vec<u64> {
        let is_over = |chunk: &Chunk| chunk.deadline.is_some_and(|deadline| deadline <= now);
        let overdue = self.0.iter().take_while(|(_, chunk)| is_over(chunk));
        let rows = overdue.flat_map(|(first, chunk)| (*first..).zip(&chunk.is_taken));
        let left = rows.filter(|(_, is_taken)| !**is_taken);
        left.map(|(number, _)| number).collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

/// Takes the answers.
pub(super) struct Sink(pub(super) Arc<Shared>);

impl AnswerSink for Sink {
    fn take(&self, answers: Vec<RowAnswer>) {
        let shared = &self.0;
        let mut held = shared.held();
        let known = answers.into_iter().filter_map(|answer| {
            let row = held.take(answer.number)?;
            Some((answer, row))
        });
        let known: Vec<_> = known.collect();
        drop(held);
        let now = Instant::now();
        shared
            .events
            .push_all(known.into_iter().map(|(answer, row)| {
                let write = move |buffer: &mut Vec<u8>| {
                    let is_late = row.deadline.is_some_and(|deadline| deadline <= now);
                    let result = answer.result.map(|prediction| vec![prediction]);
                    let values = row.values(&shared.inputs);
                    let told = shared.told(answer.number, &values, result);
                    let told = told.map_err(|failure| match is_late {
                        true => failure.advised(ADVICE),
                        false => failure,
                    });
                    written(told?)(buffer)
                };
                (answer.number, write)
            }));
    }

    fn take_rows(&self, answers: AnsweredRows) {
        let AnsweredRows {
            numbers, columns, ..
        } = answers;
        let shared = &self.0;
        let mut taken = Vec::with_capacity(numbers.len());
        let mut offset = 0;
        let mut held = shared.held();
        for run in numbers {
            let rows = (run.end - run.start) as usize;
            held.take_run(run, offset, &mut taken);
            offset += rows;
        }
        drop(held);
        if enabled!(Level::DEBUG) {
            for (first, rows) in &taken {
                let numbers = (*first..).take(rows.len());
                numbers.for_each(|number| shared.log_answered(number, None));
            }
        }
        shared.events.push_runs(&taken, |buffer, row| {
            write_row(buffer, columns.iter().map(|column| &column[row]))
        });
    }
}

/// Gives rows up that the model function has not given up at their deadlines, `grace` after them,
/// as long as the function is there.
///
/// A deadline is `time` after its row came, so nothing has to be looked at before the first one.
pub(super) async fn give_up_overdue(shared: Weak<Shared>, time: Duration, grace: Duration) {
    loop {
        let Some(first) = shared.upgrade().map(|it| it.held().first_deadline()) else {
            return;
        };
        let first = first.unwrap_or_else(|| Instant::now() + time);
        sleep_until(first + grace).await;
        let Some(shared) = shared.upgrade() else {
            return;
        };
        let Some(before) = Instant::now().checked_sub(grace) else {
            continue;
        };
        let overdue = shared.held().overdue(before);
        for number in overdue {
            // It may have been answered just now.
            let Some(row) = shared.held().take(number) else {
                continue;
            };
            shared.has_given_up.store(true, Ordering::Relaxed);
            let write = |buffer: &mut Vec<u8>| {
                let result = shared.function.conclude_unusable(gave_up());
                let result = result.map(|prediction| vec![prediction]);
                let values = row.values(&shared.inputs);
                written(shared.told(number, &values, result)?)(buffer)
            };
            shared.events.push_all([(number, write)]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Adds so many rows without a value.
    fn add(held: &mut HeldRows, first: u64, count: usize, time: Option<Duration>) {
        let starts: Vec<usize> = (0..count).collect();
        held.add(first, vec![0; count].into(), &starts, time);
    }

    #[test]
    fn rows_are_held_by_number_until_they_are_taken() {
        let mut held = HeldRows::default();
        assert!(held.take(0).is_none());
        for (number, rows) in [(3, 2), (6, 1)] {
            add(&mut held, number, rows, Some(Duration::from_secs(number)));
        }
        assert!(held.take(2).is_none() && held.take(5).is_none());
        let later = Instant::now() + Duration::from_secs(5);
        assert_eq!(held.overdue(later), [3, 4]);
        assert!(held.take(4).is_some() && held.take(4).is_none());
        assert_eq!(held.overdue(later), [3]);
        assert!(held.take(3).is_some());
        assert!(held.first_deadline() > Some(later));
        assert!(held.take(6).is_some() && held.is_empty());
        // Numbers go on.
        add(&mut held, 9, 1, None);
        assert!(held.overdue(later).is_empty() && held.take(9).is_some());
    }

    #[test]
    fn a_run_takes_what_is_left_of_it() {
        let mut held = HeldRows::default();
        add(&mut held, 0, 4, None);
        add(&mut held, 4, 3, None);
        add(&mut held, 9, 2, None);
        assert!(held.take(2).is_some());
        let mut taken = Vec::new();
        held.take_run(1..11, 20, &mut taken);
        assert_eq!(taken, [(1, 20..21), (3, 22..26), (9, 28..30)]);
        taken.clear();
        held.take_run(0..11, 0, &mut taken);
        assert_eq!(taken, [(0, 0..1)]);
        assert!(held.is_empty());
    }

    #[test]
    fn a_row_that_hangs_keeps_no_place_for_those_behind_it() {
        let mut held = HeldRows::default();
        for number in 0..1000 {
            add(&mut held, number, 1, None);
            assert!(number == 0 || held.take(number).is_some());
        }
        assert_eq!(held.0.len(), 1);
    }
}
