//! The places that a model keeps for sequences on its servers, as far as this subtask may use them.
//!
//! A server holds further sequences back without an error or a limit, so none is begun that has no
//! place. A sequence that is over here can be alive there: its place lingers until the server has
//! certainly dropped it. Of several servers each has places of its own, and an ID holds one of those of
//! the server that it is sent to.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::recovery_limit::{MostRecovering, RecoveryLimit};
use super::servers::{Offer, Standing};
use crate::live_numbers::Lease;
use crate::replicas::ReplicaId;

/// What a place is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sequences) enum Purpose {
    /// A sequence goes on under a new ID, because the server has lost the old one.
    Recover,
    /// A key begins a sequence.
    Begin,
}

/// The right to have one ID alive on a server.
#[derive(Debug)]
#[must_use = "a place is freed or lingers"]
pub(super) struct Place {
    /// The server that has it.
    pub(super) server: ReplicaId,
    /// When a request of the ID may last have reached the server; `None` where none can have.
    pub(super) reached: Option<Instant>,
    /// What keeps the ID from being given to another sequence, where IDs come again.
    pub(super) lease: Option<Lease>,
    /// Whether its sequence is still being recovered.
    recovers: bool,
    /// Whether its sequence shows if the server works again.
    tries: bool,
}

/// The places of all servers.
#[derive(Debug)]
pub(super) struct Places {
    /// In the order of their IDs.
    servers: Vec<ServerPlaces>,
    /// How long a server keeps a sequence without a request.
    idle: Option<Duration>,
    /// The most sequences on all servers together.
    most: usize,
    taken: usize,
    lingering_count: usize,
    /// How many IDs that are over here may be alive until when, on whichever server; counted only where
    /// there may be no more than `most`.
    alive: BTreeMap<Instant, usize>,
    alive_count: usize,
    /// What an earlier run has left, for servers that are not there at the moment: it may be on them.
    left: Vec<(Instant, usize)>,
    /// How many sequences are being recovered, and how many may be at once.
    recovering: usize,
    recovery_limit: RecoveryLimit,
    /// Where equals are looked at first, which goes round.
    turn: usize,
}

/// The places of one server.
#[derive(Debug)]
struct ServerPlaces {
    offer: Offer,
    taken: usize,
    /// How many places linger until when.
    lingering: BTreeMap<Instant, usize>,
    lingering_count: usize,
    /// Whether the one sequence was begun there that shows if it works again.
    is_tried: bool,
}

impl ServerPlaces {
    fn new(offer: Offer) -> Self {
        Self {
            offer,
            taken: 0,
            lingering: BTreeMap::new(),
            lingering_count: 0,
            is_tried: false,
        }
    }

    /// How many places are left for a purpose.
    fn free(&self, purpose: Purpose) -> usize {
        let most = match purpose {
            Purpose::Recover => self.offer.limit,
            Purpose::Begin => self.offer.limit.saturating_sub(self.offer.room),
        };
        most.saturating_sub(self.taken + self.lingering_count)
    }

    /// Holds so many places, and no more than there are: of more IDs those count that may live longest.
    /// Returns how many more are held now.
    fn hold(&mut self, until: Instant, count: usize) -> usize {
        let before = self.lingering_count;
        let most = self.offer.limit.saturating_sub(self.taken).max(before);
        self.linger(until, count);
        while self.lingering_count > most {
            let Some(mut soonest) = self.lingering.first_entry() else {
                break;
            };
            let fewer = (self.lingering_count - most).min(*soonest.get());
            self.lingering_count -= fewer;
            *soonest.get_mut() -= fewer;
            if *soonest.get() == 0 {
                soonest.remove();
            }
        }
        self.lingering_count - before
    }

    /// So many IDs may be alive until then, however many places there are by now.
    fn linger(&mut self, until: Instant, count: usize) -> usize {
        if count > 0 {
            *self.lingering.entry(until).or_default() += count;
            self.lingering_count += count;
        }
        count
    }

    fn release(&mut self, now: Instant) -> usize {
        let mut released = 0;
        while let Some(entry) = self
            .lingering
            .first_entry()
            .filter(|entry| *entry.key() <= now)
        {
            released += entry.remove();
        }
        self.lingering_count -= released;
        released
    }

