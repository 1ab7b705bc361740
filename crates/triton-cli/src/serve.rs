//! `triton serve`: the embedded server, for as long as the command runs.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use clap::Args;
use tracing::debug;
use triton_embedded::models::{Accumulate, Anomaly, Echo, Fails, Slow};
use triton_embedded::{EmbeddedTriton, EmbeddedTritonBuilder, Exchange, FaultScript};

use crate::argument_values::duration;
use crate::commands::figures;
use crate::completion;
use crate::failure::Failure;
use crate::output::print;
use crate::signals::Signals;

/// Serve built-in models with the embedded server, until Ctrl-C.
///
/// It behaves like a Triton Inference Server where a client can tell, and can be made to fail.
/// RUST_LOG=triton=debug logs every request.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, after_long_help = long_help())]
pub(crate) struct ServeArguments {
    /// The models to serve, of echo, accumulate, anomaly, slow and fails [default: all].
    #[arg(long, value_name = "NAME", value_delimiter = ',', add = completion::one_of(names()))]
    models: Vec<String>,

    /// The address to listen at: 0.0.0.0 is every interface of this machine, and whoever reaches
    /// one of them may use the server.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    host: IpAddr,

    /// The port to listen at; 0 picks a free one.
    #[arg(long, value_name = "PORT", default_value_t = 8000)]
    port: u16,

    /// Answer every inference so much later, such as 20ms; requests do not wait for each other.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    latency: Option<Duration>,

    /// A JSON file that says which inference requests go wrong, and how: see below.
    #[arg(long, value_name = "FILE")]
    faults: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  triton serve --models echo,accumulate --port 8001
  triton serve --latency 20ms --faults faults.json
  RUST_LOG=triton=debug triton serve --host 0.0.0.0";

const FAULTS: &str = r#"A file of --faults:
  {"seed": 7, "faults": [
    {"fault": "reset-after", "request": 3},
    {"fault": "status", "status": 503, "text": "later",
     "rate": 0.01, "model": "echo"}]}

  Each has "request", the number of a request from 1 on, or "rate", a
  probability that is drawn from the seed; "model" counts only the requests of
  one. The first that applies is taken.

  delay              the answer comes "milliseconds" later
  status             "status" and "text" are answered, and nothing is executed
  status-after       the same, after the model has executed
  reset-before       the connection is reset, and nothing is executed
  reset-after        the same, after the model has executed
  truncate           only so many "bytes" of the answer come, headers included
  garbage            the body is no JSON
  wrong-length       Content-Length is "off_by" so many bytes
  slow-bytes         the answer comes byte by byte, "milliseconds" apart
  duplicate-headers  each header comes twice
  refuse             after the answer no connection is taken for "milliseconds"
  crash              connections are reset and sequences lost; the server is back
                     after "milliseconds""#;

/// What the long help ends with.
fn long_help() -> String {
    format!("{EXAMPLES}\n\n{FAULTS}")
}

/// How a built-in model is added to a server.
type Add = fn(EmbeddedTritonBuilder) -> EmbeddedTritonBuilder;

const MODELS: &[(&str, Add)] = &[
    ("echo", |server| server.model(Echo)),
    ("accumulate", |server| server.model(Accumulate)),
    ("anomaly", |server| server.model(Anomaly)),
    ("slow", |server| server.model(Slow::default())),
    ("fails", |server| server.model(Fails)),
];

/// The names of the built-in models.
fn names() -> impl Iterator<Item = &'static str> + Clone + Send + Sync {
    MODELS.iter().map(|(name, _)| *name)
}

/// Serves until the process is told to end, by Ctrl-C for instance.
pub(crate) fn run(arguments: &ServeArguments) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::usage)?;
    let server = start(arguments)?;
    runtime.block_on(async {
        // Before anybody is told that it is ready, and may end it.
        let mut signals = Signals::listen()?;
        // Whoever started the command may read the address from here.
        print(&format!(
            "triton-embedded is ready at {}\n",
            server.endpoint()
        ))?;
        tokio::select! {
            signal = signals.first() => {
                // At once: nothing is lost, and a model may be at work for long.
                std::process::exit(signal.exit().code().into())
            }
            () = server.ended() => {
                let reason = server.failure();
                let reason = reason.unwrap_or_else(|| "nobody told it to".to_owned());
                Err(Failure::server(anyhow!(
                    "the server at {} has ended by itself: {reason}",
                    server.endpoint()
                )))
            }
        }
    })
}

fn start(arguments: &ServeArguments) -> Result<EmbeddedTriton, Failure> {
    let address = SocketAddr::from((arguments.host, arguments.port));
    // Nobody could ask this process what has arrived.
    let mut server = EmbeddedTriton::builder()
        .address(address)
        .recorded_requests(0)
        .latency(arguments.latency.unwrap_or_default());
    if tracing::enabled!(tracing::Level::DEBUG) {
        server = server.observe(log);
    }
    if let Some(path) = &arguments.faults {
        let script = fs_err::read(path).map_err(Failure::usage)?;
        let script = FaultScript::from_json(&script)
            .with_context(|| format!("{} cannot be used", path.display()))?;
        server = server.faults(script);
    }
    for add in chosen(&arguments.models)? {
        server = add(server);
    }
    server
        .start()
        .with_context(|| format!("cannot listen at {address}; choose another --port or --host"))
        .map_err(Failure::usage)
}

/// A line of the access log.
fn log(exchange: &Exchange<'_>) {
    let Exchange {
        method,
        path,
        received,
        sent,
        time,
        ..
    } = exchange;
    let status = exchange.status.map_or_else(
        || "connection reset".to_owned(),
        |status| status.to_string(),
    );
    let time = figures::duration(*time);
    debug!("{method} {path}: {status}, {received} bytes in, {sent} out, {time}");
}

/// The models of these names, or all of them.
fn chosen(names: &[String]) -> Result<Vec<Add>, Failure> {
    if names.is_empty() {
        return Ok(MODELS.iter().map(|(_, add)| *add).collect());
    }
    let find = |wanted: &String| {
        let found = MODELS.iter().find(|(name, _)| name == wanted);
        found.map(|(_, add)| *add).ok_or_else(|| {
            let known: Vec<_> = self::names().collect();
            Failure::usage(anyhow!(
                "there is no built-in model '{wanted}'; choose among {}",
                known.join(", ")
            ))
        })
    };
    names.iter().map(find).collect()
}
