//! What is said on standard error while a load goes on: a line that changes on a terminal, and
//! another one every ten seconds elsewhere.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::recorder::Recorder;
use crate::commands::figures;
use crate::printer::{Meanwhile, Printer};
use crate::progress::say;

/// The time between two lines where standard error is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// Shows how a load goes.
pub(super) struct Live {
    bar: ProgressBar,
    meanwhile: Meanwhile,
    last_line: Instant,
    /// What the load is, where there are several.
    load: Option<String>,
    /// How long it takes, if not until so many requests were sent.
    duration: Duration,
}

impl Live {
    pub(super) fn start(load: Option<String>, duration: Duration, quiet: bool) -> Self {
        let meanwhile = Printer::get().meanwhile(quiet, false);
        let bar = meanwhile.bar(None);
        if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg}") {
            bar.set_style(style);
        }
        Self {
            bar,
            meanwhile,
            last_line: Instant::now(),
            load,
            duration,
        }
    }

    /// Shows what was recorded so far of a load that is measured from `start` on, for a time or for
    /// `count` requests.
    pub(super) fn show(&mut self, recorder: &Recorder, start: Instant, count: Option<u64>) {
        let now = Instant::now();
        match self.meanwhile {
            Meanwhile::Bar => {
                self.bar.set_message(self.line(recorder, now, start, count));
                self.bar.tick();
            }
            Meanwhile::Lines if now - self.last_line >= LINE_INTERVAL => {
                self.last_line = now;
                say(&self.line(recorder, now, start, count));
            }
            _ => {}
        }
    }

    /// Takes the line away.
    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }

    fn line(
        &self,
        recorder: &Recorder,
        now: Instant,
        start: Instant,
        count: Option<u64>,
    ) -> String {
        let load = self.load.iter().map(|load| format!("{load}: "));
        let load: String = load.collect();
        let Some(time) = now.checked_duration_since(start).filter(|_| now > start) else {
            let left = (start - now).as_secs() + 1;
            return format!("{load}warming up, {left} s left");
        };
        let answered = recorder.latency.len();
        let far = match count {
            Some(count) => format!("{answered} of {count} requests"),
            None => format!("{} of {} s", time.as_secs(), self.duration.as_secs_f64()),
        };
        let rate = figures::rate(answered as f64 / time.as_secs_f64().max(f64::EPSILON));
        let mut line = format!("{load}{far}, {rate} requests/s");
        if answered > 0 {
            let at = |share| {
                let nanos = recorder.latency.value_at_quantile(share);
                figures::duration(Duration::from_nanos(nanos))
            };
            line.push_str(&format!(", p50 {}, p99 {}", at(0.5), at(0.99)));
        }
        if recorder.failed > 0 {
            line.push_str(&format!(", {} failed", recorder.failed));
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::bench::recorder::{Failed, Request};

    #[test]
    fn a_line_says_how_the_load_goes() {
        let start = Instant::now() + Duration::from_secs(10);
        let mut recorder = Recorder::endless(start);
        let live = Live::start(Some("4 at once".to_owned()), Duration::from_secs(20), true);
        let before = start - Duration::from_millis(1500);
        insta::assert_snapshot!(live.line(&recorder, before, start, None), @"4 at once: warming up, 2 s left");
        for error in [
            None,
            None,
            Some(Failed {
                kind: "server",
                status: None,
                text: String::new(),
            }),
        ] {
            let ended = start + Duration::from_millis(2);
            recorder.record(Request {
                due: start,
                started: start,
                ended,
                error,
            });
        }
        let now = start + Duration::from_secs(2);
        insta::assert_snapshot!(live.line(&recorder, now, start, None), @"4 at once: 2 of 20 s, 1.00 requests/s, p50 2.00 ms, p99 2.00 ms, 1 failed");
        insta::assert_snapshot!(live.line(&recorder, now, start, Some(9)), @"4 at once: 2 of 9 requests, 1.00 requests/s, p50 2.00 ms, p99 2.00 ms, 1 failed");
    }
}
