//! A command that could not do its work: what is said about it, and the exit code.

use std::process::ExitCode;

use crate::output::wrapped;
use crate::progress::say;

/// What the exit codes of all commands mean; a command's own help may say more of them.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0    it was done
  1    part of it was not: rows or requests failed, or the server is not ready
  2    the command line, a file or an option cannot be used
  3    the server could not be reached, refused, or its model does not fit
  130  Ctrl-C ended it before it was done";

/// Why a command stopped.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    error: anyhow::Error,
    hint: Option<&'static str>,
}

impl Failure {
    /// The command line, a file or an option is at fault.
    pub(crate) fn usage(error: impl Into<anyhow::Error>) -> Self {
        Self::new(2, error.into())
    }

    /// The server could not be used.
    pub(crate) fn server(error: impl Into<anyhow::Error>) -> Self {
        Self::new(3, error.into())
    }

    /// The command itself is at fault.
    pub(crate) fn internal(error: impl Into<anyhow::Error>) -> Self {
        let hint = "this is a mistake in the command: please report it with the command line";
        Self::new(4, error.into()).with_hint(hint)
    }

    fn new(code: u8, error: anyhow::Error) -> Self {
        let hint = None;
        Self { code, error, hint }
    }

    /// Adds what the user could try.
    pub(crate) fn with_hint(self, hint: &'static str) -> Self {
        let hint = Some(hint);
        Self { hint, ..self }
    }

    /// Says what happened on standard error.
    pub(crate) fn report(&self) -> ExitCode {
        say(&wrapped(&describe("error", &self.error)));
        if let Some(hint) = self.hint {
            say(&wrapped(&format!("  try: {hint}")));
        }
        ExitCode::from(self.code)
    }
}

/// An error and its causes, each on a line of its own.
pub(crate) fn describe(label: &str, error: &anyhow::Error) -> String {
    let mut text = format!("{label}: {error}");
    for cause in error.chain().skip(1) {
        text.push_str("\n  caused by: ");
        text.push_str(&cause.to_string());
    }
    text
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::usage(error)
    }
}
