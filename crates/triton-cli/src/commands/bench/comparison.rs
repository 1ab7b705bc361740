//! `--compare`: what was measured beside what an earlier report of `--json` says.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use serde_json::{Value, json};

use super::chart::escape;
use super::report::Report;
use crate::commands::figures;
use crate::commands::text_table::TextTable;
use crate::failure::Failure;
use crate::text_encoding;

/// An earlier report.
pub(super) struct Earlier {
    path: String,
    date: Option<String>,
    loads: Vec<Value>,
}

/// Figures of the loads that both reports have.
pub(super) struct Comparison {
    path: String,
    date: Option<String>,
    rows: Vec<Row>,
    /// Loads that the earlier report lacks.
    missing: Vec<String>,
    /// What else was different.
    notes: Vec<String>,
}

struct Row {
    load: String,
    figure: &'static str,
    before: f64,
    now: f64,
}

/// The figures that are compared, and where a report has them.
const FIGURES: [(&str, &str); 8] = [
    ("requests/s", "/requests_per_second"),
    ("mean", "/latency_ns/mean"),
    ("p50", "/latency_ns/p50"),
    ("p90", "/latency_ns/p90"),
    ("p99", "/latency_ns/p99"),
    ("p99.9", "/latency_ns/p99_9"),
    ("max", "/latency_ns/max"),
    ("client CPU", "/client_cpu/ns_per_request"),
];

/// Those of each load, where there are several.
const FEW: [&str; 3] = ["requests/s", "p50", "p99"];

/// What has to be the same for figures to say something of the server.
const CONDITIONS: [(&str, &str); 5] = [
    ("model", "/model"),
    ("server", "/server"),
    ("batch size", "/load/batch_size"),
    ("length of sequences", "/load/sequence_length"),
    ("inputs", "/load/inputs"),
];

impl Earlier {
    /// Reads a report that `--json` has written.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let text = text_encoding::read_file(path).map_err(Failure::usage)?;
        let shown = path.display().to_string();
        let document: Value = serde_json::from_str(&text)
            .with_context(|| format!("--compare {shown}: expected what --json writes"))?;
        let date = document["date"].as_str().map(str::to_owned);
        let loads = match &document["loads"] {
            Value::Array(loads) => loads.clone(),
            _ => vec![document],
        };
        // Where nothing was answered, a load has no latencies.
        let is_report = |load: &Value| {
            load["requests_per_second"].is_number()
                && (load["latency_ns"].is_object() || load["latency_ns"].is_null())
                && load["load"].is_object()
        };
        if loads.is_empty() || !loads.iter().all(is_report) {
            return Err(Failure::usage(anyhow!(
                "--compare {shown}: expected what `triton bench --json` writes, found other JSON"
            )));
        }
        Ok(Self {
            path: shown,
            date,
            loads,
        })
    }

    /// Puts the figures of both beside each other.
    pub(super) fn compare(self, reports: &[Report]) -> Comparison {
        let mut comparison = Comparison {
            path: self.path,
            date: self.date,
            rows: Vec::new(),
            missing: Vec::new(),
            notes: Vec::new(),
        };
        let only = reports.len() == 1 && self.loads.len() == 1;
        for report in reports {
            let (now, load) = (report.to_json(), report.mode.short());
            let of_load = |it: &Value| {
                let load = &it["load"];
                (load["requests_at_once"].as_u64(), load["rate"].as_f64())
            };
            let mut earlier = self.loads.iter();
            let Some(before) = earlier.find(|earlier| only || of_load(earlier) == of_load(&now))
            else {
                comparison.missing.push(load);
                continue;
            };
            if of_load(before) != of_load(&now) {
                comparison
                    .notes
                    .push("the loads are not the same".to_owned());
            }
            for (name, place) in CONDITIONS {
                let value = |it: &Value| it.pointer(place).cloned().unwrap_or_default();
                let note = format!("{name}: {} before, {} now", value(before), value(&now));
                if value(before) != value(&now) && !comparison.notes.contains(&note) {
                    comparison.notes.push(note);
                }
            }
            for (figure, place) in FIGURES {
                let value = |it: &Value| it.pointer(place).and_then(Value::as_f64);
                if (reports.len() == 1 || FEW.contains(&figure))
                    && let (Some(before), Some(now)) = (value(before), value(&now))
                {
                    let load = load.clone();
                    comparison.rows.push(Row {
                        load,
                        figure,
                        before,
                        now,
                    });
                }
            }
        }
        comparison
    }
}

impl Row {
    fn shown(&self, value: f64) -> String {
        match self.figure {
            "requests/s" => figures::rate(value),
            _ => figures::duration(Duration::from_nanos(value as u64)),
        }
    }

    /// By how much of what it was before it is more now.
    fn change(&self) -> String {
        match self.before > 0.0 {
            true => format!("{:+.0}%", (self.now / self.before - 1.0) * 100.0),
            false => "-".to_owned(),
        }
    }

    fn cells(&self) -> [String; 5] {
        [
            self.load.clone(),
            self.figure.to_owned(),
            self.shown(self.before),
            self.shown(self.now),
            self.change(),
        ]
    }
}

impl Comparison {
    pub(super) fn heading(&self) -> String {
        let date = self.date.iter().map(|date| format!(" of {date}"));
        format!("Beside {}{}.", self.path, date.collect::<String>())
    }

    /// What a reader should know of the figures.
    pub(super) fn remarks(&self) -> Vec<String> {
        let notes = self.notes.iter();
        let mut remarks: Vec<String> = notes
            .map(|note| format!("what is compared differs in more than time: {note}"))
            .collect();
        if !self.missing.is_empty() {
            let missing = self.missing.join(", ");
            remarks.push(format!(
                "{} has nothing to compare with {missing}",
                self.path
            ));
        }
        remarks
    }

    pub(super) fn to_text(&self, width: usize) -> String {
        let mut table = TextTable::new(&["LOAD", "COMPARED", ">BEFORE", ">NOW", ">CHANGE"]);
        for row in &self.rows {
            table.row(row.cells());
        }
        let mut text = format!("\n{}\n{}", self.heading(), table.lines(width));
        for remark in self.remarks() {
            text.push_str(&format!("note: {remark}\n"));
        }
        text
    }

    pub(super) fn to_html(&self) -> String {
        let rows = self.rows.iter().map(|row| {
            let cells = row.cells();
            let numbers = cells[2..].iter();
            let numbers = numbers.map(|cell| format!("<td class=\"number\">{}</td>", escape(cell)));
            format!(
                "<tr><th>{}</th><td>{}</td>{}</tr>\n",
                escape(&cells[0]),
                escape(&cells[1]),
                numbers.collect::<String>()
            )
        });
        let remarks = self.remarks().into_iter();
        let remarks = remarks.map(|note| format!("<p>Note: {}.</p>\n", escape(&note)));
        format!(
            "<div class=\"loads\"><table>\n<tr><th></th><td></td><td class=\"number\">before</td>\
             <td class=\"number\">now</td><td class=\"number\">change</td></tr>\n{}</table></div>\n{}",
            rows.collect::<String>(),
            remarks.collect::<String>()
        )
    }

    pub(super) fn to_json(&self) -> Value {
        let rows = self.rows.iter().map(|row| {
            json!({
                "load": row.load,
                "figure": row.figure,
                "before": row.before,
                "now": row.now,
            })
        });
        json!({
            "file": self.path,
            "date": self.date,
            "figures": rows.collect::<Value>(),
            "notes": self.remarks(),
        })
    }
}
