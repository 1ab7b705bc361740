//! Many subtasks with many keys at many servers, of which one is lost and one comes: how sequences are
//! spread, and that their recovery does not topple the rest.
//!
//! Everything happens in a time of its own. What comes out is printed with `--nocapture`; `cargo xtask
//! replicas --simulate` runs it with a million sequences, and draws what it prints.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};

use super::*;
use crate::sequences::machine::{quota, stable_hash};

/// How long a server takes for a row, in milliseconds.
const SERVICE: u64 = 5;

struct Setup {
    /// How often a key has a row, in milliseconds.
    pause: u64,
    subtasks: u32,
    servers: u32,
    /// Of each server.
    places: u64,
    /// Of each subtask.
    keys: u32,
    most_recovering: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Row { subtask: u32, key: u32 },
    Answer { subtask: u32, request: usize },
    Lose { server: u32 },
    Come { server: u32 },
}

struct Storm {
    setup: Setup,
    subtasks: Vec<(Machine<Ticket>, Arc<SequenceIdGenerator>)>,
    /// Those that are there.
    servers: Vec<u32>,
    epoch: Instant,
    now: u64,
    events: BinaryHeap<Reverse<(u64, u64, What)>>,
    number: u64,
    requests: HashMap<usize, Request>,
    request_count: usize,
    /// The rows of each sequence at each server.
    state: HashMap<(u32, String), u64>,
    /// How many sequences each server has.
    counts: HashMap<u32, u64>,
    /// Which sequences are being rebuilt.
    rebuilding: HashSet<(u32, String)>,
    most_rebuilding: usize,
    replayed: u64,
    answered: u64,
    /// The most requests in flight at one server.
    in_flight: HashMap<u32, usize>,
    most_in_flight: usize,
    recovered_at: u64,
    waits: Vec<u64>,
    handed_over: HashMap<(u32, u32), u64>,
}

fn name(server: u32) -> u64 {
    stable_hash(&format!("http://triton-{server}:8000/"))
}

impl Storm {
    fn new(setup: Setup) -> Self {
        let setting = Setting {
            recovery: SequenceRecovery::Replay,
            compares: false,
            places: 1,
            room: 0,
            bounded: true,
            numbered: false,
            deadline: None,
            most_lost: 100_000,
            history_rows: 1000,
            max_length: None,
            ends_abandoned: false,
            share: None,
            servers: 2,
            most_recovering: setup.most_recovering,
            by_hash: false,
            side_by_side: false,
        };
        let epoch = Instant::now();
        let servers: Vec<u32> = (0..setup.servers).collect();
        let subtasks = (0..setup.subtasks).map(|subtask| {
            let ids = ids(setting, subtask, &Arc::default());
            let offers = offers(&setup, &servers, subtask);
            (machine(&offers, setting, &ids, false, epoch), ids)
        });
        let subtasks = subtasks.collect();
        let mut storm = Self {
            setup,
            subtasks,
            servers,
            epoch,
            now: 0,
            events: BinaryHeap::new(),
            number: 0,
            requests: HashMap::new(),
            request_count: 0,
            state: HashMap::new(),
            counts: HashMap::new(),
            rebuilding: HashSet::new(),
            most_rebuilding: 0,
            replayed: 0,
            answered: 0,
            in_flight: HashMap::new(),
            most_in_flight: 0,
            recovered_at: 0,
            waits: Vec::new(),
            handed_over: HashMap::new(),
        };
        for subtask in 0..storm.setup.subtasks {
            for key in 0..storm.setup.keys {
                let first = u64::from(
                    subtask
                        .wrapping_mul(7919)
                        .wrapping_add(key.wrapping_mul(104_729)),
                );
                let first = first % storm.setup.pause;
                storm.at(first, What::Row { subtask, key });
            }
        }
        storm
    }

    fn at(&mut self, time: u64, what: What) {
        self.number += 1;
        self.events.push(Reverse((time, self.number, what)));
    }

    fn instant(&self) -> Instant {
        self.epoch + Duration::from_millis(self.now)
    }

