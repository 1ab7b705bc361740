//! The limiter against a picture of a server with a bounded queue, in a time of its own.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

use fastrand::Rng;
use proptest::prelude::*;

use super::limiter::{Limiter, Signal};
use crate::property_cases;

/// What the way to the server and back takes, in microseconds.
const WAY: u64 = 1000;
/// How long a refused request keeps its permit before it is sent again: a backoff.
const BACKOFF: u64 = 50_000;
const SECOND: u64 = 1_000_000;

/// How long the model takes for a request, in microseconds.
#[derive(Debug, Clone, Copy)]
enum Service {
    Fixed(u64),
    Uniform(u64, u64),
    Exponential(u64),
    /// Most take the first time, one in twenty the second.
    Uneven(u64, u64),
}

impl Service {
    fn draw(self, random: &mut Rng) -> u64 {
        match self {
            Service::Fixed(time) => time,
            Service::Uniform(least, most) => random.u64(least..=most),
            Service::Exponential(mean) => (-(1.0 - random.f64()).ln() * mean as f64) as u64,
            Service::Uneven(often, seldom) => match random.u8(0..20) {
                0 => seldom,
                _ => often,
            },
        }
    }

    fn mean(self) -> f64 {
        match self {
            Service::Fixed(time) | Service::Exponential(time) => time as f64,
            Service::Uniform(least, most) => (least + most) as f64 / 2.0,
            Service::Uneven(often, seldom) => (19 * often + seldom) as f64 / 20.0,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// A worker is done with the request that was sent then.
    Done { since: u64 },
    /// It was refused.
    Refused { since: u64 },
    /// It is sent again.
    Again,
}

enum Limit {
    Fixed(u32),
    Auto(Box<Limiter>),
}

struct Simulation {
    limit: Limit,
    service: Service,
    workers: usize,
    queue: usize,
    random: Rng,
    now: u64,
    events: BinaryHeap<Reverse<(u64, Event)>>,
    busy: usize,
    waiting: VecDeque<u64>,
    /// Permits that are taken.
    taken: u32,
    answered: u64,
    refused: u64,
}

impl Simulation {
    fn new(limit: Limit, workers: usize, queue: usize, service: Service) -> Self {
        Self {
            limit,
            service,
            workers,
            queue,
            random: Rng::with_seed(7),
            now: 0,
            events: BinaryHeap::new(),
            busy: 0,
            waiting: VecDeque::new(),
            taken: 0,
            answered: 0,
            refused: 0,
        }
    }

    fn auto(workers: usize, queue: usize, service: Service) -> Self {
        let limiter = Box::new(Limiter::new(256));
        Self::new(Limit::Auto(limiter), workers, queue, service)
    }

    fn limit(&self) -> u32 {
        match &self.limit {
            Limit::Fixed(limit) => *limit,
            Limit::Auto(limiter) => limiter.limit(),
        }
    }

    fn send(&mut self) {
        if let Limit::Auto(limiter) = &mut self.limit {
            limiter.sent();
        }
        let since = self.now;
        if self.busy < self.workers {
            self.work(since);
        } else if self.waiting.len() < self.queue {
            self.waiting.push_back(since);
        } else {
            self.later(WAY, Event::Refused { since });
        }
    }

    fn work(&mut self, since: u64) {
        self.busy += 1;
        let time = self.service.draw(&mut self.random);
        self.later(WAY + time, Event::Done { since });
    }

    fn later(&mut self, after: u64, event: Event) {
        self.events.push(Reverse((self.now + after, event)));
    }

    fn ended(&mut self, since: u64, signal: Signal) {
        let now = Duration::from_micros(self.now);
        if let Limit::Auto(limiter) = &mut self.limit {
            limiter.ended(Duration::from_micros(since), now, signal);
            assert!((1..=256).contains(&limiter.limit()));
        }
    }

    /// Sends all the time whatever the limit allows, and says how much of the best possible
    /// throughput that was, and how much of what was sent was refused.
    fn run(&mut self, seconds: u64) -> (f64, f64) {
        let (answered, refused) = (self.answered, self.refused);
        let end = self.now + seconds * SECOND;
        loop {
            while self.taken < self.limit() {
                self.taken += 1;
                self.send();
            }
            let Some(Reverse((at, event))) = self.events.pop() else {
                panic!("nothing is in flight, and nothing is sent")
            };
            if at > end {
                self.events.push(Reverse((at, event)));
                self.now = end;
                break;
            }
            self.now = at;
            match event {
                Event::Done { since } => {
                    self.busy -= 1;
                    while self.busy < self.workers
                        && let Some(next) = self.waiting.pop_front()
                    {
                        self.work(next);
                    }
                    self.answered += 1;
                    self.taken -= 1;
                    self.ended(since, Signal::Answered);
                }
                Event::Refused { since } => {
                    self.refused += 1;
                    self.ended(since, Signal::Refused);
                    let backoff = self.random.u64(BACKOFF / 2..=BACKOFF);
                    self.later(backoff, Event::Again);
                }
                Event::Again => self.send(),
            }
        }
        let answered = (self.answered - answered) as f64;
        let refused = (self.refused - refused) as f64;
        let per_second = self.workers as f64 * SECOND as f64 / (self.service.mean() + WAY as f64);
        (
            answered / seconds as f64 / per_second,
            refused / (answered + refused),
        )
    }
}

// Holds F62.
#[test]
fn it_holds_a_server_with_a_queue_limit_where_a_fixed_number_does_not() {
    let service = Service::Uniform(15_000, 25_000);
    let (throughput, refusals) = Simulation::auto(8, 8, service).run(60);
    assert!(
        throughput >= 0.9 && refusals < 0.01,
        "auto: {throughput:.3} of the best, {refusals:.4} refused"
    );
    let (throughput, refusals) = Simulation::new(Limit::Fixed(64), 8, 8, service).run(60);
    assert!(
        refusals > 0.3,
        "64: {throughput:.3} of the best, {refusals:.4} refused"
    );
}

// Holds F62.
#[test]
fn it_follows_a_capacity_that_doubles_and_halves() {
    let mut simulation = Simulation::auto(8, 8, Service::Uniform(15_000, 25_000));
    for workers in [8, 16, 8, 4, 8] {
        simulation.workers = workers;
        let (_, at_first) = simulation.run(10);
        let (throughput, refusals) = simulation.run(50);
        let limit = simulation.limit();
        assert!(
            throughput >= 0.9 && refusals < 0.01 && at_first < 0.03,
            "{workers} workers: {throughput:.3}, {refusals:.4} ({at_first:.4}), limit {limit}"
        );
    }
}

// Holds F63.
#[test]
fn it_does_not_collapse_where_latency_varies() {
    for service in [
        Service::Uniform(1_000, 100_000),
        Service::Exponential(30_000),
        Service::Uneven(1_000, 1_000_000),
        Service::Uneven(10_000, 200_000),
    ] {
        let mut simulation = Simulation::auto(64, 1000, service);
        simulation.run(60);
        let (throughput, refusals) = simulation.run(120);
        let limit = simulation.limit();
        assert!(
            throughput >= 0.8 && refusals == 0.0,
            "{service:?}: {throughput:.3}, limit {limit}"
        );
    }
}

// Holds F63.
#[test]
fn it_follows_a_model_that_becomes_slower_for_good() {
    let mut simulation = Simulation::auto(16, 1000, Service::Fixed(10_000));
    simulation.run(20);
    simulation.service = Service::Fixed(50_000);
    simulation.run(20);
    let (throughput, _) = simulation.run(60);
    let limit = simulation.limit();
    assert!(throughput >= 0.9, "{throughput:.3}, limit {limit}");
    // It does not fill a queue that has room without end.
    assert!(limit <= 96, "{limit}");
}

// Holds F62.
#[test]
fn it_comes_back_when_a_server_that_refused_everything_does() {
    for service in [
        Service::Uniform(15_000, 25_000),
        Service::Uniform(80_000, 120_000),
    ] {
        let mut simulation = Simulation::auto(16, 32, service);
        simulation.run(30);
        (simulation.workers, simulation.queue) = (0, 0);
        simulation.run(10);
        (simulation.workers, simulation.queue) = (16, 32);
        simulation.run(10);
        let (throughput, refusals) = simulation.run(20);
        let limit = simulation.limit();
        assert!(
            throughput >= 0.9 && refusals < 0.01,
            "{service:?}: {throughput:.3}, {refusals:.4}, limit {limit}"
        );
    }
}

#[test]
fn without_rows_enough_it_does_not_grow() {
    let mut limiter = Limiter::new(256);
    for number in 0..10_000 {
        let at = Duration::from_millis(number);
        limiter.sent();
        limiter.ended(at, at + Duration::from_micros(500), Signal::Answered);
    }
    assert_eq!(limiter.limit(), 4);
}

proptest! {
    #![proptest_config(property_cases(48))]

    // Holds F62.
    #[test]
    fn it_holds_servers_of_any_size(
        workers in 1_usize..48,
        queue in 1_usize..64,
        mean in 5_000_u64..60_000,
    ) {
        let service = Service::Uniform(mean / 2, mean * 3 / 2);
        let mut simulation = Simulation::auto(workers, queue, service);
        simulation.run(20);
        let (throughput, refusals) = simulation.run(100);
        let limit = simulation.limit();
        prop_assert!(
            throughput >= 0.85 && refusals < 0.01,
            "{throughput:.3}, {refusals:.4}, limit {limit}"
        );
    }

    // Holds F62.
    #[test]
    fn it_stays_between_one_and_the_most(
        most in 1_u32..300,
        ends in proptest::collection::vec((0_u64..100, 0_usize..4), 0..600),
    ) {
        let mut limiter = Limiter::new(most);
        let mut now = Duration::ZERO;
        for (millis, signal) in ends {
            limiter.sent();
            let since = now;
            now += Duration::from_millis(millis);
            let signals =
                [Signal::Answered, Signal::Refused, Signal::TimedOut, Signal::Unknown];
            limiter.ended(since, now, signals[signal]);
            prop_assert!((1..=most).contains(&limiter.limit()));
        }
    }
}
