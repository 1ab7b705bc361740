//! `triton models`: what lies in the server's model repository, and in what state.

mod several;

use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};
use triton_client::{IndexFilter, ModelState, RepositoryEntry};

use super::text_table::TextTable;
use crate::config_arguments::ConfigArguments;
use crate::failure::Failure;
use crate::output::{document, print};
use crate::progress::say;
use crate::server::{Server, with_server};
use crate::wrapping::width;

/// List the models of a server: their versions and states.
///
/// Where the endpoint has several servers, each line says at which of them it is so.
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
  triton models --config triton.toml --json | jq -r '.[].name'
  triton models -e http://a:8000,http://b:8000 --ready";

/// Runs the command.
pub(crate) fn run(arguments: &ModelsArguments) -> Result<ExitCode, Failure> {
    let filter = match arguments.ready {
        true => IndexFilter::Ready,
        false => IndexFilter::All,
    };
    with_server(&arguments.config, None, async |server| {
        if server.are_several() {
            return several::run(&server, filter, arguments.json).await;
        }
        let entries = list(&server, filter).await?;
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

/// What a server has, in the order of names and versions.
async fn list(server: &Server, filter: IndexFilter) -> Result<Vec<RepositoryEntry>, Failure> {
    let index = server.client.repository_index(filter).await;
    let mut entries = index.map_err(|error| match error.is_no_such_path() {
        true => Failure::server(anyhow::Error::new(error).context("the server lists no models"))
            .with_hint(match server.client.endpoint().url().path() {
                "/" => "`triton health MODEL` asks about one",
                _ => {
                    "is the path right? -e URL takes what stands before the server's /v2, and most \
                     servers have nothing there"
                }
            }),
        false => error.into(),
    })?;
    entries.sort_by(|left, right| order(left).cmp(&order(right)));
    Ok(entries)
}

fn order(entry: &RepositoryEntry) -> (&str, Option<u64>) {
    (&entry.name, entry.version.parse().ok())
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
            one_line(&entry.reason),
        ];
        let cells = cells.into_iter().zip(columns);
        table.row(cells.filter_map(|(cell, (_, is_shown))| is_shown.then_some(cell)));
    }
    table.lines(width())
}

/// A reason may have several lines, each ending in a stack trace's address.
fn one_line(reason: &str) -> String {
    reason.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn to_json(entries: &[RepositoryEntry]) -> String {
    document(&entries.iter().map(to_object).collect())
}

fn to_object(entry: &RepositoryEntry) -> Value {
    json!({
        "name": entry.name,
        "version": version(&entry.version),
        "state": entry.state.as_ref().map(|state| state_name(Some(state))),
        "reason": entry.reason,
    })
}

/// A number as on Triton, a text as on MLServer, or nothing.
fn version(version: &str) -> Value {
    match version.parse::<u64>() {
        Ok(number) => number.into(),
        Err(_) if version.is_empty() => Value::Null,
        Err(_) => version.into(),
    }
}
