//! What is said of rejected rows while a run goes on: the first ones in full, then how many there
//! were, by their reasons, so that a server that refuses everything does not fill a disk with logs.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

/// How many rejected rows are told in full.
const IN_FULL: u64 = 10;

/// The time between two counts of the others.
const INTERVAL: Duration = Duration::from_secs(10);

/// How many reasons a count names.
const MOST_REASONS: usize = 5;

/// Decides on what is said of rejected rows.
#[derive(Debug)]
pub(super) struct Told {
    /// What happened to the rows.
    became: &'static str,
    in_full: u64,
    /// Rows since the last count, by their reasons.
    others: BTreeMap<String, u64>,
    last: Instant,
}

impl Told {
    pub(super) fn of(became: &'static str) -> Self {
        Self {
            became,
            in_full: 0,
            others: BTreeMap::new(),
            last: Instant::now(),
        }
    }

    /// Whether a rejected row is to be told in full; otherwise it is counted by its `reason`.
    pub(super) fn in_full(&mut self, reason: impl FnOnce() -> String) -> bool {
        if self.in_full < IN_FULL {
            self.in_full += 1;
            return true;
        }
        if self.others.is_empty() {
            self.last = Instant::now();
        }
        *self.others.entry(reason()).or_default() += 1;
        false
    }

    /// The count, if it is time for one.
    pub(super) fn due(&mut self) -> Option<String> {
        match self.last.elapsed() >= INTERVAL {
            true => self.count(),
            false => None,
        }
    }

    /// How many rows were rejected since the last count, if any were.
    pub(super) fn count(&mut self) -> Option<String> {
        let others = std::mem::take(&mut self.others);
        self.last = Instant::now();
        let all: u64 = others.values().sum();
        if all == 0 {
            return None;
        }
        let mut reasons: Vec<_> = others.into_iter().collect();
        reasons.sort_by(|(_, left), (_, right)| right.cmp(left));
        let further = reasons.len().saturating_sub(MOST_REASONS);
        let named: Vec<_> = reasons
            .iter()
            .take(MOST_REASONS)
            .map(|(reason, rows)| format!("{rows} by {reason}"))
            .collect();
        let rows = if all == 1 { "row was" } else { "rows were" };
        let mut text = format!("{all} more {rows} {}: {}", self.became, named.join("; "));
        match further {
            0 => {}
            1 => text.push_str("; and 1 other reason"),
            several => text.push_str(&format!("; and {several} other reasons")),
        }
        text.push_str(" (--errors FILE keeps each with its reason)");
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_first_rows_are_told_and_the_others_counted_every_ten_seconds() {
        let mut told = Told::of("rejected");
        let in_full = (0..10).filter(|_| told.in_full(|| "status 500".to_owned()));
        assert_eq!(in_full.count(), 10);
        assert_eq!(told.due(), None);
        for row in 0..30 {
            let reason = if row % 3 == 0 {
                "column 'a'"
            } else {
                "status 500"
            };
            assert!(!told.in_full(|| reason.to_owned()));
        }
        assert_eq!(told.due(), None);
        tokio::time::advance(INTERVAL).await;
        insta::assert_snapshot!(told.due().unwrap(), @"30 more rows were rejected: 20 by status 500; 10 by column 'a' (--errors FILE keeps each with its reason)");
        tokio::time::advance(INTERVAL).await;
        assert_eq!(told.due(), None);
        assert!(!told.in_full(|| "status 500".to_owned()));
        insta::assert_snapshot!(told.count().unwrap(), @"1 more row was rejected: 1 by status 500 (--errors FILE keeps each with its reason)");
    }
}
