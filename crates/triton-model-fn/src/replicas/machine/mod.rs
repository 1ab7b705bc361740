//! What is known of each replica, and which one is called next: no lock, no clock, no task, no I/O.
//!
//! Names that were found, probes, the ends of calls, the time and chance come in as arguments. What a
//! replica is at follows from them:
//!
//! ```text
//! Joining ─► Ready ─► Ejected ─► OnTrial  (calls fail one after the other; one is made after a while)
//!    │         ▲│ ◄───────────────┘
//!    │         │▼
//!    └─────► NotReady                     (a probe says so, or gets no answer)
//!
//! any of them ─► Draining ─► Gone         (its address is not found any more; it may come back before)
//! ```
//!
//! A replica that is NotReady or Draining takes nothing new, and keeps the sequences that it has until
//! `endpoint-drain` is over.

mod member;
#[cfg(test)]
mod property_tests;
mod replica_state;
#[cfg(test)]
mod simulation_tests;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use self::member::{Health, Member};
use self::replica_state::FAILURES;
pub(crate) use self::replica_state::{Change, ReplicaId, ReplicaState};

/// What a probe of a replica found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Probed {
    Ready,
    NotReady,
    /// The probe itself was refused, which says nothing about inference.
    Unknown,
}

/// How a call to a replica ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    Answered,
    /// The server answered and refused it: it is there.
    Refused,
    /// By the server's fault.
    Failed,
    /// There was no connection: nobody is there.
    NotReached,
    /// The server is there, and does not have the model, or is about to go.
    NotServed,
    /// Nothing is known, or the call was given up.
    Unknown,
}

/// Of so many replicas that are gone the number is known.
const MOST_FORGOTTEN: usize = 1024;

/// The replicas of one endpoint; `N` is what tells their addresses apart.
#[derive(Debug)]
pub(super) struct Machine<N> {
    /// How long a replica that leaves keeps what it has.
    drain: Duration,
    /// In the order of their IDs.
    members: Vec<Member<N>>,
    /// Those that are ready and found, ejected ones among them.
    ready: Vec<ReplicaId>,
    /// How many of them are ejected.
    ejected: usize,
    next_id: u32,
    /// Those that were let go of last: one that comes back has the number that it had, so that nobody
    /// takes what may be alive there for that of another server.
    forgotten: VecDeque<(ReplicaId, N)>,
    changes: Vec<Change>,
}

impl<N: PartialEq + Clone> Machine<N> {
    pub(super) fn new(drain: Duration) -> Self {
        Self {
            drain,
            members: Vec::new(),
            ready: Vec::new(),
            ejected: 0,
            next_id: 0,
            forgotten: VecDeque::new(),
            changes: Vec::new(),
        }
    }

    /// These are the addresses now. What comes back are the replicas that are new.
    ///
    /// None at all is a fault of whoever was asked, and says nothing.
    pub(super) fn found(&mut self, now: Instant, names: &[N]) -> Vec<(ReplicaId, N)> {
        let mut joined = Vec::new();
        if names.is_empty() {
            return joined;
        }
        for member in &mut self.members {
            let is_found = names.contains(&member.name);
            match (member.left, is_found) {
                (None, false) => member.left = Some(now),
                (Some(_), true) => member.left = None,
                _ => continue,
            }
            self.changes.extend(member.news(now, self.drain));
        }
        for name in names {
            if self.members.iter().any(|member| member.name == *name) {
                continue;
            }
            let id = self.id_of(name);
            let mut member = Member::new(id, name.clone());
            self.changes.push(member.change(now, self.drain));
            let place = self.members.partition_point(|member| member.id < id);
            self.members.insert(place, member);
            joined.push((id, name.clone()));
        }
        self.sort_out();
        joined
    }

    /// Those of these addresses that are new.
    pub(super) fn unknown(&self, names: &[N]) -> Vec<N> {
        let is_known = |name: &&N| self.members.iter().any(|member| member.name == **name);
        names
            .iter()
            .filter(|name| !is_known(name))
            .cloned()
            .collect()
    }

