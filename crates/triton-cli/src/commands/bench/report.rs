//! What a load came to, as text and as JSON.

use std::sync::Arc;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use super::about::{About, Mode};
use super::assertion::{Assertion, Checked};
use super::load::Measured;
use super::recorder::PERCENTILES;
use crate::commands::figures;
use crate::commands::text_table::TextTable;
use crate::wrapping::{width, wrapped};

/// A measured load, and what it was about.
pub(super) struct Report {
    pub(super) about: Arc<About>,
    pub(super) mode: Mode,
    pub(super) measured: Measured,
    pub(super) assertions: Vec<Assertion>,
}

impl Report {
    /// Whether everything that was asserted is so. Requests that fail, or a rate that is not kept up
    /// with, are never so, unless an assertion says how many may fail.
    pub(super) fn held(&self) -> bool {
        let keeps_up = self.mode.rate.is_none_or(|rate| !self.is_behind(rate));
        self.checked().iter().all(|checked| checked.held) && !self.has_failures() && keeps_up
    }

    /// Whether requests failed of which no assertion speaks.
    pub(super) fn has_failures(&self) -> bool {
        let recorder = &self.measured.recorder;
        let allowed = self.assertions.iter().any(Assertion::is_of_failures);
        recorder.failed + recorder.unanswered() > 0 && !allowed
    }

    pub(super) fn checked(&self) -> Vec<Checked> {
        let assertions = self.assertions.iter();
        assertions
            .map(|assertion| assertion.check(&self.measured.recorder))
            .collect()
    }

    /// The load and what came of it, in a line.
    pub(super) fn line(&self) -> String {
        let latency = &self.measured.recorder.latency;
        let (p50, p99) = (
            self.percentile(latency, 0.5),
            self.percentile(latency, 0.99),
        );
        let rate = figures::rate(self.throughput());
        let held = match (self.assertions.is_empty(), self.held()) {
            (true, _) => "",
            (false, true) => ", held",
            (false, false) => ", not held",
        };
        let load = self.mode.short();
        format!("{load}: {rate} requests/s, p50 {p50}, p99 {p99}{held}")
    }

    /// Answers a second.
    pub(super) fn throughput(&self) -> f64 {
        self.measured.recorder.throughput()
    }

    /// Whether so many requests a second did not end, answered or not, as fast as they were due.
    fn is_behind(&self, rate: f64) -> bool {
        // Where the requests are counted, the time is over when the last one has ended.
        if self.mode.count.is_some() {
            return false;
        }
        // The last ones were in flight when the time was over.
        const IN_FLIGHT: u64 = 2;
        let recorder = &self.measured.recorder;
        let due = rate * recorder.time().as_secs_f64();
        ((recorder.ended() + IN_FLIGHT) as f64) < 0.98 * due
    }

    /// How many requests failed in each way, the commonest first: the kind, the HTTP status where
    /// there was an answer, and the number.
    pub(super) fn kinds(&self) -> Vec<(String, Option<u16>, u64)> {
        let kinds = self.measured.recorder.kinds.iter();
        let kinds = kinds.map(|((kind, status), count)| (kind.replace('_', " "), *status, *count));
        let mut kinds: Vec<_> = kinds.collect();
        kinds.sort_by_key(|(.., count)| std::cmp::Reverse(*count));
        kinds
    }

    fn failures(&self) -> Vec<String> {
        let kinds = self.kinds().into_iter();
        let kinds = kinds.map(|(kind, status, count)| match status {
            Some(status) => format!("{count} {kind} (status {status})"),
            None => format!("{count} {kind}"),
        });
        kinds.collect()
    }

    /// Where the time of a request goes on average, from the whole to its parts.
    pub(super) fn means(&self) -> Vec<(&'static str, Duration)> {
        let client = Duration::from_nanos(self.measured.recorder.latency.mean() as u64);
        let mut means = vec![("client", client)];
        let Some(difference) = &self.measured.server else {
            return means;
        };
        let parts = [
            ("server", difference.server()),
            ("queue", difference.queue()),
            ("compute input", difference.compute_input()),
            ("compute infer", difference.compute_infer()),
            ("compute output", difference.compute_output()),
        ];
        means.extend(
            parts
                .iter()
                .filter_map(|(name, mean)| Some((*name, (*mean)?))),
        );
        if let Some(server) = difference.server() {
            means.push(("network and client", client.saturating_sub(server)));
        }
        means
    }

