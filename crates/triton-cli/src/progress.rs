//! What a run says on standard error while it goes on: a bar on a terminal, lines elsewhere.

use std::io::Write as _;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::controls::shown;
use crate::pipe::Pipe;
use crate::printer::{Meanwhile, Printer};
use crate::wrapping::wrapped_message;

/// The time between two lines where standard error is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// The time over which the speed is measured.
const RATE_INTERVAL: Duration = Duration::from_secs(1);

/// Says how far a run is.
pub(crate) struct Progress {
    /// Hidden where it would not be seen, or would be in the way.
    bar: ProgressBar,
    /// What takes its place.
    meanwhile: Meanwhile,
    extent: Option<Extent>,
    started: Instant,
    last_line: Instant,
    measured: (Instant, u64),
    rate: f64,
}

/// What is known of a run before it begins.
pub(crate) struct Expected {
    /// The bytes of all inputs, where they are known.
    pub(crate) bytes: Option<u64>,
    /// The most rows that are read, where it is said.
    pub(crate) rows: Option<u64>,
    /// Whether what comes before the first row says nothing about how long the others take: rows
    /// of an earlier run, or that all are sorted first.
    pub(crate) counts_from_first_row: bool,
    /// Whether the rows themselves are written to standard output.
    pub(crate) rows_to_standard_output: bool,
    pub(crate) quiet: bool,
}

/// The state of a run at a moment.
pub(crate) struct Moment {
    /// Rows that something became of.
    pub(crate) rows: u64,
    /// The bytes of the inputs that these rows take; those that were only read do not count.
    pub(crate) bytes: u64,
    pub(crate) rejected: u64,
    pub(crate) in_flight: usize,
    pub(crate) open_sequences: usize,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    /// For how long the server has been away, and why it counts as such.
    pub(crate) away: Option<(Duration, String)>,
    /// How many rows were read, while all are sorted before the first is sent.
    pub(crate) sorted: Option<u64>,
}