    fn id_of(&mut self, name: &N) -> ReplicaId {
        let place = self.forgotten.iter().position(|(_, other)| other == name);
        if let Some((id, _)) = place.and_then(|place| self.forgotten.remove(place)) {
            return id;
        }
        let id = ReplicaId(self.next_id);
        self.next_id += 1;
        id
    }

    /// What a probe found.
    pub(super) fn probed(&mut self, now: Instant, id: ReplicaId, probed: Probed) {
        let drain = self.drain;
        let Some(member) = self.member_mut(id) else {
            return;
        };
        let health = match (probed, member.health) {
            (Probed::NotReady, Health::NotReady { since }) => Health::NotReady { since },
            (Probed::NotReady, _) => Health::NotReady { since: now },
            // A server that does not take the question may well take calls, after an outage, too.
            (Probed::Unknown | Probed::Ready, _) => Health::Ready,
        };
        let was_ready = std::mem::replace(&mut member.health, health) == Health::Ready;
        if probed == Probed::Ready && !was_ready {
            // What failed before is of a server that was not ready.
            member.failures = 0;
        }
        if probed == Probed::Ready {
            member.is_found_ready(now);
        }
        let news = member.news(now, drain);
        self.changes.extend(news);
        self.sort_out();
    }

    /// Takes a replica for a call that any of them can answer: the less loaded of two picked at random
    /// among those that are ready. `random` gives numbers in `0.0..1.0`, `can_call` says which ones may
    /// be called at all. Those at which the call failed are to be avoided, the last of them above all: they
    /// are taken only where there is no other.
    ///
    /// Where none is ready, one of the others is tried: better that a call fails than that nobody
    /// notices that a replica is back.
    pub(super) fn pick(
        &mut self,
        now: Instant,
        avoid: &[ReplicaId],
        mut random: impl FnMut() -> f64,
        can_call: impl Fn(ReplicaId) -> bool,
    ) -> Option<ReplicaId> {
        let may_take = |member: &Member<N>| {
            member.is_available(now) && !avoid.contains(&member.id) && can_call(member.id)
        };
        let mut best: Option<usize> = None;
        if self.ready.len() > 2 {
            let first = index(random(), self.ready.len());
            // Another one than the first, each of them alike.
            let second = (first + 1 + index(random(), self.ready.len() - 1)) % self.ready.len();
            for place in [first, second] {
                let found = self.position(self.ready[place]);
                let found = found.filter(|found| may_take(&self.members[*found]));
                best = self.less_loaded(now, best, found);
            }
        }
        if best.is_none_or(|best| self.members[best].is_failing(now)) {
            best = self.best_of(now, &mut random, may_take);
        }
        if best.is_none() {
            // Nobody is ready: in the order of how likely it is that they answer.
            let rank = |member: &Member<N>| {
                let is_last = avoid.last() == Some(&member.id);
                match (member.left.is_none(), can_call(member.id)) {
                    (true, true) if !avoid.contains(&member.id) && member.is_joining() => 0,
                    (true, true) if !is_last && member.is_available(now) => 1,
                    (true, true) if member.is_available(now) => 2,
                    (true, true) if !is_last && member.is_ready() => 3,
                    (true, true) if !is_last => 4,
                    (true, true) => 5,
                    // What drains is to have an end, also where the circuits of all others are open.
                    (true, false) => 6,
                    (false, true) => 7,
                    (false, false) => 8,
                }
            };
            let least = self.members.iter().map(rank).min();
            best = self.best_of(now, &mut random, |member| Some(rank(member)) == least);
        }
        let member = &mut self.members[best?];
        member.begins(now);
        Some(member.id)
    }

    /// Whether a replica takes calls beside those to be avoided.
    pub(super) fn has_other(&self, now: Instant, avoid: &[ReplicaId]) -> bool {
        let mut members = self.members.iter();
        members.any(|member| !avoid.contains(&member.id) && member.is_available(now))
    }

