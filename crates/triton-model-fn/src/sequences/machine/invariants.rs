//! What holds after every step of the machine: see `docs/architecture.md`.

use super::effect::Asker;
use super::places::{Place, Places};
use super::sequence::Life;
use super::state::{Machine, Phase};

impl<A: Asker> Machine<A> {
    /// Panics where an invariant does not hold.
    pub(super) fn check(&self) {
        let entries = || self.keys.values();
        // 1. Every ID that may be alive holds a place, and no more places are held than there are.
        // Of several servers each ID holds one of the server that it is sent to.
        let of_sequences = entries().filter_map(|entry| match &entry.sequence.as_ref()?.life {
            Life::Open(place) => Some(place),
            Life::Rebuilding(rebuilding) => Some(&rebuilding.place),
            _ => None,
        });
        let granted = entries().filter_map(|entry| entry.work.as_ref()?.granted.as_ref());
        let endings = self.endings.values().map(|ending| &ending.place);
        let held: Vec<&Place> = of_sequences.chain(granted).chain(endings).collect();
        let recovering = held.iter().filter(|place| Places::is_recovering(place));
        let recovering = recovering.count();
        let held: Vec<_> = held.iter().map(|place| place.server).collect();
        self.places.check(&held, recovering);
        // 3. No row is forgotten: one that is here is worked on, or behind one that is.
        let rows: usize = entries()
            .map(|entry| entry.queue.len() + usize::from(entry.work.is_some()))
            .sum();
        assert_eq!(rows, self.rows, "rows");
        let busy = entries().filter(|entry| entry.has_rows()).count();
        assert_eq!(busy, self.busy, "busy keys");
        if !self.is_closed {
            assert!(
                entries().all(|entry| entry.queue.is_empty() || entry.work.is_some()),
                "a row waits behind none"
            );
        }
        for entry in entries() {
            let Some(work) = &entry.work else {
                let open = entry.sequence.as_ref().is_some_and(|it| it.is_open());
                assert!(open, "only open sequences are kept without rows");
                continue;
            };
            match &work.phase {
                Phase::Turn => panic!("a row is left at its turn"),
                Phase::Pause { timer } => assert!(self.timers.contains_key(timer)),
                Phase::Place { timer, .. } => {
                    assert!(timer.is_none_or(|timer| self.timers.contains_key(&timer)));
                    // Nobody waits while there is room.
                    assert!(work.granted.is_none());
                }
                // 7. and 2. What is sent is sent under an ID that has a place.
                Phase::Sent(_) => {
                    let life = entry.sequence.as_ref().map(|sequence| &sequence.life);
                    assert!(matches!(life, Some(Life::Open(_) | Life::Rebuilding(_))));
                }
            }
        }
        // Only what is in flight keeps the idle clock waiting.
        let in_flight = entries().filter_map(|entry| entry.work.as_ref());
        let in_flight = in_flight.filter(|work| matches!(work.phase, Phase::Sent(_)));
        assert_eq!(
            in_flight.count() + self.endings.len(),
            self.clock.calls(),
            "calls at the idle clock"
        );
        let pausing = entries()
            .filter(|entry| {
                let work = entry.work.as_ref();
                work.is_some_and(|work| matches!(work.phase, Phase::Pause { .. }))
            })
            .count();
        assert_eq!(pausing, self.pausing, "pauses");
        // 5. Memory is bounded.
        assert!(self.memory.lost_count() <= self.memory.most_lost());
        assert!(self.memory.lost().all(|(key, sequence)| {
            !self.keys.contains_key(key)
                && !matches!(sequence.life, Life::Open(_) | Life::Rebuilding(_))
        }));
    }
}
