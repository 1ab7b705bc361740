//! The time by which sequences idle: it stands still while the server keeps rows waiting.
//!
//! A key is idle when the source has no row for it. While the server is slow or gone, the rows of
//! a key may well be there, held back behind others; sequences must not be over because of that.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

/// Runs with the clock on the wall, except while a call has been in flight for too long.
#[derive(Debug)]
pub(super) struct IdleClock {
    reading: Duration,
    updated: Instant,
    /// When each call in flight began; the numbers grow, so the first one is the oldest.
    calls: BTreeMap<u64, Instant>,
    next_call: u64,
    /// How long a call may take before the clock stops.
    patience: Duration,
}

impl IdleClock {
    pub(super) fn new(now: Instant, patience: Duration) -> Self {
        Self {
            reading: Duration::ZERO,
            updated: now,
            calls: BTreeMap::new(),
            next_call: 0,
            patience,
        }
    }

    /// What the clock shows at `now`.
    pub(super) fn read(&mut self, now: Instant) -> Duration {
        let oldest = self.calls.values().next();
        let stops = oldest.and_then(|begun| begun.checked_add(self.patience));
        let ran_until = stops.map_or(now, |stops| stops.min(now));
        self.reading += ran_until.saturating_duration_since(self.updated);
        self.updated = self.updated.max(now);
        self.reading
    }

    /// A call begins; the number it gets ends it.
    pub(super) fn call_begins(&mut self, now: Instant) -> u64 {
        self.read(now);
        let number = self.next_call;
        self.next_call += 1;
        self.calls.insert(number, now);
        number
    }

    /// How many calls are in flight.
    #[cfg(test)]
    pub(super) fn calls(&self) -> usize {
        self.calls.len()
    }

    pub(super) fn call_ends(&mut self, now: Instant, number: u64) {
        self.read(now);
        self.calls.remove(&number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_stops_while_a_call_takes_longer_than_its_patience() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut clock = IdleClock::new(start, Duration::from_secs(2));
        assert_eq!(clock.read(at(10)), Duration::from_secs(10));
        let first = clock.call_begins(at(10));
        let second = clock.call_begins(at(11));
        assert_eq!(clock.read(at(30)), Duration::from_secs(12));
        // The second call is the oldest now, and has had its two seconds.
        clock.call_ends(at(40), first);
        assert_eq!(clock.read(at(50)), Duration::from_secs(12));
        clock.call_ends(at(60), second);
        assert_eq!(clock.read(at(61)), Duration::from_secs(13));
        // Calls that are answered in time do not stop it.
        let quick = clock.call_begins(at(61));
        clock.call_ends(at(62), quick);
        assert_eq!(clock.read(at(70)), Duration::from_secs(22));
    }

    #[test]
    fn the_clock_never_goes_back() {
        let start = Instant::now();
        let later = start + Duration::from_secs(5);
        let mut clock = IdleClock::new(start, Duration::from_secs(1));
        assert_eq!(clock.read(later), Duration::from_secs(5));
        assert_eq!(clock.read(start), Duration::from_secs(5));
        assert_eq!(clock.read(later), Duration::from_secs(5));
    }
}
