//! The embedded server and a real Triton side by side: what a client can tell must be the same,
//! but for the known differences.

mod case_file;
mod correlation_ids;
mod known;
mod random;
mod runner;
mod wire;

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use triton_embedded::EmbeddedTriton;
use triton_embedded::models::{Accumulate, Anomaly, Echo};
use wire::{Peer, Request};

/// As many cases as the suite must have at least.
const CASES: usize = 120;

/// The steps of the randomised part in every run; the variable sets another number.
const STEPS: usize = 800;
const STEPS_VARIABLE: &str = "TRITON_RANDOM_STEPS";

/// The seed of the randomised part; the variable sets another one.
const SEED: u64 = 20_260_101;
const SEED_VARIABLE: &str = "TRITON_RANDOM_SEED";

/// The tests load models of the real server with other configurations, so each has it to itself.
static TURN: Mutex<()> = Mutex::new(());

#[test]
fn every_case_is_answered_as_by_the_real_server() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let embedded = example_models();
    let mut ours = Peer::new(&embedded.endpoint());
    compare_cases(&mut real_server(), &mut ours);
}

#[test]
fn random_steps_are_answered_as_by_the_real_server() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let embedded = example_models();
    let (mut real, mut ours) = (real_server(), Peer::new(&embedded.endpoint()));
    let steps = number(STEPS_VARIABLE, STEPS as u64) as usize;
    let report = random::compare(&mut real, &mut ours, number(SEED_VARIABLE, SEED), steps);
    println!("{report}");
}

/// The real server, ready: after a load that failed, which other tests try, it calls itself
/// unready until one succeeds, and then until the model that was there before is unloaded.
fn real_server() -> Peer {
    let mut real = Peer::new(&live_endpoint());
    runner::load(&mut real, "echo", None);
    let ready = Request::new("GET", "/v2/health/ready", "");
    runner::until(|| real.call(&ready).is_ok_and(|answer| answer.status == 200));
    real
}

/// The models that the real server has.
fn example_models() -> EmbeddedTriton {
    EmbeddedTriton::builder()
        .model(Echo)
        .model(Accumulate)
        .model(Anomaly)
        .start()
        .expect("a server")
}

fn compare_cases(real: &mut Peer, ours: &mut Peer) {
    let cases = case_file::all();
    assert!(cases.len() >= CASES, "only {} cases", cases.len());
    let known = known::cases();
    let mut different = BTreeSet::new();
    let mut problems = Vec::new();
    for case in &cases {
        let (expected, found) = (runner::run(case, real), runner::run(case, ours));
        if expected == found {
            continue;
        }
        different.insert(case.name.clone());
        if !known.contains(&case.name) {
            problems.push(format!("case '{}' differs", case.name));
            for (expected, found) in expected.iter().zip(&found) {
                if expected != found {
                    problems.push(format!("  real:     {expected}\n  embedded: {found}"));
                }
            }
        }
    }
    let gone = known.difference(&different);
    problems.extend(gone.map(|name| {
        format!("case '{name}' does not differ (any more): take it out of the guide's table")
    }));
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    println!(
        "{} cases, {} of them known to differ",
        cases.len(),
        different.len()
    );
}

/// The address of a real Triton that serves `examples/models`.
fn live_endpoint() -> String {
    std::env::var("TRITON_TEST_ENDPOINT").expect(
        "this test needs a real Triton, and TRITON_TEST_ENDPOINT names none: run the tests with \
         `cargo xtask test`, which starts one",
    )
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().expect(variable))
}
