//! Shows a person what is running and where.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Result;
use serde::Deserialize;

use super::instance::Instance;
use super::server::is_ready;
use crate::http;

#[derive(Deserialize)]
struct Model {
    name: String,
    #[serde(default)]
    version: String,
    /// Absent for a model that was never loaded.
    #[serde(default)]
    state: String,
    #[serde(default)]
    reason: String,
}

/// Fails (by its exit code) if the server does not run.
pub(super) fn print(instance: &Instance) -> Result<ExitCode> {
    let server = match instance.read()? {
        Some(server) if server.process.is_alive()? => server,
        _ => {
            println!("Triton is not running; start it with `cargo xtask triton start`");
            return Ok(ExitCode::FAILURE);
        }
    };
    // Not `println!`, which panics where a reader such as `head` has seen enough.
    let mut out = std::io::stdout().lock();
    writeln!(out, "endpoint  {}", server.endpoint())?;
    writeln!(
        out,
        "metrics   http://127.0.0.1:{}/metrics",
        server.metrics_port
    )?;
    writeln!(out, "pid       {}", server.process.pid)?;
    writeln!(out, "version   {}", server.version()?)?;
    writeln!(out, "ready     {}", is_ready(&server))?;
    writeln!(out, "models    {}", server.models.display())?;
    let models: Vec<Model> = http::post(server.http_port, "/v2/repository/index")?.json()?;
    for Model {
        name,
        version,
        state,
        reason,
    } in models
    {
        writeln!(
            out,
            "  {}",
            format!("{name:<20} {version:<3} {state} {reason}").trim_end()
        )?;
    }
    Ok(ExitCode::SUCCESS)
}