    /// The CPU time of this process for each answer, and how many cores it kept busy.
    pub(super) fn client_cpu(&self) -> Option<(Duration, f64)> {
        let recorder = &self.measured.recorder;
        let cpu = self.measured.client_cpu?;
        let answers = u32::try_from(recorder.arrived())
            .ok()
            .filter(|count| *count > 0)?;
        let cores = cpu.as_secs_f64() / recorder.time().as_secs_f64().max(f64::EPSILON);
        Some((cpu / answers, cores))
    }

    /// What a reader should know before trusting the figures.
    pub(super) fn remarks(&self) -> Vec<String> {
        let recorder = &self.measured.recorder;
        let mut remarks = Vec::new();
        if self.measured.interrupted {
            remarks.push("Ctrl-C ended the measurement early".to_owned());
        }
        if recorder.unanswered() > 0 {
            remarks.push(format!(
                "{} requests were due and not answered in time to be counted: the latencies are \
                 lower bounds",
                recorder.unanswered()
            ));
        }
        if recorder.failed > 0 {
            let share = 100.0 * recorder.failed as f64 / recorder.due().max(1) as f64;
            remarks.push(format!(
                "{} of {} requests ({share:.0}%) failed, of these {}: throughput and latencies are \
                 those of the others",
                recorder.failed,
                recorder.due(),
                self.failures().join(", ")
            ));
        }
        if let Some(rate) = self.mode.rate
            && self.is_behind(rate)
        {
            remarks.push(format!(
                "the server did not keep up with {rate} requests a second, so that latencies grow \
                 with the time measured"
            ));
        }
        let late = Duration::from_nanos(recorder.delay.value_at_quantile(0.5));
        let typical = Duration::from_nanos(recorder.latency.value_at_quantile(0.5));
        // Of refusals that come at once nothing is typical.
        let answered = !recorder.latency.is_empty();
        if self.mode.rate.is_some() && answered && late > typical / 4 {
            remarks.push(format!(
                "half of the requests were sent {} or more after they were due: this machine, or \
                 the limit of {} at once, holds them back",
                figures::duration(late),
                self.mode.workers
            ));
        }
        if let Some(difference) = &self.measured.server {
            let ours = recorder.arrived() * u64::from(self.mode.batch_size);
            let all = difference.inferences();
            let at_once = u64::from(self.mode.workers) * u64::from(self.mode.batch_size);
            // A little more is what warm-up leaves behind.
            if all > ours + ours / 10 + 2 * at_once {
                remarks.push(format!(
                    "the server counted {all} inferences and this command {ours}: others use the \
                     model at the same time"
                ));
            }
        } else {
            remarks.push(
                "the server told no statistics, so it is not known which part of the time is its own"
                    .to_owned(),
            );
        }
        remarks
    }

