//! A command that could not do its work: what is said about it, and how it ends.

use std::process::ExitCode;

use crate::exit_codes::Exit;
use crate::progress::say;
use crate::unshown::without_secrets;

/// Why a command stopped.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    error: anyhow::Error,
    hint: Option<&'static str>,
}

impl Failure {
    /// The command line, a file or an option is at fault.
    pub(crate) fn usage(error: impl Into<anyhow::Error>) -> Self {
        Self::new(Exit::Usage, error.into())
    }

    /// The server could not be used.
    pub(crate) fn server(error: impl Into<anyhow::Error>) -> Self {
        Self::new(Exit::Server, error.into())
    }

    /// The command itself is at fault.
    pub(crate) fn internal(error: impl Into<anyhow::Error>) -> Self {
        let hint = "this is a mistake in the command: please report it with the command line";
        Self::new(Exit::Mistake, error.into()).with_hint(hint)
    }

    fn new(exit: Exit, error: anyhow::Error) -> Self {
        let hint = None;
        Self { exit, error, hint }
    }

    /// Adds what the user could try.
    pub(crate) fn with_hint(self, hint: &'static str) -> Self {
        let hint = Some(hint);
        Self { hint, ..self }
    }

    /// What happened, without its causes.
    pub(crate) fn message(&self) -> String {
        without_secrets(&self.error.to_string())
    }

    /// Says what happened on standard error.
    pub(crate) fn report(&self) -> ExitCode {
        say(&without_secrets(&describe("error", &self.error)));
        if let Some(hint) = self.hint {
            say(&format!("  try: {hint}"));
        }
        self.exit.into()
    }
}

/// The list of exit codes that a command's help ends with, in the words of `meaning`.
pub(crate) fn exit_codes(meaning: impl Fn(Exit) -> &'static str) -> String {
    let codes = Exit::ALL.map(|exit| format!("\n  {:<4} {}", exit.code(), meaning(exit)));
    format!("Exit codes:{}", codes.concat())
}

/// An error and its causes, each on a line of its own.
pub(crate) fn describe(label: &str, error: &anyhow::Error) -> String {
    let mut text = format!("{label}: {error}");
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        // Some errors of libraries say themselves what caused them.
        if !text.ends_with(&cause) {
            text.push_str("\n  caused by: ");
            text.push_str(&cause);
        }
    }
    text
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::usage(error)
    }
}
