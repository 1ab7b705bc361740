//! The one table that a soak comes to.

use std::collections::BTreeMap;
use std::fmt;

use crate::Report;
use crate::check::Answers;
use crate::options::Lane;
use crate::script::Script;

/// Sums of all runs, by lane.
#[derive(Default)]
pub(crate) struct Table {
    lanes: BTreeMap<Lane, Line>,
    broken: Vec<u64>,
}

#[derive(Default, Clone, Copy)]
struct Line {
    runs: usize,
    rows: usize,
    requests: usize,
    faults: usize,
    ours: Answers,
    naive: Answers,
}

impl Table {
    pub(crate) fn add(&mut self, script: &Script, report: &Report) {
        let line = self.lanes.entry(script.lane).or_default();
        line.runs += 1;
        line.rows += script.rows.len();
        line.requests += report.requests;
        line.faults += report.faults;
        line.ours.add(report.ours);
        line.naive.add(report.naive.unwrap_or_default());
        if !report.broken.is_empty() {
            self.broken.push(script.seed);
        }
    }

    pub(crate) fn is_right(&self) -> bool {
        self.broken.is_empty()
    }
}

impl Answers {
    fn add(&mut self, other: Self) {
        self.right += other.right;
        self.wrong += other.wrong;
        self.failed += other.failed;
        self.marked += other.marked;
    }
}

impl fmt::Display for Table {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "| Lane | Runs | Rows | Requests | Faults | Ours: wrong | failed | marked | Naive: \
             wrong | failed |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
        )?;
        let mut all = Line::default();
        for (lane, line) in &self.lanes {
            write_line(formatter, &lane.to_string(), line)?;
            all.runs += line.runs;
            all.rows += line.rows;
            all.requests += line.requests;
            all.faults += line.faults;
            all.ours.add(line.ours);
            all.naive.add(line.naive);
        }
        write_line(formatter, "all", &all)?;
        if !self.broken.is_empty() {
            writeln!(formatter, "\nbroken: seeds {:?}", self.broken)?;
        }
        Ok(())
    }
}

fn write_line(formatter: &mut fmt::Formatter<'_>, name: &str, line: &Line) -> fmt::Result {
    writeln!(
        formatter,
        "| {name} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
        line.runs,
        line.rows,
        line.requests,
        line.faults,
        line.ours.wrong,
        line.ours.failed,
        line.ours.marked,
        line.naive.wrong,
        line.naive.failed
    )
}
