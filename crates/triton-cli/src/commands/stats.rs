//! `triton stats`: how often a model was called, and where its time went.

pub(crate) mod several;

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};
use triton_client::{ModelStatistics, Tally};

use super::figures::{optional_duration, rate};
use super::statistics_difference::Difference;
use super::text_table::TextTable;
use crate::argument_values::duration;
use crate::completion;
use crate::config_arguments::ConfigArguments;
use crate::controls::shown_within_line;
use crate::failure::Failure;
use crate::output::{document, print, print_while_read};
use crate::server::{Server, with_server};
use crate::wrapping::width;

/// Show how often a model was called since it was loaded, and where its time went.
///
/// Where the endpoint has several servers, each has a line; what is watched is all of them together.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct StatsArguments {
    /// The model's name.
    #[arg(value_name = "MODEL", add = completion::models())]
    model: String,

    /// Show a line for what happened in every such time, until Ctrl-C.
    #[arg(long, value_name = "TIME", num_args = 0..=1, default_missing_value = "1 s", value_parser = duration)]
    watch: Option<Duration>,

    /// Stop watching after so many lines.
    #[arg(long, value_name = "N", requires = "watch")]
    count: Option<u64>,

    /// Show JSON: a list with an object for each version, or an object a line while watching.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    config: ConfigArguments,
}

const EXAMPLES: &str = "\
Examples:
  triton stats anomaly -e localhost:8000
  triton stats anomaly --watch
  triton stats anomaly --watch 5s --count 12 --json > a-minute.ndjson

Times are means for each request or execution. While watching, `batch` is the number of \
inferences in an execution, `queue` the wait before it, `infer` the execution itself and \
`server` all the time within the server.";

