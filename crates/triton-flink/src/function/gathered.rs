//! Rows that share requests: their answers come in groups, and nothing runs for one of them alone.
//!
//! A task, a timer and a channel for each row cost more than the row itself where a model answers
//! thousands of them at once.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::{Instant, sleep};
use triton_model_fn::{AnswerSink, RowAnswer, Value};

use super::{Shared, gave_up, written};
use crate::failure::Failure;

/// How often it is looked for rows whose time is over, of that time.
const LOOKS: u32 = 20;

/// A row that was handed over and is not answered.
#[derive(Debug)]
pub(super) struct HeldRow {
    /// What an error says is in it.
    pub(super) values: Arc<[Value]>,
    until: Option<Instant>,
}

/// The rows that are not answered, by their numbers, which follow each other.
#[derive(Debug, Default)]
pub(super) struct HeldRows {
    first: u64,
    rows: VecDeque<Option<HeldRow>>,
}

impl HeldRows {
    pub(super) fn add(&mut self, number: u64, values: Arc<[Value]>, time: Option<Duration>) {
        if self.rows.is_empty() {
            self.first = number;
        }
        // Some could not even be read.
        while self.first + (self.rows.len() as u64) < number {
            self.rows.push_back(None);
        }
        let until = time.and_then(|time| Instant::now().checked_add(time));
        self.rows.push_back(Some(HeldRow { values, until }));
    }

    /// Takes a row that is not answered yet.
    pub(super) fn take(&mut self, number: u64) -> Option<HeldRow> {
        let index = usize::try_from(number.checked_sub(self.first)?).ok()?;
        let row = self.rows.get_mut(index)?.take()?;
        while let Some(None) = self.rows.front() {
            self.rows.pop_front();
            self.first += 1;
        }
        Some(row)
    }

    /// The numbers of the rows whose time is over. Those that were handed over first are over first.
    fn overdue(&self, now: Instant) -> Vec<u64> {
        let rows = self.rows.iter().zip(self.first..);
        let rows = rows.filter_map(|(row, number)| Some((row.as_ref()?, number)));
        rows.take_while(|(row, _)| row.until.is_some_and(|until| until <= now))
            .map(|(_, number)| number)
            .collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.rows.clear();
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
        shared
            .events
            .push_all(known.into_iter().map(|(answer, row)| {
                let number = answer.number;
                let result = answer.result.map(|prediction| vec![prediction]);
                (
                    number,
                    shared.told(number, &row.values, result).map(written),
                )
            }));
    }
}

/// Gives rows up whose time is over, as long as the function is there.
pub(super) async fn give_up_overdue(shared: Weak<Shared>, time: Duration) {
    loop {
        sleep((time / LOOKS).max(Duration::from_millis(1))).await;
        let Some(shared) = shared.upgrade() else {
            return;
        };
        let overdue = shared.held().overdue(Instant::now());
        for number in overdue {
            // It may have been answered just now.
            let Some(row) = shared.held().take(number) else {
                continue;
            };
            let result = shared.function.conclude_unusable(gave_up());
            let result = result.map(|prediction| vec![prediction]);
            let told: Result<_, Failure> = shared.told(number, &row.values, result);
            shared.events.push(number, told.map(written));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_held_by_number_until_they_are_taken() {
        let row = || Arc::from([Value::Null]);
        let mut held = HeldRows::default();
        assert!(held.take(0).is_none());
        for number in [3, 4, 6] {
            held.add(number, row(), Some(Duration::from_secs(number)));
        }
        assert!(held.take(2).is_none() && held.take(5).is_none());
        let later = Instant::now() + Duration::from_secs(5);
        assert_eq!(held.overdue(later), [3, 4]);
        assert!(held.take(4).is_some() && held.take(4).is_none());
        assert_eq!(held.overdue(later), [3]);
        assert!(held.take(3).is_some());
        assert_eq!((held.first, held.rows.len()), (6, 1));
        assert!(held.take(6).is_some() && held.is_empty());
        // Numbers go on.
        held.add(9, row(), None);
        assert!(held.overdue(later).is_empty() && held.take(9).is_some());
    }
}
