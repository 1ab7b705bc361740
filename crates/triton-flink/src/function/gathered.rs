//! Rows that share requests: their answers come in groups, and nothing runs for one of them alone.
//!
//! A task, a timer and a channel for each row cost more than the row itself where a model answers
//! thousands of them at once.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use triton_model_fn::{AnswerSink, RowAnswer, Value};

use super::{ADVICE, Shared, gave_up, written};

/// A row that was handed over and is not answered.
#[derive(Debug)]
pub(super) struct HeldRow {
    /// What an error says is in it.
    values: Arc<[Value]>,
    /// When the model function gives it up by itself.
    deadline: Option<Instant>,
}

/// The rows that are not answered, by their numbers, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct HeldRows(BTreeMap<u64, HeldRow>);

impl HeldRows {
    pub(super) fn add(&mut self, number: u64, values: Arc<[Value]>, time: Option<Duration>) {
        let deadline = time.and_then(|time| Instant::now().checked_add(time));
        self.0.insert(number, HeldRow { values, deadline });
    }

    /// Takes a row that is not answered yet.
    pub(super) fn take(&mut self, number: u64) -> Option<HeldRow> {
        self.0.remove(&number)
    }

    /// When the first deadline comes: that of the row that came first.
    fn first_deadline(&self) -> Option<Instant> {
        self.0.values().next()?.deadline
    }

    /// The numbers of the rows whose deadline is not after `now`.
    fn overdue(&self, now: Instant) -> Vec<u64> {
        let is_over = |row: &HeldRow| row.deadline.is_some_and(|deadline| deadline <= now);
        let overdue = self.0.iter().take_while(|(_, row)| is_over(row));
        overdue.map(|(number, _)| *number).collect()
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
                    let told = shared.told(answer.number, &row.values, result);
                    let told = told.map_err(|failure| match is_late {
                        true => failure.with(ADVICE),
                        false => failure,
                    });
                    written(told?)(buffer)
                };
                (answer.number, write)
            }));
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
                written(shared.told(number, &row.values, result)?)(buffer)
            };
            shared.events.push_all([(number, write)]);
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
        assert!(held.first_deadline() > Some(later));
        assert!(held.take(6).is_some() && held.is_empty());
        // Numbers go on.
        held.add(9, row(), None);
        assert!(held.overdue(later).is_empty() && held.take(9).is_some());
    }

    #[test]
    fn a_row_that_hangs_keeps_no_place_for_those_behind_it() {
        let mut held = HeldRows::default();
        for number in 0..1000 {
            held.add(number, Arc::from([Value::Null]), None);
            assert!(number == 0 || held.take(number).is_some());
        }
        assert_eq!(held.0.len(), 1);
    }
}
