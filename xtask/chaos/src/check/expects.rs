//! What a script with a name has to come to: a scenario whose fault is never met shows nothing.

use serde::{Deserialize, Serialize};

use super::Records;
use crate::outcome::{Outcome, Run};
use crate::proxy::{Returned, Seen};

/// What else must be true of a run. A script of a seed expects nothing: chance says what it meets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Expects {
    /// How many faults requests meet at least.
    pub(crate) met: usize,
    /// How many events happen.
    pub(crate) happened: usize,
    /// How many answers of the server prove nothing, such as a 503, at least.
    pub(crate) doubtful: usize,
    pub(crate) rows: Rows,
}

/// What comes of the rows of a script.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Rows {
    /// Some may fail.
    #[default]
    Any,
    AllAnswered,
    /// One fails at least.
    SomeFail,
}

impl Expects {
    /// What did not come of a run.
    pub(super) fn unmet(self, run: &Run, records: &Records) -> Vec<String> {
        let mut unmet = Vec::new();
        let mut at_least = |what: &str, found: usize, least: usize| {
            if found < least {
                unmet.push(format!("{found} {what}, where {least} are expected"));
            }
        };
        at_least("faults were met", records.met.len(), self.met);
        at_least("events happened", run.happened.len(), self.happened);
        let is_doubtful = |seen: &&Seen| seen.server == Some(Returned::Doubtful);
        let doubtful = records.log.iter().filter(is_doubtful).count();
        at_least("answers proved nothing", doubtful, self.doubtful);
        let failed = run.rows.iter().flatten();
        let failed = failed
            .filter(|row| matches!(row.outcome, Outcome::Failed { .. }))
            .count();
        match self.rows {
            Rows::AllAnswered if failed > 0 => {
                unmet.push(format!("{failed} rows failed, where all are answered"));
            }
            Rows::SomeFail if failed == 0 => unmet.push("no row failed, where some do".to_owned()),
            _ => {}
        }
        unmet
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::check::row_of_test;
    use crate::fault::{At, Event, Fault};

    #[test]
    fn a_scenario_that_meets_nothing_is_found() {
        let expects = Expects {
            met: 1,
            happened: 1,
            doubtful: 1,
            rows: Rows::SomeFail,
        };
        let mut run = Run::default();
        let mut records = Records {
            log: Vec::new(),
            met: Vec::new(),
            journals: Vec::new(),
        };
        assert_eq!(expects.unmet(&run, &records).len(), 4);
        assert!(Expects::default().unmet(&run, &records).is_empty());

        let now = Instant::now();
        run.happens(Event::Crash, now);
        run.rows = vec![row_of_test(None, now)];
        records.met.push((At::Request(1), Fault::CutAnswer));
        records.log.push(Seen {
            server: Some(Returned::Doubtful),
            ..Seen::of_test("a", 1, now)
        });
        assert!(expects.unmet(&run, &records).is_empty());
        let answered = Expects {
            rows: Rows::AllAnswered,
            ..expects
        };
        assert_eq!(answered.unmet(&run, &records).len(), 1);
    }
}
