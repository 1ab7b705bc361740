//! `triton bench`: how fast a model answers, under a load of a fixed number of requests at once or
//! of a fixed rate.

mod chart;
mod html;
mod load;
mod pacer;
mod random_input;
mod recorder;
mod report;
mod sample;

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::anyhow;
use clap::{Args, ValueEnum};
use futures_util::FutureExt as _;
use tracing::warn;
use triton_model_fn::{ModelFacts, SequenceIdForm};
use triton_options::{
    CONNECTION_POOL_MAX_IDLE, CONNECTION_POOL_MAX_TOTAL, EMBEDDED_ENDPOINT, MODEL_NAME,
    OptionValue as _, SEQUENCE_ID_TYPE,
};

use self::load::{Load, Pace};
use self::report::{Mode, Report};
use self::sample::{FixedShape, Samples};
use super::health::duration;
use super::json_tensors::check_batch_size;
use super::sequences::Sequences;
use crate::config::{ConfigArguments, LayeredOptions, Origin};
use crate::failure::Failure;
use crate::output::print;
use crate::progress::say;
use crate::server::{Effects, Server, check_model, with_prepared_server};

/// The most requests in flight at once where only a rate is given.
const RATE_CONCURRENCY: u32 = 256;

/// The most requests in flight at once that can be asked for.
const MOST_AT_ONCE: u32 = 65_535;

/// The length of sequences where none is given.
const SEQUENCE_LENGTH: u32 = 20;

/// Options of rows and of what is done about failures; here requests are made and counted as they
/// are.
pub(super) const WITHOUT_EFFECT: &[&str] = &[
    "batch-size",
    "batch-timeout",
    "cache-max-bytes",
    "circuit-breaker-enabled",
    "circuit-breaker-failure-threshold",
    "circuit-breaker-half-open-requests",
    "circuit-breaker-timeout",
    "default-value",
    "flatten-batch-dim",
    "health-check-enabled",
    "health-check-interval",
    "input-names",
    "max-in-flight",
    "max-retries",
    "open-wait",
    "output-names",
    "retry-budget",
    "retry-initial-backoff",
    "retry-max-backoff",
];

/// Measure how fast a model answers.
///
/// Without --rate there are always --concurrency requests in flight: each answer makes room for
/// the next request. With --rate requests are due at that rate, however slowly the server answers,
/// and a latency counts from the moment at which its request was due, so that a stall is not
/// hidden by the requests that it held back.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct BenchArguments {
    /// The model's name.
    #[arg(value_name = "MODEL")]
    model: String,

    /// The requests in flight at once [default: 1]; with --rate the most of them [default: 256].
    #[arg(long, value_name = "N", value_parser = at_once)]
    concurrency: Option<NonZeroU32>,

    /// Send so many requests a second, whether or not earlier ones are answered.
    #[arg(long, value_name = "R", value_parser = positive)]
    rate: Option<f64>,

    /// How requests follow each other with --rate.
    #[arg(long, value_name = "HOW", value_enum, default_value_t = Arrivals::Even, requires = "rate")]
    arrivals: Arrivals,

    /// How long to measure.
    #[arg(long, value_name = "TIME", default_value = "10 s", value_parser = duration)]
    duration: Duration,

    /// How long to send requests before measuring.
    #[arg(long, value_name = "TIME", default_value = "2 s", value_parser = duration)]
    warm_up: Duration,

    /// Inferences in a request, within the model's own max_batch_size.
    #[arg(long, value_name = "N", default_value = "1")]
    batch_size: NonZeroU32,

    /// Send these inputs, in turn, instead of random ones: a JSON object a line, such as
    /// {"value": [1, 2]}, or the document that perf_analyzer takes.
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,

    /// The shape of an input whose dimensions vary, without the batch dimension; 1 is taken for
    /// each that is not given. May be repeated.
    #[arg(long, value_name = "NAME:N,N", value_parser = FixedShape::parse, conflicts_with = "input")]
    shape: Vec<FixedShape>,

    /// For a stateful model, the sequences open at once, each with one request in flight.
    #[arg(long, value_name = "N", conflicts_with = "concurrency", value_parser = at_once)]
    sequences: Option<NonZeroU32>,

    /// For a stateful model, the requests of a sequence [default: 20].
    #[arg(long, value_name = "N")]
    sequence_length: Option<NonZeroU32>,

    /// Show a JSON object instead of text.
    #[arg(long)]
    json: bool,

    /// Write a report with plots too: one HTML file that needs no other.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,

    #[command(flatten)]
    config: ConfigArguments,
}

