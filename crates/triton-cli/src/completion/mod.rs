//! Completions that only the command itself can make: keys of options, models, columns.
//!
//! The scripts of `triton completions` ask the command for them, as its hidden variable says.

mod bash;
mod columns;
mod models;
mod profiles;

use std::ffi::{OsStr, OsString};

use anyhow::Context as _;
use clap_complete::engine::{ArgValueCandidates, ArgValueCompleter, CompletionCandidate};
use clap_complete::env::{CompleteEnv, Elvish, Fish, Powershell, Shells, Zsh};
use triton_options::{CATALOG, OptionDefinition, Piece};

use crate::failure::Failure;

/// The variable by which a script asks for completions, with the shell's name.
const VARIABLE: &str = "_TRITON_COMPLETE";

/// The shells that there are completions for.
const SHELLS: Shells<'_> = Shells(&[&bash::Bash, &Elvish, &Fish, &Powershell, &Zsh]);

/// Answers a script that asks for completions of `command`, and ends the process; else it does
/// nothing.
pub(crate) fn answer(command: fn() -> clap::Command) {
    CompleteEnv::with_factory(command)
        .var(VARIABLE)
        .shells(SHELLS)
        .complete();
}

/// The script that a shell has to run once.
pub(crate) fn script(shell: &str) -> Result<String, Failure> {
    let shell = SHELLS
        .completer(shell)
        .with_context(|| format!("there are no completions for {shell}"))?;
    let mut script = Vec::new();
    shell
        .write_registration(VARIABLE, "triton", "triton", "triton", &mut script)
        .map_err(Failure::usage)?;
    String::from_utf8(script).map_err(Failure::usage)
}

/// Completes `-O KEY=VALUE`.
pub(crate) fn options() -> ArgValueCompleter {
    ArgValueCompleter::new(option)
}

/// Completes the name of a model, of those that the server has.
pub(crate) fn models() -> ArgValueCandidates {
    ArgValueCandidates::new(|| candidates(models::names(&words()).unwrap_or_default()))
}

/// Completes the name of a profile, of those that the configuration file has.
pub(crate) fn profiles() -> ArgValueCandidates {
    ArgValueCandidates::new(|| candidates(profiles::names(&words()).unwrap_or_default()))
}

/// Completes the key of an option.
pub(crate) fn keys() -> ArgValueCandidates {
    ArgValueCandidates::new(|| CATALOG.iter().map(|it| with_help(it, it.key)).collect())
}

/// Completes one of these names.
pub(crate) fn one_of(
    names: impl Iterator<Item: Into<String>> + Clone + Send + Sync + 'static,
) -> ArgValueCandidates {
    ArgValueCandidates::new(move || candidates(names.clone().map(Into::into).collect()))
}

/// Completes the name of a column, of those that the input has.
pub(crate) fn columns() -> ArgValueCandidates {
    ArgValueCandidates::new(|| candidates(columns::names(&words()).unwrap_or_default()))
}

/// Completes the last of several names of columns.
pub(crate) fn column_lists() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| {
        let names = columns::names(&words()).unwrap_or_default();
        let typed = typed.to_str().unwrap_or_default();
        candidates(columns::completed(typed, &names))
    })
}

fn candidates(names: Vec<String>) -> Vec<CompletionCandidate> {
    names.into_iter().map(CompletionCandidate::new).collect()
}

fn option(typed: &OsStr) -> Vec<CompletionCandidate> {
    let typed = typed.to_str().unwrap_or_default();
    let Some((key, start)) = typed.split_once('=') else {
        let matching = CATALOG
            .iter()
            .filter(|definition| definition.key.starts_with(typed));
        return matching
            .map(|definition| with_help(definition, &format!("{}=", definition.key)))
            .collect();
    };
    let definition = CATALOG.iter().find(|definition| definition.key == key);
    let values = definition.map_or(Vec::new(), |definition| values(definition));
    values
        .into_iter()
        .filter(|value| value.starts_with(start))
        .map(|value| CompletionCandidate::new(format!("{key}={value}")))
        .collect()
}

fn with_help(definition: &OptionDefinition, shown: &str) -> CompletionCandidate {
    let help = first_sentence(definition).into();
    CompletionCandidate::new(shown).help(Some(help))
}

/// The values of an option that has only a few.
fn values(definition: &OptionDefinition) -> Vec<&'static str> {
    match definition.type_name {
        "Boolean" => vec!["true", "false"],
        name => name
            .strip_prefix("Enum: ")
            .map_or(Vec::new(), |values| values.split(", ").collect()),
    }
}

fn first_sentence(definition: &OptionDefinition) -> String {
    let paragraphs = definition.description().paragraphs.into_iter();
    let pieces = paragraphs.take(1).flatten().map(|piece| match piece {
        Piece::Text(text) | Piece::Code(text) => text,
        Piece::Link { label, .. } => label,
        _ => String::new(),
    });
    let text: String = pieces.collect();
    match text.split_once(". ") {
        Some((first, _)) => first.to_owned(),
        None => text.trim_end_matches('.').to_owned(),
    }
}

/// The words of the command line so far, as the shell hands them over.
fn words() -> Vec<String> {
    let words = std::env::args_os().skip_while(|word| word != "--").skip(1);
    words
        .map(OsString::into_string)
        .filter_map(Result::ok)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_values_of_options_are_completed() {
        let shown = |typed: &str| {
            let candidates = option(OsStr::new(typed)).into_iter();
            let values = candidates.map(|it| it.get_value().to_str().unwrap().to_owned());
            values.collect::<Vec<_>>()
        };
        assert_eq!(shown("circuit-breaker-t"), ["circuit-breaker-timeout="]);
        assert_eq!(shown("compression=g"), ["compression=gzip"]);
        assert_eq!(
            shown("health-check-enabled="),
            ["health-check-enabled=true", "health-check-enabled=false"]
        );
        assert!(shown("timeout=").is_empty() && shown("nothing=").is_empty());
        assert_eq!(shown("").len(), CATALOG.len());
    }
}
