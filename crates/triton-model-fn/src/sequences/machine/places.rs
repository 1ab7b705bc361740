//! The places that a model keeps for sequences on its server, as far as this subtask may use them.
//!
//! A server holds further sequences back without an error or a limit, so none is begun that has no
//! place. A sequence that is over here can be alive there: its place lingers until the server has
//! certainly dropped it.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::live_numbers::Lease;

/// What a place is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sequences) enum Purpose {
    /// A sequence goes on under a new ID, because the server has lost the old one.
    Recover,
    /// A key begins a sequence.
    Begin,
}

/// The right to have one ID alive on the server.
#[derive(Debug)]
#[must_use = "a place is freed or lingers"]
pub(super) struct Place {
    /// When a request of the ID may last have reached the server; `None` where none can have.
    pub(super) reached: Option<Instant>,
    /// What keeps the ID from being given to another sequence, where IDs come again.
    pub(super) lease: Option<Lease>,
}

/// The places of one server.
#[derive(Debug)]
pub(super) struct Places {
    /// The most places; `usize::MAX` where nobody knows a limit.
    limit: usize,
    /// How many of them no key may begin with.
    room: usize,
    /// How long the server keeps a sequence without a request.
    idle: Option<Duration>,
    taken: usize,
    /// How many places linger until when.
    lingering: BTreeMap<Instant, usize>,
    lingering_count: usize,
}

impl Places {
    pub(super) fn new(limit: usize, room: usize, idle: Option<Duration>) -> Self {
        Self {
            limit,
            room,
            idle,
            taken: 0,
            lingering: BTreeMap::new(),
            lingering_count: 0,
        }
    }

    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// How many IDs have a place that are neither over nor lost.
    pub(super) fn taken(&self) -> usize {
        self.taken
    }

    /// How many places are held for IDs that are over here.
    pub(super) fn lingering(&self) -> usize {
        self.lingering_count
    }

    pub(super) fn take(&mut self, purpose: Purpose) -> Option<Place> {
        let most = match purpose {
            Purpose::Recover => self.limit,
            Purpose::Begin => self.limit - self.room,
        };
        (self.taken + self.lingering_count < most).then(|| {
            self.taken += 1;
            Place {
                reached: None,
                lease: None,
            }
        })
    }

    /// The server has dropped the ID, or never heard of it.
    pub(super) fn free(&mut self, place: Place) {
        self.taken -= 1;
        if let Some(lease) = place.lease {
            lease.release();
        }
    }

    /// The ID is over here; its place is free once the server has dropped it.
    pub(super) fn linger(&mut self, mut place: Place, now: Instant) {
        if let Some(at) = self.dropped_at(place.reached).filter(|at| *at > now) {
            self.hold(at, 1);
            if let Some(lease) = place.lease.take() {
                lease.rests_until(at);
            }
        }
        self.free(place);
    }

    /// IDs of an earlier run may be alive.
    pub(super) fn hold_others(&mut self, count: usize, now: Instant) {
        let count = count.min(self.limit.saturating_sub(self.taken + self.lingering_count));
        if let Some(at) = self.idle.and_then(|idle| now.checked_add(idle)) {
            self.hold(at, count);
        }
    }

    fn hold(&mut self, until: Instant, count: usize) {
        if count > 0 {
            *self.lingering.entry(until).or_default() += count;
            self.lingering_count += count;
        }
    }

    /// Until when how many places linger.
    pub(super) fn lingering_until(&self) -> impl Iterator<Item = (Instant, usize)> {
        self.lingering.iter().map(|(until, count)| (*until, *count))
    }

    /// IDs of an opening before this one may be alive until then.
    pub(super) fn hold_until(&mut self, until: Instant, count: usize) {
        let free = self.limit.saturating_sub(self.taken + self.lingering_count);
        self.hold(until, count.min(free));
    }

    /// When the server will have dropped an ID of which a request last reached it then.
    pub(super) fn dropped_at(&self, reached: Option<Instant>) -> Option<Instant> {
        reached?.checked_add(self.idle?)
    }

    /// Frees the places that need not linger any more.
    pub(super) fn release(&mut self, now: Instant) {
        while let Some(entry) = self
            .lingering
            .first_entry()
            .filter(|entry| *entry.key() <= now)
        {
            self.lingering_count -= entry.remove();
        }
    }

    /// When the next place need not linger any more.
    pub(super) fn next_release(&self) -> Option<Instant> {
        self.lingering.keys().next().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Holds S12, S14.
    #[test]
    fn a_place_lingers_until_the_server_has_dropped_its_sequence() {
        let now = Instant::now();
        let idle = Duration::from_secs(4);
        let mut places = Places::new(3, 1, Some(idle));
        let first = places.take(Purpose::Begin).unwrap();
        let mut second = places.take(Purpose::Begin).unwrap();
        assert!(places.take(Purpose::Begin).is_none(), "room is left");
        let third = places.take(Purpose::Recover).unwrap();
        assert!(places.take(Purpose::Recover).is_none());
        // Nothing was sent.
        places.linger(first, now);
        assert_eq!((places.taken(), places.lingering()), (2, 0));
        second.reached = Some(now);
        places.linger(second, now);
        assert_eq!((places.taken(), places.lingering()), (1, 1));
        places.release(now + idle - Duration::from_millis(1));
        assert_eq!(places.next_release(), Some(now + idle));
        places.release(now + idle);
        assert_eq!((places.taken(), places.lingering()), (1, 0));
        places.hold_others(9, now);
        assert_eq!(places.lingering(), 2, "no more than there are");
        places.free(third);
    }
}
