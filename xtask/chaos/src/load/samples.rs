//! What was measured again and again, and what it must not show.

use std::fmt::{self, Write as _};
use std::time::Duration;

use anyhow::{Context as _, Result};
use hdrhistogram::Histogram;
use tokio::runtime::RuntimeMetrics;
use tokio::time::Instant;

use super::callers::{Caller, Part};
use super::{LONGEST, PARTS};
use crate::memory;

/// Memory is watched once everything has been used for a while.
const WARM: f64 = 1.0 / 3.0;

/// What memory may seem to grow by over the time that is watched, of what there is: the allocator keeps some.
const GROWTH: f64 = 0.10;

/// How much longer a healthy row may take while others meet faults, as a multiple of the calm time's median
/// of 99th percentiles. The server is the same, and serves what is sent again as well.
const HARM: f64 = 2.0;

/// One part of the callers in one interval.
#[derive(Clone, Copy, Default)]
struct Measured {
    rows: f64,
    failed: u64,
    median: f64,
    p99: f64,
}

pub(super) struct Sample {
    seconds: f64,
    is_calm: bool,
    memory: f64,
    files: usize,
    tasks: usize,
    longest_wait: Duration,
    parts: [Measured; PARTS],
}

impl Sample {
    pub(super) fn take<'a>(
        begun: Instant,
        is_calm: bool,
        interval: Duration,
        callers: impl Iterator<Item = &'a Caller>,
        runtime: &RuntimeMetrics,
    ) -> Result<Self> {
        let mut histograms = [(); PARTS].map(|()| Histogram::<u64>::new(3));
        let mut parts = [Measured::default(); PARTS];
        let mut longest_wait = Duration::ZERO;
        for caller in callers {
            let part = Part::ALL.iter().position(|part| *part == caller.part);
            let part = part.context("every part is listed")?;
            longest_wait = longest_wait.max(caller.waits());
            parts[part].failed += caller.take_failed();
            if let Ok(histogram) = &mut histograms[part] {
                for latency in caller.take_latencies() {
                    // It grows, so it takes every value.
                    histogram.record(latency.as_micros() as u64)?;
                }
            }
        }
        for (measured, histogram) in parts.iter_mut().zip(histograms) {
            let histogram = histogram?;
            measured.rows = histogram.len() as f64 / interval.as_secs_f64();
            measured.median = histogram.value_at_quantile(0.5) as f64 / 1e3;
            measured.p99 = histogram.value_at_quantile(0.99) as f64 / 1e3;
        }
        Ok(Self {
            seconds: begun.elapsed().as_secs_f64(),
            is_calm,
            memory: memory::resident()?,
            files: fs_err::read_dir("/proc/self/fd")?.count(),
            tasks: runtime.num_alive_tasks(),
            longest_wait,
            parts,
        })
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{:>5.0} s {:>6.1} MiB {:>4} files {:>4} tasks, longest wait {:>5.1} s",
            self.seconds,
            self.memory,
            self.files,
            self.tasks,
            self.longest_wait.as_secs_f64()
        )?;
        for (part, measured) in Part::ALL.iter().zip(&self.parts) {
            write!(
                formatter,
                "; {part:?} {:.0}/s, p50 {:.1}, p99 {:.1} ms, {} failed",
                measured.rows, measured.median, measured.p99, measured.failed
            )?;
        }
        Ok(())
    }
}

#[derive(Default)]
pub(super) struct Samples(Vec<Sample>);

impl Samples {
    pub(super) fn push(&mut self, sample: Sample) {
        self.0.push(sample);
    }

    /// The memory that is there on average once all is warm, and by how much a line through it rises.
    fn slope(&self) -> (f64, f64) {
        let last = self.0.last().map_or(0.0, |sample| sample.seconds);
        let warm = self.0.iter().filter(|sample| sample.seconds > last * WARM);
        let points: Vec<_> = warm.map(|sample| (sample.seconds, sample.memory)).collect();
        let count = points.len().max(1) as f64;
        let mean = |value: fn(&(f64, f64)) -> f64| points.iter().map(value).sum::<f64>() / count;
        let (x, y) = (mean(|point| point.0), mean(|point| point.1));
        let covariance: f64 = points
            .iter()
            .map(|point| (point.0 - x) * (point.1 - y))
            .sum();
        let variance: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
        let span = last * (1.0 - WARM);
        (y, covariance / variance.max(f64::MIN_POSITIVE) * span)
    }

