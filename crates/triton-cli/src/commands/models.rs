//! `triton models`: what lies in the server's model repository, and in what state.

use std::process::ExitCode;

use clap::Args;
use serde_json::json;
use triton_client::{IndexFilter, ModelState, RepositoryEntry};

use super::text_table::TextTable;
use crate::config::ConfigArguments;
use crate::failure::Failure;
use crate::output::{print, width};
use crate::server::with_server;

/// List the models of a server: their versions and states.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ModelsArguments {
    /// List only the versions that take requests.
    #[arg(long)]
    ready: bool,

    /// Show a JSON list of objects.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    config: ConfigArguments,
}

const EXAMPLES: &str = "\
Examples:
  triton models -O endpoint=http://localhost:8000
  TRITON_ENDPOINT=localhost:8000 triton models --ready
  triton models --config triton.toml --json | jq -r '.[].name'";

/// Runs the command.
pub(crate) fn run(arguments: &ModelsArguments) -> Result<ExitCode, Failure> {
    let filter = match arguments.ready {
        true => IndexFilter::Ready,
        false => IndexFilter::All,
    };
    with_server(&arguments.config, None, async |server| {
        let mut entries = server.client.repository_index(filter).await?;
        entries.sort_by(|left, right| {
            let version = |entry: &RepositoryEntry| entry.version.parse::<u64>().ok();
            (&left.name, version(left)).cmp(&(&right.name, version(right)))
        });
        print(&match arguments.json {
            true => to_json(&entries),
            false => to_text(&entries),
        })?;
        Ok(ExitCode::SUCCESS)
    })
}

/// The state's name, as the protocol writes it where it has one.
pub(crate) fn state_name(state: Option<&ModelState>) -> &str {
    match state {
        None => "NOT LOADED",
        Some(ModelState::Ready) => "READY",
        Some(ModelState::Unavailable) => "UNAVAILABLE",
        Some(ModelState::Loading) => "LOADING",
        Some(ModelState::Unloading) => "UNLOADING",
        Some(ModelState::Other(name)) => name,
        Some(_) => "UNKNOWN",
    }
}

fn to_text(entries: &[RepositoryEntry]) -> String {
    if entries.is_empty() {
        return "the server has no models\n".to_owned();
    }
    let reasons = entries.iter().any(|entry| !entry.reason.is_empty());
    let heading = ["MODEL", ">VERSION", "STATE", "REASON"];
    let mut table = TextTable::new(&heading[..if reasons { 4 } else { 3 }]);
    for entry in entries {
        table.row([
            entry.name.clone(),
            entry.version.clone(),
            state_name(entry.state.as_ref()).to_owned(),
            // A reason may have several lines, each ending in a stack trace's address.
            entry
                .reason
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" "),
        ]);
    }
    table.lines(width())
}

fn to_json(entries: &[RepositoryEntry]) -> String {
    let entries = entries.iter().map(|entry| {
        json!({
            "name": entry.name,
            "version": entry.version.parse::<u64>().ok(),
            "state": entry.state.as_ref().map(|state| state_name(Some(state))),
            "reason": entry.reason,
        })
    });
    format!("{:#}\n", entries.collect::<serde_json::Value>())
}
