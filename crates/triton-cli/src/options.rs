//! `triton options`: the option catalog, for reading and for other programs.

use std::io::Write as _;

use anyhow::{Context as _, anyhow};
use triton_options::render::{self, html, markdown, text};
use triton_options::{CATALOG, OptionDefinition, nearest_key};

use crate::arguments::{OptionsArguments, OptionsFormat};
use crate::failure::Failure;

/// The most characters in a line, on however wide a terminal.
const WIDEST: usize = 100;

/// Runs the command.
pub(crate) fn run(arguments: &OptionsArguments) -> Result<(), Failure> {
    let definitions = match &arguments.key {
        None => render::sorted(None),
        Some(key) => vec![find(key)?],
    };
    let shown = match arguments.format {
        OptionsFormat::Text => text::page(&definitions, textwrap::termwidth().min(WIDEST)),
        OptionsFormat::Markdown => markdown::table(&definitions),
        OptionsFormat::Html => html::table(&definitions),
        OptionsFormat::Json => {
            let json = serde_json::to_string_pretty(&definitions);
            json.context("the options cannot be shown as JSON")? + "\n"
        }
    };
    // A reader that has seen enough, such as `head`, is no failure.
    match std::io::stdout().write_all(shown.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(Failure::usage(error)),
        _ => Ok(()),
    }
}

fn find(key: &str) -> Result<&'static OptionDefinition, Failure> {
    let found = CATALOG
        .iter()
        .copied()
        .find(|definition| definition.key == key);
    found.ok_or_else(|| {
        let hint = match nearest_key(key) {
            Some(nearest) => format!("; did you mean '{nearest}'?"),
            None => "; `triton options` lists them all".to_owned(),
        };
        Failure::usage(anyhow!("no option is called '{key}'{hint}"))
    })
}
