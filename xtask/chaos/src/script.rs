//! What one run is made of, drawn from its seed alone: the lane, the rows, and what goes wrong when.

use std::fmt;
use std::time::Duration;

use fastrand::Rng;

use crate::fault::{At, Event, Fault};
use crate::options::{Lane, draw_options};

/// The longest time one request of either client may take.
pub(crate) const TIMEOUT: Duration = Duration::from_millis(700);

/// How long the server of a run keeps an idle sequence: what `cargo xtask chaos` writes into its
/// models.
pub(crate) const IDLE: Duration = Duration::from_millis(1500);

/// How many sequences it keeps.
pub(crate) const PLACES: usize = 12;

/// A row of the source.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) key: usize,
    /// Its number among the rows of its key, from 1 on.
    pub(crate) number: i32,
    /// Another one for each row, so that a sum tells which rows are in it.
    pub(crate) value: i32,
    /// Whether it is the last of its sequence.
    pub(crate) last: bool,
}

/// Everything that a run does and meets.
#[derive(Debug, Clone)]
pub(crate) struct Script {
    pub(crate) seed: u64,
    pub(crate) lane: Lane,
    pub(crate) keys: usize,
    pub(crate) subtasks: u32,
    /// How many rows are handed over and not answered at once.
    pub(crate) in_flight: usize,
    pub(crate) options: Vec<(&'static str, &'static str)>,
    /// Whether time ends no sequence.
    pub(crate) bounded: bool,
    /// Whether the engine gives the function no state.
    pub(crate) without_state: bool,
    pub(crate) rows: Vec<Row>,
    pub(crate) faults: Vec<(At, Fault)>,
    /// What happens before a row is handed over.
    pub(crate) events: Vec<(usize, Event)>,
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
        let mut script = Self {
            seed,
            lane,
            keys,
            subtasks: match lane {
                Lane::Static => 1,
                _ => random.u32(1..=3),
            },
            in_flight: random.usize(1..=24),
            options: draw_options(random, lane),
            bounded: random.u32(0..4) > 0,
            without_state: lane.is_keyed() && random.u32(0..4) == 0,
            faults: faults(random, lane, &rows),
            events: Vec::new(),
            rows,
        };
        script.events = events(random, &script);
        script
    }

    /// Whether a request can reach the server after its client has given it up, or be kept there
    /// for longer than the client can know.
    pub(crate) fn can_be_late(&self) -> bool {
        let is_late = |fault: &Fault| matches!(fault, Fault::Late(_));
        self.faults.iter().any(|(_, fault)| is_late(fault))
            || self
                .events
                .iter()
                .any(|(_, event)| matches!(event, Event::Stop(_)))
    }

    /// Whether functions start over without what they knew.
    pub(crate) fn forgets(&self) -> bool {
        let begins_anew =
            |event: &Event| matches!(event, Event::CloseAndOpen { .. } | Event::Crash);
        self.without_state && self.events.iter().any(|(_, event)| begins_anew(event))
    }

    pub(crate) fn option(&self, name: &str) -> Option<&'static str> {
        let mut options = self.options.iter();
        options
            .find(|(key, _)| *key == name)
            .map(|(_, value)| *value)
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
        let at = match random.bool() && lane != Lane::Stateless {
            true => At::Row {
                value: rows[random.usize(0..rows.len())].value,
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

fn events(random: &mut Rng, script: &Script) -> Vec<(usize, Event)> {
    let count = random.usize(0..=4);
    let mut events: Vec<(usize, Event)> = Vec::new();
    for _ in 0..count {
        let at = random.usize(1..script.rows.len());
        let event = Event::draw(random, script);
        if event == Event::Crash && !script.without_state {
            events.push((random.usize(0..=at), Event::Checkpoint));
        }
        events.push((at, event));
    }
    events.sort_by_key(|(at, _)| *at);
    events
}

impl fmt::Display for Script {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "seed {}: {}, {} rows of {} keys on {} subtasks, {} in flight{}{}",
            self.seed,
            self.lane,
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
        for (at, event) in &self.events {
            writeln!(formatter, "  before row {at}: {event}")?;
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
}
