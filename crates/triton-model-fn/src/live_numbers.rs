//! Which numbers of 32 bits may be alive on the server: those are not given out again.
//!
//! There are so few of them that a subtask goes through its share again and again. Whoever takes one
//! holds a [`Lease`] until the sequence is over. One that is dropped without a word may have left its
//! sequence open, and its number rests for as long as the server keeps an idle one.

use std::collections::{BTreeSet, HashMap};
use std::ops::RangeInclusive;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::sequence_numbers::NarrowNumbers;
use crate::sync::{Mutex, MutexGuard};

/// The numbers that may be alive, of one function in all of its openings.
#[derive(Debug, Default)]
pub(crate) struct LiveNumbers(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// How long the server keeps a sequence without a request.
    idle: Duration,
    numbers: HashMap<u64, Life>,
    /// Those that rest, by when they are free.
    resting: BTreeSet<(Instant, u64)>,
    /// Many in a row that another run may have taken, and until when they rest.
    rows: Vec<(RangeInclusive<u64>, Instant)>,
}

#[derive(Debug, Clone, Copy)]
enum Life {
    /// Somebody has it; where a request of it may arrive late, also when it has rested until then.
    Held { rests_until: Option<Instant> },
    /// Nobody has it any more, and it may be alive until then.
    Rests { until: Instant },
}

/// That a number is in use; dropping it lets the number rest, as its sequence may still be open.
#[derive(Debug)]
#[must_use = "a number that nobody holds is given out again"]
pub(crate) struct Lease {
    live: Arc<LiveNumbers>,
    number: u64,
    is_back: bool,
}

impl LiveNumbers {
    /// From now on numbers rest for so long.
    pub(crate) fn rest_for(&self, idle: Duration) {
        self.lock().idle = idle;
    }

    /// The first counter from `counter` on whose number is free at the time `now`; `None` where all
    /// are in use.
    pub(crate) fn take(
        self: &Arc<Self>,
        now: Instant,
        numbers: &NarrowNumbers,
        counter: u64,
    ) -> Option<(u64, Lease)> {
        let mut state = self.lock();
        state.release(now);
        let mut steps = 0;
        let (free, number) = loop {
            if steps >= numbers.share {
                return None;
            }
            let counter = counter.wrapping_add(steps);
            let number = numbers.of(counter);
            let row = state.rows.iter().find(|(row, _)| row.contains(&number));
            match row {
                Some((row, _)) => steps += (*row.end()).min(numbers.largest()) - number + 1,
                None if state.numbers.contains_key(&number) => steps += 1,
                None => break (counter, number),
            }
        };
        state
            .numbers
            .insert(number, Life::Held { rests_until: None });
        let lease = Lease {
            live: Arc::clone(self),
            number,
            is_back: false,
        };
        Some((free, lease))
    }

    /// A request of this number may arrive until then, or have left it alive.
    pub(crate) fn rest_until(&self, number: u64, until: Instant) {
        let mut state = self.lock();
        match state.numbers.get_mut(&number) {
            Some(Life::Held { rests_until }) => *rests_until = (*rests_until).max(Some(until)),
            Some(Life::Rests { until: known }) if *known >= until => {}
            _ => state.rest(number, until),
        }
    }

    /// A request of this number that was sent may still arrive, although it is given up.
    pub(crate) fn may_arrive_late(&self, number: u64, now: Instant) {
        let idle = self.lock().idle;
        if let Some(until) = now.checked_add(idle) {
            self.rest_until(number, until);
        }
    }

