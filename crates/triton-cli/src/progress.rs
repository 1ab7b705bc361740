//! What a run says on standard error while it goes on: a bar on a terminal, lines elsewhere.

use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// The time between two lines where standard error is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// The time over which the speed is measured.
const RATE_INTERVAL: Duration = Duration::from_secs(1);

/// Says how far a run is.
pub(crate) struct Progress {
    /// Hidden where standard error is no terminal.
    bar: ProgressBar,
    quiet: bool,
    total_bytes: Option<u64>,
    bytes_read: Arc<AtomicU64>,
    started: Instant,
    last_line: Instant,
    measured: (Instant, u64),
    rate: f64,
}

/// The state of a run at a moment.
pub(crate) struct Moment {
    /// Rows that something became of.
    pub(crate) rows: u64,
    pub(crate) rejected: u64,
    pub(crate) in_flight: usize,
    pub(crate) open_sequences: usize,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    /// For how long the server has been away, and why it counts as such.
    pub(crate) away: Option<(Duration, String)>,
}

impl Progress {
    /// Begins a run over so many bytes of input, where it is known how many.
    pub(crate) fn start(total_bytes: Option<u64>, bytes_read: Arc<AtomicU64>, quiet: bool) -> Self {
        let target = match quiet {
            true => ProgressDrawTarget::hidden(),
            false => ProgressDrawTarget::stderr(),
        };
        let bar = ProgressBar::with_draw_target(total_bytes, target);
        let template = match total_bytes {
            Some(_) => "{wide_bar} {percent:>3}%  ETA {eta}\n{msg}",
            None => "{spinner} {elapsed}\n{msg}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        let now = Instant::now();
        Self {
            bar,
            quiet,
            total_bytes,
            bytes_read,
            started: now,
            last_line: now,
            measured: (now, 0),
            rate: 0.0,
        }
    }

    /// Writes a line to standard error, above the bar.
    pub(crate) fn say(&self, line: &str) {
        // The terminal would break the line anywhere, a file should not have it broken at all.
        let wrapped = match std::io::stderr().is_terminal() {
            true => textwrap::fill(
                line,
                textwrap::Options::new(textwrap::termwidth()).subsequent_indent("  "),
            ),
            false => line.to_owned(),
        };
        self.bar.suspend(|| say(&wrapped));
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
        if !self.bar.is_hidden() {
            let read = self.bytes_read.load(Ordering::Relaxed);
            self.bar
                .set_position(read.min(self.total_bytes.unwrap_or(read)));
            let message = described(moment, self.rate, None);
            // A line that is too long would be cut off, and what it says with it.
            self.bar
                .set_message(textwrap::fill(&message, textwrap::termwidth()));
            self.bar.tick();
        } else if !self.quiet && now - self.last_line >= LINE_INTERVAL {
            self.last_line = now;
            say(&described(moment, self.rate, self.share()));
        }
    }

    /// How much of the input has been read, and how long the rest may take.
    fn share(&self) -> Option<(f64, Duration)> {
        let total = self.total_bytes.filter(|total| *total > 0)? as f64;
        let share = (self.bytes_read.load(Ordering::Relaxed) as f64 / total).min(1.0);
        if share == 0.0 {
            return None;
        }
        let left = self.started.elapsed().as_secs_f64() * (1.0 - share) / share;
        Some((share, Duration::try_from_secs_f64(left).ok()?))
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

fn described(moment: &Moment, rate: f64, share: Option<(f64, Duration)>) -> String {
    if let Some((time, reason)) = &moment.away {
        let (rows, seconds) = (moment.rows, time.as_secs());
        return format!("{rows} rows, waiting for the server for {seconds} s: {reason}");
    }
    let mut parts = vec![
        match share {
            Some((share, _)) => format!("{} rows ({:.0}%)", moment.rows, share * 100.0),
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
    if let Some((_, left)) = share {
        parts.push(format!("ETA {}", indicatif::HumanDuration(left)));
    }
    parts.join(", ")
}

/// Writes a line to standard error; if nobody reads there any more, the run goes on.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_far_the_run_is() {
        let moment = Moment {
            rows: 1200,
            rejected: 3,
            in_flight: 32,
            open_sequences: 7,
            p50_ms: 1.26,
            p99_ms: 12.0,
            away: None,
        };
        let share = Some((0.25, Duration::from_secs(90)));
        insta::assert_snapshot!(described(&moment, 400.4, share), @"1200 rows (25%), 400 rows/s, 3 rejected, 32 in flight, 7 sequences, p50 1.3 ms, p99 12.0 ms, ETA 2 minutes");
        let moment = Moment {
            open_sequences: 0,
            ..moment
        };
        insta::assert_snapshot!(described(&moment, 400.4, None), @"1200 rows, 400 rows/s, 3 rejected, 32 in flight, p50 1.3 ms, p99 12.0 ms");
    }
}
