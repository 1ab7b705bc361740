//! The report of a load as one page of HTML, without anything from elsewhere.

use std::time::Duration;

use hdrhistogram::Histogram;

use super::about::{About, VERSION};
use super::assertion::Checked;
use super::chart::{Chart, Line, escape};
use super::comparison::Comparison;
use super::recorder::PERCENTILES;
use super::report::Report;
use crate::commands::figures;

const STYLE: &str = include_str!("page.css");

/// The page about a load.
pub(super) fn page(report: &Report, compared: Option<&Comparison>) -> String {
    let recorder = &report.measured.recorder;
    let mut body = heading(&report.about, &report.mode.to_string());
    let checked = report.checked();
    let checked = checked.iter().map(Checked::line);
    let notes = report
        .remarks()
        .into_iter()
        .map(|note| format!("Note: {note}."));
    for note in checked.chain(notes) {
        body.push_str(&format!("<p class=\"note\">{}</p>\n", escape(&note)));
    }
    body.push_str(&tiles(report));
    if recorder.failed > 0 {
        section(&mut body, "Failures", "", &failures(report));
    }
    if let Some(compared) = compared {
        section(
            &mut body,
            "Compared",
            &escape(&compared.heading()),
            &compared.to_html(),
        );
    }
    section(
        &mut body,
        "Latency by percentile",
        "This share of all requests was answered at least so fast. The axis stretches what is rare: \
         each further nine takes the same room.",
        &by_percentile(&recorder.latency),
    );
    section(
        &mut body,
        "Throughput over time",
        "Answers a second.",
        &throughput(report),
    );
    section(
        &mut body,
        "Latency over time",
        "Of the answers that arrived in each step.",
        &latency_over_time(report),
    );
    section(
        &mut body,
        "Where the time goes",
        "The mean time of a request as the client sees it, beside what the server says of itself.",
        &means(report),
    );
    section(
        &mut body,
        "Percentiles",
        "",
        &percentiles(&recorder.latency),
    );
    whole(&report.about, &body)
}

/// What the page is about: the model, the server, the load, the versions, the date and the command.
pub(super) fn heading(about: &About, load: &str) -> String {
    let model = escape(&about.model);
    let versions = escape(&about.versions);
    let server = about.server.as_deref().unwrap_or("a server");
    let server = escape(&format!("{server} at {}", about.endpoint));
    format!(
        "<h1>Model <b>{model}</b></h1>\n<p>{server}: {}.</p>\n\
         <p>Version {versions} of the model, measured by triton {VERSION} on {}:</p>\n\
         <p class=\"command\">{}</p>\n",
        escape(load),
        escape(&about.date),
        escape(&about.command),
    )
}

/// The document around the body.
pub(super) fn whole(about: &About, body: &str) -> String {
    let model = escape(&about.model);
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>triton bench {model}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n\
         {body}</main>\n</body>\n</html>\n"
    )
}

/// How many requests failed in each way, and what was said of them.
fn failures(report: &Report) -> String {
    let rows = report.kinds().into_iter().map(|(kind, status, count)| {
        let status = status.map_or_else(String::new, |status| format!("status {status}"));
        format!(
            "<tr><th>{}</th><td>{status}</td><td class=\"number\">{count}</td></tr>\n",
            escape(&kind)
        )
    });
    let texts = report.measured.recorder.errors.iter();
    let texts = texts.map(|(error, count)| format!("<p>{count} ×: {}</p>\n", escape(error)));
    format!(
        "<table>\n{}</table>\n{}",
        rows.collect::<String>(),
        texts.collect::<String>()
    )
}

pub(super) fn section(body: &mut String, heading: &str, text: &str, content: &str) {
    let text = match text {
        "" => String::new(),
        text => format!("<p>{text}</p>\n"),
    };
    body.push_str(&format!(
        "<section>\n<h2>{heading}</h2>\n{text}{content}</section>\n"
    ));
}

/// The few figures that most readers come for.
fn tiles(report: &Report) -> String {
    let recorder = &report.measured.recorder;
    let at = |quantile| match recorder.latency.is_empty() {
        true => "-".to_owned(),
        false => nanos(recorder.latency.value_at_quantile(quantile) as f64),
    };
    let mut tiles = vec![
        ("requests/s".to_owned(), figures::rate(report.throughput())),
        ("median latency".to_owned(), at(0.5)),
        ("p99 latency".to_owned(), at(0.99)),
        ("answered".to_owned(), recorder.latency.len().to_string()),
        ("failed".to_owned(), recorder.failed.to_string()),
    ];
    if let Some((each, cores)) = report.client_cpu() {
        let name = format!("client CPU a request ({cores:.2} cores)");
        tiles.push((name, figures::duration(each)));
    }
    let tiles = tiles.iter().map(|(name, value)| {
        format!(
            "<div><strong>{}</strong><span>{}</span></div>\n",
            escape(value),
            escape(name)
        )
    });
    format!(
        "<div class=\"tiles\">\n{}</div>\n",
        tiles.collect::<String>()
    )
}

/// A duration in nanoseconds, as the histograms have it.
fn nanos(value: f64) -> String {
    figures::duration(Duration::from_nanos(value as u64))
}

/// The share of requests that is slower, as a place on an axis of nines.
fn nines(quantile: f64) -> f64 {
    -(1.0 - quantile).log10()
}

