//! `triton completions` and `triton man`: the command line, for shells and for `man`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, anyhow};
use clap::{Args, Command};
use clap_complete::Shell;
use clap_mangen::Man;

use crate::completion;
use crate::failure::Failure;
use crate::output::print_as_is;

/// Write the completions of this command for a shell to standard output.
///
/// The shell then asks the command itself, which knows the keys of options, the models of the server
/// and the columns of the input as well.
#[derive(Debug, Args)]
#[command(after_help = COMPLETIONS_EXAMPLES)]
pub(crate) struct CompletionsArguments {
    /// The shell.
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  triton completions bash > ~/.local/share/bash-completion/completions/triton
  triton completions zsh > ~/.zfunc/_triton
  triton completions fish > ~/.config/fish/completions/triton.fish";

/// Write a manual page to standard output, or all of them to a folder.
#[derive(Debug, Args)]
#[command(after_help = MAN_EXAMPLES)]
pub(crate) struct ManArguments {
    /// The command whose page it is [default: triton itself].
    #[arg(value_name = "COMMAND", conflicts_with = "output")]
    command: Option<String>,

    /// Write the pages of all commands into this folder.
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
}

const MAN_EXAMPLES: &str = "\
Examples:
  triton man bench | man -l -
  triton man --output ~/.local/share/man/man1";

/// Runs `triton completions`.
pub(crate) fn completions(arguments: &CompletionsArguments) -> Result<ExitCode, Failure> {
    print_as_is(&completion::script(&arguments.shell.to_string())?)?;
    Ok(ExitCode::SUCCESS)
}

/// Runs `triton man`; `command` is the whole command line.
pub(crate) fn man(arguments: &ManArguments, mut command: Command) -> Result<ExitCode, Failure> {
    // Gives every command its arguments that hold everywhere, and its full name.
    command.build();
    if let Some(folder) = &arguments.output {
        fs_err::create_dir_all(folder).map_err(Failure::usage)?;
        let documented = command
            .get_subcommands()
            .filter(|subcommand| subcommand.get_name() != "help");
        for page in std::iter::once(&command).chain(documented) {
            let path = folder.join(format!("{}.1", page_name(page)));
            fs_err::write(path, page_of(page)?).map_err(Failure::usage)?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let page = match &arguments.command {
        None => &command,
        Some(name) => command.find_subcommand(name).ok_or_else(|| {
            Failure::usage(anyhow!("there is no command '{name}'"))
                .with_hint("`triton --help` lists them")
        })?,
    };
    print_as_is(&page_of(page)?)?;
    Ok(ExitCode::SUCCESS)
}

/// `triton-bench` for `triton bench`, as `man` finds it.
fn page_name(command: &Command) -> String {
    let name = command.get_bin_name().unwrap_or(command.get_name());
    name.replace(' ', "-")
}

fn page_of(command: &Command) -> Result<String, Failure> {
    let mut page = Vec::new();
    Man::new(command.clone())
        .title(page_name(command))
        .render(&mut page)
        .context("the manual page cannot be written")?;
    String::from_utf8(page).map_err(Failure::usage)
}
