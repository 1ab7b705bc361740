//! The machine step by step.

use super::replica_state::EJECTION;
use super::*;

const DRAIN: Duration = Duration::from_secs(30);
const CALL: Duration = Duration::from_millis(10);

/// A set of so many replicas that are ready.
fn ready(count: u32, now: Instant) -> Machine<u32> {
    let mut machine = Machine::new(DRAIN);
    let names: Vec<u32> = (0..count).collect();
    for (id, _) in machine.found(now, &names) {
        machine.probed(now, id, Probed::Ready);
    }
    machine.take_changes();
    machine
}

fn pick(machine: &mut Machine<u32>, now: Instant, avoid: Option<u32>) -> u32 {
    let mut random = fastrand::Rng::with_seed(7);
    let avoid = avoid.map(ReplicaId);
    let picked = machine.pick(now, avoid.as_slice(), || random.f64(), |_| true);
    machine.check(now);
    picked.unwrap().0
}

fn fail(machine: &mut Machine<u32>, now: Instant, id: u32, ended: Ended) {
    let id = ReplicaId(id);
    assert!(machine.begin(now, id));
    machine.ended(now, id, ended, CALL, 0.0);
    machine.check(now);
}

fn state(machine: &Machine<u32>, now: Instant, id: u32) -> &'static str {
    let mut states = machine.states(now);
    let found = states.find(|(found, _)| found.0 == id);
    found.map_or("gone", |(_, state)| state.name())
}

// Holds F81.
#[test]
fn the_less_loaded_of_two_is_taken() {
    let now = Instant::now();
    let mut machine = ready(2, now);
    let picked: Vec<u32> = (0..6).map(|_| pick(&mut machine, now, None)).collect();
    assert_eq!(picked.iter().filter(|id| **id == 0).count(), 3);
    // One is five times as slow: it has a fifth of what the other one has in flight.
    let mut machine = ready(2, now);
    for (id, time) in [(0, CALL), (1, CALL * 5)].repeat(5) {
        assert!(machine.begin(now, ReplicaId(id)));
        machine.ended(now, ReplicaId(id), Ended::Answered, time, 0.0);
    }
    let picked: Vec<u32> = (0..60).map(|_| pick(&mut machine, now, None)).collect();
    let slow = picked.iter().filter(|id| **id == 1).count();
    assert!((9..=11).contains(&slow), "{slow}");
}

/// How often each of three is taken by a thousand calls that are answered one after the other.
fn shares(machine: &mut Machine<u32>, now: Instant) -> [usize; 3] {
    let mut random = fastrand::Rng::with_seed(7);
    let mut shares = [0; 3];
    for _ in 0..1000 {
        let id = machine.pick(now, &[], || random.f64(), |_| true).unwrap();
        shares[id.0 as usize] += 1;
        machine.ended(now, id, Ended::Answered, CALL, 0.0);
    }
    shares
}

// Holds F81.
#[test]
fn those_that_are_left_share_alike_wherever_the_gap_is() {
    let now = Instant::now();
    for gone in 0..3 {
        let mut machine = ready(3, now);
        machine.probed(now, ReplicaId(gone), Probed::NotReady);
        let shares = shares(&mut machine, now);
        let others = shares.iter().enumerate().filter(|it| it.0 != gone as usize);
        assert!(
            others.into_iter().all(|it| (450..550).contains(it.1)),
            "{shares:?}"
        );
    }
}

// Holds F83, F84.
#[test]
fn one_that_failed_while_it_was_not_ready_has_its_share_once_it_is() {
    let now = Instant::now();
    let mut machine = ready(3, now);
    machine.probed(now, ReplicaId(0), Probed::NotReady);
    (0..5).for_each(|_| fail(&mut machine, now, 0, Ended::Failed));
    machine.probed(now, ReplicaId(0), Probed::Ready);
    assert!(shares(&mut machine, now)[0] > 250);
}

