//! One load, or several one after the other: what is shown of them together.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::about::About;
use super::chart::{Chart, Line, escape};
use super::comparison::Comparison;
use super::html;
use super::report::Report;
use crate::commands::figures;
use crate::commands::text_table::TextTable;
use crate::exit_codes::Exit;
use crate::wrapping::{width, wrapped};

/// The loads of a run of the command.
pub(super) struct Series {
    pub(super) about: Arc<About>,
    /// In the order of their loads.
    pub(super) loads: Vec<Report>,
    /// Whether one load was asked for, and nothing was looked for.
    pub(super) is_single: bool,
    pub(super) found: Option<Found>,
    pub(super) compared: Option<Comparison>,
}

/// What a search has found.
pub(super) struct Found {
    /// The highest load that held.
    pub(super) highest: Option<f64>,
    /// Whether no load failed, so that a higher one may hold as well.
    pub(super) is_open: bool,
    /// Whether loads are rates.
    pub(super) of_rates: bool,
}

impl Found {
    fn line(&self) -> String {
        let named = |load: f64| match self.of_rates {
            true => format!("{load} requests/s"),
            false => format!("{load} requests at once"),
        };
        match (self.highest, self.is_open) {
            (None, _) => "highest load that holds: none, not even the least".to_owned(),
            (Some(load), true) => {
                format!(
                    "highest load that holds: {}, the most that was to be tried",
                    named(load)
                )
            }
            (Some(load), false) => format!("highest load that holds: {}", named(load)),
        }
    }
}

impl Series {
    pub(super) fn exit_code(&self) -> ExitCode {
        let mut loads = self.loads.iter();
        if loads.any(|load| load.measured.interrupted) {
            return Exit::Interrupted.into();
        }
        let all_well = match &self.found {
            // It is what a search is for that higher loads fail.
            Some(found) => found.highest.is_some(),
            None => self
                .loads
                .iter()
                .all(|load| match load.assertions.is_empty() {
                    true => !load.has_failures(),
                    false => load.held(),
                }),
        };
        match all_well {
            true => Exit::Done.into(),
            false => Exit::Partial.into(),
        }
    }

    pub(super) fn to_text(&self) -> String {
        let mut text = match (self.is_single, self.loads.first()) {
            (true, Some(load)) => load.to_text(),
            _ => self.table(),
        };
        if let Some(compared) = &self.compared {
            text.push_str(&compared.to_text(width()));
        }
        text
    }

    fn table(&self) -> String {
        let asserts = self.loads.iter().any(|load| !load.assertions.is_empty());
        let mut heading = vec!["LOAD", ">REQUESTS/S", ">P50", ">P95", ">P99", ">FAILED"];
        if asserts {
            heading.push("ASSERTED");
        }
        let mut table = TextTable::new(&heading);
        for load in &self.loads {
            table.row(cells(load).into_iter().take(heading.len()));
        }
        let mut text = table.lines(width());
        for load in &self.loads {
            let checked = load.checked().into_iter().filter(|checked| !checked.held);
            let remarks = load.remarks().into_iter().map(|it| format!("note: {it}"));
            for line in checked.map(|it| it.line()).chain(remarks) {
                let line = wrapped(&format!("{}: {line}", load.mode.short()));
                text.push_str(&format!("{line}\n"));
            }
        }
        if let Some(found) = &self.found {
            text.push_str(&format!("\n{}\n", found.line()));
        }
        text
    }

    pub(super) fn to_json(&self) -> Value {
        let compared = self.compared.as_ref().map(Comparison::to_json);
        if let (true, Some(load)) = (self.is_single, self.loads.first()) {
            let mut document = load.to_json();
            if let Some(compared) = compared {
                document["compared"] = compared;
            }
            return document;
        }
        let mut document = self.about.to_json();
        document["loads"] = self.loads.iter().map(Report::to_json).collect();
        if let Some(found) = &self.found {
            document["highest_that_holds"] = found.highest.into();
            document["searched"] = if found.of_rates {
                "rate"
            } else {
                "concurrency"
            }
            .into();
        }
        if let Some(compared) = compared {
            document["compared"] = compared;
        }
        document
    }

