//! The rows that wait for a request: without a task, a clock or I/O.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::group::{Group, Waiting};
use crate::ending::Ended;
use crate::tensor_plan::{EncodedRow, TensorPlan};
use crate::{Error, Value};

/// Rows that wait, in groups of one shape.
#[derive(Debug)]
pub(super) struct Gathered {
    most_rows: usize,
    delay: Duration,
    /// Groups that go out as soon as there is a permit, in the order in which they became full.
    full: VecDeque<Group>,
    /// One for each shape, in the order of their first rows.
    filling: VecDeque<Group>,
    is_closed: bool,
}

/// What the task has to do next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// A group can go out.
    Now,
    /// A group can go out at this time.
    At(Instant),
    /// No row waits.
    Nothing,
    /// No row waits, and none will come.
    Over,
}

/// Whether the task has to look again, or the row and why it cannot be sent.
type Pushed = Result<bool, (Waiting, Error)>;

impl Gathered {
    pub(super) fn new(most_rows: usize, delay: Duration) -> Self {
        Self {
            most_rows,
            delay,
            full: VecDeque::new(),
            filling: VecDeque::new(),
            is_closed: false,
        }
    }

    pub(super) fn push(
        &mut self,
        plan: &TensorPlan,
        row: &EncodedRow,
        waiting: Waiting,
        now: Instant,
    ) -> Pushed {
        if self.is_closed {
            return Err((waiting, Ended::Closed.error("before the row was sent")));
        }
        // Rows of one shape tend to follow each other.
        let place = self.filling.iter().rposition(|it| it.block.takes(row));
        let place = place.unwrap_or_else(|| self.begin_group(now));
        self.filling[place].block.push(plan, row);
        Ok(self.added(place, waiting))
    }

    pub(super) fn push_scalars(
        &mut self,
        plan: &TensorPlan,
        row: &[Value],
        waiting: Waiting,
        now: Instant,
    ) -> Pushed {
        if self.is_closed {
            return Err((waiting, Ended::Closed.error("before the row was sent")));
        }
        if let Err(error) = plan.check_count(row) {
            return Err((waiting, error));
        }
        let place = match self.filling.is_empty() {
            true => self.begin_group(now),
            false => 0,
        };
        if let Err(error) = self.filling[place].block.push_scalars(plan, row) {
            if self.filling[place].rows.is_empty() {
                self.filling.pop_back();
            }
            return Err((waiting, error));
        }
        Ok(self.added(place, waiting))
    }

    fn begin_group(&mut self, now: Instant) -> usize {
        self.filling.push_back(Group::new(now));
        self.filling.len() - 1
    }

    /// A row was added to a group. The task looks again at a first row and at a full group.
    fn added(&mut self, place: usize, waiting: Waiting) -> bool {
        let group = &mut self.filling[place];
        group.rows.push(Some(waiting));
        let is_first = group.rows.len() == 1;
        let is_full = group.rows.len() >= self.most_rows;
        if is_full {
            self.full.extend(self.filling.remove(place));
        }
        is_first || is_full
    }

    pub(super) fn close(&mut self) {
        self.is_closed = true;
    }

    pub(super) fn next(&self) -> Next {
        match (self.full.front(), self.filling.front()) {
            (Some(_), _) => Next::Now,
            (None, Some(_)) if self.is_closed => Next::Now,
            (None, Some(group)) => Next::At(group.since + self.delay),
            (None, None) if self.is_closed => Next::Over,
            (None, None) => Next::Nothing,
        }
    }

    /// The earliest deadline of a row that waits.
    pub(super) fn first_deadline(&self) -> Option<Instant> {
        let groups = self.full.front().into_iter().chain(self.filling.front());
        let first = groups.filter_map(|group| group.rows.iter().flatten().next()?.deadline);
        first.min()
    }

    /// The group that goes out next: a full one, or the one that waits the longest.
    pub(super) fn take_next(&mut self) -> Option<Group> {
        self.full.pop_front().or_else(|| self.filling.pop_front())
    }

    /// The rows whose deadline is not after `now`.
    pub(super) fn take_late(&mut self, now: Instant) -> Vec<Waiting> {
        let is_late = |row: &mut Waiting| row.deadline.is_some_and(|at| at <= now);
        let groups = self.full.iter_mut().chain(&mut self.filling);
        let rows = groups.flat_map(|group| &mut group.rows);
        let late = rows.filter_map(|row| row.take_if(is_late)).collect();
        let is_left = |group: &Group| group.rows.iter().any(Option::is_some);
        self.full.retain(is_left);
        self.filling.retain(is_left);
        late
    }

    /// Everything that waits.
    pub(super) fn take_all(&mut self) -> Vec<Group> {
        self.full.drain(..).chain(self.filling.drain(..)).collect()
    }
}
