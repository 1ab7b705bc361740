//! Sequence IDs as numbers, made from the same parts as the text: base, run, subtask and counter.
//!
//! Within a run no two are equal, by how they are made and not by chance: there is no hash but that of
//! base and run, and it moves all numbers of a run by the same amount. Two runs share numbers where
//! they are moved to nearly the same place, which is only unlikely: the guide has figures.

use std::num::NonZeroU64;

use uuid::Uuid;

use crate::Subtask;

/// The largest number that is made for a type of 64 bits, with a sign or without.
pub(crate) const WIDEST: u64 = i64::MAX as u64;

/// How many subtasks have numbers of their own: as many as Flink can have.
pub(crate) const MOST_SUBTASKS: u64 = 1 << (WIDE.bits - WIDE.counter_bits);

/// The widths of a number for a type of 64 bits: what the counter leaves is the subtask's.
const WIDE: Widths = Widths {
    bits: 63,
    counter_bits: 48,
};

/// How many bits a number has, and how many of them its counter; fewer in tests.
#[derive(Debug, Clone, Copy)]
struct Widths {
    bits: u32,
    counter_bits: u32,
}

/// The numbers of one subtask of a run.
#[derive(Debug, Clone, Copy)]
pub(crate) enum SequenceNumbers {
    /// For a type of 64 bits: each counter has a number of its own.
    Wide(WideNumbers),
    /// For a type of 32 bits: counters share the numbers of the subtask in turn.
    Narrow(NarrowNumbers),
}

/// `(offset + subtask * 2^48 + counter) mod 2^63`, which is never the same for two counters of a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WideNumbers {
    widths: Widths,
    /// The number of the counter 0.
    first: u64,
}

/// `1 + subtask * share + (offset + counter) mod share`: each subtask has a share of all numbers, and
/// goes through it again and again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NarrowNumbers {
    /// The smallest number of the share.
    pub(crate) smallest: u64,
    /// How many numbers it has.
    pub(crate) share: u64,
    offset: u64,
}

impl SequenceNumbers {
    /// The numbers of a subtask that are at most `largest`, in the run of this name.
    pub(crate) fn new(largest: u64, run: &str, subtask: Subtask) -> Self {
        if largest >= WIDEST {
            return Self::Wide(WideNumbers::new(WIDE, offset(run), subtask.index().into()));
        }
        Self::Narrow(NarrowNumbers::new(largest, offset(run), subtask))
    }

    /// The number of a counter; `None` where it would be 0, which no ID is.
    pub(crate) fn of(&self, counter: u64) -> Option<NonZeroU64> {
        match self {
            Self::Wide(numbers) => numbers.of(counter),
            Self::Narrow(numbers) => NonZeroU64::new(numbers.of(counter)),
        }
    }

    /// The first counter that has no number any more, where there is one.
    pub(crate) fn counters(&self) -> Option<u64> {
        match self {
            Self::Wide(numbers) => Some(1 << numbers.widths.counter_bits),
            Self::Narrow(_) => None,
        }
    }
}

impl WideNumbers {
    fn new(widths: Widths, offset: u64, subtask: u64) -> Self {
        let first = offset.wrapping_add(subtask << widths.counter_bits);
        Self { widths, first }
    }

    fn of(&self, counter: u64) -> Option<NonZeroU64> {
        let mask = (1 << self.widths.bits) - 1;
        NonZeroU64::new(self.first.wrapping_add(counter) & mask)
    }
}

impl NarrowNumbers {
    fn new(largest: u64, offset: u64, subtask: Subtask) -> Self {
        let share = (largest / u64::from(subtask.parallelism())).max(1);
        Self {
            smallest: 1 + u64::from(subtask.index()) * share,
            share,
            offset: offset % share,
        }
    }

    /// The largest number of the share.
    pub(crate) fn largest(&self) -> u64 {
        self.smallest + (self.share - 1)
    }

    pub(crate) fn of(&self, counter: u64) -> u64 {
        self.smallest + (self.offset + counter % self.share) % self.share
    }
}

/// The namespace of the UUIDs of version 5 that move the numbers of runs, itself drawn once.
const NUMBERS: Uuid = Uuid::from_u128(0xb907_82ed_c64b_44c6_a7d7_4de3_1747_5fd2);