    /// Whether nothing of it has to be known any more.
    fn is_over(&self) -> bool {
        self.offer.standing == Standing::Gone && self.taken + self.lingering_count == 0
    }
}

impl Places {
    /// The places of these servers, of which so many may be in use and in recovery at once.
    pub(super) fn new(
        offers: &[Offer],
        most: usize,
        most_recovering: MostRecovering,
        idle: Option<Duration>,
    ) -> Self {
        let mut places = Self {
            servers: Vec::new(),
            idle,
            most,
            taken: 0,
            lingering_count: 0,
            alive: BTreeMap::new(),
            alive_count: 0,
            left: Vec::new(),
            recovering: 0,
            recovery_limit: RecoveryLimit::new(most_recovering),
            // Not every subtask begins at the same server.
            turn: fastrand::usize(..1 << 16),
        };
        places.offered(offers);
        places
    }

    /// What the servers offer now. One that is not among them is gone, and is forgotten once nothing can
    /// be alive on it: it may come back.
    pub(super) fn offered(&mut self, offers: &[Offer]) {
        for server in &mut self.servers {
            server.offer.standing = Standing::Gone;
        }
        for offer in offers {
            match self.position(offer.id) {
                Ok(found) => {
                    let server = &mut self.servers[found];
                    server.offer = *offer;
                    server.is_tried &= offer.standing == Standing::Tries;
                }
                Err(place) => {
                    let mut server = ServerPlaces::new(*offer);
                    for (until, count) in &self.left {
                        self.lingering_count += server.hold(*until, *count);
                    }
                    self.servers.insert(place, server);
                }
            }
        }
        self.servers.retain(|server| !server.is_over());
    }

    /// What the servers are that take sequences: where none of them is ready, the others are called, so
    /// that rows wait for them and not for nobody.
    fn best_standing(&self) -> Option<Standing> {
        let standings = self.servers.iter().map(|server| server.offer.standing);
        standings.min().filter(|best| *best != Standing::Gone)
    }

    fn best(&self) -> impl Iterator<Item = &ServerPlaces> {
        let best = self.best_standing();
        let servers = self.servers.iter();
        servers.filter(move |server| Some(server.offer.standing) == best)
    }

    /// The most places on all servers that take sequences; `usize::MAX` where nobody knows a limit.
    pub(super) fn limit(&self) -> usize {
        let limits = self.best().map(|server| server.offer.limit);
        limits.fold(0_usize, usize::saturating_add).min(self.most)
    }

    /// How many of them no key may begin with.
    pub(super) fn room(&self) -> usize {
        self.best().map(|server| server.offer.room).sum()
    }

    /// Whether a sequence that is to leave its server finds a place at another one right now.
    pub(super) fn can_move(&self) -> bool {
        let is_free = |server: &ServerPlaces| {
            server.offer.standing == Standing::Takes && server.free(Purpose::Recover) > 0
        };
        !self.is_most() && !self.is_recovery_full() && self.servers.iter().any(is_free)
    }

    /// Whether no further ID may be alive on all servers together.
    fn is_most(&self) -> bool {
        self.taken + self.alive_count >= self.most
    }

    /// How many sequences are being recovered.
    pub(super) fn recovering(&self) -> usize {
        self.recovering
    }

    /// How many IDs have a place that are neither over nor lost.
    pub(super) fn taken(&self) -> usize {
        self.taken
    }

    /// How many places are held for IDs that are over here.
    pub(super) fn lingering(&self) -> usize {
        self.lingering_count
    }

    /// Whether no further sequence may be recovered at the moment.
    pub(super) fn is_recovery_full(&self) -> bool {
        self.recovering >= self.recovery_limit.most()
    }

    /// What says how many sequences may be recovered at once.
    pub(super) fn recovery_limit(&mut self) -> &mut RecoveryLimit {
        &mut self.recovery_limit
    }

    /// What the server of a place offers now.
    pub(super) fn standing(&self, place: &Place) -> Standing {
        match self.position(place.server) {
            Ok(found) => self.servers[found].offer.standing,
            Err(_) => Standing::Gone,
        }
    }