// Holds F83.
#[test]
fn one_that_failed_when_no_further_one_could_be_ejected_is_called_again() {
    for ended in [Ended::NotReached, Ended::Failed] {
        let now = Instant::now();
        let mut machine = ready(3, now);
        fail(&mut machine, now, 0, Ended::NotReached);
        assert_eq!(state(&machine, now, 0), "ejected");
        (0..5).for_each(|_| fail(&mut machine, now, 1, ended));
        assert_eq!(state(&machine, now, 1), "ready");
        assert_eq!(shares(&mut machine, now), [0, 0, 1000], "{ended:?}");
        let later = now + EJECTION.0;
        assert!(shares(&mut machine, later)[1] > 250, "{ended:?}");
    }
}

// Holds F84.
#[test]
fn a_call_that_waits_for_one_that_takes_none_any_more_goes_to_another_one() {
    let now = Instant::now();
    let mut machine = ready(2, now);
    let turns_away = |machine: &Machine<u32>, id| machine.turns_away(now, ReplicaId(id), |_| true);
    assert!(!turns_away(&machine, 0));
    machine.probed(now, ReplicaId(0), Probed::NotReady);
    assert!(turns_away(&machine, 0));
    assert!(!turns_away(&machine, 1));
    assert!(!machine.turns_away(now, ReplicaId(0), |_| false));
    machine.probed(now, ReplicaId(1), Probed::NotReady);
    assert!(!turns_away(&machine, 0), "there is no other");
    machine.probed(now, ReplicaId(0), Probed::Ready);
    machine.found(now, &[0]);
    assert!(turns_away(&machine, 1));
}

// Holds F82.
#[test]
fn another_replica_is_tried_first_where_there_is_one() {
    let now = Instant::now();
    let mut machine = ready(3, now);
    for _ in 0..50 {
        assert_ne!(pick(&mut machine, now, Some(1)), 1);
    }
    let mut machine = ready(1, now);
    assert_eq!(pick(&mut machine, now, Some(0)), 0);
}

// Holds F83.
#[test]
fn outliers_are_left_alone_at_most_half_of_them_and_never_the_last() {
    let now = Instant::now();
    let mut machine = ready(4, now);
    for id in 0..4 {
        for _ in 0..FAILURES {
            fail(&mut machine, now, id, Ended::Failed);
        }
    }
    let states: Vec<_> = (0..4).map(|id| state(&machine, now, id)).collect();
    assert_eq!(states, ["ejected", "ejected", "ready", "ready"]);
    for _ in 0..20 {
        assert!(pick(&mut machine, now, None) >= 2);
    }
    let mut machine = ready(2, now);
    machine.probed(now, ReplicaId(0), Probed::NotReady);
    fail(&mut machine, now, 1, Ended::NotReached);
    assert_eq!(state(&machine, now, 1), "ready");
}

// Holds F83.
#[test]
fn one_that_was_ejected_is_tried_with_one_call_and_waits_twice_as_long() {
    let mut now = Instant::now();
    let mut machine = ready(2, now);
    fail(&mut machine, now, 0, Ended::NotReached);
    for times in 0..3 {
        assert_eq!(state(&machine, now, 0), "ejected");
        let pause = EJECTION.0 * (1 << times);
        now += pause - Duration::from_millis(1);
        assert_eq!(pick(&mut machine, now, Some(1)), 1, "left alone");
        now += Duration::from_millis(1);
        assert_eq!(pick(&mut machine, now, Some(1)), 0, "on trial");
        assert_eq!(pick(&mut machine, now, Some(1)), 1, "one at a time");
        machine.ended(now, ReplicaId(0), Ended::Failed, Duration::ZERO, 0.0);
        machine.check(now);
    }
    now += EJECTION.1;
    assert_eq!(pick(&mut machine, now, Some(1)), 0);
    machine.ended(now, ReplicaId(0), Ended::Answered, Duration::ZERO, 0.0);
    assert_eq!(state(&machine, now, 0), "ready");
}

// Holds F84.
#[test]
fn one_that_is_not_ready_takes_nothing_while_another_does() {
    let now = Instant::now();
    let mut machine = ready(3, now);
    machine.probed(now, ReplicaId(0), Probed::NotReady);
    machine.probed(now, ReplicaId(1), Probed::Unknown);
    for _ in 0..50 {
        assert_ne!(pick(&mut machine, now, None), 0);
    }
    for id in [1, 2] {
        machine.probed(now, ReplicaId(id), Probed::NotReady);
    }
    // Better that a call fails than that nobody notices that one is back.
    pick(&mut machine, now, None);
    machine.probed(now, ReplicaId(0), Probed::Ready);
    assert_eq!(pick(&mut machine, now, Some(0)), 0);
}