/// By how much the numbers of a run are moved: 63 bits of a UUID of version 5.
///
/// They are its first 48 and its last 15, because six in between are the same in each of them, and the
/// numbers of two runs would meet more often than by chance.
fn offset(run: &str) -> u64 {
    let digest = Uuid::new_v5(&NUMBERS, run.as_bytes()).as_u128();
    ((digest >> 80) as u64) << 15 | (digest as u64 & 0x7fff)
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const LARGEST_UINT32: u64 = u32::MAX as u64;
    const LARGEST_INT32: u64 = i32::MAX as u64;

    fn subtask(index: u32, parallelism: u32) -> Subtask {
        Subtask::new(index, parallelism, 0).unwrap()
    }

    // Holds S58.
    #[test]
    fn numbers_stay_the_same_from_release_to_release() {
        let number = |largest, run, index, counter| {
            let numbers = SequenceNumbers::new(largest, run, subtask(index, 3));
            numbers.of(counter).unwrap().get()
        };
        let run = "job-392n4dh0ova14p853j7rtl8gf3";
        insta::assert_compact_debug_snapshot!([
            number(WIDEST, "job", 0, 0),
            number(u64::MAX, "job", 0, 1),
            number(WIDEST, "job", 1, 0),
            number(WIDEST, run, 2, 7),
            number(LARGEST_UINT32, "job", 0, 0),
            number(LARGEST_UINT32, "job", 0, 1),
            number(LARGEST_INT32, run, 2, 7),
        ], @"[6203611772283756589, 6203611772283756590, 6203893247260467245, 2768606978190933468, 1098860600, 1098860601, 1533363041]");
    }

    #[test]
    fn no_counter_has_the_number_0() {
        let widths = Widths {
            bits: 8,
            counter_bits: 5,
        };
        let numbers = WideNumbers::new(widths, 250, 0);
        let made: Vec<_> = (4..8).map(|counter| numbers.of(counter)).collect();
        assert_eq!(made[1..], [NonZeroU64::new(255), None, NonZeroU64::new(1)]);
    }

    proptest! {
        // Holds S58.
        #[test]
        fn within_a_run_no_two_subtasks_and_counters_share_a_number(
            run in "[a-z]{1,8}",
            places in vec((0..MOST_SUBTASKS as u32, prop_oneof![
                0_u64..1000,
                (1_u64 << 48) - 1000..1 << 48,
                0_u64..1 << 48,
            ]), 1..200),
        ) {
            let distinct: HashSet<_> = places.iter().copied().collect();
            let numbers: HashSet<u64> = distinct
                .iter()
                .filter_map(|(index, counter)| {
                    let numbers =
                        SequenceNumbers::new(WIDEST, &run, subtask(*index, MOST_SUBTASKS as u32));
                    numbers.of(*counter)
                })
                .map(NonZeroU64::get)
                .collect();
            // The one whose number would be 0 has none.
            prop_assert!(numbers.len() >= distinct.len() - 1);
            prop_assert!(numbers.iter().all(|number| *number <= WIDEST));
        }

        #[test]
        fn shares_of_32_bits_never_overlap(
            run in "[a-z]{1,8}",
            parallelism in prop_oneof![1_u32..10, Just(32_768_u32), 1_u32..32_768],
            picks in vec((any::<prop::sample::Index>(), any::<u64>()), 1..50),
            largest in prop_oneof![Just(LARGEST_INT32), Just(LARGEST_UINT32)],
        ) {
            for (pick, counter) in picks {
                let index = pick.index(parallelism as usize) as u32;
                let numbers = NarrowNumbers::new(largest, offset(&run), subtask(index, parallelism));
                let share = numbers.share;
                prop_assert!(share >= largest / 32_768);
                let number = numbers.of(counter);
                let expected = u64::from(index) * share + 1..=u64::from(index + 1) * share;
                prop_assert!(expected.contains(&number) && number <= largest);
                // One share later it is the same number again, and no sooner.
                prop_assert_eq!(numbers.of(counter % share), numbers.of(counter % share + share));
                prop_assert_ne!(number, numbers.of(counter % share + 1));
            }
        }
    }

    /// All numbers of a small world, so that every pair is looked at.
    #[test]
    fn a_small_world_uses_each_number_once() {
        let widths = Widths {
            bits: 10,
            counter_bits: 6,
        };
        for offset in [0, 1, 500, 1023] {
            let made: Vec<_> = (0..16)
                .flat_map(|subtask| {
                    let numbers = WideNumbers::new(widths, offset, subtask);
                    (0..64).map(move |counter| numbers.of(counter))
                })
                .collect();
            let distinct: HashSet<_> = made.iter().collect();
            assert_eq!((made.len(), distinct.len()), (1024, 1024), "{offset}");
        }
    }

    #[test]
    fn every_bit_of_an_offset_is_left_to_chance() {
        let offsets: Vec<u64> = (0..2000).map(|run| offset(&format!("job-{run}"))).collect();
        for bit in 0..63 {
            let set = offsets.iter().filter(|offset| *offset >> bit & 1 == 1);
            let set = set.count();
            assert!(
                (850..1150).contains(&set),
                "bit {bit} is set in {set} of 2000"
            );
        }
        assert!(offsets.iter().all(|offset| *offset <= WIDEST));
    }

    // Holds S59.
    #[test]
    fn runs_share_numbers_as_seldom_as_the_guide_says() {
        // 2^63 is too large to see anything in, so the same numbers are made in 2^20.
        let widths = Widths {
            bits: 20,
            counter_bits: 12,
        };
        let (subtasks, span, runs) = (4_u64, 20_u64, 3000_u64);
        let mask = (1_u64 << widths.bits) - 1;
        // By number the runs in which it is alive.
        let mut alive: HashMap<u64, Vec<u64>> = HashMap::new();
        for run in 0..runs {
            let offset = offset(&format!("job-{run}")) & mask;
            let of_subtask = |subtask| {
                let numbers = WideNumbers::new(widths, offset, subtask);
                (100..100 + span).filter_map(move |counter| numbers.of(counter))
            };
            for number in (0..subtasks).flat_map(of_subtask) {
                alive.entry(number.get()).or_default().push(run);
            }
        }
        let mut met: HashSet<(u64, u64)> = HashSet::new();
        for runs in alive.values() {
            for (at, one) in runs.iter().enumerate() {
                met.extend(runs[..at].iter().map(|other| (*other, *one)));
            }
        }
        let pairs = (runs * (runs - 1) / 2) as f64;
        let bound = (2 * subtasks - 1) as f64 * (2 * span - 1) as f64 / (mask + 1) as f64;
        let observed = met.len() as f64 / pairs;
        // Some 1200 of 4.5 million pairs meet: chance moves that by some 3 %.
        println!("observed {observed:.3e}, bound {bound:.3e}");
        assert!(
            (0.85..1.15).contains(&(observed / bound)),
            "{observed} of {bound}"
        );
    }

    // Holds S59.
    #[test]
    fn runs_of_32_bits_share_numbers_as_seldom_as_the_guide_says() {
        // The same in 2^16, where there is something to see.
        let (largest, span, runs) = (65_535_u64, 20_u64, 1500_u64);
        let parallelism_of = |run: u64| 3 + (run % 2) as u32;
        let mut alive: HashMap<u64, Vec<u64>> = HashMap::new();
        for run in 0..runs {
            let (parallelism, offset) = (parallelism_of(run), offset(&format!("job-{run}")));
            for index in 0..parallelism {
                let numbers = NarrowNumbers::new(largest, offset, subtask(index, parallelism));
                for counter in 0..span {
                    alive.entry(numbers.of(counter)).or_default().push(run);
                }
            }
        }
        let mut met: HashSet<(u64, u64)> = HashSet::new();
        for runs in alive.values() {
            for (at, one) in runs.iter().enumerate() {
                met.extend(runs[..at].iter().map(|other| (*other, *one)));
            }
        }
        for (one, other) in [(3_u32, 3_u32), (4, 4), (3, 4)] {
            let of_these = |(left, right): &(u64, u64)| {
                let mut found = [parallelism_of(*left), parallelism_of(*right)];
                found.sort_unstable();
                found == [one, other]
            };
            let met = met.iter().filter(|pair| of_these(pair)).count() as f64;
            let half = (runs / 2) as f64;
            let pairs = if one == other {
                half * (half - 1.0) / 2.0
            } else {
                half * half
            };
            let observed = met / pairs;
            let windows = f64::from((one + other - 1) * one.min(other));
            let bound = windows * (2 * span - 1) as f64 / largest as f64;
            println!("{one} and {other}: observed {observed:.3e}, bound {bound:.3e}");
            assert!(observed <= bound, "{observed} of {bound}");
            if one == other {
                // Subtasks that count alike meet all at once.
                let share = (largest / u64::from(one)) as f64;
                let expected = (2 * span - 1) as f64 / share;
                assert!(
                    (0.85..1.15).contains(&(observed / expected)),
                    "{observed} of {expected}"
                );
            }
        }
    }
}