    /// A place on the server with the most free ones, or on the one that `hash` names where one is given.
    /// On those that are to be avoided only where no other one has any. One that is to be tried gets one.
    pub(super) fn take(
        &mut self,
        purpose: Purpose,
        hash: Option<u64>,
        avoid: &[ReplicaId],
    ) -> Option<Place> {
        let recovers = purpose == Purpose::Recover;
        if self.is_most() || recovers && self.is_recovery_full() {
            return None;
        }
        let standing = self.best_standing()?;
        let is_to_be_tried =
            |server: &ServerPlaces| server.offer.standing == Standing::Tries && !server.is_tried;
        let has_free = |server: &ServerPlaces| {
            let takes = server.offer.standing == standing || is_to_be_tried(server);
            takes && server.free(purpose) > 0
        };
        let found = match &*self.servers {
            [only] => has_free(only).then_some(0),
            several => {
                let count = several.len();
                let places = (0..count).map(|place| (place + self.turn) % count.max(1));
                let free = places.filter(|place| has_free(&several[*place]));
                // The last of equals is taken.
                free.max_by_key(|place| {
                    let server = &several[*place];
                    let fits = match hash {
                        Some(hash) => server.offer.weight(hash),
                        None => u64::try_from(server.free(purpose)).unwrap_or(u64::MAX),
                    };
                    // A key that is another server's is no trial.
                    let is_tried = hash.is_none() && is_to_be_tried(server);
                    (!avoid.contains(&server.offer.id), is_tried, fits)
                })
            }
        }?;
        let server = &mut self.servers[found];
        let tries = server.offer.standing == Standing::Tries;
        server.is_tried |= tries;
        server.taken += 1;
        self.taken += 1;
        self.turn = self.turn.wrapping_add(1);
        self.recovering += usize::from(recovers);
        Some(Place {
            server: server.offer.id,
            reached: None,
            lease: None,
            recovers,
            tries,
        })
    }

    /// The sequence of a place is not being recovered any more.
    pub(super) fn recovered(&mut self, place: &mut Place) {
        self.recovering -= usize::from(std::mem::take(&mut place.recovers));
    }

    /// The server has dropped the ID, or never heard of it.
    pub(super) fn free(&mut self, mut place: Place) {
        self.recovered(&mut place);
        self.taken -= 1;
        if let Ok(found) = self.position(place.server) {
            let server = &mut self.servers[found];
            server.taken -= 1;
            // Whatever it has shown, or it has shown nothing: another one may.
            server.is_tried &= !place.tries;
        }
        if let Some(lease) = place.lease {
            lease.release();
        }
    }

    /// The ID is over here; its place is free once the server has dropped it.
    pub(super) fn linger(&mut self, mut place: Place, now: Instant) {
        if let Some(at) = self.dropped_at(place.reached).filter(|at| *at > now) {
            let server = place.server;
            if let Some(lease) = place.lease.take() {
                lease.rests_until(at);
            }
            self.free(place);
            if let Ok(found) = self.position(server) {
                self.lingering_count += self.servers[found].linger(at, 1);
            }
            self.may_be_alive(at, 1);
            return;
        }
        self.free(place);
    }

    /// IDs of an earlier run may be alive, on whichever server.
    pub(super) fn hold_others(&mut self, count: usize, now: Instant) {
        if let Some(at) = self.idle.and_then(|idle| now.checked_add(idle)) {
            self.left.push((at, count));
            self.hold_until(at, count);
        }
    }

    /// Until when how many places linger.
    pub(super) fn lingering_until(&self) -> impl Iterator<Item = (Instant, usize)> {
        let lingering = self.servers.iter().flat_map(|server| &server.lingering);
        lingering.map(|(until, count)| (*until, *count))
    }

    /// IDs of an opening before this one may be alive until then, on whichever server.
    pub(super) fn hold_until(&mut self, until: Instant, count: usize) {
        for server in &mut self.servers {
            self.lingering_count += server.hold(until, count);
        }
        self.may_be_alive(until, count);
    }

    fn may_be_alive(&mut self, until: Instant, count: usize) {
        if self.most < usize::MAX {
            *self.alive.entry(until).or_default() += count;
            self.alive_count += count;
        }
    }

    /// When the server will have dropped an ID of which a request last reached it then.
    pub(super) fn dropped_at(&self, reached: Option<Instant>) -> Option<Instant> {
        reached?.checked_add(self.idle?)
    }

