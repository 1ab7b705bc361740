//! Any history of names, probes and calls.

use proptest::prelude::*;

use super::*;
use crate::property_cases;

#[derive(Debug, Clone)]
enum Step {
    Found(Vec<u8>),
    Probed(usize, Probed),
    Pick(Option<usize>),
    Ended(usize, Ended),
    Forget,
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let probed = prop_oneof![
        3 => Just(Probed::Ready),
        1 => Just(Probed::NotReady),
        1 => Just(Probed::Unknown)
    ];
    let ended = prop_oneof![
        3 => Just(Ended::Answered),
        1 => Just(Ended::Refused),
        3 => Just(Ended::Failed),
        1 => Just(Ended::NotReached),
        1 => Just(Ended::NotServed),
        1 => Just(Ended::Unknown)
    ];
    prop_oneof![
        1 => proptest::collection::vec(0..8_u8, 0..6).prop_map(Step::Found),
        4 => (any::<usize>(), probed).prop_map(|(place, probed)| Step::Probed(place, probed)),
        8 => proptest::option::of(any::<usize>()).prop_map(Step::Pick),
        8 => (any::<usize>(), ended).prop_map(|(place, ended)| Step::Ended(place, ended)),
        1 => Just(Step::Forget),
        2 => (0..20_000_u64).prop_map(Step::Wait)
    ]
}

proptest! {
    #![proptest_config(property_cases(256))]

    // Holds F82, F83.
    #[test]
    fn a_call_always_goes_somewhere_and_the_last_replica_is_never_ejected(
        steps in proptest::collection::vec(step(), 1..120),
        seed in any::<u64>(),
    ) {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut now = Instant::now();
        let mut machine = Machine::new(Duration::from_secs(30));
        let mut calls: Vec<(ReplicaId, Instant)> = Vec::new();
        for step in steps {
            let states: Vec<_> = machine.states(now).collect();
            let at = |place: usize| states.get(place % states.len().max(1)).map(|(id, _)| *id);
            let count = |machine: &Machine<u8>, name: &str| {
                machine.states(now).filter(|(_, state)| state.name() == name).count()
            };
            let left_alone = |machine: &Machine<u8>| {
                count(machine, "ejected") + count(machine, "on trial")
            };
            match step {
                Step::Found(names) => {
                    machine.found(now, &names);
                }
                Step::Probed(place, probed) => {
                    if let Some(id) = at(place) {
                        machine.probed(now, id, probed);
                    }
                }
                Step::Pick(avoid) => {
                    let avoid = avoid.and_then(at);
                    let picked = machine.pick(now, avoid.as_slice(), || random.f64(), |_| true);
                    prop_assert_eq!(picked.is_some(), !states.is_empty());
                    let Some(picked) = picked else { continue };
                    calls.push((picked, now));
                    let is_free = |(id, state): &(ReplicaId, ReplicaState)| {
                        *state == ReplicaState::Ready && Some(*id) != avoid
                    };
                    if states.iter().any(is_free) {
                        prop_assert_ne!(Some(picked), avoid);
                        let (_, state) = states.iter().find(|(id, _)| *id == picked).unwrap();
                        let is_trial = *state == ReplicaState::OnTrial;
                        prop_assert!(*state == ReplicaState::Ready || is_trial, "{:?}", state);
                    }
                }
                Step::Ended(place, ended) => {
                    if calls.is_empty() {
                        continue;
                    }
                    let (id, since) = calls.swap_remove(place % calls.len());
                    let ready = count(&machine, "ready");
                    let ejected = left_alone(&machine);
                    machine.ended(now, id, ended, now - since, random.f64());
                    if left_alone(&machine) > ejected {
                        prop_assert!(ready >= 2, "the last one");
                        let listed = machine.states(now).filter(|(_, state)| {
                            !matches!(state, ReplicaState::Draining { .. } | ReplicaState::Gone)
                        });
                        prop_assert!(left_alone(&machine) <= listed.count() / 2);
                    }
                }
                Step::Forget => {
                    for id in machine.forget(now) {
                        prop_assert!(calls.iter().all(|(call, _)| *call != id));
                    }
                }
                Step::Wait(milliseconds) => now += Duration::from_millis(milliseconds),
            }
            machine.check(now);
            for (id, _) in machine.states(now).collect::<Vec<_>>() {
                let own = calls.iter().filter(|(call, _)| *call == id).count();
                prop_assert_eq!(machine.in_flight(id) as usize, own);
            }
        }
    }
}
