//! `triton models`: what lies in the server's model repository, and in what state.

use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};
use triton_client::{IndexFilter, ModelState, RepositoryEntry};

use super::text_table::TextTable;
use crate::config::ConfigArguments;
use crate::failure::Failure;
use crate::output::{print, width};
use crate::progress::say;
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
  triton models -e localhost:8000
  TRITON_ENDPOINT=localhost:8000 triton models --ready
  triton models --config triton.toml --json | jq -r '.[].name'";

/// Runs the command.
pub(crate) fn run(arguments: &ModelsArguments) -> Result<ExitCode, Failure> {
    let filter = match arguments.ready {
        true => IndexFilter::Ready,
        false => IndexFilter::All,
    };
    with_server(&arguments.config, None, async |server| {
        let index = server.client.repository_index(filter).await;
        let mut entries = index.map_err(|error| match error.is_no_such_path() {
            true => {
                Failure::server(anyhow::Error::new(error).context("the server lists no models"))
                    .with_hint("`triton health MODEL` asks about one")
            }
            false => error.into(),
        })?;
        entries.sort_by(|left, right| {
            let version = |entry: &RepositoryEntry| entry.version.parse::<u64>().ok();
            (&left.name, version(left)).cmp(&(&right.name, version(right)))
        });
        print(&match arguments.json {
            true => to_json(&entries),
            false => to_text(&entries),
        })?;
        if !arguments.json
            && let Some(untold) = untold(&entries)
        {
            say(untold);
        }
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

/// What no entry tells, where some do on other servers.
fn untold(entries: &[RepositoryEntry]) -> Option<&'static str> {
    if entries.is_empty() {
        return None;
    }
    match (has_versions(entries), has_states(entries)) {
        (true, true) => None,
        (false, true) => Some("the server names no versions of its models"),
        (true, false) => {
            Some("the server does not say in which state its models are; --ready asks each one")
        }
        (false, false) => Some(
            "the server names neither versions nor states of its models; --ready asks each one",
        ),
    }
}

fn has_versions(entries: &[RepositoryEntry]) -> bool {
    entries.iter().any(|entry| !entry.version.is_empty())
}

fn has_states(entries: &[RepositoryEntry]) -> bool {
    let unknown = Some(ModelState::Unknown);
    entries.iter().any(|entry| entry.state != unknown)
}

fn to_text(entries: &[RepositoryEntry]) -> String {
    if entries.is_empty() {
        return "the server has no models\n".to_owned();
    }
    let reasons = entries.iter().any(|entry| !entry.reason.is_empty());
    let columns = [
        ("MODEL", true),
        (">VERSION", has_versions(entries)),
        ("STATE", has_states(entries)),
        ("REASON", reasons),
    ];
    let heading = columns.iter().filter(|(_, is_shown)| *is_shown);
    let heading: Vec<&str> = heading.map(|(name, _)| *name).collect();
    let mut table = TextTable::new(&heading);
    for entry in entries {
        let cells = [
            entry.name.clone(),
            entry.version.clone(),
            state_name(entry.state.as_ref()).to_owned(),
            // A reason may have several lines, each ending in a stack trace's address.
            entry
                .reason
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" "),
        ];
        let cells = cells.into_iter().zip(columns);
        table.row(cells.filter_map(|(cell, (_, is_shown))| is_shown.then_some(cell)));
    }
    table.lines(width())
}

fn to_json(entries: &[RepositoryEntry]) -> String {
    let entries = entries.iter().map(|entry| {
        json!({
            "name": entry.name,
            "version": version(&entry.version),
            "state": entry.state.as_ref().map(|state| state_name(Some(state))),
            "reason": entry.reason,
        })
    });
    format!("{:#}\n", entries.collect::<Value>())
}

/// A number as on Triton, a text as on MLServer, or nothing.
fn version(version: &str) -> Value {
    match version.parse::<u64>() {
        Ok(number) => number.into(),
        Err(_) if version.is_empty() => Value::Null,
        Err(_) => version.into(),
    }
}