    /// Frees the places that need not linger any more.
    pub(super) fn release(&mut self, now: Instant) {
        if self.lingering_count > 0 {
            let released = self.servers.iter_mut().map(|server| server.release(now));
            self.lingering_count -= released.sum::<usize>();
            self.servers.retain(|server| !server.is_over());
        }
        self.left.retain(|(until, _)| *until > now);
        while let Some(entry) = self.alive.first_entry().filter(|it| *it.key() <= now) {
            self.alive_count -= entry.remove();
        }
    }

    /// When the next place need not linger any more.
    pub(super) fn next_release(&self) -> Option<Instant> {
        let firsts = self
            .servers
            .iter()
            .filter_map(|it| it.lingering.keys().next());
        firsts.chain(self.alive.keys().next()).min().copied()
    }

    fn position(&self, id: ReplicaId) -> Result<usize, usize> {
        match &*self.servers {
            [only] if only.offer.id == id => Ok(0),
            servers => servers.binary_search_by_key(&id, |server| server.offer.id),
        }
    }

    /// Panics where more places are held than there are, or other ones than those of `held`.
    #[cfg(test)]
    pub(super) fn check(&self, held: &[ReplicaId], recovering: usize) {
        for server in &self.servers {
            let own = held.iter().filter(|id| **id == server.offer.id).count();
            assert_eq!(own, server.taken, "places of {:?}", server.offer.id);
            assert!(
                server.taken + server.lingering_count <= server.offer.limit,
                "{} + {} places of {}",
                server.taken,
                server.lingering_count,
                server.offer.limit
            );
        }
        assert_eq!(held.len(), self.taken, "places");
        assert!(
            self.taken <= self.most,
            "{} places of {}",
            self.taken,
            self.most
        );
        assert_eq!(recovering, self.recovering, "recovering");
    }

