//! One replica as the machine knows it.

use std::time::Duration;

use tokio::time::Instant;

use super::replica_state::{Change, EJECTION, FAILURES, ReplicaId, ReplicaState};

/// The time in which what was measured loses about two thirds of its weight. It is short, because one
/// that was slow gets no calls that could show that it is not so any more.
const MEMORY: Duration = Duration::from_secs(2);

/// What the last probe has said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Health {
    Joining,
    Ready,
    NotReady { since: Instant },
}

#[derive(Debug)]
pub(super) struct Member<N> {
    pub(super) id: ReplicaId,
    pub(super) name: N,
    pub(super) health: Health,
    /// Since when its address is not found any more.
    pub(super) left: Option<Instant>,
    /// Until when it is left alone; one call shows then if it works again.
    pub(super) ejected_until: Option<Instant>,
    /// Whether that is so because nobody was there, or had the model: a probe shows if somebody is.
    was_away: bool,
    /// How often it was ejected without having been of use for long in between.
    ejections: u32,
    /// When it was last taken back.
    pub(super) returned: Option<Instant>,
    /// Whether a call shows at this moment if it can be taken back.
    pub(super) is_on_trial: bool,
    /// How many calls failed since the last one that was answered.
    pub(super) failures: u32,
    /// When the last of them did.
    failed: Option<Instant>,
    pub(super) in_flight: u32,
    pub(super) latency: Latency,
    /// The state that was told last.
    told: &'static str,
}

impl<N> Member<N> {
    pub(super) fn new(id: ReplicaId, name: N) -> Self {
        Self {
            id,
            name,
            health: Health::Joining,
            left: None,
            ejected_until: None,
            was_away: false,
            ejections: 0,
            returned: None,
            is_on_trial: false,
            failures: 0,
            failed: None,
            in_flight: 0,
            latency: Latency::default(),
            told: "",
        }
    }

    pub(super) fn state(&self, now: Instant, drain: Duration) -> ReplicaState {
        match (self.left, self.health, self.ejected_until) {
            (Some(since), ..) => match since.checked_add(drain) {
                Some(until) if until > now => ReplicaState::Draining { until },
                _ => ReplicaState::Gone,
            },
            (None, Health::NotReady { since }, _) => ReplicaState::NotReady { since },
            (None, _, Some(until)) if until > now => ReplicaState::Ejected { until },
            (None, _, Some(_)) => ReplicaState::OnTrial,
            (None, Health::Joining, None) => ReplicaState::Joining,
            (None, Health::Ready, None) => ReplicaState::Ready,
        }
    }

    /// What it is at, to be told.
    pub(super) fn change(&mut self, now: Instant, drain: Duration) -> Change {
        let state = self.state(now, drain);
        self.told = state.name();
        Change { id: self.id, state }
    }

    /// The same, where something else was told last.
    pub(super) fn news(&mut self, now: Instant, drain: Duration) -> Option<Change> {
        let is_new = self.state(now, drain).name() != self.told;
        is_new.then(|| self.change(now, drain))
    }

    /// Whether it is found and said that it is ready.
    pub(super) fn is_ready(&self) -> bool {
        self.left.is_none() && self.health == Health::Ready
    }

    pub(super) fn is_joining(&self) -> bool {
        self.health == Health::Joining
    }

    /// Whether it takes a call: one at a time where that is to show if it works again.
    pub(super) fn is_available(&self, now: Instant) -> bool {
        let is_let = match self.ejected_until {
            None => true,
            Some(until) => until <= now && !self.is_on_trial,
        };
        self.is_ready() && is_let
    }

    pub(super) fn begins(&mut self, now: Instant) {
        self.in_flight += 1;
        if self.ejected_until.is_some_and(|until| until <= now) {
            self.is_on_trial = true;
        }
    }

    /// A call of it failed; `at_once` where no further one is needed to tell that it is out.
    pub(super) fn fails(&mut self, now: Instant, at_once: bool) {
        self.failed = Some(now);
        self.failures = match at_once {
            true => self.failures.max(FAILURES - 1) + 1,
            false => self.failures.saturating_add(1),
        };
    }