    fn run(&mut self, until: u64) {
        while let Some(Reverse((time, ..))) = self.events.peek().copied()
            && time <= until
        {
            self.now = time;
            let Some(Reverse((_, _, what))) = self.events.pop() else {
                return;
            };
            match what {
                What::Row { subtask, key } => {
                    self.at(self.now + self.setup.pause, What::Row { subtask, key });
                    self.row(subtask, key);
                }
                What::Answer { subtask, request } => self.answer(subtask, request),
                What::Lose { server } => {
                    self.servers.retain(|other| *other != server);
                    self.state.retain(|(of, _), _| *of != server);
                    self.counts.remove(&server);
                    self.offered();
                }
                What::Come { server } => {
                    self.servers.push(server);
                    self.offered();
                }
            }
        }
        self.now = until;
    }

    fn offered(&mut self) {
        let now = self.instant();
        for subtask in 0..self.setup.subtasks {
            let offers = offers(&self.setup, &self.servers, subtask);
            self.subtasks[subtask as usize].0.offered(now, &offers);
            self.settle(subtask);
        }
    }

    fn row(&mut self, subtask: u32, key: u32) {
        // A key whose row is not answered yet has no next one.
        if self.handed_over.contains_key(&(subtask, key)) {
            return;
        }
        self.handed_over.insert((subtask, key), self.now);
        let row = Row {
            encoded: Ok(Arc::new(encoded(1))),
            last: false,
            position: None,
        };
        let ticket = Ticket {
            key: 0,
            number: i64::from(key),
            gone: Rc::default(),
        };
        let now = self.instant();
        let key = SequenceKey::new(&key.to_string());
        let refused = self.subtasks[subtask as usize]
            .0
            .submit(now, &key, row, ticket);
        assert!(refused.is_none());
        self.settle(subtask);
    }

    fn settle(&mut self, subtask: u32) {
        while let Some(effect) = self.subtasks[subtask as usize].0.next_effect() {
            match effect {
                Effect::Send(request) => {
                    let server = request.server.0;
                    let count = self.in_flight.entry(server).or_default();
                    *count += 1;
                    self.most_in_flight = self.most_in_flight.max(*count);
                    let is_replay = !matches!(request.content, Content::Encoded(_));
                    let id = self.subtasks[subtask as usize].1.text(request.counter);
                    match is_replay {
                        true => {
                            self.replayed += 1;
                            self.rebuilding.insert((subtask, id));
                        }
                        false => {
                            self.rebuilding.remove(&(subtask, id));
                        }
                    }
                    self.most_rebuilding = self.most_rebuilding.max(self.rebuilding.len());
                    if is_replay {
                        self.recovered_at = self.now;
                    }
                    let number = self.request_count;
                    self.request_count += 1;
                    self.requests.insert(number, request);
                    let what = What::Answer {
                        subtask,
                        request: number,
                    };
                    self.at(self.now + SERVICE, what);
                }
                Effect::Answer(ticket, result) => {
                    let key = ticket.number as u32;
                    result.unwrap();
                    self.answered += 1;
                    let since = self.handed_over.remove(&(subtask, key)).unwrap();
                    self.waits.push(self.now - since);
                }
                Effect::Cancel(_) | Effect::Report(_) => {}
            }
        }
    }

    fn answer(&mut self, subtask: u32, number: usize) {
        let request = self.requests.remove(&number).unwrap();
        let server = request.server.0;
        *self.in_flight.get_mut(&server).unwrap() -= 1;
        let id = self.subtasks[subtask as usize].1.text(request.counter);
        let now = self.instant();
        let outcome = match self.servers.contains(&server) {
            false => Outcome::Failed(Failed {
                error: Error::new(ErrorKind::Call, "nobody is there"),
                effect: FailureEffect::Away,
                server: None,
            }),
            true => {
                let rows = self.state.entry((server, id)).or_default();
                if *rows == 0 {
                    *self.counts.entry(server).or_default() += 1;
                }
                match request.start {
                    true => *rows = 1,
                    false => *rows += 1,
                }
                assert_eq!(*rows, request.row + 1, "a row is lost or doubled");
                let row = encoded(1);
                Outcome::Answered {
                    values: vec![Value::BigInt(*rows as i64)],
                    kept: request.is_kept.then(|| KeptRow {
                        packed: packed_row::pack(&row).into(),
                        digest: None,
                    }),
                    digest: None,
                }
            }
        };
        let machine = &mut self.subtasks[subtask as usize].0;
        machine.outcome(now, &request.key, request.number, outcome);
        self.settle(subtask);
        self.check();
    }