/// Runs the command.
pub(crate) fn run(arguments: &StatsArguments) -> Result<ExitCode, Failure> {
    with_server(&arguments.config, Some(&arguments.model), async |server| {
        if server.are_several() && arguments.watch.is_none() {
            return several::run(&server, arguments.json).await;
        }
        match arguments.watch {
            Some(period) => watch(&server, arguments, period).await?,
            None => {
                let versions = statistics(&server).await?;
                print(&match arguments.json {
                    true => document(&versions.iter().map(to_json).collect()),
                    false => versions.iter().map(to_text).collect::<Vec<_>>().join("\n"),
                })?;
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// Each version that is loaded, or the one that the options name.
pub(crate) async fn statistics(server: &Server) -> Result<Vec<ModelStatistics>, Failure> {
    let error = match server.client.statistics(Some(&server.model())).await {
        Ok(statistics) => return Ok(statistics),
        Err(error) => error,
    };
    // The server says so with the status of a malformed request.
    let unknown = error.message().contains("is not available");
    let lacks = "the server keeps no statistics of its models";
    let failure = server.failure_about_model(error, lacks).await;
    Err(match unknown {
        true => failure.with_hint("`triton models` lists the models that the server has"),
        false => failure,
    })
}

/// The phases of a request that the server measures, by the name they are shown under.
fn phases(model: &ModelStatistics) -> [(&'static str, Tally); 8] {
    let statistics = &model.inference_stats;
    [
        ("success", statistics.success),
        ("failure", statistics.fail),
        ("queue", statistics.queue),
        ("compute input", statistics.compute_input),
        ("compute infer", statistics.compute_infer),
        ("compute output", statistics.compute_output),
        ("cache hit", statistics.cache_hit),
        ("cache miss", statistics.cache_miss),
    ]
}

fn to_text(model: &ModelStatistics) -> String {
    let mut text = format!(
        "model {}, version {}: {} inferences in {} executions\n",
        shown_within_line(&model.name),
        shown_within_line(&model.version),
        model.inference_count,
        model.execution_count
    );
    let mut table = TextTable::new(&["REQUESTS", ">COUNT", ">MEAN"]);
    for (name, tally) in phases(model) {
        if tally.count > 0 || matches!(name, "success" | "failure") {
            let mean = optional_duration(tally.mean());
            table.row([name.to_owned(), tally.count.to_string(), mean]);
        }
    }
    text.push('\n');
    text.push_str(&table.lines(width()));
    if !model.batch_stats.is_empty() {
        let mut table = TextTable::new(&[">BATCH SIZE", ">EXECUTIONS", ">MEAN"]);
        for batch in &model.batch_stats {
            let Tally { count, .. } = batch.compute_infer;
            let mean = optional_duration(batch.compute_infer.mean());
            table.row([batch.batch_size.to_string(), count.to_string(), mean]);
        }
        text.push('\n');
        text.push_str(&table.lines(width()));
    }
    text
}

fn to_json(model: &ModelStatistics) -> Value {
    let tally = |tally: Tally| json!({ "count": tally.count, "total_ns": tally.ns });
    let phases = phases(model).map(|(name, phase)| (name.replace(' ', "_"), tally(phase)));
    let batches = model.batch_stats.iter().map(|batch| {
        json!({ "batch_size": batch.batch_size, "compute_infer": tally(batch.compute_infer) })
    });
    json!({
        "model": model.name,
        "version": model.version,
        "last_inference_ms": model.last_inference,
        "inferences": model.inference_count,
        "executions": model.execution_count,
        "requests": phases.into_iter().collect::<serde_json::Map<_, _>>(),
        "batches": batches.collect::<Value>(),
    })
}

/// The columns of a line while watching, and how wide each is; the first ones matter most.
const COLUMNS: [(&str, usize); 7] = [
    ("inf/s", 8),
    ("fail/s", 7),
    ("server", 9),
    ("queue", 9),
    ("infer", 9),
    ("exec/s", 8),
    ("batch", 6),
];

/// Lines between two headings.
const PAGE: u64 = 20;

async fn watch(
    server: &Server,
    arguments: &StatsArguments,
    period: Duration,
) -> Result<(), Failure> {
    if period.is_zero() {
        let error = anyhow::anyhow!("--watch 0: expected a time longer than zero, such as 1s");
        return Err(Failure::usage(error));
    }
    let mut before = (Instant::now(), several::statistics(server).await?);
    let mut lines = 0;
    while arguments.count.is_none_or(|count| lines < count) {
        // From the last look and not from a clock of its own: a line is never about less than a
        // period, which would tell nothing.
        sleep_until(before.0 + period).await;
        let now = (Instant::now(), several::statistics(server).await?);
        let difference = several::difference(&before.1, &now.1, now.0 - before.0);
        let heading = !arguments.json && lines % PAGE == 0;
        let mut text = match heading {
            true => line(&COLUMNS.map(|(name, _)| name.to_owned())),
            false => String::new(),
        };
        text.push_str(&match arguments.json {
            true => format!("{}\n", difference.to_json()),
            false => line(&cells(&difference)),
        });
        if !print_while_read(&text)? {
            return Ok(());
        }
        before = now;
        lines += 1;
    }
    Ok(())
}

fn cells(difference: &Difference) -> [String; 7] {
    [
        rate(difference.inferences_per_second()),
        rate(difference.failures_per_second()),
        optional_duration(difference.server()),
        optional_duration(difference.queue()),
        optional_duration(difference.compute_infer()),
        rate(difference.executions_per_second()),
        difference.mean_batch().map_or_else(|| "-".to_owned(), rate),
    ]
}

/// As many of the cells as the terminal has room for.
fn line(cells: &[String]) -> String {
    let width = width();
    let mut line = String::new();
    for (cell, (_, room)) in cells.iter().zip(COLUMNS) {
        if textwrap::core::display_width(&line) + room + 1 > width {
            break;
        }
        line.push_str(&format!("{cell:>room$} "));
    }
    line.truncate(line.trim_end().len());
    line + "\n"
}