    /// The median of what a part measured, while it was calm or not.
    fn median(&self, is_calm: bool, part: usize, value: fn(&Measured) -> f64) -> f64 {
        let samples = self.0.iter().filter(|sample| sample.is_calm == is_calm);
        let mut values: Vec<_> = samples.map(|sample| value(&sample.parts[part])).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or_default()
    }

    pub(super) fn broken(&self) -> Vec<String> {
        let mut broken = Vec::new();
        let (mean, growth) = self.slope();
        if growth > mean * GROWTH {
            broken.push(format!("memory grows: {growth:.1} MiB, of {mean:.1} MiB"));
        }
        let longest = self.0.iter().map(|sample| sample.longest_wait).max();
        if longest.is_some_and(|longest| longest > LONGEST) {
            broken.push(format!("a row waited for {longest:?}"));
        }
        let p99 = |is_calm| self.median(is_calm, 0, |measured| measured.p99);
        let (calm, faulty) = (p99(true), p99(false));
        if faulty > calm * HARM {
            broken.push(format!(
                "healthy rows take {faulty:.1} ms beside faults, and {calm:.1} ms without"
            ));
        }
        for (number, part) in Part::ALL.iter().enumerate() {
            let failed = self.failed(number);
            if failed > 0 {
                broken.push(format!("{failed} rows failed, {part:?}"));
            }
        }
        broken
    }

    /// How many rows of a part failed. None may: a row is sent again far more often than it meets faults.
    fn failed(&self, part: usize) -> u64 {
        self.0.iter().map(|sample| sample.parts[part].failed).sum()
    }

    /// For plots; what each column is stands in the first line.
    pub(super) fn csv(&self) -> String {
        let mut csv = String::from("seconds,memory,files,tasks,longest_wait");
        for part in Part::ALL {
            // Writing to a String cannot fail, here and below.
            let _ = write!(csv, ",{part:?} rows,{part:?} p50,{part:?} p99");
        }
        csv.push('\n');
        for sample in &self.0 {
            let _ = write!(
                csv,
                "{:.1},{:.2},{},{},{:.2}",
                sample.seconds,
                sample.memory,
                sample.files,
                sample.tasks,
                sample.longest_wait.as_secs_f64()
            );
            for part in &sample.parts {
                let _ = write!(csv, ",{:.1},{:.2},{:.2}", part.rows, part.median, part.p99);
            }
            csv.push('\n');
        }
        csv
    }
}

impl fmt::Display for Samples {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mean, growth) = self.slope();
        writeln!(
            formatter,
            "| Callers | Without faults: rows/s | p50 | p99 | With: rows/s | p50 | p99 | failed |\n\
             | --- | --- | --- | --- | --- | --- | --- | --- |"
        )?;
        for (number, part) in Part::ALL.iter().enumerate() {
            write!(formatter, "| {part:?} |")?;
            for is_calm in [true, false] {
                write!(
                    formatter,
                    " {:.0} | {:.1} ms | {:.1} ms |",
                    self.median(is_calm, number, |measured| measured.rows),
                    self.median(is_calm, number, |measured| measured.median),
                    self.median(is_calm, number, |measured| measured.p99),
                )?;
            }
            writeln!(formatter, " {} |", self.failed(number))?;
        }
        let longest = self.0.iter().map(|sample| sample.longest_wait).max();
        write!(
            formatter,
            "\nmemory: {mean:.1} MiB, a line through it rises by {growth:+.2} MiB; longest wait {:.1} s",
            longest.unwrap_or_default().as_secs_f64()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_fails_is_found_in_every_part() {
        for part in 0..PARTS {
            let mut parts = [Measured::default(); PARTS];
            parts[part].failed = 1;
            let sample = Sample {
                seconds: 1.0,
                is_calm: false,
                memory: 1.0,
                files: 0,
                tasks: 0,
                longest_wait: Duration::ZERO,
                parts,
            };
            assert_eq!(Samples(vec![sample]).broken().len(), 1);
        }
    }
}
