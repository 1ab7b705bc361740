//! How a run came to its end, what is said about it, and its exit code.

use std::process::ExitCode;

use super::arguments::PredictArguments;
use super::summary::{Counts, Summary};
use crate::disk;
use crate::exit_codes::Exit;
use crate::failure::Failure;
use crate::output::{is_reader_gone, unread_after};
use crate::progress::{say, say_as_is};
use crate::signals::Signal;

/// How a run came to its end.
#[derive(Debug)]
pub(super) enum Ending {
    /// Every row of every input was read.
    Complete,
    /// A signal said so. Rows that could not be finished then are given up: without checkpoints
    /// they are rejected, with them they come up again after the last one.
    Interrupted { signal: Signal, given_up: bool },
    /// Rows failed, and that is the end by an argument; `row` is one that is to be named.
    Failed { row: Option<String>, rule: String },
    /// A signal said so, and the output was not read in all the time that there was for it.
    Unread { signal: Signal },
    /// Nobody reads the output any more.
    ReaderGone,
    /// An input cannot be read on.
    Broken(anyhow::Error),
}

impl Ending {
    /// Why nothing more can be written; an error if that is none of the ends of a run.
    pub(super) fn of_output(error: anyhow::Error) -> Result<Self, Failure> {
        if let Some(signal) = unread_after(error.as_ref()) {
            return Ok(Self::Unread { signal });
        }
        match is_reader_gone(error.as_ref()) {
            true => Ok(Self::ReaderGone),
            false => Err(Failure::usage(error)),
        }
    }

    pub(super) fn is_interrupted(&self) -> bool {
        matches!(self, Self::Interrupted { .. } | Self::Unread { .. })
    }

    pub(super) fn is_complete(&self) -> bool {
        matches!(self, Self::Complete)
    }

    /// Whether calls may still be waiting for the server, and are not to be waited for.
    pub(super) fn gave_up(&self) -> bool {
        matches!(
            self,
            Self::Interrupted { given_up: true, .. } | Self::Unread { .. }
        )
    }
}

/// The exit code of a run that is complete.
pub(super) fn code_of(counts: &Counts) -> ExitCode {
    match counts.rejected {
        0 => Exit::Done.into(),
        _ => Exit::Partial.into(),
    }
}

/// Says what was done, and what could be done now.
pub(super) fn conclude(
    arguments: &PredictArguments,
    ending: &Ending,
    summary: &Summary,
    has_streams: bool,
) -> Result<ExitCode, Failure> {
    if matches!(ending, Ending::ReaderGone) {
        return Ok(ExitCode::SUCCESS);
    }
    if let (Ending::Failed { row: Some(row), .. }, Some(_)) = (ending, &arguments.failures.errors) {
        say(row);
    }
    match &arguments.reports.json_summary {
        Some(path) if path.as_os_str() != "-" => {
            let text = summary.to_json() + "\n";
            disk::write_whole(path, text.as_bytes()).map_err(Failure::usage)?;
            if !arguments.reports.quiet {
                say(&summary.to_string());
            }
        }
        Some(_) => say_as_is(&summary.to_json()),
        None if arguments.reports.quiet => {}
        None => say(&summary.to_string()),
    }
    Ok(match ending {
        Ending::Interrupted { signal, given_up } => {
            say(match (&arguments.checkpoints.checkpoint, given_up) {
                (Some(_), false) => "interrupted; the same command goes on from here",
                (Some(_), true) => "interrupted; the same command goes on from the last checkpoint",
                (None, _) if has_streams => "interrupted",
                (None, _) => {
                    "interrupted; with --checkpoint DIR, the same command could go on from here"
                }
            });
            signal.exit().into()
        }
        Ending::Unread { signal } => {
            say("interrupted; nobody reads the output, which lacks its last rows");
            signal.exit().into()
        }
        Ending::Failed { rule, .. } => {
            say(&match arguments.checkpoints.checkpoint {
                Some(_) => {
                    format!("ended by {rule}; the same command goes on from the last checkpoint")
                }
                None => format!("ended by {rule}"),
            });
            Exit::Partial.into()
        }
        _ => code_of(&summary.counts),
    })
}
