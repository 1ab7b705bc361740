//! The command line.

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::commands::bench::BenchArguments;
use crate::commands::describe::DescribeArguments;
use crate::commands::health::HealthArguments;
use crate::commands::infer::InferArguments;
use crate::commands::loading::{LoadArguments, UnloadArguments};
use crate::commands::models::ModelsArguments;
use crate::commands::shell::{CompletionsArguments, ManArguments};
use crate::commands::stats::StatsArguments;
use crate::completion;
use crate::exit_codes::Exit;
use crate::failure;
use crate::observability::ObservabilityArguments;
use crate::options::OptionsArguments;
use crate::predict::PredictArguments;
use crate::serve::ServeArguments;

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

/// The whole command line, for whoever describes or completes it.
pub(crate) fn command_line() -> clap::Command {
    let command = Arguments::command();
    // Only here are all commands known.
    let commands = command.get_subcommands();
    let names: Vec<String> = commands.map(|it| it.get_name().to_owned()).collect();
    command.mut_subcommand("man", |man| {
        man.mut_arg("command", |it| {
            it.add(completion::one_of(names.into_iter()))
        })
    })
}

/// What the command was called with.
pub(crate) fn parse() -> Result<Arguments, clap::Error> {
    let mut command = takes_negative_numbers(Arguments::command());
    let mut matches = command.try_get_matches_from_mut(std::env::args_os())?;
    Arguments::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))
}

/// Takes a negative number for the value of the option before it, which then says by its name what it
/// expects, and not for an option of its own that does not exist.
fn takes_negative_numbers(command: clap::Command) -> clap::Command {
    let command = command.mut_args(|argument| {
        let takes = argument.get_action().takes_values() && !argument.is_positional();
        argument.allow_negative_numbers(takes)
    });
    command.mut_subcommands(takes_negative_numbers)
}