impl Progress {
    /// Begins a run.
    pub(crate) fn start(expected: &Expected) -> Self {
        // The rows themselves show how far the run is where they are seen.
        let meanwhile = Printer::get().meanwhile(expected.quiet, expected.rows_to_standard_output);
        let bar = meanwhile.bar(expected.bytes);
        let template = match expected.bytes {
            Some(_) => "{wide_bar} {prefix}\n{msg}",
            None => "{spinner} {elapsed}\n{msg}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        let now = Instant::now();
        Self {
            bar,
            meanwhile,
            extent: expected.bytes.map(|total| Extent {
                total,
                rows: expected.rows,
                from: (!expected.counts_from_first_row).then_some((now, 0.0)),
            }),
            started: now,
            last_line: now,
            measured: (now, 0),
            rate: 0.0,
        }
    }

    /// Writes a line to standard error, above the bar.
    pub(crate) fn say(&self, line: &str) {
        self.bar.suspend(|| say(line));
    }

    /// Shows how far the run is.
    pub(crate) fn tick(&mut self, moment: &Moment) {
        let now = Instant::now();
        let (since, rows) = self.measured;
        let time = now - since;
        if time >= RATE_INTERVAL {
            self.rate = moment.rows.saturating_sub(rows) as f64 / time.as_secs_f64();
            self.measured = (now, moment.rows);
        }
        let extent = self.extent.as_mut();
        let share = extent.and_then(|extent| extent.share(now, moment.bytes, moment.rows));
        if !self.bar.is_hidden() {
            if let Some(share) = &share {
                self.bar.set_prefix(format!("{:>3}%", share.percent()));
                let total = self.extent.as_ref().map_or(0, |extent| extent.total);
                self.bar.set_position((share.done * total as f64) as u64);
            }
            let message = described(moment, self.rate, share.as_ref());
            // A line that is too long would be cut off, and what it says with it.
            self.bar
                .set_message(textwrap::fill(&shown(&message), textwrap::termwidth()));
            self.bar.tick();
        } else if now - self.last_line >= LINE_INTERVAL
            && match self.meanwhile {
                Meanwhile::Lines => true,
                Meanwhile::LinesOfWaiting => moment.away.is_some(),
                Meanwhile::Bar | Meanwhile::Nothing => false,
            }
        {
            self.last_line = now;
            say(&described(moment, self.rate, share.as_ref()));
        }
    }

    /// How long the run has taken so far.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// How many bytes the inputs have, and when this run began among them.
struct Extent {
    total: u64,
    /// The most rows that are read of them.
    rows: Option<u64>,
    /// The share at which it began: a run that goes on from another one, or sorts its rows, begins
    /// where its first row is.
    from: Option<(Instant, f64)>,
}

/// The share of the inputs of which something became, and the time that the rest may take.
struct Share {
    done: f64,
    left: Option<Duration>,
}

impl Extent {
    fn share(&mut self, now: Instant, bytes: u64, rows: u64) -> Option<Share> {
        if self.total == 0 || bytes == 0 {
            return None;
        }
        let of_rows = self.rows.map_or(0.0, |most| rows as f64 / most as f64);
        // Whichever ends first ends the run.
        let done = (bytes as f64 / self.total as f64).max(of_rows).min(1.0);
        let (began, from) = *self.from.get_or_insert((now, done));
        let left = (now - began).as_secs_f64() * (1.0 - done) / (done - from);
        Some(Share {
            done,
            left: Duration::try_from_secs_f64(left)
                .ok()
                .filter(|_| done < 1.0),
        })
    }
}

impl Share {
    /// Rounded down: 100 is what nothing is left of.
    fn percent(&self) -> u32 {
        (self.done * 100.0) as u32
    }
}

fn described(moment: &Moment, rate: f64, share: Option<&Share>) -> String {
    if let Some((time, reason)) = &moment.away {
        let (rows, seconds) = (moment.rows, time.as_secs());
        return format!("{rows} rows, waiting for the server for {seconds} s: {reason}");
    }
    if let Some(rows) = moment.sorted {
        return format!("sorting rows by their key, {rows} read");
    }
    let mut parts = vec![
        match share {
            Some(share) => format!("{} rows ({}%)", moment.rows, share.percent()),
            None => format!("{} rows", moment.rows),
        },
        format!("{rate:.0} rows/s"),
        format!("{} rejected", moment.rejected),
        format!("{} in flight", moment.in_flight),
    ];
    if moment.open_sequences > 0 {
        parts.push(format!("{} sequences", moment.open_sequences));
    }
    parts.push(format!("p50 {:.1} ms", moment.p50_ms));
    parts.push(format!("p99 {:.1} ms", moment.p99_ms));
    if let Some(left) = share.and_then(|share| share.left) {
        parts.push(format!("ETA {}", indicatif::HumanDuration(left)));
    }
    parts.join(", ")
}

/// Writes a message to standard error, broken at its words where a terminal is narrower; if
/// nobody reads there any more, the run goes on.
pub(crate) fn say(message: &str) {
    say_as_is(&wrapped_message(message));
}

/// As [`say`], for what programs read: each line stays one.
pub(crate) fn say_as_is(text: &str) {
    let _ = Pipe::new(std::io::stderr()).write_all(format!("{text}\n").as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOMENT: Moment = Moment {
        rows: 1200,
        bytes: 0,
        rejected: 3,
        in_flight: 32,
        open_sequences: 7,
        p50_ms: 1.26,
        p99_ms: 12.0,
        away: None,
        sorted: None,
    };

    #[test]
    fn a_line_says_how_far_the_run_is() {
        let share = Share {
            done: 0.2599,
            left: Some(Duration::from_secs(90)),
        };
        insta::assert_snapshot!(described(&MOMENT, 400.4, Some(&share)), @"1200 rows (25%), 400 rows/s, 3 rejected, 32 in flight, 7 sequences, p50 1.3 ms, p99 12.0 ms, ETA 2 minutes");
        let moment = Moment {
            open_sequences: 0,
            ..MOMENT
        };
        insta::assert_snapshot!(described(&moment, 400.4, None), @"1200 rows, 400 rows/s, 3 rejected, 32 in flight, p50 1.3 ms, p99 12.0 ms");
        let moment = Moment {
            sorted: Some(7),
            ..MOMENT
        };
        insta::assert_snapshot!(described(&moment, 0.0, None), @"sorting rows by their key, 7 read");
    }

    #[test]
    fn the_time_left_is_judged_by_what_this_run_has_done() {
        let began = Instant::now();
        let after = |seconds| began + Duration::from_secs(seconds);
        let mut anew = Extent {
            total: 1000,
            rows: None,
            from: Some((began, 0.0)),
        };
        assert!(anew.share(after(1), 0, 0).is_none());
        let share = anew.share(after(10), 250, 9).unwrap();
        assert_eq!(share.percent(), 25);
        assert_eq!(share.left.unwrap().as_secs(), 30);
        let share = anew.share(after(40), 999, 9).unwrap();
        assert_eq!(share.percent(), 99);
        assert!(anew.share(after(40), 1000, 9).unwrap().left.is_none());
        // Nine tenths were done by an earlier run, so that ten seconds have brought one percent.
        let mut resumed = Extent {
            total: 1000,
            rows: None,
            from: None,
        };
        assert!(resumed.share(began, 900, 9).unwrap().left.is_none());
        let share = resumed.share(after(10), 910, 9).unwrap();
        assert_eq!(share.percent(), 91);
        assert_eq!(share.left.unwrap().as_secs(), 90);
        // The first rows of a large file are all that is wanted.
        let mut limited = Extent {
            total: 1000,
            rows: Some(60),
            from: Some((began, 0.0)),
        };
        let share = limited.share(after(10), 50, 15).unwrap();
        assert_eq!(share.percent(), 25);
        assert_eq!(share.left.unwrap().as_secs(), 30);
    }
}