    /// Requests of `count` counters from `first` on may arrive, or have left their numbers alive.
    pub(crate) fn rows_may_arrive_late(
        &self,
        numbers: &NarrowNumbers,
        first: u64,
        count: u64,
        now: Instant,
    ) {
        let mut state = self.lock();
        let Some(until) = now.checked_add(state.idle).filter(|_| count > 0) else {
            return;
        };
        let from = numbers.of(first);
        let (smallest, largest) = (numbers.smallest, numbers.largest());
        let rows = match largest - from + 1 {
            _ if count >= numbers.share => [Some(smallest..=largest), None],
            before if count <= before => [Some(from..=from + count - 1), None],
            before => {
                let rest = smallest..=smallest + (count - before) - 1;
                [Some(from..=largest), Some(rest)]
            }
        };
        for row in rows.into_iter().flatten() {
            state.hold_row(row, until);
        }
    }

    /// The same of rows that are known by their first and their last number.
    pub(crate) fn hold_rows(&self, rows: &[(u64, u64)], now: Instant) {
        let mut state = self.lock();
        if let Some(until) = now.checked_add(state.idle) {
            for (first, last) in rows {
                state.hold_row(*first..=*last, until);
            }
        }
    }

    /// The first and the last number of each row that may be alive at the time `now`.
    pub(crate) fn alive_rows(&self, now: Instant) -> Vec<(u64, u64)> {
        let mut state = self.lock();
        state.release(now);
        let mut rows: Vec<_> = state
            .rows
            .iter()
            .map(|(row, _)| row.clone().into_inner())
            .collect();
        rows.sort_unstable();
        rows
    }

    /// All numbers that may be alive at the time `now`, in their order, but for those in rows.
    pub(crate) fn alive(&self, now: Instant) -> Vec<u64> {
        let mut state = self.lock();
        state.release(now);
        let mut numbers: Vec<u64> = state.numbers.keys().copied().collect();
        numbers.sort_unstable();
        numbers
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Forgets what has rested for long enough.
    fn release(&mut self, now: Instant) {
        while let Some((_, number)) = self.resting.first().filter(|(until, _)| *until <= now) {
            self.numbers.remove(number);
            self.resting.pop_first();
        }
        self.rows.retain(|(_, until)| *until > now);
    }

    fn hold_row(&mut self, row: RangeInclusive<u64>, until: Instant) {
        match self.rows.iter_mut().find(|(known, _)| *known == row) {
            Some((_, known)) => *known = until.max(*known),
            None => self.rows.push((row, until)),
        }
    }

    fn rest(&mut self, number: u64, until: Instant) {
        if let Some(Life::Rests { until: before }) =
            self.numbers.insert(number, Life::Rests { until })
        {
            self.resting.remove(&(before, number));
        }
        self.resting.insert((until, number));
    }

    /// Takes a number back, which rests until then unless that is in the past.
    fn take_back(&mut self, number: u64, until: Option<Instant>) {
        let late = match self.numbers.remove(&number) {
            Some(Life::Held { rests_until }) => rests_until,
            _ => None,
        };
        if let Some(until) = until.max(late) {
            self.rest(number, until);
        }
    }
}

impl Lease {
    /// The server is done with the sequence, or has never heard of it.
    pub(crate) fn release(self) {
        self.give_back(None);
    }

    /// The server may keep the sequence until then.
    pub(crate) fn rests_until(self, until: Instant) {
        self.give_back(Some(until));
    }

