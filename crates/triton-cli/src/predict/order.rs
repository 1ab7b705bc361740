//! Puts what is done in any order back into the order in which it was begun.

use std::collections::VecDeque;

/// What was begun and has not been handed out.
#[derive(Debug)]
pub(super) struct Order<T> {
    /// The number of the first that was not handed out.
    first: u64,
    done: VecDeque<Option<T>>,
    in_order: bool,
}

impl<T> Order<T> {
    /// Hands things out in order, or, if nobody cares, as they are done.
    pub(super) fn new(in_order: bool) -> Self {
        Self {
            first: 0,
            done: VecDeque::new(),
            in_order,
        }
    }

    /// Something begins; its number is needed when it is done.
    pub(super) fn begin(&mut self) -> u64 {
        if self.in_order {
            self.done.push_back(None);
        }
        self.first + self.done.len() as u64 - u64::from(self.in_order)
    }

    /// Something is done; what can be handed out now comes next.
    pub(super) fn done(&mut self, number: u64, thing: T) {
        if !self.in_order {
            self.done.push_back(Some(thing));
            return;
        }
        let place = usize::try_from(number.wrapping_sub(self.first));
        if let Some(place) = place.ok().and_then(|place| self.done.get_mut(place)) {
            *place = Some(thing);
        }
    }

    /// The next thing to hand out.
    pub(super) fn next(&mut self) -> Option<T> {
        self.done.front()?.as_ref()?;
        if self.in_order {
            self.first += 1;
        }
        self.done.pop_front()?
    }

    /// How many were begun or are done and wait for others.
    pub(super) fn len(&self) -> usize {
        self.done.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handed_out(in_order: bool) -> Vec<Vec<char>> {
        let mut order = Order::new(in_order);
        let numbers: Vec<u64> = "abcd".chars().map(|_| order.begin()).collect();
        [2, 0, 3, 1]
            .into_iter()
            .map(|index| {
                order.done(numbers[index], char::from(b'a' + index as u8));
                std::iter::from_fn(|| order.next()).collect()
            })
            .collect()
    }

    #[test]
    fn things_are_handed_out_in_order_or_as_they_are_done() {
        let in_order: Vec<Vec<char>> = vec![vec![], vec!['a'], vec![], vec!['b', 'c', 'd']];
        assert_eq!(handed_out(true), in_order);
        let as_done: Vec<Vec<char>> = vec![vec!['c'], vec!['a'], vec!['d'], vec!['b']];
        assert_eq!(handed_out(false), as_done);
    }
}
