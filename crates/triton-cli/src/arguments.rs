//! The command line.

use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::commands::bench::BenchArguments;
use crate::commands::describe::DescribeArguments;
use crate::commands::health::{HealthArguments, duration};
use crate::commands::infer::InferArguments;
use crate::commands::loading::{LoadArguments, UnloadArguments};
use crate::commands::models::ModelsArguments;
use crate::commands::shell::{CompletionsArguments, ManArguments};
use crate::commands::stats::StatsArguments;
use crate::completion;
use crate::exit_codes::Exit;
use crate::failure;
use crate::observability::ObservabilityArguments;
use crate::predict::PredictArguments;
use crate::serve;

/// Run models of a Triton Inference Server over files.
#[derive(Debug, Parser)]
#[command(name = "triton", version, max_term_width = 100, after_help = failure::exit_codes(Exit::meaning))]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,

    #[command(flatten)]
    pub(crate) observability: ObservabilityArguments,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Predict(PredictArguments),
    Infer(InferArguments),
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
/// RUST_LOG=triton=debug logs every request.
#[derive(Debug, Args)]
#[command(after_help = serve::EXAMPLES, after_long_help = serve::long_help())]
pub(crate) struct ServeArguments {
    /// The models to serve, of echo, accumulate, anomaly, slow and fails [default: all].
    #[arg(long, value_name = "NAME", value_delimiter = ',', add = completion::one_of(serve::names()))]
    pub(crate) models: Vec<String>,

    /// The address to listen at: 0.0.0.0 is every interface of this machine, and whoever reaches
    /// one of them may use the server.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub(crate) host: IpAddr,

    /// The port to listen at; 0 picks a free one.
    #[arg(long, value_name = "PORT", default_value_t = 8000)]
    pub(crate) port: u16,

    /// Answer every inference so much later, such as 20ms; requests do not wait for each other.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) latency: Option<Duration>,

    /// A JSON file that says which inference requests go wrong, and how: see below.
    #[arg(long, value_name = "FILE")]
    pub(crate) faults: Option<PathBuf>,
}

/// Show the options of a model: what each one does, its type and its default.
#[derive(Debug, Args)]
pub(crate) struct OptionsArguments {
    /// Show only the option of this key.
    #[arg(value_name = "KEY", add = completion::keys())]
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

/// A number of something, of which there has to be one.
pub(crate) fn at_least_one<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse()
        .map_err(|_| "expected a whole number, 1 at least".to_owned())
}
