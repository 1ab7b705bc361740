//! The one table that a soak comes to.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::Result;

use super::report::Report;
use crate::check::Answers;
use crate::memory;
use crate::options::Lane;
use crate::script::{Front, Script};

/// Sums of all runs, by who took the rows to the server and how.
#[derive(Default)]
pub(super) struct Table {
    lines: BTreeMap<(Front, Lane), Line>,
    broken: Vec<String>,
    left_open: Vec<String>,
    /// What the process had in memory once it was warm, and when all runs were over, in MiB.
    memory: (Option<f64>, Option<f64>),
}

/// After so many runs everything has been used, so that memory is compared with what it is then.
const WARM: usize = 10;

/// Fewer runs say nothing of memory.
const RUNS_FOR_MEMORY: usize = 20;

/// As a multiple of what it was: the allocator keeps some, and no two runs are alike.
const MOST_MEMORY: f64 = 1.25;

#[derive(Default, Clone, Copy)]
struct Line {
    runs: usize,
    /// How many of the runs were held against the places of their servers.
    places: usize,
    rows: usize,
    requests: usize,
    faults: usize,
    ours: Answers,
    naive: Answers,
    flink: Answers,
}

impl Table {
    pub(super) fn add(&mut self, script: &Script, report: &Report) -> Result<()> {
        let line = self.lines.entry((script.front, script.lane)).or_default();
        line.add(Line {
            runs: 1,
            places: report.has_places.into(),
            rows: script.rows.len(),
            requests: report.requests,
            faults: report.faults,
            ours: report.ours,
            naive: report.naive.unwrap_or_default(),
            flink: report.flink.unwrap_or_default(),
        });
        if !report.broken.is_empty() {
            self.broken.push(script.name.clone());
        }
        if self.runs() == WARM {
            self.memory.0 = Some(memory::resident()?);
        }
        Ok(())
    }

    fn runs(&self) -> usize {
        self.lines.values().map(|line| line.runs).sum()
    }

    /// Nothing of the runs is left, so that memory can be looked at.
    pub(super) fn ends(&mut self) -> Result<()> {
        self.memory.1 = Some(memory::resident()?);
        Ok(())
    }

    /// How memory has changed, where enough runs were made to say so.
    fn memory(&self) -> Option<(f64, f64)> {
        let (warm, end) = (self.memory.0?, self.memory.1?);
        (self.runs() >= RUNS_FOR_MEMORY).then_some((warm, end))
    }

    fn has_grown(&self) -> bool {
        self.memory()
            .is_some_and(|(warm, end)| end > warm * MOST_MEMORY)
    }

    /// Files and connections that are still open when all runs are over.
    pub(super) fn leaves_open(&mut self, files: Vec<String>) {
        self.left_open = files;
    }

    pub(super) fn is_right(&self) -> bool {
        self.broken.is_empty() && self.left_open.is_empty() && !self.has_grown()
    }
}

impl Line {
    fn add(&mut self, other: Self) {
        self.runs += other.runs;
        self.places += other.places;
        self.rows += other.rows;
        self.requests += other.requests;
        self.faults += other.faults;
        self.ours.add(other.ours);
        self.naive.add(other.naive);
        self.flink.add(other.flink);
    }
}

impl Answers {
    fn add(&mut self, other: Self) {
        self.right += other.right;
        self.wrong += other.wrong;
        self.failed += other.failed;
        self.marked += other.marked;
    }

    fn is_any(&self) -> bool {
        self.right + self.wrong + self.failed > 0
    }
}

impl fmt::Display for Table {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut all = Line::default();
        for line in self.lines.values() {
            all.add(*line);
        }
        let peers: &[_] = match (all.naive.is_any(), all.flink.is_any()) {
            (_, true) => &["Retry loop", "Flink's rules"],
            (true, false) => &["Retry loop"],
            (false, false) => &[],
        };
        let heading = "| Lane | Runs | Places checked | Rows | Requests | Faults | Here: wrong | failed | marked |";
        let peers: Vec<_> = peers
            .iter()
            .map(|peer| format!(" {peer}: wrong | failed |"))
            .collect();
        writeln!(formatter, "{heading}{}", peers.concat())?;
        writeln!(formatter, "|{}", " --- |".repeat(9 + 2 * peers.len()))?;
        for ((front, lane), line) in &self.lines {
            let name = match front {
                Front::Function => lane.to_string(),
                Front::Command => format!("the command: {lane}"),
            };
            write_line(formatter, &name, line, peers.len())?;
        }
        write_line(formatter, "all", &all, peers.len())?;
        if let Some((warm, end)) = self.memory() {
            let verdict = if self.has_grown() { "BROKEN: " } else { "" };
            writeln!(
                formatter,
                "\n{verdict}memory was {warm:.1} MiB after {WARM} runs and is {end:.1} MiB after all"
            )?;
        }
        if !self.broken.is_empty() {
            writeln!(formatter, "\nbroken: {}", self.broken.join(", "))?;
        }
        if !self.left_open.is_empty() {
            writeln!(formatter, "\nleft open: {}", self.left_open.join(", "))?;
        }
        Ok(())
    }
}

fn write_line(
    formatter: &mut fmt::Formatter<'_>,
    name: &str,
    line: &Line,
    peers: usize,
) -> fmt::Result {
    write!(
        formatter,
        "| {name} | {} | {} | {} | {} | {} | {} | {} | {} |",
        line.runs,
        line.places,
        line.rows,
        line.requests,
        line.faults,
        line.ours.wrong,
        line.ours.failed,
        line.ours.marked,
    )?;
    for peer in [line.naive, line.flink].iter().take(peers) {
        write!(formatter, " {} | {} |", peer.wrong, peer.failed)?;
    }
    writeln!(formatter)
}
