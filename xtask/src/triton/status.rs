//! Shows a person what is running and where.

use std::process::ExitCode;

use anyhow::Result;
use serde::Deserialize;

use super::http;
use super::instance::Instance;
use super::server::is_ready;

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
    println!("endpoint  {}", server.endpoint());
    println!("metrics   http://127.0.0.1:{}/metrics", server.metrics_port);
    println!("pid       {}", server.process.pid);
    println!("version   {}", server.version()?);
    println!("ready     {}", is_ready(&server));
    println!("models    {}", server.models.display());
    let models: Vec<Model> = http::post(server.http_port, "/v2/repository/index")?.json()?;
    for Model {
        name,
        version,
        state,
        reason,
    } in models
    {
        println!(
            "  {}",
            format!("{name:<20} {version:<3} {state} {reason}").trim_end()
        );
    }
    Ok(ExitCode::SUCCESS)
}
