//! What one run is made of, drawn from its seed alone: the lane, the rows, and what goes wrong when.

use std::fmt;
use std::time::Duration;

use fastrand::Rng;
use serde::{Deserialize, Serialize};

use crate::check::Expects;
use crate::fault::{At, Event, Fault};
use crate::options::{Lane, Options, draw_options};

/// The longest time one request of either client may take.
pub(crate) const TIMEOUT: Duration = Duration::from_millis(700);

/// How long the server of a run keeps an idle sequence: what `cargo xtask chaos` writes into its
/// models.
pub(crate) const IDLE: Duration = Duration::from_millis(1500);

/// How many sequences it keeps.
pub(crate) const PLACES: usize = 12;

/// A row of the source.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) key: usize,
    /// Its number among the rows of its key, from 1 on.
    pub(crate) number: i32,
    /// Another one for each row, so that a sum tells which rows are in it.
    pub(crate) value: i32,
    /// Whether it is the last of its sequence.
    pub(crate) last: bool,
}

/// Who takes rows to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Front {
    /// The model function, as an engine uses it.
    Function,
    /// `triton predict`, which is killed, told to end and stopped, and goes on from its checkpoint.
    Command,
}

/// Everything that a run does and meets.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Script {
    /// Its seed, or the name of what it shows.
    pub(crate) name: String,
    pub(crate) front: Front,
    pub(crate) lane: Lane,
    /// Where it is not that of the lane.
    pub(crate) model: Option<String>,
    /// How many servers there are behind the endpoint.
    pub(crate) servers: usize,
    pub(crate) keys: usize,
    pub(crate) subtasks: u32,
    /// How many rows are handed over and not answered at once.
    pub(crate) in_flight: usize,
    pub(crate) options: Options,
    /// Whether time ends no sequence.
    pub(crate) bounded: bool,
    /// Whether the engine gives the function no state.
    pub(crate) without_state: bool,
    pub(crate) rows: Vec<Row>,
    pub(crate) faults: Vec<(At, Fault)>,
    /// What the command's clock shows when it starts, as libfaketime takes it.
    pub(crate) clock: Option<String>,
    /// What happens before a row is handed over, or, to the command, once a row has arrived.
    pub(crate) events: Vec<Happening>,
    /// What has to come of it, where it has a name.
    #[serde(default)]
    pub(crate) expects: Expects,
}

/// An event, and where it happens.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Happening {
    pub(crate) row: usize,
    /// The server that it happens to, unless it happens to the client.
    pub(crate) server: usize,
    pub(crate) event: Event,
}

impl Script {
    pub(crate) fn draw(seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        let random = &mut random;
        let lane = Lane::draw(random);
        let keys = match lane {
            Lane::Static => 1,
            _ => random.usize(1..=16),
        };
        let count = random.usize(30..=140);
        let rows = rows(random, lane, keys, count);
        let front = match lane {
            // Without an engine nobody restarts a static sequence.
            Lane::Static => Front::Function,
            _ if random.u32(0..4) == 0 => Front::Command,
            _ => Front::Function,
        };
        let is_function = front == Front::Function;
        let mut script = Self {
            name: format!("seed {seed}"),
            front,
            lane,
            model: None,
            servers: match random.u32(0..4) {
                0 => 3,
                _ => 1,
            },
            keys,
            subtasks: match lane {
                Lane::Static => 1,
                _ => random.u32(1..=3),
            },
            in_flight: random.usize(1..=24),
            options: draw_options(random, lane),
            bounded: random.u32(0..4) > 0 || !is_function,
            without_state: lane.is_keyed() && random.u32(0..4) == 0 && is_function,
            faults: faults(random, lane, &rows),
            clock: None,
            events: Vec::new(),
            expects: Expects::default(),
            rows,
        };
        script.events = events(random, &script);
        script
    }

    pub(crate) fn option(&self, name: &str) -> Option<&str> {
        let mut options = self.options.iter();
        let (_, value) = options.find(|(key, _)| key == name)?;
        Some(value)
    }

    pub(crate) fn model(&self) -> &str {
        self.model.as_deref().unwrap_or_else(|| self.lane.model())
    }

    /// Whether the model is asked for the ID that it sees.
    pub(crate) fn answers_with_ids(&self) -> bool {
        // A replay has another ID, so that answers would differ in it.
        let compares = self.option("sequence-replay-compare").is_some();
        self.lane != Lane::Stateless && self.model.is_none() && !compares
    }

    pub(crate) fn has_positions(&self) -> bool {
        self.option("sequence-position-column").is_some()
    }

    /// The row with a value, which no other one has.
    pub(crate) fn row_of(&self, value: i32) -> Option<usize> {
        self.rows.iter().position(|row| row.value == value)
    }
}

