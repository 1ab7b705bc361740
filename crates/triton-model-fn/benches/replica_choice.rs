//! What it costs to choose one of several servers for a call, and to note how the call has ended.
//!
//! ```sh
//! cargo bench -p triton-model-fn --bench replica_choice
//! ```
//!
//! With one server there is nothing to choose, and none of this is called. The lock around the machine, which
//! functions of a process share, is taken here as it is there.

use std::hint::black_box;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use self::machine::{Ended, Machine, Probed, ReplicaId};

// Private to the library, and compiled once more here.
#[path = "../src/replicas/machine/mod.rs"]
#[expect(dead_code, reason = "what a choice does not need is not called")]
#[allow(
    unused_imports,
    clippy::allow_attributes,
    reason = "its tests are compiled, too, where targets are checked, and none of them is called"
)]
mod machine;

/// What the tests of the machine take of the library.
#[cfg(test)]
fn property_cases(usual: u32) -> proptest::test_runner::Config {
    proptest::test_runner::Config::with_cases(usual)
}

const CALLS: u32 = 1_000_000;
const IN_FLIGHT: usize = 64;

/// Nanoseconds for a call, the least of some rounds.
fn cost(replicas: usize, chooses: bool) -> f64 {
    let rounds = (0..5).map(|_| round(replicas, chooses));
    rounds.fold(f64::INFINITY, f64::min)
}

fn round(replicas: usize, chooses: bool) -> f64 {
    let now = Instant::now();
    let mut machine = Machine::new(Duration::from_secs(30));
    let names: Vec<usize> = (0..replicas).collect();
    for (id, _) in machine.found(now, &names) {
        machine.probed(now, id, Probed::Ready);
    }
    machine.take_changes();
    let machine = Mutex::new(machine);
    let mut random = fastrand::Rng::with_seed(7);
    let mut in_flight = std::collections::VecDeque::with_capacity(IN_FLIGHT + 1);
    let begun = std::time::Instant::now();
    let mut time = now;
    for _ in 0..CALLS {
        time += Duration::from_micros(10);
        let chosen = match chooses {
            true => {
                let mut machine = machine.lock().expect("nobody panics");
                let chosen = machine.pick(time, &[], || random.f64(), |_| true);
                chosen.expect("all are ready")
            }
            false => ReplicaId(0),
        };
        in_flight.push_back((black_box(chosen), time));
        if in_flight.len() > IN_FLIGHT
            && let Some((id, since)) = in_flight.pop_front()
            && chooses
        {
            let mut machine = machine.lock().expect("nobody panics");
            machine.tells(time, id, Ended::Answered, time - since, 0.5);
            machine.released(id);
        }
    }
    begun.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS)
}

fn main() {
    let nothing = cost(1, false);
    println!("ns for a call, with its end, beside {nothing:.0} ns of the loop");
    println!("| Replicas | ns | of 3 |\n| --: | --: | --: |");
    let three = cost(3, true) - nothing;
    for replicas in [1, 3, 10, 100] {
        let ns = cost(replicas, true) - nothing;
        println!("| {replicas} | {ns:.0} | {:.2} |", ns / three);
    }
}