    /// Whether a call that waits for this replica is to go to another one instead, before it is sent: it
    /// takes no calls any more, and another one does.
    pub(super) fn turns_away(
        &self,
        now: Instant,
        id: ReplicaId,
        can_call: impl Fn(ReplicaId) -> bool,
    ) -> bool {
        let takes = |member: &Member<N>| {
            member.is_ready() && member.ejected_until.is_none_or(|until| until <= now)
        };
        let own = self.position(id).map(|found| &self.members[found]);
        if own.is_none_or(|own| own.is_joining() || takes(own)) {
            return false;
        }
        let mut others = self.members.iter();
        others.any(|other| other.id != id && other.is_available(now) && can_call(other.id))
    }

    /// Takes a replica for a call that no other one can answer; false where it is gone.
    pub(super) fn begin(&mut self, now: Instant, id: ReplicaId) -> bool {
        let Some(member) = self.member_mut(id) else {
            return false;
        };
        member.begins(now);
        true
    }

    /// Whether a call shows at this moment if a replica works again.
    pub(super) fn is_tried(&self, id: ReplicaId) -> bool {
        self.position(id)
            .is_some_and(|found| self.members[found].is_on_trial)
    }

    /// A call has ended, and is over.
    #[cfg(test)]
    fn ended(&mut self, now: Instant, id: ReplicaId, ended: Ended, time: Duration, random: f64) {
        self.tells(now, id, ended, time, random);
        self.released(id);
    }

    /// A call has ended, or its answer has begun, after so much time; it is in flight until it is
    /// [`released`](Self::released). `random` is one number in `0.0..1.0`.
    pub(super) fn tells(
        &mut self,
        now: Instant,
        id: ReplicaId,
        ended: Ended,
        time: Duration,
        random: f64,
    ) {
        let drain = self.drain;
        let Some(member) = self.member_mut(id) else {
            return;
        };
        let is_ejected = member.ejected_until.is_some();
        // What was sent before it was left alone says nothing new.
        let since = now.checked_sub(time);
        let was_trial = member.is_on_trial
            && member
                .ejected_until
                .is_some_and(|until| since.is_none_or(|since| since >= until));
        if was_trial {
            member.is_on_trial = false;
        }
        match ended {
            Ended::Answered | Ended::Refused => {
                if ended == Ended::Answered {
                    member.latency.answered(now, time);
                }
                member.failures = 0;
                if is_ejected && was_trial {
                    member.returns(now);
                    let change = member.change(now, drain);
                    self.changes.push(change);
                    self.sort_out();
                }
            }
            Ended::Failed | Ended::NotReached | Ended::NotServed => {
                member.fails(now, ended != Ended::Failed);
                let is_out = member.failures >= FAILURES && !is_ejected && member.is_ready();
                if is_ejected && was_trial || is_out && self.ejected < self.most_ejected() {
                    self.eject(now, id, random, ended != Ended::Failed);
                }
            }
            Ended::Unknown => {}
        }
    }

    /// A call is over.
    pub(super) fn released(&mut self, id: ReplicaId) {
        if let Some(member) = self.member_mut(id) {
            member.in_flight = member.in_flight.saturating_sub(1);
            if member.in_flight == 0 {
                member.is_on_trial = false;
            }
        }
    }

    /// How many replicas may be ejected: half of them, and never the last one that takes calls.
    fn most_ejected(&self) -> usize {
        let listed = self.members.iter().filter(|member| member.left.is_none());
        let half = listed.count() / 2;
        let left = self
            .members
            .iter()
            .filter(|it| it.is_ready() && it.ejected_until.is_none());
        match left.count() {
            0 | 1 => 0,
            _ => half,
        }
    }

    fn eject(&mut self, now: Instant, id: ReplicaId, random: f64, was_away: bool) {
        let drain = self.drain;
        if let Some(member) = self.member_mut(id) {
            member.eject(now, random, was_away);
            let change = member.change(now, drain);
            self.changes.push(change);
        }
        self.sort_out();
    }