fn rows(random: &mut Rng, lane: Lane, keys: usize, count: usize) -> Vec<Row> {
    let mut numbers = vec![0; keys];
    let ends = lane.is_keyed() && random.bool();
    let mut rows: Vec<Row> = (0..count)
        .map(|index| {
            let key = random.usize(0..keys);
            numbers[key] += 1;
            Row {
                key,
                number: numbers[key],
                // No row has the value of another one, and few sums are equal.
                value: (index as i32 + 1) * 4096 + random.i32(0..4096),
                last: ends && random.u32(0..8) == 0,
            }
        })
        .collect();
    // A source with an end says which row of a key is the last one.
    for key in (0..keys).filter(|_| lane.is_keyed()) {
        if let Some(row) = rows.iter_mut().rev().find(|row| row.key == key) {
            row.last = true;
        }
    }
    rows
}

fn faults(random: &mut Rng, lane: Lane, rows: &[Row]) -> Vec<(At, Fault)> {
    let count = random.usize(2..=16);
    let mut faults = Vec::new();
    while faults.len() < count {
        let at = match random.bool() {
            true => At::Row {
                row: random.usize(0..rows.len()),
                sending: random.u32(1..=3),
            },
            false => At::Request(random.u32(1..=rows.len() as u32 * 2)),
        };
        let fault = Fault::draw(random, lane, at);
        // Several in a row, as a bad link has them.
        let burst = match random.u32(0..6) {
            0 => random.u32(2..=6),
            _ => 1,
        };
        for further in 0..burst {
            faults.push((at.later(further), fault));
        }
    }
    faults
}

fn events(random: &mut Rng, script: &Script) -> Vec<Happening> {
    let count = random.usize(0..=4);
    let mut events: Vec<Happening> = Vec::new();
    for _ in 0..count {
        let row = random.usize(1..script.rows.len());
        let server = random.usize(0..script.servers);
        let event = Event::draw(random, script);
        if event == Event::Crash && script.front == Front::Function && !script.without_state {
            let stored = Happening {
                row: random.usize(0..=row),
                server,
                event: Event::Checkpoint,
            };
            events.push(stored);
        }
        events.push(Happening { row, server, event });
    }
    events.sort_by_key(|it| it.row);
    events
}

impl fmt::Display for Script {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "{}: {:?}, {}, {} servers, {} rows of {} keys on {} subtasks, {} in flight{}{}",
            self.name,
            self.front,
            self.lane,
            self.servers,
            self.rows.len(),
            self.keys,
            self.subtasks,
            self.in_flight,
            if self.bounded { ", bounded" } else { "" },
            if self.without_state {
                ", without state"
            } else {
                ""
            },
        )?;
        for (key, value) in &self.options {
            writeln!(formatter, "  {key} = {value}")?;
        }
        for (at, fault) in &self.faults {
            writeln!(formatter, "  {at}: {fault}")?;
        }
        for it in &self.events {
            writeln!(
                formatter,
                "  at row {}, server {}: {}",
                it.row, it.server, it.event
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_its_seeds() {
        for seed in 0..200 {
            let script = Script::draw(seed);
            assert_eq!(script.to_string(), Script::draw(seed).to_string());
            let values: std::collections::BTreeSet<_> =
                script.rows.iter().map(|row| row.value).collect();
            assert_eq!(values.len(), script.rows.len(), "seed {seed}");
        }
    }

    /// The seeds that the CI runs, from the first to the last.
    fn seeds_of_the_ci() -> Option<(u64, u64)> {
        let source = include_str!("../../src/chaos/mod.rs");
        let (_, behind) = source.split_once("const SEEDS: &str = \"")?;
        let (first, last) = behind.split_once('"')?.0.split_once('-')?;
        Some((first.parse().ok()?, last.parse().ok()?))
    }

    /// The command, its replays and IDs of single requests are among them.
    #[test]
    fn the_ci_takes_rows_every_way_that_ten_seeds_can() {
        let (first, last) = seeds_of_the_ci().expect("xtask names the seeds of the CI");
        assert_eq!(last - first, 9);
        let ways: std::collections::BTreeSet<_> = (first..=last)
            .map(Script::draw)
            .map(|script| (script.front, script.lane))
            .collect();
        // No ten in a row take more.
        for way in [
            (Front::Function, Lane::Fail),
            (Front::Function, Lane::Restart),
            (Front::Function, Lane::Replay),
            (Front::Function, Lane::Static),
            (Front::Function, Lane::Stateless),
            (Front::Command, Lane::Fail),
            (Front::Command, Lane::Replay),
            (Front::Command, Lane::PerRequest),
            (Front::Command, Lane::Stateless),
        ] {
            assert!(ways.contains(&way), "{way:?} is not among {ways:?}");
        }
    }
}
