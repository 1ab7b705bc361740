//! What a load came to, as text and as JSON.

use std::fmt;
use std::process::ExitCode;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::{Value, json};
use triton_options::OptionValue as _;

use super::load::Measured;
use crate::commands::figures;
use crate::commands::text_table::TextTable;
use crate::exit_codes::Exit;
use crate::output::{width, wrapped};

/// The percentiles that are shown, and their names.
pub(super) const PERCENTILES: [(f64, &str); 6] = [
    (0.5, "p50"),
    (0.9, "p90"),
    (0.95, "p95"),
    (0.99, "p99"),
    (0.999, "p99.9"),
    (1.0, "max"),
];

/// The load that was asked for.
pub(super) struct Mode {
    pub(super) workers: u32,
    pub(super) sequence_length: Option<u32>,
    pub(super) rate: Option<f64>,
    pub(super) random_arrivals: bool,
    pub(super) batch_size: u32,
    pub(super) inputs: String,
    pub(super) warm_up: Duration,
    pub(super) duration: Duration,
}

impl fmt::Display for Mode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let workers = self.workers;
        match (self.rate, self.sequence_length) {
            (Some(rate), _) => {
                let how = if self.random_arrivals {
                    "random"
                } else {
                    "even"
                };
                write!(
                    formatter,
                    "{rate} requests a second ({how} arrivals), at most {workers} at once"
                )?;
            }
            (None, length) => {
                let what = if length.is_some() {
                    "sequence"
                } else {
                    "request"
                };
                let plural = if workers == 1 { "" } else { "s" };
                write!(formatter, "{workers} {what}{plural} at once")?;
            }
        }
        if let Some(length) = self.sequence_length {
            write!(formatter, ", sequences of {length}")?;
        }
        if self.batch_size > 1 {
            write!(formatter, ", {} inferences in each", self.batch_size)?;
        }
        let (duration, warm_up) = (self.duration.canonical(), self.warm_up.canonical());
        write!(
            formatter,
            ", for {duration} after {warm_up} of warm-up; {}",
            self.inputs
        )
    }
}

/// A measured load, and what it was about.
pub(super) struct Report {
    pub(super) model: String,
    pub(super) endpoint: String,
    /// The server's name and version.
    pub(super) server: Option<String>,
    pub(super) mode: Mode,
    pub(super) measured: Measured,
}

impl Report {
    pub(super) fn exit_code(&self) -> ExitCode {
        let recorder = &self.measured.recorder;
        match self.measured.interrupted {
            true => Exit::Interrupted.into(),
            false if recorder.failed + recorder.unanswered() > 0 => Exit::Partial.into(),
            false => Exit::Done.into(),
        }
    }

    /// Answers a second.
    pub(super) fn throughput(&self) -> f64 {
        let recorder = &self.measured.recorder;
        recorder.arrived() as f64 / recorder.time().as_secs_f64().max(f64::EPSILON)
    }

    /// Whether so many requests a second did not end, answered or not, as fast as they were due.
    fn is_behind(&self, rate: f64) -> bool {
        // The last ones were in flight when the time was over.
        const IN_FLIGHT: u64 = 2;
        let recorder = &self.measured.recorder;
        let due = rate * recorder.time().as_secs_f64();
        ((recorder.ended() + IN_FLIGHT) as f64) < 0.98 * due
    }

    /// How many requests failed in each way, the commonest first.
    fn failures(&self) -> Vec<String> {
        let mut kinds: Vec<_> = self.measured.recorder.kinds.iter().collect();
        kinds.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let kinds = kinds.into_iter().map(|((kind, status), count)| {
            let kind = kind.replace('_', " ");
            match status {
                Some(status) => format!("{count} {kind} (status {status})"),
                None => format!("{count} {kind}"),
            }
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
        let width = width();
        let mut text = String::new();
        for table in [table, latencies, means] {
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
        for remark in self.remarks() {
            text.push_str(&wrapped(&format!("note: {remark}")));
            text.push('\n');
        }
        text.truncate(text.trim_end().len());
        text + "\n"
    }

    fn percentile(&self, latency: &Histogram<u64>, quantile: f64) -> String {
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
        json!({
            "model": self.model,
            "endpoint": self.endpoint,
            "server": self.server,
            "load": {
                "requests_at_once": mode.workers,
                "rate": mode.rate,
                "random_arrivals": mode.rate.map(|_| mode.random_arrivals),
                "batch_size": mode.batch_size,
                "sequence_length": mode.sequence_length,
                "inputs": mode.inputs,
                "warm_up_seconds": mode.warm_up.as_secs_f64(),
            },
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
        })
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
