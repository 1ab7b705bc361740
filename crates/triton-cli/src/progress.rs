//! What a run says on standard error: a progress bar on a terminal, failed rows, the summary.

use std::fmt;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// The state of a run while it goes on.
pub(crate) struct Progress {
    bar: ProgressBar,
    started: Instant,
    answered: u64,
    failed: u64,
}

impl Progress {
    /// Begins a run over `bytes` of input.
    pub(crate) fn start(bytes: u64) -> Self {
        // Where standard error is no terminal, the bar draws nothing.
        let bar = ProgressBar::with_draw_target(Some(bytes), ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("{bar:30} {percent:>3}%  {msg}  ETA {eta}");
        if let Ok(style) = style {
            bar.set_style(style);
        }
        Self {
            bar,
            started: Instant::now(),
            answered: 0,
            failed: 0,
        }
    }

    pub(crate) fn answered(&mut self, bytes_read: u64) {
        self.answered += 1;
        self.advance(bytes_read);
    }

    pub(crate) fn failed(&mut self, bytes_read: u64, description: &str) {
        self.failed += 1;
        self.bar.suspend(|| say(description));
        self.advance(bytes_read);
    }

    fn advance(&self, bytes_read: u64) {
        self.bar.set_position(bytes_read);
        if !self.bar.is_hidden() {
            self.bar
                .set_message(format!("{} rows, {} failed", self.answered, self.failed));
        }
    }

    /// Takes the bar away and says what was done.
    pub(crate) fn finish(self, subtasks: u32) -> Summary {
        self.bar.finish_and_clear();
        let summary = Summary {
            answered: self.answered,
            failed: self.failed,
            elapsed: self.started.elapsed(),
            subtasks,
        };
        say(&summary.to_string());
        summary
    }
}

/// Writes a line to standard error; if nobody reads there any more, the run goes on.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// What a run did.
#[derive(Debug)]
pub(crate) struct Summary {
    answered: u64,
    failed: u64,
    elapsed: Duration,
    subtasks: u32,
}

impl Summary {
    /// Success only if every row was answered.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(u8::from(self.failed > 0))
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = self.answered + self.failed;
        let seconds = self.elapsed.as_secs_f64();
        write!(
            formatter,
            "{rows} rows: {} answered, {} failed; {:.0} rows/s over {seconds:.1} s with {}",
            self.answered,
            self.failed,
            rows as f64 / seconds.max(f64::EPSILON),
            match self.subtasks {
                1 => "1 subtask".to_owned(),
                several => format!("{several} subtasks"),
            }
        )
    }
}
