//! Looks for the least of a script that still fails, so that it can be read, and kept under a name.

use anyhow::Result;

use super::Job;
use super::report::Report;
use crate::check::Expects;
use crate::script::Script;

/// A run takes seconds, and fails only sometimes.
const MOST_RUNS: usize = 60;

/// How often what is left out has to be without a failure before it is put back.
const TRIES: usize = 2;

struct Shrinking<'a, 'b> {
    job: &'a mut Job<'b>,
    least: Script,
    runs: usize,
}

/// Leaves out whatever the failure does not need, and writes the rest into a file.
pub(super) fn shrink(job: &mut Job<'_>, script: &Script, report: &Report) -> Result<()> {
    let path = job
        .arguments
        .folder
        .join(format!("{}.json", script.name.replace(' ', "-")));
    // What a whole script has to meet says nothing of a part of it.
    let script = Script {
        expects: Expects::default(),
        ..script.clone()
    };
    let mut least = script.clone();
    // A request's number depends on all that was before; a row's does not.
    least.faults = report.met.clone();
    let mut shrinking = Shrinking {
        job,
        least: script,
        runs: 0,
    };
    shrinking.tries(least)?;
    shrinking.leave_out(|script| &mut script.events)?;
    shrinking.leave_out(|script| &mut script.faults)?;
    shrinking.fewer_rows()?;
    shrinking.simplify()?;
    shrinking.leave_out(|script| &mut script.options)?;
    let text = serde_json::to_string_pretty(&shrinking.least)?;
    fs_err::write(&path, text)?;
    println!(
        "after {} runs this is left of it; `cargo xtask chaos --scenario {}` runs it again:\n{}",
        shrinking.runs,
        path.display(),
        shrinking.least
    );
    Ok(())
}

impl Shrinking<'_, '_> {
    /// Takes a smaller script in place of what there is where it fails as well.
    fn tries(&mut self, smaller: Script) -> Result<bool> {
        for _ in 0..TRIES {
            if self.runs == MOST_RUNS {
                return Ok(false);
            }
            self.runs += 1;
            // What no longer makes sense as a whole is no smaller failure.
            let fails = self.job.run(&smaller);
            if fails.is_ok_and(|report| !report.broken.is_empty()) {
                self.least = smaller;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Leaves out parts of a list, halves first.
    fn leave_out<T: Clone>(&mut self, list: impl Fn(&mut Script) -> &mut Vec<T>) -> Result<()> {
        let mut size = list(&mut self.least).len().div_ceil(2);
        while size > 0 {
            let mut from = 0;
            while from < list(&mut self.least).len() {
                let mut smaller = self.least.clone();
                let kept = list(&mut smaller);
                let to = (from + size).min(kept.len());
                kept.drain(from..to);
                if !self.tries(smaller)? {
                    from += size;
                }
            }
            size /= 2;
        }
        Ok(())
    }

    /// Cuts the end off; positions of faults and events stay what they are.
    fn fewer_rows(&mut self) -> Result<()> {
        loop {
            let mut smaller = self.least.clone();
            let half = smaller.rows.len().div_ceil(2);
            smaller.rows.truncate(half);
            if half < 2 || !self.tries(smaller)? {
                return Ok(());
            }
        }
    }

    fn simplify(&mut self) -> Result<()> {
        let simpler: [fn(&mut Script); 2] = [
            |script| script.subtasks = 1,
            |script| {
                script.in_flight = 1;
            },
        ];
        for change in simpler {
            let mut smaller = self.least.clone();
            change(&mut smaller);
            self.tries(smaller)?;
        }
        Ok(())
    }
}
