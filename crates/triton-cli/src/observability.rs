//! What others see of a running command: its logs, and its metrics for Prometheus.

use std::net::SocketAddr;

use clap::{Args, ValueEnum};
use tokio::runtime::Runtime;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::failure::Failure;
use crate::metrics_page;
use crate::printer::Printer;

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
    arguments
        .metrics_listen
        .map(metrics_page::serve)
        .transpose()
}

/// What is logged where RUST_LOG does not say: a row that is written as failed, or with a default,
/// is named by the command itself, with its place in the inputs.
const UNASKED: &str = "warn,triton_model_fn::answering=error";

/// Standard output belongs to the data, so logs go to standard error.
fn start_log(format: LogFormat) {
    let filter = EnvFilter::builder().with_default_directive(LevelFilter::WARN.into());
    let is_asked = std::env::var_os(EnvFilter::DEFAULT_ENV).is_some_and(|asked| !asked.is_empty());
    let filter = match is_asked {
        true => filter.from_env_lossy(),
        false => filter.parse_lossy(UNASKED),
    };
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        // Where standard error is closed, the complaint about that would be a panic.
        .log_internal_errors(false)
        .with_writer(std::io::stderr);
    match format {
        LogFormat::Text => log.with_ansi(Printer::get().has_colours()).init(),
        LogFormat::Json => log.json().init(),
    }
}
