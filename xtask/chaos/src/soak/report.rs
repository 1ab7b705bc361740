//! What came of one script.

use crate::check::Answers;
use crate::fault::{At, Fault};
use crate::outcome::{Outcome, Run};
use crate::script::Script;

pub(super) struct Report {
    pub(super) ours: Answers,
    pub(super) naive: Option<Answers>,
    pub(super) flink: Option<Answers>,
    /// The faults that requests met, and the events that happened.
    pub(super) faults: usize,
    pub(super) requests: usize,
    /// Whether it was held against the places of its servers.
    pub(super) has_places: bool,
    pub(super) seconds: f64,
    pub(super) broken: Vec<String>,
    /// Why rows failed.
    pub(super) failures: Vec<String>,
    /// The faults that requests met.
    pub(super) met: Vec<(At, Fault)>,
}

impl Report {
    pub(super) fn print(&self, script: &Script, verbose: bool) {
        let state = if self.broken.is_empty() {
            "ok"
        } else {
            "BROKEN"
        };
        println!(
            "{:<10} {:<18} {:?} {} servers {:>4} rows {:>5} requests {:>3} faults {:>4} failed \
             {:>3} marked; naive {:>4} wrong; {:>5.1} s {state}",
            script.name,
            script.lane,
            script.front,
            script.servers,
            script.rows.len(),
            self.requests,
            self.faults,
            self.ours.failed,
            self.ours.marked,
            self.naive.map_or(0, |naive| naive.wrong),
            self.seconds,
        );
        if !self.broken.is_empty() || verbose {
            print!("{script}");
            print_some("BROKEN", &self.broken, verbose);
            print_some("failed", &self.failures, verbose);
        }
    }
}

/// The first few of what is alike.
fn print_some(what: &str, lines: &[String], verbose: bool) {
    const FEW: usize = 12;
    let shown = if verbose { lines.len() } else { FEW };
    for line in lines.iter().take(shown) {
        println!("  {what}: {line}");
    }
    if lines.len() > shown {
        println!("  {what}: and {} more", lines.len() - shown);
    }
}

impl Run {
    /// Why rows failed.
    pub(super) fn failures(&self) -> Vec<String> {
        let rows = self.rows.iter().enumerate();
        let failures = rows.filter_map(|(number, row)| match &row.as_ref()?.outcome {
            Outcome::Failed { text, .. } => Some(format!("row {number}: {text}")),
            Outcome::Answered { .. } => None,
        });
        failures.collect()
    }
}