fn by_percentile(latency: &Histogram<u64>) -> String {
    if latency.is_empty() {
        return "<p>No request was answered.</p>\n".to_owned();
    }
    // The last point stands for the single slowest request.
    let last = nines(1.0 - 1.0 / latency.len() as f64).max(1.0);
    let mut points = Vec::new();
    let count = 60;
    for index in 0..=count {
        let place = f64::from(index) / f64::from(count);
        let quantile = match index == count {
            true => 1.0,
            false => 1.0 - 10_f64.powf(-place * last),
        };
        let value = latency.value_at_quantile(quantile) as f64;
        points.push((
            place,
            value,
            format!("p{}: {}", percent(quantile), nanos(value)),
        ));
    }
    let marks = [0.0, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999, 0.999999];
    let marks = marks.iter().filter(|quantile| nines(**quantile) <= last);
    Chart {
        title: "Latency by percentile",
        x_marks: marks
            .map(|quantile| (nines(*quantile) / last, format!("{} %", percent(*quantile))))
            .collect(),
        x_label: "percentile",
        y_text: figures::mark,
        lines: vec![Line {
            name: "latency",
            points,
        }],
    }
    .to_svg()
}

/// As many digits as tell a percentile from its neighbours.
fn percent(quantile: f64) -> String {
    let text = format!("{:.4}", quantile * 100.0);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The middle of each step as a place on the axis, and its marks.
fn time_axis(report: &Report) -> (Vec<f64>, Vec<(f64, String)>) {
    let recorder = &report.measured.recorder;
    let steps = recorder.timeline.len();
    let places = (0..steps).map(|index| (index as f64 + 0.5) / steps as f64);
    let total = recorder.step.as_secs_f64() * steps as f64;
    let marks = (0..=5).map(|mark| {
        let place = f64::from(mark) / 5.0;
        let seconds = format!("{:.1}", place * total);
        let seconds = seconds.strip_suffix(".0").unwrap_or(&seconds);
        (place, format!("{seconds} s"))
    });
    (places.collect(), marks.collect())
}

fn throughput(report: &Report) -> String {
    let recorder = &report.measured.recorder;
    let (places, x_marks) = time_axis(report);
    let seconds = recorder.step.as_secs_f64();
    let line = |name, count: &dyn Fn(usize) -> u64| {
        let points = places.iter().enumerate().map(|(index, place)| {
            let rate = count(index) as f64 / seconds;
            let text = format!(
                "{:.1} s: {} {name}",
                index as f64 * seconds,
                figures::rate(rate)
            );
            (*place, rate, text)
        });
        Line {
            name,
            points: points.collect(),
        }
    };
    let mut lines = vec![line("answers/s", &|index| {
        recorder.timeline[index].latency.len()
    })];
    if recorder.timeline.iter().any(|step| step.failed > 0) {
        lines.push(line("failures/s", &|index| recorder.timeline[index].failed));
    }
    Chart {
        title: "Throughput over time",
        x_marks,
        x_label: "time measured",
        y_text: figures::rate,
        lines,
    }
    .to_svg()
}

fn latency_over_time(report: &Report) -> String {
    let recorder = &report.measured.recorder;
    let (places, x_marks) = time_axis(report);
    let line = |name, quantile| {
        let steps = places.iter().zip(&recorder.timeline).enumerate();
        let points = steps.filter(|(_, (_, step))| !step.latency.is_empty()).map(
            |(index, (place, step))| {
                let value = step.latency.value_at_quantile(quantile) as f64;
                let second = (recorder.step * index as u32).as_secs_f64();
                (
                    *place,
                    value,
                    format!("{second:.1} s: {name} {}", nanos(value)),
                )
            },
        );
        Line {
            name,
            points: points.collect(),
        }
    };
    Chart {
        title: "Latency over time",
        x_marks,
        x_label: "time measured",
        y_text: figures::mark,
        lines: vec![line("p50", 0.5), line("p99", 0.99)],
    }
    .to_svg()
}

/// Bars, each as long as its share of the client's time.
fn means(report: &Report) -> String {
    let means = report.means();
    let whole = means[0].1.as_secs_f64().max(f64::EPSILON);
    let rows = means.iter().map(|(name, mean)| {
        let share = (mean.as_secs_f64() / whole * 100.0).min(100.0);
        let part = match *name {
            "client" => "whole",
            "server" | "network and client" => "side",
            _ => "phase",
        };
        format!(
            "<tr class=\"{part}\"><th>{name}</th><td class=\"number\">{}</td>\
             <td class=\"bar\"><i style=\"width:{share:.1}%\"></i></td></tr>\n",
            figures::duration(*mean)
        )
    });
    format!(
        "<table class=\"means\">\n{}</table>\n",
        rows.collect::<String>()
    )
}

fn percentiles(latency: &Histogram<u64>) -> String {
    if latency.is_empty() {
        return String::new();
    }
    let values =
        PERCENTILES.map(|(quantile, name)| (name, latency.value_at_quantile(quantile) as f64));
    let rows = [("min", latency.min() as f64), ("mean", latency.mean())]
        .into_iter()
        .chain(values);
    let rows = rows.map(|(name, value)| {
        format!(
            "<tr><th>{name}</th><td class=\"number\">{}</td></tr>\n",
            nanos(value)
        )
    });
    format!("<table>\n{}</table>\n", rows.collect::<String>())
}