// Holds F85.
#[test]
fn one_whose_address_is_gone_drains_and_is_forgotten() {
    let now = Instant::now();
    let mut machine = ready(3, now);
    let busy = pick(&mut machine, now, None);
    let others: Vec<u32> = (0..3).filter(|id| *id != busy).collect();
    assert!(machine.found(now, &others).is_empty());
    assert_eq!(state(&machine, now, busy), "draining");
    assert!(machine.forget(now + DRAIN).is_empty(), "it has a call");
    machine.ended(now, ReplicaId(busy), Ended::Answered, CALL, 0.0);
    assert!(machine.forget(now).is_empty(), "it may come back");
    // It comes back, as what it was.
    machine.found(now, &[0, 1, 2]);
    assert_eq!(state(&machine, now, busy), "ready");
    machine.found(now, &others);
    assert_eq!(state(&machine, now + DRAIN, busy), "gone");
    assert_eq!(machine.forget(now + DRAIN), [ReplicaId(busy)]);
    assert_eq!(machine.unknown(&[0, 1, 2]), [busy]);
    // What comes later at its address has its number, and another one has not.
    let joined = machine.found(now, &[0, 1, 2, 9]);
    assert_eq!(joined, [(ReplicaId(busy), busy), (ReplicaId(3), 9)]);
    machine.check(now);
    // No address at all says nothing.
    assert!(machine.found(now, &[]).is_empty());
    assert_eq!(machine.states(now).count(), 4);
}

// Holds F83.
#[test]
fn one_that_came_back_and_fails_again_is_left_alone_for_longer_each_time() {
    let mut now = Instant::now();
    let mut machine = ready(2, now);
    fail(&mut machine, now, 0, Ended::NotReached);
    now += EJECTION.0;
    assert_eq!(pick(&mut machine, now, Some(1)), 0);
    machine.ended(now, ReplicaId(0), Ended::Answered, Duration::ZERO, 0.0);
    // It is of use for a good while, and starts over.
    now += EJECTION.1;
    fail(&mut machine, now, 0, Ended::NotReached);
    for times in 0..4 {
        now += EJECTION.0 * (1 << times) - Duration::from_millis(1);
        assert_eq!(pick(&mut machine, now, Some(1)), 1, "left alone, {times}");
        now += Duration::from_millis(1);
        assert_eq!(pick(&mut machine, now, Some(1)), 0, "on trial, {times}");
        machine.ended(now, ReplicaId(0), Ended::Failed, Duration::ZERO, 0.0);
    }
}

// Holds F84.
#[test]
fn one_that_does_not_say_whether_it_is_ready_is_back_after_an_outage() {
    let now = Instant::now();
    let mut machine = ready(2, now);
    machine.probed(now, ReplicaId(0), Probed::NotReady);
    machine.probed(now, ReplicaId(0), Probed::Unknown);
    assert_eq!(state(&machine, now, 0), "ready");
}

// Holds F83.
#[test]
fn a_call_from_before_ends_no_trial() {
    let mut now = Instant::now();
    let mut machine = ready(2, now);
    assert!(machine.begin(now, ReplicaId(0)));
    fail(&mut machine, now, 0, Ended::NotReached);
    now += EJECTION.0;
    assert_eq!(pick(&mut machine, now, Some(1)), 0, "on trial");
    let since_before = EJECTION.0 + CALL;
    machine.ended(now, ReplicaId(0), Ended::Unknown, since_before, 0.0);
    assert_eq!(pick(&mut machine, now, Some(1)), 1, "one at a time");
}

