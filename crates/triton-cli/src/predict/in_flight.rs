//! What was begun and is not written yet, in the order in which it was begun.

use std::collections::{HashMap, VecDeque};

/// How many rows something that was begun is, and about how much memory it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) rows: usize,
    pub(super) bytes: usize,
}

/// What was begun and has not been handed out.
#[derive(Debug)]
pub(super) struct InFlight<T> {
    in_order: bool,
    /// The number of the first in `begun`.
    first: u64,
    /// All of it, where it is handed out in order.
    begun: VecDeque<Entry<T>>,
    /// Otherwise what is not done yet, by its number, and what is.
    undone: HashMap<u64, Entry<T>>,
    done: VecDeque<Entry<T>>,
    next: u64,
    /// Of what is not done.
    undone_rows: usize,
    /// Of all.
    rows: usize,
    bytes: usize,
}

#[derive(Debug)]
struct Entry<T> {
    thing: T,
    size: Size,
    is_done: bool,
}

impl<T> InFlight<T> {
    /// Hands things out in order, or, if nobody cares, as they are done.
    pub(super) fn new(in_order: bool) -> Self {
        Self {
            in_order,
            first: 0,
            begun: VecDeque::new(),
            undone: HashMap::new(),
            done: VecDeque::new(),
            next: 0,
            undone_rows: 0,
            rows: 0,
            bytes: 0,
        }
    }

    /// The number that the next thing will have.
    pub(super) fn next_number(&self) -> u64 {
        self.next
    }

    /// Something begins, which has the next number.
    pub(super) fn begin(&mut self, thing: T, size: Size) {
        let entry = Entry {
            thing,
            size,
            is_done: false,
        };
        self.undone_rows += size.rows;
        self.rows += size.rows;
        self.bytes += size.bytes;
        match self.in_order {
            true => self.begun.push_back(entry),
            false => drop(self.undone.insert(self.next, entry)),
        }
        self.next += 1;
    }

    fn entry(&mut self, number: u64) -> Option<&mut Entry<T>> {
        let entry = match self.in_order {
            true => {
                let place = usize::try_from(number.checked_sub(self.first)?).ok()?;
                self.begun.get_mut(place)
            }
            false => self.undone.get_mut(&number),
        };
        entry.filter(|entry| !entry.is_done)
    }

    /// Something that is not done yet.
    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut T> {
        self.entry(number).map(|entry| &mut entry.thing)
    }

    /// The numbers of what is not done yet.
    pub(super) fn undone(&self) -> Vec<u64> {
        let begun = (self.first..).zip(&self.begun);
        let begun = begun.filter(|(_, entry)| !entry.is_done);
        let undone = self.undone.keys().copied();
        begun.map(|(number, _)| number).chain(undone).collect()
    }

    /// Something is done; what can be handed out now comes next.
    pub(super) fn done(&mut self, number: u64) {
        let Some(entry) = self.entry(number) else {
            return;
        };
        entry.is_done = true;
        self.undone_rows -= entry.size.rows;
        self.done.extend(self.undone.remove(&number));
    }

    /// The next thing to hand out.
    pub(super) fn next(&mut self) -> Option<T> {
        let entry = match self.in_order {
            true => {
                self.begun.front().filter(|entry| entry.is_done)?;
                self.first += 1;
                self.begun.pop_front()?
            }
            false => self.done.pop_front()?,
        };
        self.rows -= entry.size.rows;
        self.bytes -= entry.size.bytes;
        Some(entry.thing)
    }

    /// How many rows are not done.
    pub(super) fn undone_rows(&self) -> usize {
        self.undone_rows
    }

    /// How many rows are not done, or are and wait for others.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// About how much memory all of them take.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handed_out(in_order: bool) -> Vec<Vec<char>> {
        let mut in_flight = InFlight::new(in_order);
        let size = Size { rows: 1, bytes: 2 };
        "abcd"
            .chars()
            .for_each(|thing| in_flight.begin(thing, size));
        assert_eq!((in_flight.rows(), in_flight.bytes()), (4, 8));
        let handed_out = [2, 0, 3, 1].into_iter().map(|number| {
            in_flight.done(number);
            assert_eq!(in_flight.get_mut(number), None);
            std::iter::from_fn(|| in_flight.next()).collect()
        });
        let handed_out = handed_out.collect();
        assert_eq!((in_flight.rows(), in_flight.undone_rows()), (0, 0));
        handed_out
    }

    #[test]
    fn things_are_handed_out_in_order_or_as_they_are_done() {
        let in_order: Vec<Vec<char>> = vec![vec![], vec!['a'], vec![], vec!['b', 'c', 'd']];
        assert_eq!(handed_out(true), in_order);
        let as_done: Vec<Vec<char>> = vec![vec!['c'], vec!['a'], vec!['d'], vec!['b']];
        assert_eq!(handed_out(false), as_done);
    }
}