    #[cfg(test)]
    pub(super) fn is_recovering(place: &Place) -> bool {
        place.recovers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Duration = Duration::from_secs(4);

    fn offer(id: u32, limit: usize) -> Offer {
        Offer {
            id: ReplicaId(id),
            name_hash: u64::from(id) + 1,
            limit,
            room: 0,
            standing: Standing::Takes,
        }
    }

    // Holds S12, S14.
    #[test]
    fn a_place_lingers_until_the_server_has_dropped_its_sequence() {
        let now = Instant::now();
        let offers = [Offer::only(3, 1)];
        let mut places = Places::new(&offers, usize::MAX, MostRecovering::any(), Some(IDLE));
        let first = places.take(Purpose::Begin, None, &[]).unwrap();
        let mut second = places.take(Purpose::Begin, None, &[]).unwrap();
        assert!(
            places.take(Purpose::Begin, None, &[]).is_none(),
            "room is left"
        );
        let third = places.take(Purpose::Recover, None, &[]).unwrap();
        assert!(places.take(Purpose::Recover, None, &[]).is_none());
        // Nothing was sent.
        places.linger(first, now);
        assert_eq!((places.taken(), places.lingering()), (2, 0));
        second.reached = Some(now);
        places.linger(second, now);
        assert_eq!((places.taken(), places.lingering()), (1, 1));
        places.release(now + IDLE - Duration::from_millis(1));
        assert_eq!(places.next_release(), Some(now + IDLE));
        places.release(now + IDLE);
        assert_eq!((places.taken(), places.lingering()), (1, 0));
        places.hold_others(9, now);
        assert_eq!(places.lingering(), 2, "no more than there are");
        places.free(third);
    }

    // Holds S10, S14.
    #[test]
    fn of_more_ids_than_places_those_count_that_may_live_longest() {
        let now = Instant::now();
        let sooner = now + IDLE / 2;
        for [first, second] in [[sooner, now + IDLE], [now + IDLE, sooner]] {
            let offers = [offer(0, 1), offer(1, 1)];
            let mut places = Places::new(&offers, usize::MAX, MostRecovering::any(), Some(IDLE));
            places.hold_until(first, 1);
            places.hold_until(second, 1);
            assert_eq!(places.lingering(), 2);
            places.release(sooner);
            assert!(places.take(Purpose::Begin, None, &[]).is_none());
            places.release(now + IDLE);
            assert_eq!(places.lingering(), 0);
        }
    }

    // Holds S65.
    #[test]
    fn a_place_is_taken_where_most_are_free() {
        let offers = [offer(0, 4), offer(1, 2), offer(2, 4)];
        let mut places = Places::new(&offers, 9, MostRecovering::any(), Some(IDLE));
        let mut counts = [0; 3];
        let mut held = Vec::new();
        for _ in 0..4 {
            let place = places.take(Purpose::Begin, None, &[]).unwrap();
            counts[place.server.0 as usize] += 1;
            held.push(place);
        }
        assert_eq!(counts, [2, 0, 2]);
        for place in held.drain(..) {
            places.free(place);
        }
        // The sum counts, and the most that may be open at all.
        assert_eq!(places.limit(), 9);
        let taken: Vec<Place> =
            std::iter::from_fn(|| places.take(Purpose::Begin, None, &[])).collect();
        assert_eq!(taken.len(), 9);
        for place in taken {
            places.free(place);
        }
    }

    // Holds S66.
    #[test]
    fn one_that_drains_gives_no_place_and_is_forgotten_when_it_has_none() {
        let now = Instant::now();
        let mut offers = vec![offer(0, 2), offer(1, 2)];
        let mut places = Places::new(&offers, usize::MAX, MostRecovering::any(), Some(IDLE));
        let mut place = places.take(Purpose::Begin, None, &[]).unwrap();
        place.reached = Some(now);
        let first = place.server;
        offers[first.0 as usize].standing = Standing::Keeps;
        places.offered(&offers);
        assert_eq!(places.standing(&place), Standing::Keeps);
        for _ in 0..2 {
            let other = places.take(Purpose::Begin, None, &[]).unwrap();
            assert_ne!(other.server, first);
            places.free(other);
        }
        offers.remove(first.0 as usize);
        places.offered(&offers);
        assert_eq!(places.standing(&place), Standing::Gone);
        places.linger(place, now);
        assert_eq!((places.taken(), places.lingering()), (0, 1));
        places.offered(&offers);
        assert_eq!(
            (places.taken(), places.lingering()),
            (0, 1),
            "it may come back"
        );
        places.release(now + IDLE);
        assert_eq!((places.taken(), places.lingering()), (0, 0));
        assert_eq!(places.servers.len(), 1);
    }

    // Holds S10, S69.
    #[test]
    fn what_lingers_on_a_server_that_comes_back_still_holds_its_places() {
        let now = Instant::now();
        let offers = [offer(0, 2), offer(1, 2)];
        let mut places = Places::new(&offers, usize::MAX, MostRecovering::any(), Some(IDLE));
        let taken: Vec<Place> =
            std::iter::from_fn(|| places.take(Purpose::Begin, None, &[])).collect();
        assert_eq!(taken.len(), 4);
        for mut place in taken {
            place.reached = Some(now);
            places.linger(place, now);
        }
        places.offered(&offers[1..]);
        places.offered(&offers);
        assert!(
            places.take(Purpose::Begin, None, &[]).is_none(),
            "all are alive"
        );
        places.release(now + IDLE);
        let taken: Vec<Place> =
            std::iter::from_fn(|| places.take(Purpose::Begin, None, &[])).collect();
        assert_eq!(taken.len(), 4);
        taken.into_iter().for_each(|place| places.free(place));
        // Nothing of one that stays away is kept.
        places.offered(&offers[1..]);
        assert_eq!(places.servers.len(), 1);
    }

    // Holds S76.
    #[test]
    fn one_that_is_to_be_tried_gets_one_sequence() {
        let mut offers = vec![offer(0, 4), offer(1, 4)];
        offers[1].standing = Standing::Tries;
        let mut places = Places::new(&offers, usize::MAX, MostRecovering::any(), None);
        let mut take = || places.take(Purpose::Begin, None, &[]).unwrap();
        let taken: Vec<Place> = (0..4).map(|_| take()).collect();
        let servers: Vec<u32> = taken.iter().map(|place| place.server.0).collect();
        assert_eq!(servers, [1, 0, 0, 0]);
        // It works; the next time that it does not is another one.
        for standing in [Standing::Takes, Standing::Tries] {
            offers[1].standing = standing;
            places.offered(&offers);
        }
        let next = places.take(Purpose::Begin, None, &[ReplicaId(0)]).unwrap();
        assert_eq!(next.server, ReplicaId(1));
        taken
            .into_iter()
            .chain([next])
            .for_each(|it| places.free(it));
    }

    // Holds S76.
    #[test]
    fn one_whose_trial_was_never_sent_is_tried_again() {
        let mut offers = vec![offer(0, 4), offer(1, 4)];
        offers[1].standing = Standing::Tries;
        let mut places = Places::new(&offers, usize::MAX, MostRecovering::any(), None);
        for _ in 0..2 {
            let first = places.take(Purpose::Begin, None, &[]).unwrap();
            let second = places.take(Purpose::Begin, None, &[]).unwrap();
            assert_eq!((first.server.0, second.server.0), (1, 0));
            places.free(second);
            places.free(first);
            places.offered(&offers);
        }
    }

    // Holds S14.
    #[test]
    fn what_an_earlier_run_has_left_is_held_where_a_server_comes_later_too() {
        let now = Instant::now();
        let offers = [offer(0, 4), offer(1, 4)];
        let mut places = Places::new(&offers[..1], usize::MAX, MostRecovering::any(), Some(IDLE));
        places.hold_others(3, now);
        places.offered(&offers);
        assert_eq!(places.lingering(), 6, "it may have been away");
        places.release(now + IDLE);
        assert_eq!(places.lingering(), 0);
        places.offered(&offers[..1]);
        places.offered(&offers);
        assert_eq!(places.lingering(), 0);
    }

    // Holds S10, S11.
    #[test]
    fn what_may_be_alive_counts_for_the_most_that_may_be_open() {
        let now = Instant::now();
        let offers = [offer(0, 4), offer(1, 4)];
        let mut places = Places::new(&offers, 3, MostRecovering::any(), Some(IDLE));
        let taken: Vec<Place> =
            std::iter::from_fn(|| places.take(Purpose::Begin, None, &[])).collect();
        assert_eq!(taken.len(), 3);
        for mut place in taken {
            place.reached = Some(now);
            places.linger(place, now);
        }
        assert!(
            places.take(Purpose::Begin, None, &[]).is_none(),
            "all are alive"
        );
        places.release(now + IDLE);
        let place = places.take(Purpose::Begin, None, &[]).unwrap();
        places.free(place);
    }

    // Holds S10.
    #[test]
    fn what_lingers_is_counted_although_the_server_keeps_fewer_now() {
        let now = Instant::now();
        let mut places = Places::new(
            &[offer(0, 8)],
            usize::MAX,
            MostRecovering::any(),
            Some(IDLE),
        );
        let taken: Vec<Place> =
            std::iter::from_fn(|| places.take(Purpose::Begin, None, &[])).collect();
        places.offered(&[offer(0, 4)]);
        for mut place in taken {
            place.reached = Some(now);
            places.linger(place, now);
            assert!(
                places.take(Purpose::Begin, None, &[]).is_none(),
                "8 are alive"
            );
        }
    }

    // Holds S67.
    #[test]
    fn the_same_key_finds_the_same_server_whatever_order_they_have() {
        let take = |offers: &[Offer], hash| {
            let mut places = Places::new(offers, usize::MAX, MostRecovering::any(), None);
            let place = places.take(Purpose::Begin, Some(hash), &[]).unwrap();
            let found = places.position(place.server).unwrap();
            let name = places.servers[found].offer.name_hash;
            places.free(place);
            name
        };
        let named = |id, name_hash| Offer {
            name_hash,
            ..offer(id, 9)
        };
        let here = [named(0, 11), named(1, 22), named(2, 33)];
        let there = [named(0, 33), named(1, 11), named(2, 22)];
        let without = [named(0, 11), named(2, 33)];
        let mut counts = BTreeMap::<u64, usize>::new();
        for key in 0..3000 {
            let name = take(&here, key);
            assert_eq!(take(&there, key), name);
            // Only the keys of one that is gone go elsewhere.
            if name != 22 {
                assert_eq!(take(&without, key), name);
            }
            *counts.entry(name).or_default() += 1;
        }
        assert!(
            counts.values().all(|count| (900..1100).contains(count)),
            "{counts:?}"
        );
    }
}