    /// A line for each load, for spreadsheets.
    pub(super) fn to_csv(&self) -> Result<Vec<u8>, csv::Error> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record([
            "requests_at_once",
            "rate",
            "batch_size",
            "seconds",
            "answered",
            "failed",
            "unanswered",
            "requests_per_second",
            "mean_ms",
            "p50_ms",
            "p90_ms",
            "p95_ms",
            "p99_ms",
            "p99.9_ms",
            "max_ms",
            "held",
        ])?;
        for load in &self.loads {
            let recorder = &load.measured.recorder;
            let latency = &recorder.latency;
            let milliseconds = |nanos: f64| match latency.is_empty() {
                true => String::new(),
                false => (nanos / 1e6).to_string(),
            };
            let at = |share| milliseconds(latency.value_at_quantile(share) as f64);
            writer.write_record([
                load.mode.workers.to_string(),
                load.mode
                    .rate
                    .map_or_else(String::new, |rate| rate.to_string()),
                load.mode.batch_size.to_string(),
                recorder.time().as_secs_f64().to_string(),
                latency.len().to_string(),
                recorder.failed.to_string(),
                recorder.unanswered().to_string(),
                load.throughput().to_string(),
                milliseconds(latency.mean()),
                at(0.5),
                at(0.9),
                at(0.95),
                at(0.99),
                at(0.999),
                at(1.0),
                match load.assertions.is_empty() {
                    true => String::new(),
                    false => load.held().to_string(),
                },
            ])?;
        }
        writer
            .into_inner()
            .map_err(|error| error.into_error().into())
    }

    /// The page.
    pub(super) fn to_html(&self) -> String {
        if let (true, Some(load)) = (self.is_single, self.loads.first()) {
            return html::page(load, self.compared.as_ref());
        }
        let mode = self.loads.first().map(|load| load.mode.to_string());
        let load = format!(
            "{} loads, of which the first was {}",
            self.loads.len(),
            mode.unwrap_or_default()
        );
        let mut body = html::heading(&self.about, &load);
        if let Some(found) = &self.found {
            body.push_str(&format!(
                "<p class=\"note\">{}</p>\n",
                escape(&found.line())
            ));
        }
        html::section(
            &mut body,
            "Latency over load",
            "From when a request was due until it was answered.",
            &self.latency_over_load(),
        );
        html::section(
            &mut body,
            "Throughput over load",
            "Answers a second.",
            &self.throughput_over_load(),
        );
        html::section(&mut body, "Loads", "", &self.html_table());
        if let Some(compared) = &self.compared {
            html::section(
                &mut body,
                "Compared",
                &escape(&compared.heading()),
                &compared.to_html(),
            );
        }
        for load in &self.loads {
            let checked = load.checked().into_iter().filter(|checked| !checked.held);
            let remarks = load.remarks().into_iter().map(|note| format!("{note}."));
            for line in checked.map(|it| it.line()).chain(remarks) {
                let line = escape(&format!("{}: {line}", load.mode.short()));
                body.push_str(&format!("<p class=\"note\">{line}</p>\n"));
            }
        }
        html::whole(&self.about, &body)
    }

    fn html_table(&self) -> String {
        let names = [
            "load",
            "requests/s",
            "p50",
            "p95",
            "p99",
            "failed",
            "asserted",
        ];
        let heading = names.map(|name| format!("<th>{name}</th>")).concat();
        let rows = self.loads.iter().map(|load| {
            let cells = cells(load);
            let rest = cells[1..].iter();
            let rest = rest.map(|cell| format!("<td>{}</td>", escape(cell)));
            format!(
                "<tr><th>{}</th>{}</tr>\n",
                escape(&cells[0]),
                rest.collect::<String>()
            )
        });
        format!(
            "<div class=\"loads\"><table>\n<tr>{heading}</tr>\n{}</table></div>\n",
            rows.collect::<String>()
        )
    }

    /// Where each load stands on the axis, and its mark. Loads that are far from each other stand by
    /// how often they double.
    fn axis(&self) -> Vec<(f64, String)> {
        let load = |report: &Report| {
            report
                .mode
                .rate
                .unwrap_or_else(|| report.mode.workers.into())
        };
        let loads: Vec<f64> = self.loads.iter().map(load).collect();
        let least = loads.iter().copied().fold(f64::INFINITY, f64::min);
        let most = loads.iter().copied().fold(0.0, f64::max);
        let doubles = most / least > 8.0;
        let scale = |load: f64| if doubles { load.log2() } else { load };
        let width = (scale(most) - scale(least)).max(f64::EPSILON);
        let places = loads.iter().map(|load| {
            // Marks at the very edges would be cut off.
            let place = 0.02 + 0.96 * (scale(*load) - scale(least)) / width;
            (place, load.to_string())
        });
        places.collect()
    }

    fn x_label(&self) -> &'static str {
        match self.loads.first().and_then(|load| load.mode.rate) {
            Some(_) => "requests due each second",
            None => "requests at once",
        }
    }

    fn latency_over_load(&self) -> String {
        let axis = self.axis();
        let line = |name, share| {
            let loads = axis.iter().zip(&self.loads);
            let loads = loads.filter(|(_, load)| !load.measured.recorder.latency.is_empty());
            let points = loads.map(|((place, text), load)| {
                let nanos = load.measured.recorder.latency.value_at_quantile(share);
                let shown = figures::duration(Duration::from_nanos(nanos));
                (*place, nanos as f64, format!("{text}: {name} {shown}"))
            });
            Line {
                name,
                points: points.collect(),
            }
        };
        Chart {
            title: "Latency over load",
            x_marks: axis.clone(),
            x_label: self.x_label(),
            y_text: figures::mark,
            lines: vec![line("p50", 0.5), line("p99", 0.99)],
        }
        .to_svg()
    }

    fn throughput_over_load(&self) -> String {
        let axis = self.axis();
        let points = axis.iter().zip(&self.loads).map(|((place, text), load)| {
            let rate = load.throughput();
            (
                *place,
                rate,
                format!("{text}: {} requests/s", figures::rate(rate)),
            )
        });
        let line = Line {
            name: "answers/s",
            points: points.collect(),
        };
        Chart {
            title: "Throughput over load",
            x_marks: axis.clone(),
            x_label: self.x_label(),
            y_text: figures::rate,
            lines: vec![line],
        }
        .to_svg()
    }
}

/// What a table says of a load.
fn cells(load: &Report) -> Vec<String> {
    let recorder = &load.measured.recorder;
    let at = |share| load.percentile(&recorder.latency, share);
    let held = match (load.assertions.is_empty(), load.held()) {
        (true, _) => "",
        (false, true) => "held",
        (false, false) => "NOT HELD",
    };
    vec![
        load.mode.short(),
        figures::rate(load.throughput()),
        at(0.5),
        at(0.95),
        at(0.99),
        (recorder.failed + recorder.unanswered()).to_string(),
        held.to_owned(),
    ]
}