const EXAMPLES: &str = "\
Examples:
  triton bench echo --shape value:1024 --concurrency 8
  triton bench echo --rate 500 --arrivals random --html report.html
  triton bench anomaly --sequences 16 --sequence-length 100 --duration 1min
  triton bench echo --input inputs.ndjson --json | jq .latency_ns.p99
  triton bench echo -O endpoint=embedded --duration 2s

Exit code 1 means that some requests failed.";

#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
enum Arrivals {
    /// All the same time apart
    Even,
    /// At random, as from many users who know nothing of each other (a Poisson process)
    Random,
}

/// Each of them has a task and a connection, of which a machine has no more than it has ports.
fn at_once(text: &str) -> Result<NonZeroU32, String> {
    let number = text.parse::<NonZeroU32>().ok();
    number
        .filter(|number| number.get() <= MOST_AT_ONCE)
        .ok_or_else(|| format!("expected a whole number from 1 to {MOST_AT_ONCE}"))
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate.is_finite() && rate > 0.0 && rate <= 1e6 => Ok(rate),
        _ => Err("expected requests a second, more than 0 and at most 1000000".to_owned()),
    }
}

/// Runs the command.
pub(crate) fn run(arguments: &BenchArguments) -> Result<ExitCode, Failure> {
    check_model(Some(&arguments.model))?;
    if arguments.duration.is_zero() {
        let error = anyhow!("--duration 0: expected a time longer than zero, such as 10s");
        return Err(Failure::usage(error));
    }
    if let Some(rate) = arguments.rate
        && rate * arguments.duration.as_secs_f64() < 1.0
    {
        let error = anyhow!(
            "--rate {rate:e}: not one request would be due within the {} of --duration; raise one of the \
             two",
            arguments.duration.canonical()
        );
        return Err(Failure::usage(error));
    }
    let prepare = |options: &mut LayeredOptions| {
        options.set(
            MODEL_NAME.key(),
            &arguments.model,
            Origin::Argument("MODEL"),
        );
        // A connection that is given up after each call would be measured too.
        let limits = [
            CONNECTION_POOL_MAX_IDLE.key(),
            CONNECTION_POOL_MAX_TOTAL.key(),
        ];
        if limits.iter().all(|key| !options.is_set(key)) {
            for key in limits {
                let connections = arguments.workers().to_string();
                options.set(key, connections, Origin::Argument("the requests at once"));
            }
        }
    };
    let effects = Effects {
        without: WITHOUT_EFFECT,
        heeded: &[SEQUENCE_ID_TYPE.key()],
    };
    with_prepared_server(&arguments.config, prepare, &effects, async |server| {
        let report = measure(&server, arguments).await?;
        print(&match arguments.json {
            true => format!("{:#}\n", report.to_json()),
            false => report.to_text(),
        })?;
        if let Some(path) = &arguments.html {
            fs_err::write(path, html::page(&report)).map_err(Failure::usage)?;
        }
        Ok(report.exit_code())
    })
}

impl BenchArguments {
    /// The requests in flight at once, or the most of them.
    fn workers(&self) -> u32 {
        let given = self.sequences.or(self.concurrency).map(NonZeroU32::get);
        let default = if self.rate.is_some() {
            RATE_CONCURRENCY
        } else {
            1
        };
        given.unwrap_or(default)
    }