    /// No server has more sequences than places, of all subtasks together.
    fn check(&self) {
        if self.number.is_multiple_of(64) {
            let counts = &self.counts;
            assert!(
                counts.values().all(|count| *count <= self.setup.places),
                "{counts:?}"
            );
        }
    }

    /// How many sequences each server has that somebody goes on with.
    fn spread(&self) -> Vec<usize> {
        let of = |server| self.counts.get(server).map_or(0, |count| *count as usize);
        self.servers.iter().map(of).collect()
    }

    fn longest_wait(&mut self) -> u64 {
        let waits = std::mem::take(&mut self.waits);
        waits.into_iter().max().unwrap_or_default()
    }
}

fn offers(setup: &Setup, servers: &[u32], subtask: u32) -> Vec<Offer> {
    let offer = |server: &u32| Offer {
        id: ReplicaId(*server),
        name_hash: name(*server),
        limit: quota(setup.places, subtask, setup.subtasks, name(*server)) as usize,
        ..Offer::only(0, 0)
    };
    servers.iter().map(offer).collect()
}

// Holds S65, S69, S72.
#[test]
fn a_server_that_is_lost_is_made_good_by_the_others_at_a_bounded_rate() {
    for (most_recovering, label) in [(2, "2 at once"), (usize::MAX, "all at once")] {
        let mut storm = Storm::new(Setup {
            pause: 100,
            subtasks: 8,
            servers: 20,
            places: 30,
            keys: 40,
            most_recovering,
        });
        storm.run(2_000);
        let before = storm.spread();
        let calm = (storm.most_in_flight, storm.longest_wait());
        storm.most_in_flight = 0;
        for server in 0..5 {
            storm.at(2_000, What::Lose { server });
        }
        storm.run(6_000);
        let after = storm.spread();
        let longest = storm.longest_wait();
        println!(
            "20 servers, 8 subtasks, 320 sequences, {label}: {}..={} a server, five lost: {} rows sent \
             again, at most {} sequences rebuilt at once, the last row of a replay after {} ms, at \
             most {} requests at a server (before {}), longest wait {} ms (before {}), then {}..={}",
            before.iter().min().unwrap(),
            before.iter().max().unwrap(),
            storm.replayed,
            storm.most_rebuilding,
            storm.recovered_at - 2_000,
            storm.most_in_flight,
            calm.0,
            longest,
            calm.1,
            after.iter().min().unwrap(),
            after.iter().max().unwrap(),
        );
        assert!(
            before.iter().all(|count| (11..=21).contains(count)),
            "{before:?}"
        );
        assert!(storm.replayed > 0);
        if most_recovering == 2 {
            assert!(storm.most_rebuilding <= 16, "{}", storm.most_rebuilding);
        }
        let all: usize = after.iter().sum();
        assert!(all >= 320, "{after:?}");
        // One that comes has its share of what is new.
        storm.at(6_000, What::Come { server: 20 });
        storm.run(6_050);
        assert_eq!(storm.spread().last(), Some(&0), "nothing moves for it");
    }
}

/// The size of a run that is drawn, and where the number of its sequences comes from.
const SEQUENCES: &str = "TRITON_SIMULATED_SEQUENCES";

