//! `triton options`: the option catalog, for reading and for other programs.

use anyhow::{Context as _, anyhow};
use clap::{Args, ValueEnum};
use triton_options::render::{self, html, markdown, text};
use triton_options::{CATALOG, OptionDefinition, nearest_key};

use crate::completion;
use crate::failure::Failure;
use crate::output::print;

/// The most characters in a line, on however wide a terminal.
const WIDEST: usize = 100;

/// Show the options of a model: what each one does, its type and its default.
#[derive(Debug, Args)]
pub(crate) struct OptionsArguments {
    /// Show only the option of this key.
    #[arg(value_name = "KEY", add = completion::keys())]
    key: Option<String>,

    /// How to show them.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = OptionsFormat::Text)]
    format: OptionsFormat,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum OptionsFormat {
    /// Paragraphs for a terminal
    Text,
    /// A table in Markdown
    Markdown,
    /// A table in HTML
    Html,
    /// A list of objects
    Json,
}

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
    print(&shown)
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