    /// Whether it failed so often, and so lately, that another one is to be called. Where it could not be
    /// ejected, it is called again after as long as if it had been: nothing else would show that it works.
    pub(super) fn is_failing(&self, now: Instant) -> bool {
        let is_late = |failed: Instant| now.saturating_duration_since(failed) < EJECTION.0;
        self.failures >= FAILURES && self.failed.is_some_and(is_late)
    }

    /// It takes calls again.
    pub(super) fn returns(&mut self, now: Instant) {
        self.ejected_until = None;
        self.returned = Some(now);
        self.is_on_trial = false;
        self.failures = 0;
    }

    /// A probe found it ready: whoever was not there is there now.
    pub(super) fn is_found_ready(&mut self, now: Instant) {
        if self.ejected_until.is_some() && self.was_away {
            self.returns(now);
        }
    }

    pub(super) fn eject(&mut self, now: Instant, random: f64, was_away: bool) {
        self.was_away = was_away;
        let (shortest, longest) = EJECTION;
        let pause = |times: u32| shortest.saturating_mul(1 << times.min(16)).min(longest);
        // One that was of use for a good while starts over.
        let last = pause(self.ejections.saturating_sub(1));
        let was_of_use = self
            .returned
            .take()
            .is_some_and(|returned| now.saturating_duration_since(returned) > last * 2);
        if was_of_use {
            self.ejections = 0;
        }
        // A part of it by chance, so that many processes do not come back at once.
        let time = pause(self.ejections).mul_f64(1.0 + random / 2.0);
        self.ejections = self.ejections.saturating_add(1);
        self.ejected_until = now.checked_add(time);
        self.failures = 0;
    }

    pub(super) fn is_less_loaded_than(&self, other: &Self, now: Instant) -> bool {
        // To fail takes less time than to answer.
        if self.is_failing(now) != other.is_failing(now) {
            return other.is_failing(now);
        }
        let waiting = |member: &Self| f64::from(member.in_flight) + 1.0;
        match (self.latency.now(now), other.latency.now(now)) {
            (Some(own), Some(others)) if own > others * ALIKE || others > own * ALIKE => {
                waiting(self) * own < waiting(other) * others
            }
            // Of one of them nothing is known, or they are equally fast.
            _ => self.in_flight < other.in_flight,
        }
    }
}

/// How long calls take of late: an average that forgets by time, so that its speed does not depend on
/// how many calls there are.
#[derive(Debug, Default)]
pub(super) struct Latency {
    measured: Option<(f64, Instant)>,
    /// How many answers it is made of, as far as that matters.
    answers: u32,
}

impl Latency {
    pub(super) fn answered(&mut self, now: Instant, time: Duration) {
        let time = time.as_secs_f64();
        let average = match self.measured {
            None => time,
            Some((average, at)) => {
                let all_alike = 1.0 - 1.0 / f64::from(self.answers + 1);
                let kept = weight(now, at).min(MOST_KEPT).min(all_alike);
                average * kept + time * (1.0 - kept)
            }
        };
        self.answers = (self.answers + 1).min(ANSWERS * 4);
        self.measured = Some((average, now));
    }

    /// The average, which loses its weight when nothing is measured: one that was slow once is tried
    /// again.
    fn now(&self, now: Instant) -> Option<f64> {
        let (average, at) = self.measured.filter(|_| self.answers >= ANSWERS)?;
        Some((average * weight(now, at)).max(SHORTEST))
    }
}

/// So that many answers at one moment are not all forgotten for the first of them.
const MOST_KEPT: f64 = 0.95;

/// So many answers tell something: a single one may be slow or fast by chance.
const ANSWERS: u32 = 5;

/// Averages of servers that are alike differ by up to this factor.
const ALIKE: f64 = 2.0;

/// What no call is faster than, in seconds.
const SHORTEST: f64 = 20e-6;

fn weight(now: Instant, at: Instant) -> f64 {
    let passed = now.saturating_duration_since(at).as_secs_f64();
    (-passed / MEMORY.as_secs_f64()).exp()
}