    pub(super) fn to_text(&self) -> String {
        let recorder = &self.measured.recorder;
        let mut table = TextTable::new(&["", ""]);
        let throughput = figures::rate(self.throughput());
        let mut row = |name: &str, value: String| table.row([name.to_owned(), value]);
        row("throughput", format!("{throughput} requests/s"));
        if self.mode.batch_size > 1 {
            let inferences = self.throughput() * f64::from(self.mode.batch_size);
            row("", format!("{} inferences/s", figures::rate(inferences)));
        }
        row("answered", recorder.latency.len().to_string());
        row("failed", recorder.failed.to_string());
        if let Some((each, cores)) = self.client_cpu() {
            let each = figures::duration(each);
            row("client CPU", format!("{each} a request, {cores:.2} cores"));
        }
        let mut latencies = TextTable::new(&["LATENCY", ">"]);
        for (quantile, name) in PERCENTILES {
            latencies.row([
                name.to_owned(),
                self.percentile(&recorder.latency, quantile),
            ]);
        }
        let mut means = TextTable::new(&["MEAN TIME OF A REQUEST", ">"]);
        for (name, mean) in self.means() {
            let indent = match name {
                "client" => "",
                "server" | "network and client" => "  ",
                _ => "    ",
            };
            means.row([format!("{indent}{name}"), figures::duration(mean)]);
        }
        let mut tables = vec![table, latencies, means];
        if recorder.failed > 0 {
            let mut failures = TextTable::new(&["FAILED", ">STATUS", ">"]);
            for (kind, status, count) in self.kinds() {
                let status = status.map_or_else(|| "-".to_owned(), |status| status.to_string());
                failures.row([kind, status, count.to_string()]);
            }
            tables.push(failures);
        }
        let width = width();
        let mut text = String::new();
        for table in tables {
            text.push_str(table.lines(width).trim_start_matches('\n'));
            text.push('\n');
        }
        for (error, count) in &recorder.errors {
            let times = if *count == 1 {
                "once"
            } else {
                &format!("{count} times")
            };
            text.push_str(&wrapped(&format!("failed {times}: {error}")));
            text.push('\n');
        }
        for checked in self.checked() {
            text.push_str(&wrapped(&checked.line()));
            text.push('\n');
        }
        for remark in self.remarks() {
            text.push_str(&wrapped(&format!("note: {remark}")));
            text.push('\n');
        }
        text.truncate(text.trim_end().len());
        text + "\n"
    }

    pub(super) fn percentile(&self, latency: &Histogram<u64>, quantile: f64) -> String {
        match latency.is_empty() {
            true => "-".to_owned(),
            false => figures::duration(Duration::from_nanos(latency.value_at_quantile(quantile))),
        }
    }

    pub(super) fn to_json(&self) -> Value {
        let recorder = &self.measured.recorder;
        let mode = &self.mode;
        let timeline = recorder.timeline.iter().enumerate().map(|(index, step)| {
            json!({
                "second": (recorder.step * index as u32).as_secs_f64(),
                "answered": step.latency.len(),
                "failed": step.failed,
                "p50_ns": step.latency.value_at_quantile(0.5),
                "p99_ns": step.latency.value_at_quantile(0.99),
            })
        });
        let mut document = self.about.to_json();
        let figures = json!({
            "load": {
                "requests_at_once": mode.workers,
                "rate": mode.rate,
                "random_arrivals": mode.rate.map(|_| mode.random_arrivals),
                "batch_size": mode.batch_size,
                "sequence_length": mode.sequence_length,
                "inputs": mode.inputs,
                "warm_up_seconds": mode.warm_up.as_secs_f64(),
                "requests": mode.count,
            },
            "assertions": self.checked().iter().map(Checked::to_json).collect::<Value>(),
            "seconds": recorder.time().as_secs_f64(),
            "interrupted": self.measured.interrupted,
            "answered": recorder.latency.len(),
            "failed": recorder.failed,
            "unanswered": recorder.unanswered(),
            "requests_per_second": self.throughput(),
            "inferences_per_second": self.throughput() * f64::from(mode.batch_size),
            "latency_ns": latencies(&recorder.latency),
            "send_delay_ns": latencies(&recorder.delay),
            "server_statistics": self.measured.server.as_ref().map(|server| server.to_json()),
            "client_cpu": self.client_cpu().map(|(each, cores)| {
                json!({ "ns_per_request": each.as_nanos() as u64, "cores": cores })
            }),
            "failures": recorder.kinds.iter().map(|((kind, status), count)| {
                json!({ "kind": kind, "status": status, "count": count })
            }).collect::<Value>(),
            "errors": recorder.errors,
            "notes": self.remarks(),
            "step_seconds": recorder.step.as_secs_f64(),
            "timeline": timeline.collect::<Value>(),
        });
        if let (Some(document), Value::Object(figures)) = (document.as_object_mut(), figures) {
            document.extend(figures);
        }
        document
    }
}

fn latencies(histogram: &Histogram<u64>) -> Value {
    let mut object = json!({
        "mean": histogram.mean(),
        "standard_deviation": histogram.stdev(),
        "min": histogram.min(),
    });
    for (quantile, name) in PERCENTILES {
        object[name.replace('.', "_")] = histogram.value_at_quantile(quantile).into();
    }
    object
}