    /// How many requests a sequence has; none where the model keeps no state.
    fn sequence_length(&self, facts: &ModelFacts) -> Result<Option<u32>, Failure> {
        let config = &facts.config;
        let stateful = config.sequence_batching.is_some();
        if !stateful && (self.sequences.is_some() || self.sequence_length.is_some()) {
            let model = &self.model;
            let why = match facts.has_config {
                true => format!("'{model}' keeps no state"),
                false => format!("the server does not say that '{model}' is one"),
            };
            return Err(Failure::usage(anyhow!(
                "--sequences and --sequence-length are for stateful models, and {why}; use \
                 --concurrency"
            )));
        }
        if let Some(most) = config.concurrent_sequences()
            && u64::from(self.workers()) > most
        {
            warn!(
                "the model keeps {most} sequences at once, and the server makes the others of {} wait",
                self.workers()
            );
        }
        let length = self
            .sequence_length
            .map_or(SEQUENCE_LENGTH, NonZeroU32::get);
        Ok(stateful.then_some(length))
    }
}

async fn measure(server: &Server, arguments: &BenchArguments) -> Result<Report, Failure> {
    let options = &server.options;
    let facts = ModelFacts::look_up(&server.client, options).await?;
    let ModelFacts {
        metadata, config, ..
    } = &facts;
    if let Some(mismatch) = facts.batch_size_mismatch(options) {
        return Err(Failure::usage(anyhow!(mismatch)));
    }
    let untold = metadata.inputs.is_empty() && !facts.has_config;
    if untold && arguments.input.is_none() {
        let error = anyhow!(
            "the server does not say which tensors model '{}' takes, so none can be made up",
            options.model_name
        );
        return Err(Failure::server(error).with_hint(
            "--input FILE, each line such as {\"x\": {\"datatype\": \"FP32\", \"content\": [1.5]}}",
        ));
    }
    let batch_size = arguments.batch_size;
    check_batch_size(&facts, batch_size, &format!("--batch-size {batch_size}"))?;
    let samples = match &arguments.input {
        Some(path) => Samples::read(path, &facts)?,
        None => Samples::random(metadata, config, &arguments.shape, arguments.batch_size)?,
    };
    let mut requests = samples.requests(&server.model(), config, arguments.batch_size)?;
    if let Some(priority) = options.priority {
        requests = requests
            .into_iter()
            .map(|request| request.priority(priority))
            .collect();
    }
    if let Some(timeout) = options.server_timeout {
        requests = requests
            .into_iter()
            .map(|request| request.server_timeout(timeout.get()))
            .collect();
    }
    let sequence_length = arguments.sequence_length(&facts)?;
    let sequences = match sequence_length {
        Some(length) => {
            let form =
                SequenceIdForm::agree(options.sequence_id_type, config, facts.server.as_ref());
            Some(Sequences::new("bench", length, &form.map_err(Failure::server)?))
        }
        None => None,
    };
    let pace = arguments.rate.map(|rate| Pace {
        rate,
        random: arguments.arrivals == Arrivals::Random,
    });
    let load = Load {
        requests,
        workers: arguments.workers(),
        sequences,
        pace,
        warm_up: arguments.warm_up,
        duration: arguments.duration,
    };
    let mode = Mode {
        workers: load.workers,
        sequence_length,
        rate: arguments.rate,
        random_arrivals: arguments.arrivals == Arrivals::Random,
        batch_size: arguments.batch_size.get(),
        inputs: samples.description(arguments.input.as_deref()),
        warm_up: arguments.warm_up,
        duration: arguments.duration,
    };
    load.probe(&server.client).await?;
    let mut interrupt = std::pin::pin!(tokio::signal::ctrl_c());
    // From the first poll on, Ctrl-C ends the load and not the process.
    if interrupt.as_mut().now_or_never().is_some() {
        return Err(Failure::usage(anyhow!("Ctrl-C cannot be listened for")));
    }
    say(&format!(
        "model {} at {}: {mode}",
        options.model_name, server.endpoint
    ));
    let version = match facts.server {
        Some(server) => Some(server),
        None => server.client.server_metadata().await.ok(),
    };
    let mut measured = load.run(server, interrupt).await?;
    if server.endpoint == EMBEDDED_ENDPOINT {
        // The server is in this process, and its work cannot be told from the client's.
        measured.client_cpu = None;
    }
    Ok(Report {
        model: options.model_name.to_string(),
        endpoint: server.endpoint.clone(),
        server: version.map(|server| format!("{} {}", server.name, server.version)),
        mode,
        measured,
    })
}
