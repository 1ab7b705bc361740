//! `triton serve`: the embedded server, for as long as the command runs.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;

use anyhow::{Context as _, anyhow};
use triton_embedded::models::{Accumulate, Anomaly, Echo, Fails, Slow};
use triton_embedded::{EmbeddedTriton, EmbeddedTritonBuilder, FaultScript};

use crate::arguments::ServeArguments;
use crate::failure::Failure;
use crate::output::print;
use crate::signals::Signals;

/// How a built-in model is added to a server.
type Add = fn(EmbeddedTritonBuilder) -> EmbeddedTritonBuilder;

const MODELS: &[(&str, Add)] = &[
    ("echo", |server| server.model(Echo)),
    ("accumulate", |server| server.model(Accumulate)),
    ("anomaly", |server| server.model(Anomaly)),
    ("slow", |server| server.model(Slow::default())),
    ("fails", |server| server.model(Fails)),
];

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
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, arguments.port));
    // Nobody could ask this process what has arrived.
    let mut server = EmbeddedTriton::builder()
        .address(address)
        .recorded_requests(0);
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
        .with_context(|| format!("cannot listen at {address}; choose another --port"))
        .map_err(Failure::server)
}

/// The models of these names, or all of them.
fn chosen(names: &[String]) -> Result<Vec<Add>, Failure> {
    if names.is_empty() {
        return Ok(MODELS.iter().map(|(_, add)| *add).collect());
    }
    let find = |wanted: &String| {
        let found = MODELS.iter().find(|(name, _)| name == wanted);
        found.map(|(_, add)| *add).ok_or_else(|| {
            let known: Vec<_> = MODELS.iter().map(|(name, _)| *name).collect();
            Failure::usage(anyhow!(
                "there is no built-in model '{wanted}'; choose among {}",
                known.join(", ")
            ))
        })
    };
    names.iter().map(find).collect()
}
