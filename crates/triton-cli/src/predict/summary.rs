//! What a run did: every row that was read is accounted for.

use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use triton_model_fn::PredictionStatus;

/// How many rows there were of each kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Counts {
    /// Rows that were taken from the inputs.
    pub(crate) read: u64,
    pub(crate) answered: u64,
    pub(crate) defaulted: u64,
    /// Rows that are in the output and say there that they failed.
    pub(crate) failed: u64,
    pub(crate) rejected: u64,
    /// Rows that are in the outputs: as many as were not rejected, unless the answers to a row are a
    /// stream.
    pub(crate) written: u64,
}

impl Counts {
    /// Rows that something became of.
    pub(crate) fn settled(&self) -> u64 {
        self.kept() + self.rejected
    }

    /// Rows that were not rejected.
    fn kept(&self) -> u64 {
        self.answered + self.defaulted + self.failed
    }

    /// Where a row is counted that was written.
    pub(crate) fn of(&mut self, status: &PredictionStatus) -> &mut u64 {
        match status {
            PredictionStatus::Defaulted(_) => &mut self.defaulted,
            PredictionStatus::Failed(_) => &mut self.failed,
            _ => &mut self.answered,
        }
    }

    /// Refuses counts that do not add up, together with what was `written` to the outputs.
    pub(crate) fn check(&self, written: u64) -> Result<(), String> {
        let Self {
            read,
            answered,
            defaulted,
            failed,
            rejected,
            written: counted,
        } = *self;
        // What stands in a checkpoint may be any numbers.
        let settled = [answered, defaulted, failed, rejected];
        let settled = settled.into_iter().try_fold(0, u64::checked_add);
        if settled == Some(read) && written == counted {
            return Ok(());
        }
        Err(format!(
            "the rows do not add up: {read} read, {answered} answered, {defaulted} defaulted, \
             {failed} failed, {rejected} rejected, {counted} counted as written, {written} written"
        ))
    }
}

/// What a run did.
#[derive(Debug)]
pub(crate) struct Summary {
    pub(crate) counts: Counts,
    /// Rows of earlier runs that this one went on from; the others count these, too.
    pub(crate) resumed_after: u64,
    pub(crate) elapsed: Duration,
    pub(crate) subtasks: u32,
    pub(crate) latencies: Latencies,
    pub(crate) open_sequences: usize,
    pub(crate) interrupted: bool,
}

impl Summary {
    fn rate(&self) -> f64 {
        let rows = self.counts.settled() - self.resumed_after;
        rows as f64 / self.elapsed.as_secs_f64().max(f64::EPSILON)
    }

    /// The summary for programs, on one line.
    pub(crate) fn to_json(&self) -> String {
        let Counts {
            read,
            answered,
            defaulted,
            failed,
            rejected,
            written,
        } = self.counts;
        serde_json::json!({
            "rows": read,
            "answered": answered,
            "defaulted": defaulted,
            "failed": failed,
            "rejected": rejected,
            "written": written,
            "resumed_after": self.resumed_after,
            "interrupted": self.interrupted,
            "seconds": self.elapsed.as_secs_f64(),
            "rows_per_second": self.rate(),
            "p50_ms": self.latencies.milliseconds(0.5),
            "p99_ms": self.latencies.milliseconds(0.99),
            "subtasks": self.subtasks,
            "open_sequences": self.open_sequences,
        })
        .to_string()
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts {
            read,
            answered,
            defaulted,
            failed,
            rejected,
            written,
        } = self.counts;
        write!(formatter, "{read} rows: {answered} answered, ")?;
        if defaulted > 0 {
            write!(formatter, "{defaulted} defaulted, ")?;
        }
        if failed > 0 {
            write!(formatter, "{failed} failed, ")?;
        }
        write!(formatter, "{rejected} rejected; ")?;
        if written != self.counts.kept() {
            write!(formatter, "{written} rows written; ")?;
        }
        if self.resumed_after > 0 {
            write!(formatter, "resumed after {}; ", self.resumed_after)?;
        }
        write!(
            formatter,
            "{:.0} rows/s over {:.1} s with {}",
            self.rate(),
            self.elapsed.as_secs_f64(),
            match self.subtasks {
                1 => "1 subtask".to_owned(),
                several => format!("{several} subtasks"),
            }
        )?;
        match self.open_sequences {
            0 => Ok(()),
            1 => formatter.write_str("; 1 sequence stayed open"),
            several => write!(formatter, "; {several} sequences stayed open"),
        }
    }
}

/// How long rows took, from when they were handed to the model until their answer was there.
#[derive(Debug)]
pub(crate) struct Latencies(Histogram<u64>);

impl Latencies {
    pub(crate) fn new() -> Self {
        // Up to an hour, in microseconds; two digits are what anybody reads.
        let histogram = Histogram::new_with_max(3_600_000_000, 2);
        Self(histogram.expect("two significant digits are possible"))
    }

    /// Notes the time that so many rows took.
    pub(crate) fn record(&mut self, time: Duration, rows: usize) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.0.saturating_record_n(micros, rows as u64);
    }

    /// The time within which a share of the rows was answered.
    pub(crate) fn milliseconds(&self, share: f64) -> f64 {
        self.0.value_at_quantile(share) as f64 / 1000.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_are_told_to_two_digits() {
        let mut latencies = Latencies::new();
        for milliseconds in 1..=100 {
            latencies.record(Duration::from_millis(milliseconds), 1);
        }
        assert!((49.0..51.0).contains(&latencies.milliseconds(0.5)));
        assert!((98.0..100.0).contains(&latencies.milliseconds(0.99)));
    }

    #[test]
    fn every_row_must_be_accounted_for() {
        let counts = Counts {
            read: 7,
            answered: 3,
            defaulted: 1,
            failed: 1,
            rejected: 2,
            written: 5,
        };
        assert_eq!(counts.check(5), Ok(()));
        assert!(counts.check(4).is_err());
        assert!(Counts { read: 8, ..counts }.check(5).is_err());
        let answered = u64::MAX;
        assert!(Counts { answered, ..counts }.check(5).is_err());
    }
}
