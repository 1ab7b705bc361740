//! What others see of a running command: its logs, and its metrics for Prometheus.

use std::net::SocketAddr;

use anyhow::anyhow;
use clap::{Args, ValueEnum};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder};
use tokio::runtime::{self, Runtime};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::failure::Failure;
use crate::printer::Printer;

/// The upper bounds of histograms of seconds: a fast local model is answered in a tenth of a
/// millisecond, a large one in half a minute.
const SECONDS: [f64; 16] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    10.0, 30.0,
];

/// The upper bounds of histograms of rows in a request.
const ROWS: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

/// The arguments that every command takes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Logs and metrics")]
pub(crate) struct ObservabilityArguments {
    /// Write the log as `text` or `json`, to standard error; RUST_LOG says what is logged.
    #[arg(long, global = true, value_name = "FORMAT", value_enum, default_value_t = LogFormat::Text, hide_possible_values = true)]
    log_format: LogFormat,

    /// Serve metrics for Prometheus while the command runs, such as at 127.0.0.1:9464.
    #[arg(long, global = true, value_name = "ADDRESS")]
    metrics_listen: Option<SocketAddr>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum LogFormat {
    /// Lines for people
    Text,
    /// An object a line
    Json,
}

/// Begins to log, and to serve metrics for as long as what it returns is kept.
pub(crate) fn start(arguments: &ObservabilityArguments) -> Result<Option<Runtime>, Failure> {
    start_log(arguments.log_format);
    arguments.metrics_listen.map(serve_metrics).transpose()
}

/// Standard output belongs to the data, so logs go to standard error.
fn start_log(format: LogFormat) {
    let filter = EnvFilter::builder().with_default_directive(LevelFilter::WARN.into());
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter.from_env_lossy())
        // Where standard error is closed, the complaint about that would be a panic.
        .log_internal_errors(false)
        .with_writer(std::io::stderr);
    match format {
        LogFormat::Text => log.with_ansi(Printer::get().has_colours()).init(),
        LogFormat::Json => log.json().init(),
    }
}

/// The listener has a thread of its own, so that it answers however busy the command is.
fn serve_metrics(address: SocketAddr) -> Result<Runtime, Failure> {
    let runtime = runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("metrics")
        .enable_all()
        .build()
        .map_err(Failure::usage)?;
    let cannot = |error: BuildError| {
        Failure::usage(anyhow!(
            "--metrics-listen {address}: {error}; is the port free, and the address one of this \
             machine?"
        ))
    };
    let inside = runtime.enter();
    let seconds = Matcher::Suffix("_seconds".to_owned());
    let rows = Matcher::Suffix("_rows".to_owned());
    let (recorder, exporter) = PrometheusBuilder::new()
        .with_http_listener(address)
        .set_buckets_for_metric(seconds, &SECONDS)
        .and_then(|builder| builder.set_buckets_for_metric(rows, &ROWS))
        .and_then(PrometheusBuilder::build)
        .map_err(cannot)?;
    metrics::set_global_recorder(recorder).map_err(|error| Failure::usage(anyhow!("{error}")))?;
    runtime.spawn(exporter);
    drop(inside);
    Ok(runtime)
}