// Holds S65, S69, S72.
#[test]
fn a_storm_of_recoveries_stays_below_what_the_servers_are_used_to() {
    let sequences = std::env::var(SEQUENCES).ok();
    let sequences: u32 = sequences.map_or(400, |sequences| sequences.parse().unwrap());
    // Hundreds of servers for a million.
    let servers = (sequences / 3_333).max(20);
    let subtasks = (sequences / 10_000).max(10);
    let (pause, lost) = (2_000, servers / 20);
    let lost_at = pause * 4;
    for (most_recovering, label) in [(4, "budget"), (usize::MAX, "none")] {
        let mut storm = Storm::new(Setup {
            pause,
            subtasks,
            servers,
            places: u64::from(sequences / servers) * 8 / 5,
            keys: sequences / subtasks,
            most_recovering,
        });
        for server in 0..lost {
            storm.at(lost_at, What::Lose { server });
            storm.at(
                lost_at * 2,
                What::Come {
                    server: servers + server,
                },
            );
        }
        let (mut calm, mut worst) = (0, 0);
        let mut most_rebuilding = 0;
        for until in (100..=lost_at * 5 / 2).step_by(100) {
            (storm.most_in_flight, storm.most_rebuilding) = (0, 0);
            storm.run(until);
            let spread = storm.spread();
            let seconds = until as f64 / 1000.0;
            println!(
                "plot {label} {seconds} {} {} {} {}",
                spread.iter().min().unwrap(),
                spread.iter().max().unwrap(),
                storm.most_in_flight,
                storm.most_rebuilding,
            );
            match until {
                ..=2_000 => {}
                _ if until <= lost_at => calm = calm.max(storm.most_in_flight),
                _ => worst = worst.max(storm.most_in_flight),
            }
            most_rebuilding = most_rebuilding.max(storm.most_rebuilding);
        }
        let longest = storm.longest_wait();
        let spread = storm.spread();
        println!(
            "figures {label}: {sequences} sequences, {servers} servers, {subtasks} subtasks, {lost} \
             lost; {} rows sent again until {} ms after the loss, at most {most_rebuilding} sequences \
             rebuilt at once, at most {worst} requests at a server ({calm} before), longest wait \
             {longest} ms; {}..={} sequences a server",
            storm.replayed,
            storm.recovered_at.saturating_sub(lost_at),
            spread.iter().min().unwrap(),
            spread.iter().max().unwrap(),
        );
        assert!(storm.replayed > 0);
        if label == "budget" {
            assert!(
                most_rebuilding <= 4 * subtasks as usize,
                "{most_rebuilding}"
            );
        }
    }
}

/// Two servers, of which both fail two keys' rows after the first ones were answered.
fn two_recoveries(most_recovering: usize) -> Run {
    let mut run = Run::new(Setting {
        recovery: SequenceRecovery::Replay,
        compares: false,
        places: 9,
        room: 0,
        bounded: true,
        numbered: false,
        deadline: Some(1000),
        most_lost: 100,
        history_rows: 1000,
        max_length: None,
        ends_abandoned: false,
        share: None,
        servers: 2,
        most_recovering,
        by_hash: true,
        side_by_side: false,
    });
    for _ in 0..2 {
        (0..2).for_each(|key| run.hand_over(key, false, false, true));
        if run.answered == 0 {
            (0..2).for_each(|_| run.outcome(0, Fault::None));
        }
    }
    run
}

// Holds S15, S72.
#[test]
fn a_row_that_waits_for_other_recoveries_says_so_at_its_deadline() {
    let mut run = two_recoveries(1);
    run.outcome(0, Fault::Away);
    run.outcome(0, Fault::Away);
    assert_eq!(run.out.len(), 1, "one at a time");
    run.pass(Duration::from_secs(1));
    insta::assert_snapshot!(run.errors.join("\n"), @"the row was not sent within 'row-deadline', 1.0s after it was handed over: it waited for 1.0s until its sequence could be recovered, because no more than 1 are at once, which follows from 'max-in-flight'");
}

// Holds S69.
#[test]
fn a_sequence_is_rebuilt_at_another_server_than_the_one_that_was_away() {
    let mut run = two_recoveries(9);
    for _ in 0..2 {
        let before = run.out[0].server;
        run.outcome(0, Fault::Away);
        let last = run.out.last().unwrap();
        assert_ne!(last.server, before);
        assert!(!matches!(last.content, Content::Encoded(_)));
    }
}
