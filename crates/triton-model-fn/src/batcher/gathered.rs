//! The rows that wait for a request: without a task, a clock or I/O.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::group::{Group, OneOfSeveral, Part, Waiting};
use crate::ending::Ended;
use crate::tensor_plan::{EncodedRow, TensorPlan};
use crate::{Error, Value};

/// Rows that wait, in groups of one shape.
#[derive(Debug)]
pub(super) struct Gathered {
    most_rows: usize,
    most_bytes: Option<usize>,
    delay: Duration,
    /// Groups that go out as soon as there is a permit, in the order of their first rows.
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

/// A row as the model takes it, or one of scalars that is encoded where it goes.
#[derive(Clone, Copy)]
pub(super) enum PushedRow<'a> {
    Encoded(&'a EncodedRow),
    Scalars(&'a [Value]),
}

/// Who waits for a row.
pub(super) trait Waits {
    /// Notes it for the row that was added to a group.
    fn wait_in(self, group: &mut Group);
}

impl Waits for Waiting {
    fn wait_in(self, group: &mut Group) {
        group.added(self);
    }
}

impl Waits for OneOfSeveral<'_> {
    #[inline]
    fn wait_in(self, group: &mut Group) {
        group.added_to_run(self);
    }
}

impl Gathered {
    pub(super) fn new(plan: &TensorPlan, delay: Duration) -> Self {
        Self {
            most_rows: plan.rows_per_request,
            most_bytes: plan.bytes_per_request,
            delay,
            full: VecDeque::new(),
            filling: VecDeque::new(),
            is_closed: false,
        }
    }

    /// Adds a row to others of its shape; says whether the task has to look again, or who waits for the
    /// row and why it cannot be sent.
    #[inline]
    pub(super) fn push<W: Waits>(
        &mut self,
        plan: &TensorPlan,
        row: PushedRow<'_>,
        waits: W,
        now: impl FnOnce() -> Instant,
    ) -> Result<bool, (W, Error)> {
        match self.place(plan, row, now) {
            Ok(place) => {
                waits.wait_in(&mut self.filling[place]);
                Ok(self.added(place))
            }
            Err(error) => Err((waits, error)),
        }
    }

    /// Puts the values of a row into the block of a group, and returns which one it is.
    #[inline]
    fn place(
        &mut self,
        plan: &TensorPlan,
        row: PushedRow<'_>,
        now: impl FnOnce() -> Instant,
    ) -> Result<usize, Error> {
        if self.is_closed {
            return Err(Ended::Closed.error("before the row was sent"));
        }
        match row {
            PushedRow::Encoded(row) => {
                // Rows of one shape tend to follow each other.
                let place = self.filling.iter().rposition(|it| it.block.takes(row));
                let place = place.unwrap_or_else(|| self.begin_group(now()));
                self.filling[place].block.push(plan, row);
                Ok(place)
            }
            PushedRow::Scalars(row) => {
                plan.check_count(row)?;
                let place = match self.filling.is_empty() {
                    true => self.begin_group(now()),
                    false => 0,
                };
                if let Err(error) = self.filling[place].block.push_scalars(plan, row) {
                    if self.filling[place].rows() == 0 {
                        self.filling.pop_back();
                    }
                    return Err(error);
                }
                Ok(place)
            }
        }
    }

    fn begin_group(&mut self, now: Instant) -> usize {
        self.filling.push_back(Group::new(now));
        self.filling.len() - 1
    }

    /// A row was added to a group. The task looks again at a first row and at a full group.
    fn added(&mut self, place: usize) -> bool {
        let group = &self.filling[place];
        let is_first = group.rows() == 1;
        let is_large = |most| group.block.bytes() >= most;
        let is_full = group.rows() >= self.most_rows || self.most_bytes.is_some_and(is_large);
        if is_full {
            self.is_full(place);
        }
        is_first || is_full
    }

    /// A group takes its place among the full ones: rows of a rare shape may have come before those
    /// of others that were full sooner.
    fn is_full(&mut self, place: usize) {
        let Some(group) = self.filling.remove(place) else {
            return;
        };
        let before = self.full.iter().rposition(|it| it.since <= group.since);
        self.full.insert(before.map_or(0, |it| it + 1), group);
    }

    /// When a group goes out that is not full.
    fn is_due_at(&self, group: &Group) -> Instant {
        match self.is_closed {
            true => group.since,
            false => group.since + self.delay,
        }
    }

    pub(super) fn close(&mut self) {
        self.is_closed = true;
    }

    pub(super) fn next(&self) -> Next {
        match (self.full.front(), self.filling.front()) {
            (Some(_), _) => Next::Now,
            (None, Some(group)) => Next::At(self.is_due_at(group)),
            (None, None) if self.is_closed => Next::Over,
            (None, None) => Next::Nothing,
        }
    }

    /// The earliest deadline of a row that waits.
    pub(super) fn first_deadline(&self) -> Option<Instant> {
        let groups = self.full.front().into_iter().chain(self.filling.front());
        groups.filter_map(Group::first_deadline).min()
    }

    /// The group that goes out next: of those that are full or have waited for long enough, the one
    /// whose first row came first.
    pub(super) fn take_next(&mut self, now: Instant) -> Option<Group> {
        let is_first = |filling: &Group, full: &Group| {
            filling.since < full.since && self.is_due_at(filling) <= now
        };
        match (self.full.front(), self.filling.front()) {
            (Some(full), Some(filling)) if is_first(filling, full) => self.filling.pop_front(),
            (Some(_), _) => self.full.pop_front(),
            (None, _) => self.filling.pop_front(),
        }
    }

    /// The rows whose deadline is not after `now`.
    pub(super) fn take_late(&mut self, now: Instant) -> Vec<Waiting> {
        let mut late = Vec::new();
        for groups in [&mut self.full, &mut self.filling] {
            for group in &mut *groups {
                let before = group.first_deadline();
                let parts = group.parts.iter_mut();
                late.extend(parts.filter_map(|part| part.take_late(now)));
                // What the rows that are left have waited counts from the first of them.
                if let Some((before, first)) = before.zip(group.first_deadline()) {
                    group.since += first - before;
                }
            }
            groups.retain(|group| group.parts.iter().any(Part::is_waiting));
            groups.make_contiguous().sort_by_key(|group| group.since);
        }
        late
    }

    /// Everything that waits.
    pub(super) fn take_all(&mut self) -> Vec<Group> {
        self.full.drain(..).chain(self.filling.drain(..)).collect()
    }
}