// Holds F81.
#[test]
fn one_that_fails_fast_does_not_get_more_for_it() {
    let now = Instant::now();
    let mut machine = ready(3, now);
    for id in [0, 1] {
        for _ in 0..FAILURES {
            fail(&mut machine, now, id, Ended::Failed);
        }
    }
    let states: Vec<_> = (0..3).map(|id| state(&machine, now, id)).collect();
    assert_eq!(states, ["ejected", "ready", "ready"]);
    assert!(machine.begin(now, ReplicaId(2)));
    let mut random = fastrand::Rng::with_seed(7);
    let mut counts = [0; 3];
    for _ in 0..300 {
        let picked = machine.pick(now, &[], || random.f64(), |_| true).unwrap();
        counts[picked.0 as usize] += 1;
        machine.ended(now, picked, Ended::Unknown, CALL, 0.0);
    }
    assert!(counts[1] < 150, "{counts:?}");
}

// Holds F83.
#[test]
fn one_that_nobody_calls_is_told_of_all_the_same_when_it_is_back() {
    let mut now = Instant::now();
    let told = |machine: &mut Machine<u32>| -> Vec<&str> {
        let changes = machine.take_changes();
        changes.iter().map(|change| change.state.name()).collect()
    };
    // Somebody is there again: that is what it was left alone for.
    let mut machine = ready(3, now);
    fail(&mut machine, now, 0, Ended::NotReached);
    machine.probed(now, ReplicaId(0), Probed::NotReady);
    now += EJECTION.0;
    machine.probed(now, ReplicaId(0), Probed::Ready);
    assert_eq!(told(&mut machine), ["ejected", "not ready", "ready"]);
    machine.check(now);
    // It answered with errors, which no probe shows.
    let mut machine = ready(3, now);
    (0..FAILURES).for_each(|_| fail(&mut machine, now, 0, Ended::Failed));
    machine.probed(now, ReplicaId(0), Probed::Ready);
    assert_eq!(told(&mut machine), ["ejected"]);
    now += EJECTION.0;
    machine.probed(now, ReplicaId(0), Probed::Ready);
    machine.probed(now, ReplicaId(0), Probed::Ready);
    assert_eq!(told(&mut machine), ["on trial"], "once");
    assert!(machine.begin(now, ReplicaId(0)) && machine.is_tried(ReplicaId(0)));
    machine.ended(now, ReplicaId(0), Ended::Answered, Duration::ZERO, 0.0);
    assert_eq!(told(&mut machine), ["ready"]);
}

// Holds F82.
#[test]
fn none_is_tried_again_at_which_a_call_has_failed_while_another_is_there() {
    let now = Instant::now();
    let mut machine = ready(4, now);
    let mut random = fastrand::Rng::with_seed(7);
    let mut pick = |avoid: &[u32]| {
        let avoid: Vec<ReplicaId> = avoid.iter().map(|id| ReplicaId(*id)).collect();
        let picked = machine.pick(now, &avoid, || random.f64(), |_| true);
        picked.unwrap().0
    };
    for _ in 0..20 {
        assert_eq!(pick(&[3, 0, 1]), 2);
        // All have: any but the last one.
        assert_ne!(pick(&[3, 0, 1, 2]), 2);
    }
    assert!(machine.has_other(now, &[ReplicaId(0), ReplicaId(1), ReplicaId(2)]));
    assert!(!machine.has_other(now, &[0, 1, 2, 3].map(ReplicaId)));
}

// Holds F85, F88.
#[test]
fn one_that_drains_is_not_called_because_the_circuits_of_others_are_open() {
    let now = Instant::now();
    let mut machine = ready(3, now);
    machine.found(now, &[1, 2]);
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..50 {
        let is_closed = |id| id == ReplicaId(0);
        let picked = machine.pick(now, &[], || random.f64(), is_closed);
        assert_ne!(picked, Some(ReplicaId(0)));
    }
}

// Holds F81.
#[test]
fn what_goes_on_after_its_answer_has_begun_counts_as_in_flight() {
    let now = Instant::now();
    let mut machine = ready(2, now);
    assert!(machine.begin(now, ReplicaId(0)));
    machine.tells(now, ReplicaId(0), Ended::Answered, CALL, 0.0);
    assert_eq!(machine.in_flight(ReplicaId(0)), 1);
    assert_eq!(pick(&mut machine, now, None), 1);
    machine.released(ReplicaId(0));
    assert_eq!(machine.in_flight(ReplicaId(0)), 0);
}