    /// Forgets replicas that are gone: not found for as long as they may drain, and without a call.
    pub(super) fn forget(&mut self, now: Instant) -> Vec<ReplicaId> {
        let drain = self.drain;
        let is_gone = |member: &Member<N>| {
            member.state(now, drain) == ReplicaState::Gone && member.in_flight == 0
        };
        let mut gone = Vec::new();
        for member in &self.members {
            if is_gone(member) {
                gone.push(member.id);
                self.forgotten.push_back((member.id, member.name.clone()));
            }
        }
        while self.forgotten.len() > MOST_FORGOTTEN {
            self.forgotten.pop_front();
        }
        self.members.retain(|member| !gone.contains(&member.id));
        self.changes.extend(gone.iter().map(|id| Change {
            id: *id,
            state: ReplicaState::Gone,
        }));
        self.sort_out();
        gone
    }

    /// Every replica and what it is at.
    pub(super) fn states(&self, now: Instant) -> impl Iterator<Item = (ReplicaId, ReplicaState)> {
        let state = move |member: &Member<N>| (member.id, member.state(now, self.drain));
        self.members.iter().map(state)
    }

    /// What there is to be said since the last time.
    pub(super) fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    pub(super) fn has_changes(&self) -> bool {
        !self.changes.is_empty()
    }

    pub(super) fn in_flight(&self, id: ReplicaId) -> u32 {
        self.position(id)
            .map_or(0, |found| self.members[found].in_flight)
    }

    fn best_of(
        &self,
        now: Instant,
        random: &mut impl FnMut() -> f64,
        allows: impl Fn(&Member<N>) -> bool,
    ) -> Option<usize> {
        let members = self.members.iter().enumerate();
        let mut allowed = members.filter(|(_, member)| allows(member));
        let (mut best, mut least) = allowed.next()?;
        let mut equals = 1;
        for (place, member) in allowed {
            if member.is_less_loaded_than(least, now) {
                (best, least, equals) = (place, member, 1);
            } else if !least.is_less_loaded_than(member, now) {
                equals += 1;
                // So each of the equals is taken as often as the others.
                if index(random(), equals) == 0 {
                    (best, least) = (place, member);
                }
            }
        }
        Some(best)
    }

    fn less_loaded(
        &self,
        now: Instant,
        first: Option<usize>,
        second: Option<usize>,
    ) -> Option<usize> {
        match (first, second) {
            (Some(one), Some(other)) => {
                let (one_member, other_member) = (&self.members[one], &self.members[other]);
                match other_member.is_less_loaded_than(one_member, now) {
                    true => second,
                    false => first,
                }
            }
            (first, second) => first.or(second),
        }
    }

    fn position(&self, id: ReplicaId) -> Option<usize> {
        self.members.binary_search_by_key(&id, |it| it.id).ok()
    }

    fn member_mut(&mut self, id: ReplicaId) -> Option<&mut Member<N>> {
        let found = self.position(id)?;
        self.members.get_mut(found)
    }

    /// Sees to the list of those that are ready.
    fn sort_out(&mut self) {
        let ready = self.members.iter().filter(|member| member.is_ready());
        self.ready.clear();
        self.ready.extend(ready.map(|member| member.id));
        let ejected = self.members.iter().filter(|it| it.ejected_until.is_some());
        self.ejected = ejected.count();
    }

    /// Panics where an invariant does not hold.
    #[cfg(test)]
    fn check(&self, now: Instant) {
        assert!(self.members.is_sorted_by_key(|member| member.id), "order");
        let listed = self.members.iter().filter(|it| it.left.is_none()).count();
        let ejected = self.members.iter().filter(|it| it.ejected_until.is_some());
        let ejected: Vec<_> = ejected.collect();
        assert_eq!(ejected.len(), self.ejected);
        for member in &self.members {
            assert!(
                !member.is_on_trial || member.in_flight > 0,
                "a trial without a call"
            );
            assert_eq!(self.ready.contains(&member.id), member.is_ready());
        }
        let _ = (listed, now);
    }
}

/// A place in a list of `count`, by a number in `0.0..1.0`.
fn index(random: f64, count: usize) -> usize {
    ((random * count as f64) as usize).min(count.saturating_sub(1))
}
