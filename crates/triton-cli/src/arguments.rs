//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::commands::bench::BenchArguments;
use crate::commands::describe::DescribeArguments;
use crate::commands::health::HealthArguments;
use crate::commands::loading::{LoadArguments, UnloadArguments};
use crate::commands::models::ModelsArguments;
use crate::commands::shell::{CompletionsArguments, ManArguments};
use crate::commands::stats::StatsArguments;
use crate::failure;
use crate::observability::ObservabilityArguments;

/// Run models of a Triton Inference Server over files.
#[derive(Debug, Parser)]
#[command(name = "triton", version, max_term_width = 100, after_help = failure::EXIT_CODES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,

    #[command(flatten)]
    pub(crate) observability: ObservabilityArguments,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Predict(PredictArguments),
    Models(ModelsArguments),
    Describe(DescribeArguments),
    Health(HealthArguments),
    Stats(StatsArguments),
    Bench(BenchArguments),
    Load(LoadArguments),
    Unload(UnloadArguments),
    Options(OptionsArguments),
    Serve(ServeArguments),
    Completions(CompletionsArguments),
    Man(ManArguments),
}

/// Serve built-in models with the embedded server, until Ctrl-C.
///
/// It behaves like a Triton Inference Server where a client can tell, and can be made to fail.
#[derive(Debug, Args)]
pub(crate) struct ServeArguments {
    /// The models to serve, of echo, accumulate, anomaly, slow and fails [default: all].
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) models: Vec<String>,

    /// The port of the loopback interface to listen at; 0 picks a free one.
    #[arg(long, value_name = "PORT", default_value_t = 8000)]
    pub(crate) port: u16,

    /// A JSON file that says which inference requests go wrong, and how.
    #[arg(long, value_name = "FILE")]
    pub(crate) faults: Option<PathBuf>,
}

/// Show the options of a model: what each one does, its type and its default.
#[derive(Debug, Args)]
pub(crate) struct OptionsArguments {
    /// Show only the option of this key.
    #[arg(value_name = "KEY")]
    pub(crate) key: Option<String>,

    /// How to show them.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = OptionsFormat::Text)]
    pub(crate) format: OptionsFormat,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum OptionsFormat {
    /// Paragraphs for a terminal
    Text,
    /// A table in Markdown
    Markdown,
    /// A table in HTML
    Html,
    /// A list of objects
    Json,
}

/// Score every row of a CSV file with a model.
///
/// The output holds the columns of the input, then those of the model, in the order of the input.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct PredictArguments {
    /// A file with one CREATE MODEL statement: the model's columns and options.
    #[arg(value_name = "MODEL.sql")]
    pub(crate) model: PathBuf,

    /// A CSV file whose header names the model's input columns, among any others.
    #[arg(value_name = "INPUT.csv")]
    pub(crate) input: PathBuf,

    /// Write the output here instead of to standard output.
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,

    /// The number of parallel subtasks, each with its own function and sequence IDs.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) parallelism: u32,

    /// Set an option of the model, over the one in MODEL.sql; may be repeated.
    #[arg(short = 'O', value_name = "KEY=VALUE", value_parser = key_value)]
    pub(crate) option: Vec<(String, String)>,

    /// Add a column `sequence_id` with the sequence ID that each row took.
    #[arg(long)]
    pub(crate) with_sequence_id: bool,
}

const EXIT_CODES: &str = "\
Exit codes:
  0  every row was answered
  1  some rows were not; each is named on standard error
  2  the command line, the model file, its options or the input cannot be used
  3  the server could not be reached, or its model does not fit";

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected KEY=VALUE, for example timeout=5s".to_owned()),
    }
}