    fn give_back(mut self, until: Option<Instant>) {
        self.is_back = true;
        self.live.lock().take_back(self.number, until);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if !self.is_back {
            let mut state = self.live.lock();
            let until = Instant::now().checked_add(state.idle);
            state.take_back(self.number, until);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Subtask;
    use crate::sequence_numbers::SequenceNumbers;

    fn numbers(largest: u64) -> NarrowNumbers {
        let subtask = Subtask::new(0, 1, 0).unwrap();
        match SequenceNumbers::new(largest, "job", subtask) {
            SequenceNumbers::Narrow(numbers) => numbers,
            SequenceNumbers::Wide(_) => panic!("{largest} is narrow"),
        }
    }

    // Holds S60.
    #[tokio::test(start_paused = true)]
    async fn a_number_is_given_out_again_only_when_it_cannot_be_alive() {
        let idle = Duration::from_secs(4);
        let live = Arc::new(LiveNumbers::default());
        live.rest_for(idle);
        let three = numbers(3);
        let take = |counter| live.take(Instant::now(), &three, counter);
        let (first, a) = take(0).unwrap();
        let (second, b) = take(first + 1).unwrap();
        let (third, c) = take(second + 1).unwrap();
        assert_eq!((first, second, third), (0, 1, 2));
        assert!(take(3).is_none());
        // It is free at once where it is over, and the counter goes past those that are not.
        b.release();
        let (fourth, b) = take(3).unwrap();
        assert_eq!(fourth, 4);
        // One of which nobody says anything rests, also over a new opening.
        drop(c);
        live.may_arrive_late(three.of(0), Instant::now());
        a.release();
        tokio::time::advance(idle - Duration::from_millis(1)).await;
        assert!(take(5).is_none());
        assert_eq!(live.alive(Instant::now()), [1, 2, 3]);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(live.alive(Instant::now()), [three.of(1)]);
        // What another run may have taken in a row is gone past at once.
        live.rows_may_arrive_late(&three, 5, 2, Instant::now());
        assert!(take(4).is_none());
        tokio::time::advance(idle).await;
        // What another run has left is held as long as it says.
        live.rest_until(three.of(2), Instant::now() + idle);
        let (fifth, c) = take(5).unwrap();
        assert_eq!(fifth, 6);
        c.rests_until(Instant::now() + idle);
        assert!(take(7).is_none());
        drop(b);
    }

    #[test]
    fn rows_go_around_like_the_numbers() {
        let (now, thousand) = (Instant::now(), numbers(1000));
        for first in [0, 1, 499, 900, 12_345] {
            for count in [0, 1, 99, 999, 1000, 1 << 40] {
                let live = Arc::new(LiveNumbers::default());
                live.rest_for(Duration::from_secs(1));
                live.rows_may_arrive_late(&thousand, first, count, now);
                let free = live
                    .take(now, &thousand, first)
                    .map(|(counter, _lease)| counter);
                assert_eq!(
                    free,
                    (count < 1000).then(|| first + count),
                    "{first}, {count}"
                );
                let later = live.take(now + Duration::from_secs(1), &thousand, first);
                assert!(later.is_some_and(|(counter, _lease)| counter <= first + 1));
            }
        }
    }

    // Holds S60.
    #[test]
    fn a_million_sequences_of_32_bits_never_share_a_number_while_both_are_alive() {
        let now = Instant::now();
        let live = Arc::new(LiveNumbers::default());
        live.rest_for(Duration::from_secs(1));
        // A share of 5000 numbers is gone through more than 200 times.
        let share = numbers(5000);
        let mut random = fastrand::Rng::with_seed(17);
        // By number until when it is alive, in steps.
        let mut alive_until = [0_u64; 5001];
        let mut open: Vec<(u64, Lease)> = Vec::new();
        let mut counter = 0;
        for step in 1..=1_000_000_u64 {
            let now = now + Duration::from_micros(step);
            let (taken, lease) = live.take(now, &share, counter).unwrap();
            counter = taken + 1;
            let number = share.of(taken);
            let until = &mut alive_until[number as usize];
            assert!(*until <= step, "{number} is alive until {until}");
            // Most are over at once, some live for long, and some rest because nobody knows.
            match random.u32(..100) {
                0..2 => {
                    *until = u64::MAX;
                    open.push((number, lease));
                }
                2..6 => {
                    *until = step + 30_000;
                    lease.rests_until(now + Duration::from_micros(30_000));
                }
                _ => lease.release(),
            }
            if open.len() > 2000 {
                let (number, lease) = open.swap_remove(random.usize(..open.len()));
                alive_until[number as usize] = step;
                lease.release();
            }
        }
        assert!(
            counter > 1_000_000,
            "no number was alive when its turn came"
        );
    }
}
